//! The responder's end of a request.

use nexus_events_dispatch::{Context, FromEvent, Rejection};
use nexus_events_model::{Event, EventId, Payload};
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::exchange::{Answer, Taken};
use super::reject::Reject;
use super::slot::{Hold, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::REPLIES_WAITING_MAX;

/// Where the answer to a request goes. A handler registered by
/// [`respond_with`](crate::Requests::respond_with) takes it as an argument, and may answer later,
/// from a task, or several times to [`request_many`](crate::Requests::request_many).
///
/// When the last one of a request is dropped and nothing was answered, the requester gets
/// [`ErrorKind::ResponderGone`] at once.
///
/// ```
/// use nexus_events_dispatch::{Bus, Payload};
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{ReplyTo, Requests};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.respond_with("number.doubled", async |number: Payload<u64>, reply_to: ReplyTo| {
///     tokio::spawn(async move { reply_to.reply(*number * 2) });
/// })?;
/// let doubled: u64 = bus.request(Event::builder("number.doubled").typed(21_u64)).await?;
/// assert_eq!(doubled, 42);
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// ```
#[derive(Debug)]
pub struct ReplyTo {
    hold: Hold,
    accept: Option<Value>,
}

impl ReplyTo {
    /// The metadata that says which replies a requester accepts.
    pub const ACCEPT: &'static str = "accept";

    pub(crate) fn of(event: &Event, context: &Context) -> Option<Self> {
        let slot = context.witness::<Slot>()?;
        Some(Self { hold: slot.hold(), accept: event.metadata().get(Self::ACCEPT).cloned() })
    }

    fn slot(&self) -> &Slot {
        &self.hold.0
    }

    /// Answers. In this process the very same value arrives, without any serialisation, where it
    /// is asked for as this type.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyReplied`] when another answer came first, and one was asked for;
    /// [`ErrorKind::RequesterGone`] when nobody waits any more; [`ErrorKind::Overloaded`] when
    /// 1,024 replies wait for a requester that does not take them.
    pub fn reply<T: Serialize + Send + Sync + 'static>(&self, value: T) -> Result<()> {
        self.answer(Ok(Payload::typed(value)))
    }

    /// As [`reply`](Self::reply), with a payload in whatever form.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn reply_payload(&self, payload: impl Into<Payload>) -> Result<()> {
        self.answer(Ok(payload.into()))
    }

    /// Says no.
    ///
    /// # Errors
    /// As [`reply`](Self::reply).
    pub fn reject(&self, reject: impl Into<Reject>) -> Result<()> {
        self.answer(Err(reject.into()))
    }

    pub(crate) fn answer(&self, answer: Answer) -> Result<()> {
        let (kind, message) = match self.slot().put(answer) {
            Taken::In => return Ok(()),
            Taken::Already => {
                (ErrorKind::AlreadyReplied, "the request was answered before, and asked for one answer; several reach `request_many`".to_owned())
            }
            Taken::Late => {
                (ErrorKind::RequesterGone, "nobody waits for the answer any more; look at `is_cancelled` before long work, or answer sooner".to_owned())
            }
            Taken::Full => (
                ErrorKind::Overloaded,
                format!("{REPLIES_WAITING_MAX} replies wait for the requester; answer more slowly"),
            ),
        };
        Err(Error::new(kind, message))
    }

    /// The id of the event that asks.
    #[must_use]
    pub fn request_id(&self) -> &EventId {
        self.slot().event.id()
    }

    /// When the requester stops waiting.
    #[must_use]
    pub fn deadline(&self) -> std::time::Instant {
        Instant::into_std(self.slot().deadline)
    }

    /// Whether the requester has gone: it has its answer, was not answered in time, or was
    /// dropped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.slot().is_closed()
    }

    /// Waits until the requester has gone.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// use nexus_events_patterns::{ReplyTo, Requests};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// bus.respond_with("report.asked", async |reply_to: ReplyTo| reply_to.cancelled().await)?;
    /// let report = bus.request::<String>(Event::builder("report.asked"));
    /// assert!(report.timeout(std::time::Duration::from_secs(1)).await.is_err());
    /// bus.idle().await;
    /// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
    /// ```
    pub async fn cancelled(&self) {
        self.slot().closed().await;
    }

    /// Whether the requester accepts replies of this name; all are, unless it has said which.
    #[must_use]
    pub fn accepts(&self, name: &str) -> bool {
        match &self.accept {
            Some(Value::Array(names)) => names.iter().any(|known| known == name),
            Some(Value::String(known)) => known == name,
            _ => true,
        }
    }
}

/// Rejected for an event that nobody waits for an answer to; take `Option<ReplyTo>` if that may be.
impl FromEvent for ReplyTo {
    fn from_event(event: &Event, context: &Context) -> Result<Self, Rejection> {
        if !context.responds() {
            return Err("a handler that takes a `ReplyTo` is registered by `respond_with`, or with `.with(|options| options.responds())`".into());
        }
        Self::of(event, context)
            .ok_or_else(|| "nobody waits for an answer to this event; publish it with `request`, or take `Option<ReplyTo>`".into())
    }
}
