//! What a handler may do besides its work: cancel, publish, look around.

use std::fmt;
use std::future::poll_fn;
use std::ops::Deref;
use std::pin::pin;

use nexus_events_model::{Event, EventType, IntoEvent, PublishReport, SubscriptionId, Text};

use crate::bus::Bus;
use crate::delivery::{Delivery, Wait};
use crate::durable::FromLog;
use crate::entrance::Entrance;
use crate::entry::{Entry, Run};
use crate::error::Result;
use crate::handler::States;
use crate::lineage::Asking;
use crate::publish::Receipt;
use crate::runtime::Job;
use crate::stripe::ThreadRoute;
use crate::sync::{Arc, AtomicUsize, Instant, OnceLock, Ordering, scoped_thread_local};
use crate::trace;
use crate::waits::HeldUp;
use crate::worker::Worker;

scoped_thread_local! {
    /// The handler that runs on this thread right now, for calls made on a plain [`Bus`].
    static CURRENT: Context
}

/// A handler's view of the publish it takes part in. Cheap to clone; may outlive the call.
///
/// ```
/// use nexus_events_dispatch::{Bus, Context};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.on("order.created", |event: &Event, context: &Context| {
///     context.publish(Event::builder("payment.requested").source("shop")).map(|_| ())
/// })?;
/// bus.on("payment.requested", |event: &Event| assert!(event.causation_id().is_some()))?;
/// bus.publish(Event::builder("order.created")).await?;
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
pub struct Context {
    way: Way,
    /// Which handler of the route it is for.
    place: AtomicUsize,
    /// The handler itself, where a group stands in the route.
    member: Option<Arc<Entry>>,
    /// What a blocking handler occupies.
    pub(crate) worker: Option<Worker>,
    pub(crate) attempt: u32,
    pub(crate) deadline: Option<Instant>,
}

enum Way {
    OnStack(OnStack),
    Tracked(Arc<Delivery>),
}

/// An event that passes on its publisher's stack.
pub(crate) struct OnStack {
    pub(crate) event: Event,
    pub(crate) route: Arc<ThreadRoute>,
    /// The handler of another bus that published it on this very stack.
    outer: Option<Box<Context>>,
    /// Made when something outlives the stack or changes the course.
    delivery: OnceLock<Arc<Delivery>>,
    /// Whether only the share of a lane is run here.
    on_lane: bool,
}

impl OnStack {
    pub(crate) fn delivery(&self) -> Option<&Arc<Delivery>> {
        self.delivery.get()
    }

    pub(crate) fn is_on_lane(&self) -> bool {
        self.on_lane
    }

    #[cold]
    fn track(&self) -> Arc<Delivery> {
        let outer = self.outer.as_deref().cloned();
        Delivery::of_pass(self.event.clone(), &self.route, outer, !self.on_lane)
    }
}

impl Clone for Context {
    fn clone(&self) -> Self {
        Self {
            member: self.member.clone(),
            worker: self.worker.clone(),
            attempt: self.attempt,
            deadline: self.deadline,
            ..Self::tracked(self.delivery().clone(), self.place())
        }
    }
}

/// A further attempt of a handler; the handler is not regarded as ended before this is dropped.
pub struct Retry {
    context: Context,
    _run: Run,
}

impl Deref for Retry {
    type Target = Context;

    fn deref(&self) -> &Context {
        &self.context
    }
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Retry").field(&self.context).finish()
    }
}

impl Context {
    /// For the handlers of a pass, one after the other.
    #[inline]
    pub(crate) fn on_stack(event: Event, route: Arc<ThreadRoute>) -> Self {
        let outer = Self::innermost().map(Box::new);
        let delivery = OnceLock::new();
        Self::new(Way::OnStack(OnStack { event, route, outer, delivery, on_lane: false }), 0)
    }

    /// For the handlers that one shared lane runs.
    pub(crate) fn on_lane(event: Event, route: Arc<ThreadRoute>) -> Self {
        let delivery = OnceLock::new();
        let on_stack = OnStack { event, route, outer: None, delivery, on_lane: true };
        Self::new(Way::OnStack(on_stack), 0)
    }

