//! A request on its way: the event goes out, the answer is waited for, the slot is given up.

use std::fmt;
use std::future::{IntoFuture, poll_fn};
use std::marker::PhantomData;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch as dispatch;
use nexus_events_dispatch::{Bus, Context};
use nexus_events_model::{Event, EventType, IntoEvent, Payload};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::collector::Collecting;
use super::exchange::{Answer, Found, Wanted};
use super::of_bus::BusRequests;
use super::reply_to::ReplyTo;
use super::slot::{Pending, Slot};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{REQUEST_TIMEOUT_DEFAULT, REQUEST_TIMEOUT_MAX};

/// A request for one answer, made by [`Requests::request`](crate::Requests::request); await it.
///
/// # Cancel safety
/// When the future is dropped the request is given up, and its responders see that in
/// [`ReplyTo::is_cancelled`]. The event is out if it was polled.
///
/// # Errors
/// [`ErrorKind::NoResponders`] and [`ErrorKind::ResponderGone`] without waiting;
/// [`ErrorKind::TimedOut`]; [`ErrorKind::Failed`] with the responder's [`Reject`](crate::Reject);
/// [`ErrorKind::InvalidReply`] when the answer is no `T`; [`ErrorKind::Closed`] after a shutdown;
/// [`ErrorKind::Overloaded`]; [`ErrorKind::InvalidOption`]; [`ErrorKind::Bus`] when the bus does
/// not take the event.
#[must_use = "a request is made when it is awaited"]
pub struct Request<T> {
    asked: Asked,
    reply_in: Option<Result<EventType>>,
    answer: PhantomData<fn() -> T>,
}

impl<T> Request<T> {
    pub(crate) fn new(asked: Asked) -> Self {
        Self { asked, reply_in: None, answer: PhantomData }
    }

    /// How long the answer is waited for: 30 seconds unless it is said, a day at most. Inside a
    /// responder it ends with the time of the request that is answered, if that is sooner.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.asked.timeout = timeout;
        self
    }

    /// Says which replies are accepted, by names of your own, so that a responder may give a newer
    /// one or fall back to an older: it asks [`ReplyTo::accepts`].
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// use nexus_events_patterns::{ReplyTo, Requests};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// bus.respond_with("user.asked", |reply_to: ReplyTo| {
    ///     let name = if reply_to.accepts("user.v2") { "user.v2" } else { "user.v1" };
    ///     reply_to.reply(name.to_owned()).map_err(|error| error.to_string())
    /// })?;
    /// let user: String = bus.request(Event::builder("user.asked")).accept(["user.v1"]).await?;
    /// assert_eq!(user, "user.v1");
    /// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
    /// ```
    pub fn accept<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.asked = self.asked.accept(names);
        self
    }

    /// The answer is an event of this type: its payload is given as the `T`. Any handler may
    /// publish it, so nobody has to be registered as a responder; but somebody must get the
    /// request, else it is [`ErrorKind::NoResponders`]. A responder may still answer directly.
    ///
    /// The event belongs to the request that it names as `request_id` in its payload or metadata:
    /// by the `request_id` in the request's payload, or by its event id. When it names none it
    /// belongs to the event that is its cause, and without a cause to its correlation id.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// use nexus_events_patterns::Requests;
    /// use serde_json::json;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// bus.on("data.request", |event: &Event| {
    ///     let id = event.payload().get("request_id").cloned();
    ///     Event::builder("data.response").payload(json!({"request_id": id, "user_data": "Ada"}))
    /// })?;
    /// let asked = Event::builder("data.request").payload(json!({"request_id": "r-1"}));
    /// let response: serde_json::Value = bus.request(asked).reply_in("data.response").await?;
    /// assert_eq!(response["user_data"], "Ada");
    /// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
    /// ```
    pub fn reply_in(
        mut self,
        event_type: impl TryInto<EventType, Error: Into<dispatch::Error>>,
    ) -> Self {
        let event_type = event_type.try_into();
        self.reply_in = Some(event_type.map_err(|error| Error::from(error.into())));
        self
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> Request<T> {
    async fn ask(self) -> Result<T> {
        let begun = Begun::new(self.asked)?;
        let answer = match self.reply_in.transpose()? {
            None => begun.first(Wanted::One, None).await?,
            Some(event_type) => begun.first(Wanted::Event, Some(event_type)).await?,
        };
        decode(answer)
    }
}

impl<T: DeserializeOwned + Send + Sync + 'static> IntoFuture for Request<T> {
    type Output = Result<T>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.ask())
    }
}

impl<T> fmt::Debug for Request<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("asked", &self.asked).finish_non_exhaustive()
    }
}

/// What is asked, and how.
#[derive(Debug)]
pub(crate) struct Asked {
    bus: Bus,
    context: Option<Context>,
    event: Result<Event>,
    pub(crate) timeout: Duration,
}

impl Asked {
    pub(crate) fn new(bus: &Bus, context: Option<&Context>, event: impl IntoEvent) -> Self {
        let context = context.cloned().or_else(|| Context::of(bus));
        let event = bus.stamp(event).map_err(Error::from);
        Self { bus: bus.clone(), context, event, timeout: REQUEST_TIMEOUT_DEFAULT }
    }

    pub(crate) fn accept<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        let names: Vec<Value> = names.into_iter().map(|name| Value::String(name.into())).collect();
        self.event = self
            .event
            .and_then(|event| Ok(event.to_builder().metadata(ReplyTo::ACCEPT, names).build()?));
        self
    }
}

