//! A subscription to the events of a server, over its WebSocket.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nexus_events_stream::CloseReason;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::commands::client::Server;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::plain;

/// How long a server may take to confirm the subscription.
const SUBSCRIBE_WAIT_MAX: Duration = Duration::from_secs(10);

/// How long a farewell may take.
const FAREWELL_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long the first new attempt waits; each further one twice as long, up to the longest.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(15);

/// A frame of the server, as far as it is read here.
#[derive(Deserialize)]
struct Frame<'a> {
    r#type: String,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(default)]
    message: Option<String>,
}

/// An open and confirmed subscription.
pub(crate) struct Subscription {
    socket: WebSocketStream<TcpStream>,
}

/// Why there are no more events.
#[derive(Debug)]
pub(crate) struct Lost {
    why: String,
    /// Whether the server takes this client again as it is.
    pub(crate) may_return: bool,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl Lost {
    fn broken(why: impl Into<String>) -> Self {
        Self { why: why.into(), may_return: true }
    }

    fn closed(code: u16, reason: &str) -> Self {
        let why = format!("the server closed the connection: {code} {}", plain(reason));
        Self { why: why.trim_end().to_owned(), may_return: may_return(code) }
    }

    /// As what ends the program.
    pub(crate) fn into_failure(self) -> Failure {
        let exit = if self.may_return { Exit::Unreachable } else { Exit::Failed };
        Failure::new(exit, self.why)
    }
}

/// Whether a client that was closed with this code may come back unchanged.
fn may_return(code: u16) -> bool {
    let slow = CloseReason::SlowClient.code();
    let going = CloseReason::GoingAway.code();
    Some(code) == slow || Some(code) == going || matches!(code, 1012 | 4100..=4199)
}

impl Subscription {
    /// Connects, sends the request and waits until it is confirmed.
    pub(crate) async fn open(server: &Server, request: &str) -> Outcome<Self> {
        let stream = server.connect().await?;
        let handshake = tokio_tungstenite::client_async(server.socket_url(), stream);
        let unreachable =
            |why: &str| Failure::new(Exit::Unreachable, format!("{} {why}", server.socket_url()));
        match tokio::time::timeout(SUBSCRIBE_WAIT_MAX, handshake).await {
            Ok(Ok((socket, _))) => Self { socket }.confirmed(request).await,
            Ok(Err(error)) => {
                Err(unreachable(&format!("is no WebSocket of Nexus events: {error}")))
            }
            Err(_) => Err(unreachable("does not answer")),
        }
    }

    async fn confirmed(mut self, request: &str) -> Outcome<Self> {
        let sent = self.socket.send(Message::text(request)).await;
        sent.map_err(|error| broken(&error).into_failure())?;
        let confirmed = async {
            loop {
                let text = self.text().await.map_err(Lost::into_failure)?;
                let frame: Frame<'_> = serde_json::from_str(&text)?;
                match &*frame.r#type {
                    "subscription_created" => return Ok(()),
                    "error" => return Err(refused(&frame)),
                    _ => {}
                }
            }
        };
        let late =
            |_| Failure::new(Exit::Unreachable, "the server does not confirm the subscription");
        tokio::time::timeout(SUBSCRIBE_WAIT_MAX, confirmed).await.map_err(late)??;
        Ok(self)
    }

    /// The next text of the server.
    pub(crate) async fn text(&mut self) -> Result<String, Lost> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err(Lost::closed(frame.code.into(), &frame.reason));
                }
                Some(Ok(Message::Close(None))) | None => {
                    return Err(Lost::broken("the server closed the connection"));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(broken(&error)),
            }
        }
    }

    /// Says farewell, or answers that of the server, which waits for it. It notices an end
    /// without one, too.
    pub(crate) async fn close(mut self) {
        let _ = tokio::time::timeout(FAREWELL_WAIT_MAX, self.socket.close(None)).await;
    }
}

fn broken(error: &tokio_tungstenite::tungstenite::Error) -> Lost {
    Lost::broken(format!("the connection broke: {error}"))
}

fn refused(frame: &Frame<'_>) -> Failure {
    let message = frame.message.as_deref().unwrap_or("the server refused, without a reason");
    Failure::new(Exit::Rejected, plain(message))
}

/// The event in a text of the server, if there is one.
pub(crate) fn event_of(text: &str) -> Outcome<Option<&RawValue>> {
    let frame: Frame<'_> = serde_json::from_str(text)?;
    match &*frame.r#type {
        "event" => Ok(frame.event),
        "error" => Err(refused(&frame)),
        _ => Ok(None),
    }
}

/// How long to wait before the next attempt.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    attempts: u32,
}

impl Retry {
    /// Events came: the next loss is a new one.
    pub(crate) fn reset(&mut self) {
        self.attempts = 0;
    }

    fn next(&mut self) -> Duration {
        let longest = RETRY_FIRST.saturating_mul(1 << self.attempts.min(10)).min(RETRY_MAX);
        self.attempts = self.attempts.saturating_add(1);
        // Half of it is chance, so that many clients do not come back all at once.
        let chance = RandomState::new().hash_one(self.attempts) % 1_000;
        longest / 2 + longest / 2 * u32::try_from(chance).unwrap_or(0) / 1_000
    }

    /// Tries until there is a subscription again, or the server refuses it.
    pub(crate) async fn open(&mut self, server: &Server, request: &str) -> Outcome<Subscription> {
        loop {
            tokio::time::sleep(self.next()).await;
            match Subscription::open(server, request).await {
                Err(failure) if failure.exit() == Exit::Unreachable => {}
                ended => return ended,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_too_slow_or_in_the_way_may_return() {
        for (code, expected) in
            [(1000, false), (1001, true), (1002, false), (1008, false), (1012, true), (1013, true)]
        {
            assert_eq!(may_return(code), expected, "{code}");
        }
        assert!(may_return(4100) && !may_return(4099));
        assert_eq!(Lost::closed(1008, "").into_failure().exit(), Exit::Failed);
        assert_eq!(Lost::broken("").into_failure().exit(), Exit::Unreachable);
    }

    #[test]
    fn attempts_become_rare_and_soon_again_after_a_reset() {
        let mut retry = Retry::default();
        let waits: Vec<Duration> = (0..50).map(|_| retry.next()).collect();
        assert!((RETRY_FIRST / 2..=RETRY_FIRST).contains(&waits[0]), "{waits:?}");
        assert!(waits[2] >= RETRY_FIRST * 2, "{waits:?}");
        assert!(waits[10..].iter().all(|wait| (RETRY_MAX / 2..=RETRY_MAX).contains(wait)));
        retry.reset();
        assert!(retry.next() <= RETRY_FIRST);
    }
}
