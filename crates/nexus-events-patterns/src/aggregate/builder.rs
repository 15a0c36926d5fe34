//! How an aggregator is put together.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, HandlerError};
use nexus_events_model::{Event, EventType, Pattern, Payload, Text};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::core::{AggregateKey, Core, KeyOf, State, Times, View};
use super::kept::Kept;
use super::options::{Bounds, Late};
use super::output::{Aggregate, Folds};
use super::{Aggregator, Attached};
use crate::error::{Error, Result};
use crate::limits::WINDOW_AHEAD_DEFAULT;
use crate::window::{KeyedWindows, Window};

/// Puts an [`Aggregator`] together; nothing is looked at before [`build`](Self::build).
#[must_use = "it does nothing until it is attached to a bus"]
pub struct AggregatorBuilder<I, K, A> {
    key: KeyOf<I, K>,
    view: View<I>,
    window: Option<Box<dyn Window>>,
    bounds: Bounds,
    late: Late,
    grace: Option<Duration>,
    ahead: Option<Duration>,
    idle_close: Option<Duration>,
    folds: Option<Folds<I, A>>,
    publish_as: Option<Result<EventType>>,
    source: Text,
    shape: Option<super::core::Shape<K, A>>,
    kept: Option<Keep<K, A>>,
}

/// Makes what keeps windows in a store, once the type is known.
type Keep<K, A> = Box<dyn FnOnce(&EventType) -> Result<Kept<K, A>> + Send>;

impl Aggregator<(), ()> {
    /// Begins with what events have in common; those without it are left out, and counted.
    ///
    /// ```
    /// use nexus_events_model::Event;
    /// use nexus_events_patterns::Aggregator;
    /// let per_user = Aggregator::by(|event: &Event| event.user_id().cloned());
    /// ```
    pub fn by<K: AggregateKey>(
        key: impl Fn(&Event) -> Option<K> + Send + Sync + 'static,
    ) -> AggregatorBuilder<Event, K, ()> {
        AggregatorBuilder::new(Box::new(key), |event, each| {
            each(event);
            Ok(())
        })
    }

    /// Begins with what payloads have in common. An event whose payload is no `T` is an error of
    /// the handler.
    ///
    /// ```
    /// use nexus_events_patterns::Aggregator;
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct Activity { user: u64, seconds: u32 }
    /// let per_user = Aggregator::by_payload(|activity: &Activity| Some(activity.user));
    /// ```
    pub fn by_payload<T, K>(
        key: impl Fn(&T) -> Option<K> + Send + Sync + 'static,
    ) -> AggregatorBuilder<T, K, ()>
    where
        T: DeserializeOwned + Send + Sync + 'static,
        K: AggregateKey,
    {
        AggregatorBuilder::new(Box::new(key), |event, each| {
            let payload = event.payload().decode::<T>().map_err(HandlerError::permanent)?;
            each(&payload);
            Ok(())
        })
    }
}

impl<I: 'static, K: AggregateKey> AggregatorBuilder<I, K, ()> {
    fn new(key: KeyOf<I, K>, view: View<I>) -> Self {
        Self {
            key,
            view,
            window: None,
            bounds: Bounds::default(),
            late: Late::default(),
            grace: None,
            ahead: None,
            idle_close: None,
            folds: None,
            publish_as: None,
            source: Text::from_static("aggregator"),
            shape: None,
            kept: None,
        }
    }

    /// What an empty window has, and how one more event is taken in.
    pub fn fold<A: Send + 'static>(
        self,
        start: impl Fn() -> A + Send + Sync + 'static,
        add: impl Fn(&mut A, &I) + Send + Sync + 'static,
    ) -> AggregatorBuilder<I, K, A> {
        let folds = Folds { start: Box::new(start), add: Box::new(add), merge: None };
        AggregatorBuilder {
            key: self.key,
            view: self.view,
            window: self.window,
            bounds: self.bounds,
            late: self.late,
            grace: self.grace,
            ahead: self.ahead,
            idle_close: self.idle_close,
            folds: Some(folds),
            publish_as: self.publish_as,
            source: self.source,
            shape: None,
            kept: None,
        }
    }
}

