//! One connection: a task that reads what the client says and writes what waits for it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message};
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::tungstenite;
use uuid::Uuid;

use crate::allowance::Allowance;
use crate::close_code::CloseReason;
use crate::heartbeat::{Beat, Heartbeat};
use crate::limits::LINGER;
use crate::pause::Pause;
use crate::protocol::{self, Request, Subscribe};
use crate::queue::{ClientQueue, Frame};
use crate::session::Session;
use crate::streamer::Shared;
use crate::subscriptions::ClientSubscription;

/// A client as the rest of the streamer sees it.
pub(crate) struct Client {
    pub(crate) uuid: Uuid,
    pub(crate) queue: ClientQueue,
}

/// The WebSocket, or in tests what stands for it.
pub(crate) trait Socket:
    Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Unpin
{
}

impl<S> Socket for S where
    S: Stream<Item = Result<Message, axum::Error>> + Sink<Message, Error = axum::Error> + Unpin
{
}

/// Serves one client to its end.
pub(crate) async fn serve(shared: Arc<Shared>, socket: impl Socket, now: OffsetDateTime) {
    let session = Session::open(shared, Uuid::new_v4());
    let mut connection = Connection::new(session, socket, now);
    let reason = connection.talk().await;
    let Connection { session, socket, readable, .. } = connection;
    let patience = session.shared.options.write_stall;
    session.close(reason);
    say_goodbye(socket, reason, readable, patience).await;
}

struct Connection<S> {
    session: Session,
    socket: S,
    /// Until reading fails: where it stopped, the next frame cannot be found.
    readable: bool,
    heartbeat: Heartbeat,
    pause: Pause,
    inbound: Allowance,
    errors: Allowance,
}

impl<S: Socket> Connection<S> {
    fn new(session: Session, socket: S, now: OffsetDateTime) -> Self {
        let options = &session.shared.options;
        let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
        let client = &session.client;
        let welcome = protocol::connection_established(&format!("client_{}", client.uuid), now);
        client.queue.reply(welcome);
        Self {
            heartbeat: Heartbeat::new(options.ping, options.pong, client.uuid.as_u64_pair().1),
            pause: Pause::new(options.write_pause),
            inbound: Allowance::new(options.inbound_burst, options.inbound_per_second, second),
            errors: Allowance::new(options.errors_per_minute, options.errors_per_minute, minute),
            readable: true,
            session,
            socket,
        }
    }

    /// Reads and writes until there is a reason to end.
    async fn talk(&mut self) -> CloseReason {
        let mut batch = Vec::new();
        loop {
            match self.turn(&mut batch).await {
                Ok(()) => {}
                Err(reason) => return reason,
            }
        }
    }

    /// Writes one batch, then hears at most one message.
    async fn turn(&mut self, batch: &mut Vec<Frame>) -> Result<(), CloseReason> {
        let client = self.session.client.clone();
        if let Some(reason) = client.queue.take(batch) {
            return Err(reason);
        }
        if !batch.is_empty() {
            self.write(batch).await?;
            self.session.shared.counters.delivered(client.queue.written());
            self.pause.wrote(&self.session.shared.writes);
        } else {
            // What an idle client holds is what counts when there are ten thousand.
            *batch = Vec::new();
        }
        let writes = &self.session.shared.writes;
        tokio::select! {
            biased;
            message = self.socket.next(), if client.queue.has_reply_room() => self.hear(message),
            // Before the writes, which may never come to an end.
            beat = self.heartbeat.beat() => self.beat(beat).await,
            () = self.pause.next_write(&client.queue, writes) => Ok(()),
        }
    }

    /// All of the batch, then one flush.
    async fn write(&mut self, batch: &mut Vec<Frame>) -> Result<(), CloseReason> {
        let socket = &mut self.socket;
        let write = async {
            for frame in batch.drain(..) {
                socket.feed(frame.into_message()).await?;
            }
            socket.flush().await
        };
        unless_stalled(&self.session, write).await
    }

    async fn beat(&mut self, beat: Beat) -> Result<(), CloseReason> {
        match beat {
            Beat::Ping => {
                let ping = self.socket.send(Message::Ping(Default::default()));
                unless_stalled(&self.session, ping).await
            }
            Beat::Alive => Ok(()),
            Beat::Dead => Err(CloseReason::NoPong),
        }
    }