    /// Makes it the one of the next event of the same lane and route; gives back the event before.
    pub(crate) fn replace_event(&mut self, event: Event) -> Option<Event> {
        match &mut self.way {
            Way::OnStack(on_stack) => Some(std::mem::replace(&mut on_stack.event, event)),
            Way::Tracked(_) => None,
        }
    }

    /// For the handler at this place of a delivery.
    pub(crate) fn tracked(delivery: Arc<Delivery>, place: usize) -> Self {
        // A durable handler goes on where it was before a restart.
        let attempt = delivery.log_place().map_or(1, |from_log| from_log.attempt);
        Self { attempt, ..Self::new(Way::Tracked(delivery), place) }
    }

    /// For a handler that took the event from a queue.
    pub(crate) fn of_member(entry: &Arc<Entry>, job: &Job) -> Self {
        let in_route = Arc::ptr_eq(job.delivery.entry(job.place), entry);
        let member = (!in_route).then(|| entry.clone());
        Self { member, ..Self::tracked(job.delivery.clone(), job.place) }
    }

    fn new(way: Way, place: usize) -> Self {
        let place = AtomicUsize::new(place);
        Self { way, place, member: None, worker: None, attempt: 1, deadline: None }
    }

    /// The pass it was made for.
    pub(crate) fn stack(&self) -> Option<&OnStack> {
        match &self.way {
            Way::OnStack(on_stack) => Some(on_stack),
            Way::Tracked(_) => None,
        }
    }

    /// The delivery; what was on the stack alone becomes one.
    pub(crate) fn delivery(&self) -> &Arc<Delivery> {
        match &self.way {
            Way::OnStack(on_stack) => on_stack.delivery.get_or_init(|| on_stack.track()),
            Way::Tracked(delivery) => delivery,
        }
    }

    pub(crate) fn place(&self) -> usize {
        self.place.load(Ordering::Relaxed)
    }

    pub(crate) fn set_place(&self, place: usize) {
        self.place.store(place, Ordering::Relaxed);
    }

    pub(crate) fn entry(&self) -> &Arc<Entry> {
        if let Some(member) = &self.member {
            return member;
        }
        match &self.way {
            Way::OnStack(on_stack) => &on_stack.route.route[self.place()],
            Way::Tracked(delivery) => delivery.entry(self.place()),
        }
    }

    /// Runs code as this handler.
    pub(crate) fn within<T>(&self, code: impl FnOnce() -> T) -> T {
        CURRENT.set(self, code)
    }

