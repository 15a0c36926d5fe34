//! The bus: the one place events go in and handlers are registered.

use std::fmt;
use std::panic::catch_unwind;
use std::time::Duration;

use nexus_events_model::{Event, EventType, IntoEvent, Pattern};
use time::OffsetDateTime;

use crate::builder::BusBuilder;
use crate::clock::BusClock;
use crate::closing::AtEnd;
use crate::durable::{self, Durables, Persisting};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::follow_up::FollowUps;
use crate::gate::Gate;
use crate::handler::{Handler, IntoHandler, Mode, States};
use crate::here;
use crate::history::History;
use crate::lane::Lane;
use crate::layer::{Layer, NewSubscription};
use crate::layers::DeadLetters;
use crate::registry::Registry;
use crate::route::Route;
use crate::runtime::has_ended;
use crate::scheduled::{Plan, Timekeeper};
use crate::shared::SharedLanes;
use crate::stats::{BusCounters, BusStats};
use crate::store::EventStore;
use crate::stripe::{Stripe, Stripes};
use crate::subscription::{Subscription, SubscriptionOptions};
use crate::sync::{Arc, Handle, OnceLock, Ordering, Semaphore, StaticU64, sleep};
use crate::waits::Waits;
use crate::watch::Watch;
use crate::witness::Extensions;

/// An event goes in; every matching handler runs, in priority order. Clones are the same bus.
///
/// Inline handlers need no runtime; queued and blocking ones run on the tokio runtime in which
/// they were registered.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt};
/// use nexus_events_model::{Event, OutcomeStatus};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.on("user.created", (|event: &Event| println!("{}", event.id())).named("log").priority(100))?;
/// bus.on("user.*", (async |_: Event| Err::<(), _>("mail server away")).named("welcome"))?;
///
/// let report = bus.publish_and_wait(Event::builder("user.created")).await?;
/// assert_eq!(report.outcomes[0].status, OutcomeStatus::Success);
/// assert_eq!(report.outcomes[1].error.as_deref(), Some("mail server away"));
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Bus(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    /// Different for every bus of the process.
    pub(crate) id: u64,
    pub(crate) registry: Registry,
    pub(crate) stripes: Arc<Stripes>,
    pub(crate) shared: SharedLanes,
    gate: Gate,
    counters: BusCounters,
    history: History,
    history_max: usize,
    history_bytes_max: usize,
    follow_ups: Arc<FollowUps>,
    pub(crate) waits: Waits,
    watch: Arc<Watch>,
    pub(crate) clock: BusClock,
    workers: Arc<Semaphore>,
    max_workers: usize,
    runtime: OnceLock<Handle>,
    layers: Vec<Arc<dyn Layer>>,
    pub(crate) durables: Option<Arc<Durables>>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) states: Arc<States>,
    pub(crate) extensions: Extensions,
    pub(crate) at_end: AtEnd,
}

/// Buses made so far.
static BUSES: StaticU64 = StaticU64::new(0);

impl Drop for Inner {
    fn drop(&mut self) {
        self.plan.stop();
        self.watch.end();
        self.registry.close().iter().for_each(|entry| entry.end());
        self.stripes.forget();
        self.history.end();
        self.shared.all().iter().for_each(|lane| drop(lane.close()));
    }
}

impl Bus {
    /// A bus with the defaults of [`BusBuilder`].
    #[must_use]
    pub fn new() -> Self {
        Self::with(BusBuilder::default(), None)
    }

    /// A bus with other settings.
    pub fn builder() -> BusBuilder {
        BusBuilder::default()
    }

