//! The door: `GET /ws`.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::OwnedSemaphorePermit;

use crate::client;
use crate::limits::{MESSAGE_BYTES_MAX, READ_BUFFER_BYTES, WRITE_BUFFER_BYTES};
use crate::origin;
use crate::stats::Refusal;
use crate::streamer::Streamer;

impl Streamer {
    /// The route `GET /ws`, to be served alone or merged into other routes.
    ///
    /// Set `TCP_NODELAY` on the sockets: without it an event may wait 40 ms for the one before.
    ///
    /// ```no_run
    /// use axum::serve::ListenerExt;
    /// # use nexus_events_dispatch::Bus;
    /// # use nexus_events_stream::{StreamOptions, Streamer};
    /// # async fn serve(listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
    /// let streamer = Streamer::new(&Bus::new(), StreamOptions::new())?;
    /// let listener = listener.tap_io(|socket| { let _ = socket.set_nodelay(true); });
    /// axum::serve(listener, streamer.router()).await?;
    /// # Ok(()) }
    /// ```
    pub fn router(&self) -> Router {
        Router::new().route("/ws", get(open)).with_state(self.clone())
    }

    /// A place for one more connection, or the answer that there is none.
    fn admit(
        &self,
        headers: &HeaderMap,
        uri: &Uri,
    ) -> Result<OwnedSemaphorePermit, (Refusal, StatusCode, String)> {
        let shared = &self.shared;
        if !origin::is_allowed(headers, uri, &shared.origins) {
            let message = "pages of this origin may not connect; allow it in the server's settings";
            return Err((Refusal::Origin, StatusCode::FORBIDDEN, message.into()));
        }
        let bytes: usize =
            headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        let most = shared.options.handshake_bytes;
        if bytes > most {
            let message = format!("the headers are {bytes} bytes long, the most is {most}");
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            return Err((Refusal::Handshake, status, message));
        }
        if shared.closing.load(std::sync::atomic::Ordering::Acquire) {
            let message = "the server shuts down; connect again soon";
            return Err((Refusal::Closing, StatusCode::SERVICE_UNAVAILABLE, message.into()));
        }
        Arc::clone(&shared.slots).try_acquire_owned().map_err(|_| {
            let message = format!("all {} connections are in use", shared.options.connections);
            (Refusal::Full, StatusCode::SERVICE_UNAVAILABLE, message)
        })
    }

    async fn serve(self, socket: WebSocket, place: OwnedSemaphorePermit) {
        let mut cut = self.shared.cut.subscribe();
        let now = self.bus.now();
        tokio::select! {
            () = client::serve(self.shared.clone(), socket, now) => {}
            _ = cut.wait_for(|cut| *cut) => {}
        }
        drop(place);
    }
}

async fn open(
    State(streamer): State<Streamer>,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let place = match streamer.admit(&headers, &uri) {
        Ok(place) => place,
        Err((refusal, status, message)) => {
            streamer.shared.counters.refused(refusal);
            let mut response = (status, message).into_response();
            if status == StatusCode::SERVICE_UNAVAILABLE {
                let seconds = header::HeaderValue::from_static("5");
                response.headers_mut().insert(header::RETRY_AFTER, seconds);
            }
            return response;
        }
    };
    let inbound = streamer.shared.options.inbound_bytes;
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        // One message may come on top of what did not go out.
        .max_write_buffer_size(2 * WRITE_BUFFER_BYTES + 2 * MESSAGE_BYTES_MAX)
        .max_message_size(inbound)
        .max_frame_size(inbound)
        .on_upgrade(|socket| streamer.serve(socket, place))
}