    /// Polls a future as this handler.
    pub(crate) async fn scope<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|task| self.within(|| future.as_mut().poll(task))).await
    }

    /// Whether the event was published before and is given again now, by
    /// [`Bus::replay`], [`Bus::redeliver`] or a replay of a dead letter. A handler that does
    /// something outside, such as sending mail, may leave that out.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context, HandlerExt};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// let mail = |_: &Event, context: &Context| serde_json::json!(!context.is_replay());
    /// bus.on("order.created", mail.named("mail"))?;
    /// let event = bus.stamp(Event::builder("order.created"))?;
    /// let report = bus.publish_and_wait(event.clone()).await?;
    /// assert_eq!(report.outcome("mail").unwrap().value, true);
    /// assert_eq!(bus.redeliver("mail", event).await?.outcome("mail").unwrap().value, false);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn is_replay(&self) -> bool {
        match &self.way {
            Way::OnStack(_) => false,
            Way::Tracked(delivery) => delivery.is_replay(),
        }
    }

    /// The bus.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.delivery().bus
    }

    /// How many attempts were made before a restart.
    pub(crate) fn attempts_before(&self) -> u32 {
        let before = self.log_place().filter(|place| place.attempt == self.attempt);
        before.map_or(0, |place| place.attempt - 1)
    }

    /// The event's place in the log, for a durable handler.
    pub(crate) fn log_place(&self) -> Option<&FromLog> {
        match &self.way {
            Way::OnStack(_) => None,
            Way::Tracked(delivery) => delivery.log_place(),
        }
    }

    /// What was given to the bus for handlers; leaves a pass on its stack.
    pub(crate) fn states(&self) -> &States {
        match &self.way {
            Way::OnStack(on_stack) => &on_stack.route.states,
            Way::Tracked(delivery) => delivery.bus.states(),
        }
    }

    /// The name this handler goes by.
    #[must_use]
    pub fn handler(&self) -> &str {
        &self.entry().name
    }

    /// The registration this handler runs for.
    #[must_use]
    pub fn subscription(&self) -> SubscriptionId {
        self.entry().id
    }

    /// Stops all handlers of strictly lower priority; they get the outcome *cancelled*. Handlers
    /// of the same priority still run. Only the first reason is kept. It is no error.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context, HandlerExt};
    /// use nexus_events_model::{Event, OutcomeStatus};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// let validate = |_: &Event, context: &Context| context.cancel("no address");
    /// bus.on("order.created", validate.named("validate").priority(100))?;
    /// bus.on("order.created", (|_: &Event| {}).named("ship"))?;
    /// let report = bus.publish_and_wait(Event::builder("order.created")).await?;
    /// assert_eq!(report.outcome("ship").unwrap().status, OutcomeStatus::Cancelled);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    pub fn cancel(&self, reason: impl Into<Text>) {
        self.delivery().cancel(self.entry(), reason.into());
    }

    /// Whether a handler has cancelled the event.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match &self.way {
            Way::OnStack(on_stack) => on_stack.delivery().is_some_and(|it| it.is_cancelled()),
            Way::Tracked(delivery) => delivery.is_cancelled(),
        }
    }

    /// Publishes a follow-up: correlation id inherited, causation id set. It is dispatched after
    /// the running wave, never inside this call, so a handler can not wait for itself.
    ///
    /// # Errors
    /// [`ErrorKind::TooDeep`](crate::ErrorKind::TooDeep) after 64 events in a chain, the text
    /// shows it; [`ErrorKind::Overloaded`](crate::ErrorKind::Overloaded) when 65,536 follow-ups
    /// wait; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a malformed event.
    pub fn publish(&self, event: impl IntoEvent) -> Result<Receipt> {
        let event = self.bus().stamp(event).map_err(trace::refused)?;
        self.follow_up(event).map_err(trace::refused)
    }

    /// Publishes an event on behalf of this handler and waits for its report. It is dispatched
    /// at once; a queued handler that is waiting in this very chain of calls can not take part,
    /// it is skipped.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn publish_and_wait(&self, event: impl IntoEvent) -> Result<PublishReport> {
        let event = self.bus().stamp(event).map_err(trace::refused)?;
        let entrance = Entrance::new(self.bus(), Wait::Here);
        entrance.report(Some(self), event).await.map_err(trace::refused)
    }

    /// The same for code that occupies another worker, or none.
    pub(crate) fn with_worker(&self, worker: Option<Worker>) -> Self {
        let mut context = self.clone();
        context.worker = worker;
        context
    }

    /// Which attempt of this handler at this event it is, from 1.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context};
    /// use nexus_events_model::Event;
    /// let bus = Bus::new();
    /// bus.on("a", |_: &Event, context: &Context| assert_eq!(context.attempt(), 1))?;
    /// bus.try_publish(Event::builder("a"))?;
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the handler is going to be stopped, if a layer has set a time for it.
    #[must_use]
    pub fn deadline(&self) -> Option<std::time::Instant> {
        self.deadline.map(Instant::into_std)
    }

    /// The same, with a deadline that is no later than this. For layers; it stops nothing by
    /// itself.
    #[must_use]
    pub fn with_deadline(mut self, deadline: std::time::Instant) -> Self {
        let deadline = Instant::from_std(deadline);
        self.deadline = Some(self.deadline.map_or(deadline, |earlier| earlier.min(deadline)));
        self
    }

    /// Begins the next attempt of this handler at this event; `None` when it has ended. For
    /// layers that try again.
    #[must_use]
    pub fn retry(&self) -> Option<Retry> {
        let run = self.entry().begin()?;
        self.entry().counters.retried();
        Some(Retry { context: Self { attempt: self.attempt + 1, ..self.clone() }, _run: run })
    }

    /// Waits until the handler has ended, or its bus was stopped. For layers that wait.
    pub async fn ended(&self) {
        self.entry().ended().await;
    }

    /// The types of the events that led to this one, oldest first, and its own.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// bus.on("a", |_: &Event, context: &Context| context.publish(Event::builder("b")).map(|_| ()))?;
    /// bus.on("b", |_: &Event, context: &Context| assert_eq!(context.chain(), ["a", "b"]))?;
    /// bus.publish(Event::builder("a")).await?;
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn chain(&self) -> Vec<EventType> {
        self.delivery().lineage.chain(self.event().event_type())
    }

    /// The delivery, unless the event is on its publisher's stack.
    pub(crate) fn tracked_delivery(&self) -> Option<&Arc<Delivery>> {
        match &self.way {
            Way::OnStack(_) => None,
            Way::Tracked(delivery) => Some(delivery),
        }
    }

    /// Whether the calling code is inside of a handler, of whatever bus.
    pub(crate) fn is_inside() -> bool {
        CURRENT.is_set()
    }

    /// The handler that runs on this thread, of whatever bus.
    pub(crate) fn innermost() -> Option<Self> {
        CURRENT.is_set().then(|| CURRENT.with(Clone::clone))
    }

    /// The innermost handler of this bus that the calling code is inside of.
    pub(crate) fn current(bus: &Bus) -> Option<Self> {
        if !CURRENT.is_set() {
            return None;
        }
        CURRENT.with(|context| {
            std::iter::successors(Some(context), |context| context.outer())
                .find(|context| context.is_of(bus))
                .cloned()
        })
    }

    /// The handler of another bus that published this on its own stack.
    fn outer(&self) -> Option<&Self> {
        match &self.way {
            Way::OnStack(on_stack) => on_stack.outer.as_deref(),
            Way::Tracked(delivery) => delivery.outer.as_ref(),
        }
    }

    /// The handlers that go on only after the calling code: this one, those that wait for its
    /// event, and those of other buses that it is inside of too.
    pub(crate) fn held_up(&self) -> Vec<HeldUp> {
        let contexts = std::iter::successors(Some(self), |context| context.outer());
        let asking = |context: &Self| {
            let bus = Arc::downgrade(&context.bus().0);
            let own = Asking::of(context);
            let waiters: Vec<Asking> = context.delivery().lineage.waiters().cloned().collect();
            let all = std::iter::once(own).chain(waiters);
            all.map(move |Asking { handler, delivery }| {
                let bus = bus.clone();
                HeldUp { bus, handler, delivery }
            })
        };
        contexts.flat_map(asking).collect()
    }

    fn is_of(&self, bus: &Bus) -> bool {
        match &self.way {
            Way::OnStack(on_stack) => on_stack.route.bus.as_ptr() == Arc::as_ptr(&bus.0),
            Way::Tracked(delivery) => Bus::ptr_eq(&delivery.bus, bus),
        }
    }

    /// Whether the calling code is inside of a run of this subscription.
    pub(crate) fn is_within(bus: &Bus, id: SubscriptionId) -> bool {
        Self::current(bus).is_some_and(|context| {
            context.entry().id == id || context.delivery().lineage.waiting(id) > 0
        })
    }

    /// The event being handled.
    #[must_use]
    pub fn event(&self) -> &Event {
        match &self.way {
            Way::OnStack(on_stack) => &on_stack.event,
            Way::Tracked(delivery) => &delivery.event,
        }
    }

    /// Gives the event of a pass back.
    pub(crate) fn into_event(self) -> Event {
        match self.way {
            Way::OnStack(on_stack) => on_stack.event,
            Way::Tracked(delivery) => delivery.event.clone(),
        }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("handler", &self.entry().name)
            .field("event", self.event().id())
            .finish_non_exhaustive()
    }
}