    pub(crate) fn with(mut builder: BusBuilder, durables: Option<Arc<Durables>>) -> Self {
        if let Some(durables) = &durables {
            // Innermost: what another layer refuses or changes is not stored as it was.
            builder.layers.0.push(Arc::new(Persisting(durables.clone())));
        }
        let stripes = Arc::<Stripes>::default();
        let history = History::new(stripes.clone(), builder.history, builder.history_bytes);
        Self(Arc::new(Inner {
            id: BUSES.fetch_add(1, Ordering::Relaxed),
            registry: Registry::new(),
            stripes,
            shared: SharedLanes::default(),
            gate: Gate::default(),
            counters: BusCounters::default(),
            history,
            history_max: builder.history,
            history_bytes_max: builder.history_bytes,
            follow_ups: Arc::default(),
            waits: Waits::default(),
            watch: Watch::new(builder.stuck_after),
            clock: builder.clock,
            workers: Arc::new(Semaphore::new(builder.max_workers)),
            max_workers: builder.max_workers,
            runtime: OnceLock::new(),
            layers: builder.layers.0,
            durables,
            plan: Arc::default(),
            states: Arc::new(builder.states),
            extensions: Extensions::default(),
            at_end: AtEnd::default(),
        }))
    }

    /// Registers a handler: a function of one of the shapes of [`IntoHandler`] or a [`Handler`],
    /// with options set right on it by [`HandlerExt`](crate::HandlerExt).
    ///
    /// Events published after this returns are seen. A handler may register others, and itself
    /// again.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, HandlerExt};
    /// use nexus_events_model::Event;
    /// let bus = Bus::new();
    /// let audit = |event: &Event| println!("{} {}", event.event_type(), event.id());
    /// let subscription = bus.on("*.deleted", audit.named("audit").priority(-10))?;
    /// assert_eq!(subscription.name(), "audit");
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`subscribe`](Self::subscribe), and [`ErrorKind::Invalid`] for a malformed pattern.
    pub fn on<Shape>(
        &self,
        pattern: impl TryInto<Pattern, Error: Into<Error>>,
        handler: impl IntoHandler<Shape>,
    ) -> Result<Subscription> {
        let (handler, options) = handler.into_handler();
        self.subscribe(pattern.try_into().map_err(Into::into)?, handler, options)
    }

    /// Registers a handler that is shared or whose type is not known here.
    ///
    /// # Errors
    /// Those of [`Handler::check`]: [`ErrorKind::MissingState`] when the bus lacks a
    /// [`State`](crate::State) that the handler takes, [`ErrorKind::OtherType`] when it takes the
    /// payload of one event type and the pattern means others too.
    /// [`ErrorKind::InvalidOption`] for an option out of range, or [`Mode::Inline`] for a handler
    /// that is not; [`ErrorKind::DuplicateName`]; [`ErrorKind::NoRuntime`] for a handler that is
    /// not inline outside a tokio runtime, or in one without timer; [`ErrorKind::Closed`] after a shutdown.
    pub fn subscribe(
        &self,
        pattern: Pattern,
        handler: Arc<dyn Handler>,
        options: SubscriptionOptions,
    ) -> Result<Subscription> {
        if self.gate().is_closed() {
            return Err(Error::closed());
        }
        if options.responds && options.durable.is_some() {
            let message = "a durable handler gets its events from the log, where nobody waits for an answer; leave .durable(..) out of one that responds";
            return Err(Error::invalid_option(message));
        }
        let (mut options, mut registering) = (options, None);
        if let Some(durable) = options.durable.take() {
            let (changed, name) = self.durable(&durable, options)?;
            (options, registering) = (changed, Some(name));
        }
        let bare = handler.clone();
        let NewSubscription { pattern, handler, options, needs_runtime } =
            NewSubscription::build(pattern, handler, options, &self.0.layers)?;
        bare.check(self, &pattern)?;
        let mode = match &registering {
            Some(_) => durable::mode_of(&*handler, &options),
            None => mode_of(&*handler, &options)?,
        };
        options.check(mode)?;
        let runtime = if mode != Mode::Inline || needs_runtime {
            Some(with_timer(self.runtime().ok_or_else(Error::no_runtime)?)?)
        } else {
            None
        };
        let home = runtime.clone();
        let runtime = runtime.filter(|_| mode != Mode::Inline);
        let shares = registering.is_none()
            && mode == Mode::Queued
            && handler.shares()
            && self.wraps_no_handler()
            && options.is_plain();
        let shared = runtime
            .as_ref()
            .filter(|_| shares)
            .and_then(|runtime| self.0.shared.give(self, &self.0.workers, runtime));
        let lane = if registering.is_some() { durable::lane(&options) } else { options.lane() };
        let workers = self.0.workers.clone();
        let lane = || (mode != Mode::Inline).then(|| Lane::new(lane, workers));
        let front = registering.as_ref().map(|it| durable::front(&it.consumer));
        let entry =
            self.0.registry.add(pattern, handler, options, mode, home, shared, lane, front)?;
        let begun = registering.map_or(Ok(()), |registering| registering.done(self, &entry));
        self.0.stripes.forget();
        begun?;
        Ok(Subscription { entry, bus: Arc::downgrade(&self.0) })
    }

    /// The event with an id and a timestamp, as it is going to be published. Useful to know the
    /// id first.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::Event;
    /// let event = Bus::new().stamp(Event::builder("order.created"))?;
    /// assert_eq!(event.id().as_uuid().unwrap().get_version_num(), 7);
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for a malformed event.
    pub fn stamp(&self, event: impl IntoEvent) -> Result<Event> {
        Ok(self.stamp_at(event)?.0)
    }

    /// The event, and when it was stamped if it had to be, in microseconds of Unix time.
    pub(crate) fn stamp_at(&self, event: impl IntoEvent) -> Result<(Event, Option<i64>)> {
        let mut stamped = None;
        let event = event.into_event(|| {
            let (stamp, unix_micros) = self.0.clock.stamp();
            stamped = Some(unix_micros);
            stamp
        })?;
        Ok((event, stamped))
    }

    /// The last `limit` events, oldest first; those that match, when a pattern is given. Events of
    /// all threads are in the order in which they were accepted.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_model::{Event, Pattern};
    /// let bus = Bus::new();
    /// for name in ["a.one", "b.one", "a.two"] {
    ///     bus.try_publish(Event::builder(name))?;
    /// }
    /// let events = bus.history(100, Some(&Pattern::new("a.*")?));
    /// assert_eq!(events[1].event_type(), "a.two");
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    #[must_use]
    pub fn history(&self, limit: usize, pattern: Option<&Pattern>) -> Vec<Event> {
        self.0.history.recent(limit, pattern)
    }

    /// What the bus and its handlers have done so far.
    #[must_use]
    pub fn stats(&self) -> BusStats {
        BusStats {
            events: self.event_stats(),
            publish: self.publish_latency(),
            handlers: self.handler_stats(),
            consumers: self.consumers(),
            store: self.store().map(|store| store.stats()),
            history_size: self.0.history.len(),
            history_max: self.0.history_max,
            history_bytes_max: self.0.history_bytes_max,
            max_workers: self.0.max_workers,
            stuck_threads: self.0.watch.stuck(),
            stuck_after: self.0.watch.stuck_after(),
        }
    }

    /// The store of the bus, if it has one.
    #[must_use]
    pub fn store(&self) -> Option<&Arc<dyn EventStore>> {
        self.durables().map(|durables| durables.store())
    }

    /// What durable handlers have given up, if the bus has a store.
    #[must_use]
    pub fn dead_letters(&self) -> Option<&DeadLetters> {
        self.durables().map(|durables| &durables.letters)
    }

    /// The time on the bus's clock.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.0.clock.now()
    }

    /// Whether both are the same bus.
    ///
    /// ```
    /// # use nexus_events_dispatch::Bus;
    /// let bus = Bus::new();
    /// assert!(Bus::ptr_eq(&bus, &bus.clone()));
    /// ```
    #[must_use]
    pub fn ptr_eq(a: &Self, b: &Self) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }

    /// The value of this type that was given to [`BusBuilder::state`].
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// let bus = Bus::builder().state("mail.example").build()?;
    /// assert_eq!(bus.state::<&str>(), Some(&"mail.example"));
    /// assert_eq!(bus.state::<u32>(), None);
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    #[must_use]
    pub fn state<S: 'static>(&self) -> Option<&S> {
        self.0.states.get()
    }

    pub(crate) fn states(&self) -> &States {
        &self.0.states
    }

    /// Fires what is scheduled from now on, if there is a runtime that can tell the time.
    pub(crate) async fn keep_time(&self) -> Result<()> {
        let Some(durables) = self.durables() else { return Ok(()) };
        self.0.plan.count(durables).await?;
        if let Some(Ok(runtime)) = self.runtime().map(with_timer) {
            self.0.plan.begin();
            runtime.spawn(Timekeeper::new(self).run());
        }
        Ok(())
    }

    /// The runtime of the calling code, or else the one in which a task was first needed.
    pub(crate) fn runtime(&self) -> Option<Handle> {
        let here = Handle::try_current().ok();
        if let Some(here) = &here {
            self.0.runtime.get_or_init(|| here.clone());
        }
        here.or_else(|| self.home())
    }

    /// The runtime in which a task was first needed.
    pub(crate) fn home(&self) -> Option<Handle> {
        self.0.runtime.get().cloned()
    }

    /// Puts an event that is accepted now into the history.
    #[inline]
    pub(crate) fn record(&self, event: &Event, stripe: &Stripe) {
        self.0.history.push(event, &stripe.stage);
    }

    /// The same on whatever thread this is.
    pub(crate) fn record_here(&self, event: &Event) {
        if self.0.history.is_on() {
            match here::stripe(&self.0) {
                Some(stripe) => self.record(event, &stripe),
                None => self.0.history.push_aside(event),
            }
        }
    }

    pub(crate) fn route(&self, event_type: &EventType) -> Arc<Route> {
        match here::route(&self.0, event_type) {
            Some(route) => route.route.clone(),
            None => {
                let ends = self.0.registry.ends();
                Arc::new(self.0.registry.snapshot().find(event_type, ends))
            }
        }
    }

    pub(crate) fn layers(&self) -> &[Arc<dyn Layer>] {
        &self.0.layers
    }

    /// Whether no layer may be around handlers: none, or the one that stores events.
    fn wraps_no_handler(&self) -> bool {
        self.layers().len() == usize::from(self.0.durables.is_some())
    }

    pub(crate) fn gate(&self) -> &Gate {
        &self.0.gate
    }

    pub(crate) fn watch(&self) -> &Arc<Watch> {
        &self.0.watch
    }

    /// How many blocking handlers may run at the same time.
    pub(crate) fn workers(&self) -> Arc<Semaphore> {
        self.0.workers.clone()
    }

    pub(crate) fn counters(&self) -> &BusCounters {
        &self.0.counters
    }

    pub(crate) fn follow_ups(&self) -> &Arc<FollowUps> {
        &self.0.follow_ups
    }

    pub(crate) fn close_registry(&self) -> Vec<Arc<Entry>> {
        let entries = self.0.registry.close();
        self.0.stripes.forget();
        entries
    }
}

/// The runtime, if it can tell when time is up.
pub(crate) fn with_timer(runtime: Handle) -> Result<Handle> {
    let entered = runtime.enter();
    // Tokio has no other way to ask.
    let has_timer = catch_unwind(|| drop(sleep(Duration::ZERO))).is_ok();
    drop(entered);
    if has_ended(&runtime) {
        return Err(Error::no_runtime());
    }
    if has_timer { Ok(runtime) } else { Err(Error::no_timer()) }
}

/// The mode asked for, or the handler's own. What runs on a task may await, so it is never moved
/// onto a publisher's stack.
fn mode_of(handler: &dyn Handler, options: &SubscriptionOptions) -> Result<Mode> {
    match (handler.mode(), options.mode) {
        (Mode::Queued | Mode::Blocking, Some(Mode::Inline)) => {
            let message = "an asynchronous handler cannot be inline; write it as `fn(&Event)` or leave the mode out";
            Err(Error::new(ErrorKind::InvalidOption, message))
        }
        (_, Some(mode)) | (mode, None) => Ok(mode),
    }
}

impl Default for Bus {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus")
            .field("handlers", &self.0.registry.entries().len())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