    fn hear(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), CloseReason> {
        let message = match message {
            None => return Err(CloseReason::Lost),
            Some(Err(error)) => {
                self.readable = false;
                return Err(reason_of(error));
            }
            Some(Ok(Message::Close(_))) => return Err(CloseReason::Left),
            Some(Ok(message)) => message,
        };
        let now = Instant::now();
        self.heartbeat.heard(now);
        if !self.inbound.take(now) {
            let options = &self.session.shared.options;
            let error = format!(
                "too many messages: {} a second on average and {} at once are allowed; this one was not read",
                options.inbound_per_second, options.inbound_burst
            );
            return self.refuse(&error, CloseReason::TooFast);
        }
        match message {
            Message::Text(text) => self.answer(&text),
            Message::Binary(_) => {
                let error = "binary frames are not understood; send JSON in a text frame";
                self.refuse(error, CloseReason::TooManyErrors)
            }
            // Pings are answered below this layer.
            _ => Ok(()),
        }
    }

    fn answer(&mut self, text: &str) -> Result<(), CloseReason> {
        let options = &self.session.shared.options;
        let most = options.subscriptions;
        match protocol::parse(text, options.patterns) {
            Ok(Request::Subscribe(_)) if self.session.subscriptions.len() >= most => {
                let error =
                    format!("a client has at most {most} subscriptions; unsubscribe some first");
                self.refuse(&error, CloseReason::TooManyErrors)
            }
            Ok(Request::Subscribe(request)) => {
                self.subscribe(request);
                Ok(())
            }
            Ok(Request::Unsubscribe { written, id }) => {
                let success = id.is_some_and(|id| self.session.unsubscribe(&id));
                self.reply(protocol::unsubscribed(written, success));
                Ok(())
            }
            Ok(Request::GetStats) => {
                self.reply(protocol::stats(&self.session.shared.stats()));
                Ok(())
            }
            Ok(Request::Unknown) => Ok(()),
            Err(error) => self.refuse(&error, CloseReason::TooManyErrors),
        }
    }

    /// Nothing is written before this returns, so the reply comes before the first event.
    fn subscribe(&mut self, request: Subscribe<'_>) {
        let (event_types, filters) = (request.event_types, request.filters);
        let subscription = ClientSubscription::new(&self.session.client, request);
        self.reply(protocol::subscription_created(subscription.id(), event_types, filters));
        self.session.subscribe(subscription);
    }

    fn reply(&self, text: String) {
        self.session.client.queue.reply(text);
    }

    fn refuse(&mut self, error: &str, at_last: CloseReason) -> Result<(), CloseReason> {
        if !self.errors.take(Instant::now()) {
            return Err(at_last);
        }
        self.session.shared.counters.error();
        self.reply(protocol::error(error));
        Ok(())
    }
}

/// Writes, but not for ever, and not for a client whose queue has run over.
async fn unless_stalled(
    session: &Session,
    write: impl Future<Output = Result<(), axum::Error>>,
) -> Result<(), CloseReason> {
    tokio::select! {
        biased;
        done = write => done.map_err(|_| CloseReason::Lost),
        () = session.client.queue.cut() => Err(CloseReason::SlowClient),
        () = sleep(session.shared.options.write_stall) => Err(CloseReason::WriteStall),
    }
}

fn reason_of(error: axum::Error) -> CloseReason {
    match error.into_inner().downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Capacity(_)) => CloseReason::TooLarge,
        Some(tungstenite::Error::Utf8(_)) => CloseReason::BadText,
        Some(tungstenite::Error::Protocol(
            tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        )) => CloseReason::Lost,
        Some(tungstenite::Error::Protocol(_)) => CloseReason::BadFrame,
        _ => CloseReason::Lost,
    }
}

/// Says why, and waits for the client to close too.
async fn say_goodbye(mut socket: impl Socket, reason: CloseReason, readable: bool, most: Duration) {
    let goodbye = async {
        if let Some(code) = reason.code() {
            let frame = CloseFrame { code, reason: reason.text().into() };
            if socket.send(Message::Close(Some(frame))).await.is_err() {
                return;
            }
        }
        match reason {
            CloseReason::Lost | CloseReason::WriteStall => {}
            // Closing at once would reset the connection and take the reason with it.
            _ if !readable => sleep(LINGER).await,
            _ => while let Some(Ok(_)) = socket.next().await {},
        }
    };
    // Whoever does not take it has been told often enough.
    let _ = tokio::time::timeout(most, goodbye).await;
}

#[cfg(test)]
mod tests;
