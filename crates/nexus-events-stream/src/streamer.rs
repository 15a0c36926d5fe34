//! The streamer: a handler on the bus that hands events to the queues of clients.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use nexus_events_dispatch::{
    Bus, Called, Context, Handler, HandlerError, HandlerExt, HandlerPriority, HandlerResult, Mode,
    Subscription,
};
use nexus_events_model::{Event, Pattern};
use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::client::Client;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::options::StreamOptions;
use crate::origin::AllowedOrigin;
use crate::pause::WriteRate;
use crate::queue::{Frame, Load, Pushed};
use crate::stats::{Counters, StreamStats};
use crate::subscriptions::Subscriptions;

/// Shows the events of a bus to clients over WebSocket. Clones are the same streamer.
///
/// It is one inline handler, `streaming_handler`, that sees every event after all other handlers
/// and never waits. It stays on the bus until [`shutdown`](Self::shutdown) or the end of the bus.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_stream::{StreamOptions, Streamer};
/// let bus = Bus::new();
/// let streamer = Streamer::new(&bus, StreamOptions::new())?;
/// let app: axum::Router = streamer.router();
/// assert!(bus.stats().handler("streaming_handler").is_some());
/// # Ok::<(), nexus_events_stream::Error>(())
/// ```
#[derive(Clone)]
pub struct Streamer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) bus: Bus,
    handler: Subscription,
}

/// What connections, the handler and the streamer have in common. The bus is not in it: the
/// handler is on the bus.
pub(crate) struct Shared {
    pub(crate) options: StreamOptions,
    pub(crate) origins: Vec<AllowedOrigin>,
    pub(crate) subscriptions: Subscriptions,
    pub(crate) counters: Counters,
    pub(crate) writes: WriteRate,
    pub(crate) clients: Mutex<HashMap<Uuid, Arc<Client>>>,
    /// One permit per open connection.
    pub(crate) slots: Arc<Semaphore>,
    pub(crate) closing: AtomicBool,
    /// Set when connections that are still open are cut.
    pub(crate) cut: watch::Sender<bool>,
}

impl Streamer {
    /// Registers the handler on a bus.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] for an option out of its range; [`ErrorKind::Bus`] when the
    /// bus is shut down or has a streamer.
    pub fn new(bus: &Bus, options: StreamOptions) -> Result<Self> {
        let origins = options.check()?;
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(options.connections)),
            writes: WriteRate::new(options.write_pause_above),
            options,
            origins,
            subscriptions: Subscriptions::default(),
            counters: Counters::default(),
            clients: Mutex::default(),
            closing: AtomicBool::new(false),
            cut: watch::Sender::new(false),
        });
        let handler = StreamingHandler(shared.clone());
        let handler = handler.named("streaming_handler").priority(HandlerPriority::STREAM);
        let handler = bus.on(Pattern::all(), handler)?;
        Ok(Self { shared, bus: bus.clone(), handler })
    }

    /// Sends a message to all clients, subscribed or not; says to how many. It waits in their
    /// queues as events do.
    ///
    /// ```
    /// # use nexus_events_dispatch::Bus;
    /// # use nexus_events_stream::{StreamOptions, Streamer};
    /// # use serde_json::json;
    /// let streamer = Streamer::new(&Bus::new(), StreamOptions::new())?;
    /// let reached = streamer.broadcast(&json!({"type": "notice", "text": "back at noon"}))?;
    /// assert_eq!(reached, 0);
    /// # Ok::<(), nexus_events_stream::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidMessage`] when it cannot be written as JSON, [`ErrorKind::TooLarge`]
    /// when that is longer than [`MESSAGE_BYTES_MAX`].
    pub fn broadcast(&self, message: &(impl Serialize + ?Sized)) -> Result<usize> {
        let text = serde_json::to_string(message).map_err(|error| {
            let text = format!("the message cannot be written as JSON: {error}");
            Error::new(ErrorKind::InvalidMessage, text).with_source(error)
        })?;
        if text.len() > MESSAGE_BYTES_MAX {
            let text = format!(
                "the message is {} bytes long, the most is {MESSAGE_BYTES_MAX}",
                text.len()
            );
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        let text = Utf8Bytes::from(text);
        let clients: Vec<_> = self.shared.clients.lock().values().cloned().collect();
        let mut tally = Tally::default();
        for client in clients {
            tally.add(&client.queue.push(Frame::Broadcast(text.clone())));
        }
        Ok(tally.count(&self.shared.counters))
    }

    /// What it has done so far.
    #[must_use]
    pub fn stats(&self) -> StreamStats {
        self.shared.stats()
    }

    /// Ends it: the handler leaves the bus, no connection is accepted any more, and every client
    /// gets what waits for it and close code 1001. At the deadline connections are cut.
    ///
    /// Shut the bus down first, so that its last events reach the clients.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use nexus_events_dispatch::Bus;
    /// # use nexus_events_stream::{StreamOptions, Streamer};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let streamer = Streamer::new(&Bus::new(), StreamOptions::new())?;
    /// let report = streamer.shutdown(Duration::from_secs(5)).await;
    /// assert!(report.is_clean());
    /// # Ok::<(), nexus_events_stream::Error>(()) }).unwrap();
    /// ```
    pub async fn shutdown(&self, deadline: Duration) -> StreamShutdownReport {
        self.handler.unsubscribe().await;
        let shared = &self.shared;
        shared.closing.store(true, Ordering::Release);
        let clients: Vec<_> = shared.clients.lock().values().cloned().collect();
        clients.iter().for_each(|client| client.queue.finish());
        let all = u32::try_from(shared.options.connections).unwrap_or(u32::MAX);
        // All permits back means all connections closed.
        let open = shared.options.connections - shared.slots.available_permits();
        let all_back = tokio::time::timeout(deadline, shared.slots.acquire_many(all)).await;
        let cut_off = match all_back {
            Ok(_) => 0,
            Err(_) => shared.options.connections - shared.slots.available_permits(),
        };
        shared.cut.send_replace(true);
        StreamShutdownReport { closed: open.saturating_sub(cut_off), cut_off }
    }
}