impl<I: 'static, K: AggregateKey, A> AggregatorBuilder<I, K, A> {
    /// Which events of a key belong together.
    pub fn window(mut self, window: impl Window) -> Self {
        self.window = Some(Box::new(window));
        self
    }

    /// How much is kept.
    pub fn bounds(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
        self
    }

    /// What happens to events whose windows are over. Default: they are counted.
    pub fn late(mut self, late: Late) -> Self {
        self.late = late;
        self
    }

    /// An event belongs to the window of its timestamp, and one from so much later closes it.
    /// Default: to the window of the time at which it comes.
    pub fn event_time(mut self, grace: Duration) -> Self {
        self.grace = Some(grace);
        self
    }

    /// In event time: how far ahead of the clock of the bus the timestamp of an event may be, so that
    /// one with a wrong timestamp does not make all others late. One that is further ahead is
    /// counted, goes into its window, and closes no other. [`Duration::MAX`] for events whose time
    /// is made up. Default: 10 minutes.
    pub fn ahead(mut self, ahead: Duration) -> Self {
        self.ahead = Some(ahead);
        self
    }

    /// In event time: when no event has come for so long, of whatever key, all windows are closed
    /// with the reason *idle*. What comes for one of them afterwards opens it again. Default: they
    /// wait for an event.
    pub fn idle_close(mut self, idle: Duration) -> Self {
        self.idle_close = Some(idle);
        self
    }

    /// How the aggregates of two windows become one when a late event bridges them. A session in
    /// event time needs it.
    pub fn merge(mut self, merge: impl Fn(&mut A, A) + Send + Sync + 'static) -> Self {
        if let Some(folds) = &mut self.folds {
            folds.merge = Some(Box::new(merge));
        }
        self
    }

    /// The type of the event that is published when a window is over.
    pub fn publish_as(
        mut self,
        event_type: impl TryInto<EventType, Error: Into<nexus_events_model::Error>>,
    ) -> Self {
        self.publish_as = Some(event_type.try_into().map_err(|error| error.into().into()));
        self
    }

    /// The source of that event, and the name of the handler. Default: `aggregator`.
    pub fn source(mut self, source: impl Into<Text>) -> Self {
        self.source = source.into();
        self
    }

    /// Keeps open windows in the store of the bus, under this name: what an event does to windows,
    /// what is published for it, and that it is handled are one commit. So nothing is lost or
    /// doubled by a crash, and windows stay open through a restart; a shutdown does not close them.
    ///
    /// It is a [durable](nexus_events_dispatch::Durable) handler then, which takes one event at a
    /// time, and each waits for its commit. When the clock closes something, an event of the
    /// published type with `.due` behind it goes into the log, which a second durable handler takes. It begins with what
    /// comes when it is attached for the first time.
    ///
    /// ```
    /// use std::{sync::Arc, time::Duration};
    /// use nexus_events_dispatch::{Bus, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// use nexus_events_patterns::{Aggregator, window::Count};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let store = Arc::new(MemoryStore::new());
    /// for _ in 0..2 {
    ///     // The second time is after a restart: the window of two events goes on.
    ///     let bus = Bus::builder().store(store.clone()).open().await?;
    ///     let aggregator = Aggregator::by(|event: &Event| event.user_id().map(ToString::to_string))
    ///         .window(Count::of(2))
    ///         .fold(|| 0, |orders: &mut u32, _: &Event| *orders += 1)
    ///         .publish_as("user.orders")
    ///         .durable("orders-per-user")
    ///         .attach(&bus, "order.created")?;
    ///     bus.publish(Event::builder("order.created").user_id("u1")).await?;
    ///     bus.idle().await;
    ///     bus.shutdown(Duration::from_secs(5)).await;
    /// }
    /// use nexus_events_dispatch::store::{EventStore, Read};
    /// let log = store.read(Read::all()).await?;
    /// assert_eq!(log.events[2].event.payload().get("value").unwrap(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    pub fn durable(mut self, name: impl Into<Text>) -> Self
    where
        K: DeserializeOwned,
        A: Serialize + DeserializeOwned,
    {
        let name = name.into();
        self.kept = Some(Box::new(move |publish_as| Kept::new(name, publish_as)));
        self
    }

    /// Its payload. Default: the [`Aggregate`] as it is.
    ///
    /// ```
    /// use nexus_events_model::{Event, Payload};
    /// use nexus_events_patterns::{Aggregate, Aggregator};
    /// use serde_json::json;
    /// let builder = Aggregator::by(|event: &Event| event.user_id().map(ToString::to_string))
    ///     .fold(|| 0, |clicks: &mut u32, _: &Event| *clicks += 1)
    ///     .shape(|it: Aggregate<String, u32>| json!({"user_id": it.key, "clicks": it.value}));
    /// ```
    pub fn shape<P: Into<Payload>>(
        mut self,
        shape: impl Fn(Aggregate<K, A>) -> P + Send + Sync + 'static,
    ) -> Self {
        self.shape = Some(Box::new(move |aggregate| shape(aggregate).into()));
        self
    }
}

