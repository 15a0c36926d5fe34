//! The bytes of a request while they arrive: not for ever, and not after the server was told to
//! stop.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use http_body_util::BodyExt;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::http::error::ApiError;
use crate::limits::BODY_IDLE_MAX;

/// The bytes of one request.
pub(crate) struct Incoming {
    body: Body,
    wait_max: Duration,
    until: Instant,
    stopping: watch::Receiver<bool>,
}

impl Incoming {
    /// Bytes that may take this long in total.
    pub(crate) fn new(body: Body, wait_max: Duration, stopping: watch::Receiver<bool>) -> Self {
        Self { body, wait_max, until: Instant::now() + wait_max, stopping }
    }

    /// The next bytes, `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        let pause_ends = Instant::now() + BODY_IDLE_MAX;
        tokio::select! {
            biased;
            bytes = next_bytes(&mut self.body) => bytes,
            _ = self.stopping.wait_for(|stopping| *stopping) => Err(stopped()),
            () = tokio::time::sleep_until(self.until) => Err(timed_out(format!(
                "the request took longer than {} s",
                self.wait_max.as_secs()
            ))),
            () = tokio::time::sleep_until(pause_ends) => {
                Err(timed_out(format!("nothing came for {} s", BODY_IDLE_MAX.as_secs())))
            }
        }
    }
}

async fn next_bytes(body: &mut Body) -> Result<Option<Bytes>, ApiError> {
    loop {
        match body.frame().await {
            None => return Ok(None),
            Some(Ok(frame)) => {
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some(bytes));
                }
            }
            Some(Err(error)) => {
                let message = format!("the request broke off: {error}");
                let help = "send the whole request";
                return Err(ApiError::bad_request("broken_request", message, help));
            }
        }
    }
}

fn timed_out(message: String) -> ApiError {
    let help = "send the request without long pauses, or in several smaller ones";
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message, help)
}

fn stopped() -> ApiError {
    ApiError::unavailable(
        "closed",
        "the server stops before the request is complete",
        "publish what is left again when it is back",
    )
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;

    use super::*;

    /// Bytes that never end, with this pause after each.
    fn dripping(pause: Duration, stopping: &watch::Sender<bool>) -> Incoming {
        let drops = futures_util::stream::repeat(()).then(move |()| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, std::io::Error>("x")
        });
        Incoming::new(Body::from_stream(drops), Duration::from_secs(60), stopping.subscribe())
    }

    async fn refusal(mut incoming: Incoming) -> (u16, String) {
        loop {
            match incoming.next().await {
                Ok(bytes) => assert!(bytes.is_some()),
                Err(error) => return (error.status().as_u16(), error.to_json().to_string()),
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn neither_a_pause_nor_the_whole_may_be_too_long() {
        let stopping = watch::Sender::new(false);
        let (status, said) = refusal(dripping(Duration::from_secs(1), &stopping)).await;
        assert_eq!(status, 408);
        assert!(said.contains("longer than 60 s"), "{said}");
        let (status, said) = refusal(dripping(Duration::from_secs(31), &stopping)).await;
        assert_eq!(status, 408);
        assert!(said.contains("nothing came for 30 s"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_when_the_server_stops() {
        let stopping = watch::Sender::new(true);
        let (status, said) = refusal(dripping(Duration::from_secs(1), &stopping)).await;
        assert_eq!(status, 503);
        assert!(said.contains(r#""code":"closed""#), "{said}");
    }
}