impl Shared {
    /// Hands an event to every subscription that wants it.
    fn stream(&self, event: &Event) -> HandlerResult {
        let mut tally = Tally::default();
        let mut failure = None;
        self.subscriptions.for_each_match(event, |subscription| {
            // Encoded at the first match and never without one.
            match event.encoded() {
                Ok(encoded) => tally.add(&subscription.deliver(encoded)),
                Err(error) => failure = Some(error),
            }
        });
        let reached = tally.count(&self.counters);
        match failure {
            Some(error) => Err(HandlerError::permanent(error)),
            None if reached == 0 => Ok(Value::Null),
            None => Ok(json!({
                "streamed_to_clients": reached,
                "event_id": event.id().to_string(),
                "event_type": event.event_type().as_str(),
            })),
        }
    }

    pub(crate) fn stats(&self) -> StreamStats {
        let subscriptions = self.subscriptions.counts();
        let clients = self.clients.lock().len();
        let queued = self.counters.queued_now();
        StreamStats {
            active_streams: clients,
            total_subscriptions: subscriptions.total,
            connected_clients: clients,
            subscriptions_by_type: subscriptions.by_type,
            subscriptions_by_type_omitted: subscriptions.omitted,
            delivered: self.counters.delivered_total(),
            queued_messages: queued.messages,
            queued_bytes: queued.bytes,
            dropped: self.counters.dropped_by_reason(),
            disconnected: self.counters.disconnected_by_reason(),
            refused: self.counters.refused_by_reason(),
            errors: self.counters.errors_total(),
            limits: self.options.to_json(),
        }
    }
}

/// What became of one message in many queues; counted in one step at the end, because all
/// publishers and clients share the counters.
#[derive(Default)]
struct Tally {
    queued: Load,
    full: u64,
    oversized: u64,
}

impl Tally {
    fn add(&mut self, pushed: &Pushed) {
        match pushed {
            Pushed::Queued { bytes } => {
                self.queued.messages += 1;
                self.queued.bytes += bytes;
            }
            Pushed::Ended => {}
            Pushed::Full => self.full += 1,
            Pushed::TooLarge => self.oversized += 1,
        }
    }

    fn count(self, counters: &Counters) -> usize {
        counters.queued(self.queued);
        if self.full > 0 {
            counters.dropped(self.full);
        }
        if self.oversized > 0 {
            counters.oversized(self.oversized);
        }
        self.queued.messages
    }
}

struct StreamingHandler(Arc<Shared>);

impl Handler for StreamingHandler {
    fn call<'a>(&'a self, event: &'a Event, _: &'a Context) -> Called<'a> {
        Called::Ready(self.0.stream(event))
    }

    fn mode(&self) -> Mode {
        Mode::Inline
    }
}

/// What the shutdown of a streamer came to.
///
/// ```
/// # use std::time::Duration;
/// # use nexus_events_dispatch::Bus;
/// # use nexus_events_stream::{StreamOptions, Streamer};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let streamer = Streamer::new(&Bus::new(), StreamOptions::new())?;
/// assert_eq!(streamer.shutdown(Duration::ZERO).await.closed, 0);
/// # Ok::<(), nexus_events_stream::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamShutdownReport {
    /// Connections that closed in time.
    pub closed: usize,
    /// Connections that were cut at the deadline.
    pub cut_off: usize,
}

impl StreamShutdownReport {
    /// Whether nothing was cut off.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cut_off == 0
    }
}

impl fmt::Debug for Streamer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamer")
            .field("clients", &self.shared.clients.lock().len())
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