impl<I, K, A> AggregatorBuilder<I, K, A>
where
    I: 'static,
    K: AggregateKey,
    A: Serialize + Send + Sync + 'static,
{
    /// [Builds](Self::build) it and attaches it to a bus, for the events of this pattern.
    ///
    /// # Errors
    /// Those of [`build`](Self::build) and of [`Aggregator::attach`].
    pub fn attach(
        self,
        bus: &Bus,
        pattern: impl TryInto<Pattern, Error: Into<nexus_events_dispatch::Error>>,
    ) -> Result<Aggregator<K, A>> {
        let aggregator = self.build_on(Some(bus))?;
        aggregator.attach(bus, pattern)?;
        Ok(aggregator)
    }

    /// The aggregator, which does nothing until it is attached.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption), naming the part that is
    /// missing or wrong: the window and what [`Window::check`] says of it, the fold, the type, the
    /// bounds, a session in event time without [`merge`](Self::merge), an
    /// [`idle_close`](Self::idle_close) of nothing, or one or an [`ahead`](Self::ahead) without
    /// [`event_time`](Self::event_time).
    pub fn build(self) -> Result<Aggregator<K, A>> {
        self.build_on(None)
    }

    fn build_on(self, bus: Option<&Bus>) -> Result<Aggregator<K, A>> {
        let missing = |what: &str| Error::invalid_option(format!("an aggregator needs {what}"));
        let window = self.window.ok_or_else(|| missing("a window; add `.window(..)`"))?;
        let folds = self.folds.ok_or_else(|| missing("a fold; add `.fold(..)`"))?;
        let publish_as =
            self.publish_as.ok_or_else(|| missing("a type; add `.publish_as(..)`"))??;
        window.check()?;
        if self.grace.is_some() && window.merges() && folds.merge.is_none() {
            let message = "in event time a late event may make one of two sessions; say how their aggregates become one with `.merge(..)` after `.fold(..)`";
            return Err(Error::invalid_option(message));
        }
        let times = times(self.grace, self.ahead, self.idle_close)?;
        let windows = KeyedWindows::bounded(window, self.bounds.limits, self.bounds.keys)?;
        let kept = self.kept.map(|keep| keep(&publish_as)).transpose()?;
        let shape = self.shape.unwrap_or_else(|| Box::new(Payload::typed));
        let now = || {
            let now = nexus_events_dispatch::Clock::now(&nexus_events_dispatch::SystemClock);
            (now.into(), tokio::time::Instant::now())
        };
        let core = Core {
            key: self.key,
            view: self.view,
            folds,
            shape,
            times,
            late: self.late,
            publish_as,
            source: self.source,
            began: bus.map_or_else(now, Core::<I, K, A>::now),
            state: Mutex::new(State::new(windows)),
            work: Notify::new(),
            room: Notify::new(),
            publishing: tokio::sync::Mutex::default(),
            kept,
        };
        let attached = Attached {
            core: Arc::new(core),
            bus: Mutex::default(),
            subscriptions: Mutex::default(),
        };
        Ok(Aggregator(Arc::new(attached)))
    }
}

fn times(
    grace: Option<Duration>,
    ahead: Option<Duration>,
    idle_close: Option<Duration>,
) -> Result<Times> {
    if grace.is_none() && ahead.is_some() {
        return Err(Error::invalid_option(
            "ahead is for event time; add `.event_time(..)` or leave it out",
        ));
    }
    let ahead = ahead.unwrap_or(WINDOW_AHEAD_DEFAULT);
    match (grace, idle_close) {
        (None, Some(_)) => Err(Error::invalid_option(
            "idle_close is for event time, otherwise the clock closes windows anyway; add `.event_time(..)` or leave it out",
        )),
        (_, Some(idle)) if idle.is_zero() => {
            Err(Error::invalid_option("idle_close is more than 0"))
        }
        (None, None) => Ok(Times::Arrival),
        (Some(grace), idle_close) => Ok(Times::Event { grace, ahead, idle_close }),
    }
}

impl<I, K, A> fmt::Debug for AggregatorBuilder<I, K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregatorBuilder")
            .field("window", &self.window)
            .field("bounds", &self.bounds)
            .field("late", &self.late)
            .finish_non_exhaustive()
    }
}