/// A request whose time runs.
pub(crate) struct Begun {
    pub(crate) requests: Arc<BusRequests>,
    bus: Bus,
    context: Option<Context>,
    event: Event,
    begun: Instant,
    deadline: Instant,
}

impl Begun {
    pub(crate) fn new(asked: Asked) -> Result<Self> {
        let Asked { bus, context, event, timeout } = asked;
        let event = event?;
        if timeout.is_zero() || timeout > REQUEST_TIMEOUT_MAX {
            let most = REQUEST_TIMEOUT_MAX.as_secs();
            let message =
                format!("timeout is more than nothing and at most {most} s, not {timeout:?}");
            return Err(Error::invalid_option(message));
        }
        let begun = Instant::now();
        let outer = context.as_ref().and_then(outer_deadline);
        let deadline = outer.map_or(begun + timeout, |outer| outer.min(begun + timeout));
        let requests = bus.extension::<BusRequests>();
        Ok(Self { requests, bus, context, event, begun, deadline })
    }

    pub(crate) fn pending(&self, wanted: Wanted) -> Result<Pending> {
        Pending::begin(&self.requests, self.event.clone(), wanted, (self.begun, self.deadline))
    }

    /// Publishes the event; how many handlers it met.
    pub(crate) async fn publish(&self, slot: &Arc<Slot>) -> Result<usize> {
        let event = self.event.clone();
        let published = match &self.context {
            Some(context) => context.publish_witnessed(event, slot.clone()).await,
            None => self.bus.publish_witnessed(event, slot.clone()).await,
        };
        let receipt = published.inspect_err(|_| self.requests.counters.refused.add(1))?;
        Ok(receipt.matched)
    }

    /// What comes before the deadline.
    pub(crate) async fn in_time<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        if self.deadline <= self.begun {
            return None;
        }
        self.wait_for(timeout_at(self.deadline, future)).await.ok()
    }

    /// Waits on behalf of the handler that asks.
    pub(crate) async fn wait_for<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.context {
            Some(context) => context.wait_for(future).await,
            None => future.await,
        }
    }

    async fn first(self, wanted: Wanted, reply_in: Option<EventType>) -> Result<Answer> {
        let mut pending = self.pending(wanted)?;
        let collecting = reply_in.map(|event_type| {
            Collecting::begin(&self.bus, &self.requests, event_type, &pending.slot)
        });
        let collecting = collecting.transpose().inspect_err(|_| {
            self.requests.counters.refused.add(1);
            pending.ended = true;
        });
        let _collecting = collecting?;
        let slot = pending.slot.clone();
        let asking = async {
            let matched = self.publish(&slot).await?;
            if !slot.has_begun() || (wanted == Wanted::Event && matched == 0) {
                return Ok(Found::NoResponders);
            }
            Ok(poll_fn(|task| slot.poll(task)).await)
        };
        // In its place: what goes through functions by value is copied each time, and it is large.
        let found = self.in_time(pin!(asking)).await;
        pending.ended = true;
        self.ended(found)
    }

    /// Counts how it ended, and says it.
    pub(crate) fn ended(&self, found: Option<Result<Found>>) -> Result<Answer> {
        let counters = &self.requests.counters;
        let name = self.event.event_type();
        match found {
            Some(Ok(Found::Answer(answer))) => {
                if answer.is_err() {
                    counters.rejected.add(1);
                }
                Ok(answer)
            }
            Some(Ok(Found::NoResponders)) => {
                counters.no_responders.add(1);
                Err(Error::new(
                    ErrorKind::NoResponders,
                    format!(
                        "nobody answers `{name}`; register a responder with `respond`, or see whether its filter refuses the event"
                    ),
                ))
            }
            Some(Ok(Found::Gone | Found::Nothing)) => {
                counters.responder_gone.add(1);
                Err(Error::new(
                    ErrorKind::ResponderGone,
                    format!(
                        "the last responder to `{name}` has gone without an answer: it failed, was skipped, cancelled or unsubscribed; its statistics say which"
                    ),
                ))
            }
            Some(Err(error)) => Err(error),
            None => {
                counters.timed_out.add(1);
                Err(Error::timed_out(name, self.begun.elapsed()))
            }
        }
    }
}

/// When the request ends that the handler of this context answers, or the handler itself.
fn outer_deadline(context: &Context) -> Option<Instant> {
    let asked = context.witness::<Slot>().map(|slot| slot.deadline);
    let stopped = context.deadline().map(Instant::from_std);
    asked.into_iter().chain(stopped).min()
}

/// An answer as what was asked for.
pub(crate) fn decode<T: DeserializeOwned + Send + Sync + 'static>(answer: Answer) -> Result<T> {
    let payload = answer.map_err(Error::failed)?;
    own(payload).map_err(|error| {
        let message =
            format!("the answer cannot be read: {error}; ask for what the responder gives");
        Error::new(ErrorKind::InvalidReply, message).caused_by(error)
    })
}

/// The payload's value: the very one where nobody else has it, else a copy by way of JSON.
fn own<T: DeserializeOwned + Send + Sync + 'static>(
    payload: Payload,
) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
    if payload.downcast_ref::<T>().is_some() {
        let value = payload.decode::<T>()?;
        if Arc::strong_count(&value) == 2 {
            // The payload and this one: nobody is left who could copy it meanwhile.
            drop(payload);
            return Ok(Arc::into_inner(value).unwrap_or_else(|| unreachable!("nobody has it")));
        }
    }
    Ok(serde_json::from_str(payload.json()?)?)
}
