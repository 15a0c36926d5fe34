//! The door: `GET /ws`, or wherever a program lets clients in.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{FromRequestParts, Request, State};
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
    /// The routes `GET /ws` and `GET /ws/`, to be served alone or merged into other routes.
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
        let open =
            async |State(streamer): State<Self>, request: Request| streamer.open(request).await;
        Router::new().route("/ws", get(open)).route("/ws/", get(open)).with_state(self.clone())
    }

    async fn open(&self, request: Request) -> Response {
        let (mut parts, _) = request.into_parts();
        match WebSocketUpgrade::from_request_parts(&mut parts, &()).await {
            Ok(upgrade) => self.upgrade(upgrade, &parts.headers, &parts.uri),
            Err(rejection) => rejection.into_response(),
        }
    }

    fn upgrade(&self, upgrade: WebSocketUpgrade, headers: &HeaderMap, uri: &Uri) -> Response {
        let place = match self.admit(headers, uri) {
            Ok(place) => place,
            Err((refusal, status, message)) => {
                self.shared.counters.refused(refusal);
                return refused(status, message);
            }
        };
        let inbound = self.shared.options.inbound_bytes;
        let streamer = self.clone();
        upgrade
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(WRITE_BUFFER_BYTES)
            // One message may come on top of what did not go out.
            .max_write_buffer_size(2 * WRITE_BUFFER_BYTES + 2 * MESSAGE_BYTES_MAX)
            .max_message_size(inbound)
            .max_frame_size(inbound)
            .on_upgrade(|socket| streamer.serve(socket, place))
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

fn refused(status: StatusCode, message: String) -> Response {
    let mut response = (status, message).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = header::HeaderValue::from_static("5");
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
