//! The registration of a handler: its options, and the handle to end it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nexus_events_model::{Event, Filter, Pattern, SubscriptionId, Text};

use crate::bus::{Bus, Inner};
use crate::context::Context;
use crate::durable::Durable;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::handler::Mode;
use crate::here;
use crate::lane::LaneOptions;
use crate::layer::{Layer, Layers};
use crate::limits::{
    FOLLOW_UPS_MAX, HANDLER_NAME_BYTES_MAX, KEYED_CONCURRENCY_DEFAULT, QUEUE_BYTES_DEFAULT,
    QUEUE_EVENTS_DEFAULT,
};
use crate::queue::{Bounds, Overload};
use crate::stripe::Stripe;
use crate::sync::{Arc, Weak};
use crate::waits::Waiting;

/// The order among handlers of one event: higher first; equal ones form one wave.
///
/// The lowest few are reserved for what must come after every handler of a program, in this
/// order: saga, trigger, notify, transport, stream. A number becomes a priority above them.
///
/// ```
/// use nexus_events_dispatch::HandlerPriority;
/// assert!(HandlerPriority::from(100) > HandlerPriority::default());
/// assert!(HandlerPriority::from(i32::MIN) > HandlerPriority::SAGA);
/// assert!(HandlerPriority::SAGA > HandlerPriority::STREAM);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct HandlerPriority(i32);

impl HandlerPriority {
    /// Sagas.
    pub const SAGA: Self = Self(i32::MIN + 4);
    /// Triggers.
    pub const TRIGGER: Self = Self(i32::MIN + 3);
    /// Notifiers.
    pub const NOTIFY: Self = Self(i32::MIN + 2);
    /// Transports.
    pub const TRANSPORT: Self = Self(i32::MIN + 1);
    /// Streamers: last, so that a cancelled event is not shown.
    pub const STREAM: Self = Self(i32::MIN);

    /// The number.
    #[must_use]
    pub const fn number(self) -> i32 {
        self.0
    }
}

impl From<i32> for HandlerPriority {
    fn from(number: i32) -> Self {
        Self(number.max(Self::SAGA.0 + 1))
    }
}

impl fmt::Display for HandlerPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SAGA => f.pad("saga"),
            Self::TRIGGER => f.pad("trigger"),
            Self::NOTIFY => f.pad("notify"),
            Self::TRANSPORT => f.pad("transport"),
            Self::STREAM => f.pad("stream"),
            Self(number) => number.fmt(f),
        }
    }
}

/// How a handler is registered.
///
/// ```
/// use nexus_events_dispatch::{Mode, SubscriptionOptions};
/// let options = SubscriptionOptions::new().name("audit").priority(-10).mode(Mode::Queued).queue(256);
/// assert_eq!(options.clone().name("other"), options.name("other"));
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[must_use = "options do nothing until something is subscribed with them"]
pub struct SubscriptionOptions {
    pub(crate) name: Option<Text>,
    pub(crate) priority: HandlerPriority,
    pub(crate) filters: Vec<Filter>,
    pub(crate) mode: Option<Mode>,
    pub(crate) queue: Option<usize>,
    pub(crate) queue_bytes: Option<usize>,
    pub(crate) overload: Option<Overload>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) group: Option<Text>,
    pub(crate) key: Option<Key>,
    pub(crate) layers: Layers,
    pub(crate) own_name: Option<Text>,
    pub(crate) durable: Option<Durable>,
    pub(crate) responds: bool,
}

impl SubscriptionOptions {
    /// The defaults: named after the handler, priority 0, no filter, the handler's own mode, room
    /// for 1,024 events.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name in reports and statistics, unique on its bus, at most 255 bytes.
    pub fn name(mut self, name: impl Into<Text>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The order among handlers of one event.
    pub fn priority(mut self, priority: impl Into<HandlerPriority>) -> Self {
        self.priority = priority.into();
        self
    }

    /// Only events for which the filter holds. Several filters must all hold.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Where it runs.
    pub fn mode(mut self, mode: Mode) -> Self {
        self.mode = Some(mode);
        self
    }

    /// How many events may wait for it, 1 to 65,536; a queued or blocking handler only.
    pub fn queue(mut self, events: usize) -> Self {
        self.queue = Some(events);
        self
    }

    /// How many bytes of events may wait for it, about; 8 MiB unless set. A queued or blocking
    /// handler only. An event bigger than that waits only where nothing else does.
    ///
    /// ```
    /// use nexus_events_dispatch::SubscriptionOptions;
    /// let options = SubscriptionOptions::new().queue_bytes(64 * 1024 * 1024);
    /// ```
    pub fn queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = Some(bytes);
        self
    }

    /// What gives way when its queue is full. Default: the publisher waits up to a second. A
    /// queued or blocking handler only.
    ///
    /// ```
    /// use nexus_events_dispatch::{Overload, SubscriptionOptions};
    /// let options = SubscriptionOptions::new().overload(Overload::DropOldest);
    /// ```
    pub fn overload(mut self, overload: Overload) -> Self {
        self.overload = Some(overload);
        self
    }

    /// How many events it may handle at the same time, 1 to 65,536; more than one are not in
    /// order. Default: 1; 64 when it is [ordered by a key](Self::ordered_by). A queued or
    /// blocking handler only.
    ///
    /// ```
    /// use nexus_events_dispatch::SubscriptionOptions;
    /// let options = SubscriptionOptions::new().concurrency(8);
    /// ```
    pub fn concurrency(mut self, events: usize) -> Self {
        self.concurrency = Some(events);
        self
    }

    /// Makes it a consumer of the group with this name: one of the group's consumers gets each
    /// event, whichever is free. All consumers of a group have the same pattern, filters, handler
    /// priority and queue. A queued or blocking handler only.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, HandlerExt};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::new();
    /// for _ in 0..3 {
    ///     bus.on("job.*", (async |_: Event| {}).with(|options| options.group("workers")))?;
    /// }
    /// assert_eq!(bus.publish(Event::builder("job.new")).await?.matched, 1);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    pub fn group(mut self, name: impl Into<Text>) -> Self {
        self.group = Some(name.into());
        self
    }

    /// Keeps events of one key in order, one at a time, and lets other keys go on meanwhile; an
    /// event without a key is not ordered. A queued or blocking handler only.
    ///
    /// ```
    /// use nexus_events_dispatch::SubscriptionOptions;
    /// use nexus_events_model::Event;
    /// let by_user = |event: &Event| event.user_id().map(|user| user.to_string().into());
    /// let options = SubscriptionOptions::new().ordered_by(by_user);
    /// ```
    pub fn ordered_by(
        mut self,
        key: impl Fn(&Event) -> Option<Text> + Send + Sync + 'static,
    ) -> Self {
        self.key = Some(Key::new(key));
        self
    }

    /// The key of this event, when the handler is ordered by one.
    #[must_use]
    pub fn key_of(&self, event: &Event) -> Option<Text> {
        self.key.as_ref().and_then(|key| key.of(event))
    }

    /// Puts a layer around the handler, inside of those that are there already.
    ///
    /// ```
    /// use nexus_events_dispatch::{Layer, SubscriptionOptions};
    /// struct Audited;
    /// impl Layer for Audited {}
    /// let options = SubscriptionOptions::new().layer(Audited);
    /// assert_eq!(options.clone(), options);
    /// ```
    pub fn layer(mut self, layer: impl Layer) -> Self {
        self.layers.0.push(Arc::new(layer));
        self
    }

    /// Makes it durable: it gets every event of the bus's store at least once, through crashes and
    /// restarts, from the log and so behind the waves above it. It is queued; a failure is tried
    /// again, and what it gives up is parked in [`Bus::dead_letters`](crate::Bus::dead_letters).
    ///
    /// The bus must have a [store](crate::BusBuilder::store). Nothing of a durable handler's events
    /// is ever dropped, so it has no overload policy: what waits for it waits in the log.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{Bus, HandlerExt, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// bus.on("order.*", (async |_: Event| {}).with(|options| options.durable("billing")))?;
    /// assert_eq!(bus.publish(Event::builder("order.created")).await?.offset.unwrap().number(), 1);
    /// bus.idle().await;
    /// assert_eq!(bus.consumers()[0].acked.number(), 1);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    pub fn durable(mut self, durable: impl Into<Durable>) -> Self {
        self.durable = Some(durable.into());
        self
    }

    /// Says that it answers requests: a [`Witness`](crate::Witness) of an event is told when it is
    /// done.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, Context, HandlerExt};
    /// use nexus_events_model::Event;
    /// let bus = Bus::new();
    /// let answer = |_: &Event, context: &Context| assert!(context.responds());
    /// bus.on("price.asked", answer.with(|options| options.responds()))?;
    /// bus.try_publish(Event::builder("price.asked"))?;
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    pub fn responds(mut self) -> Self {
        self.responds = true;
        self
    }

    pub(crate) fn check(&self, mode: Mode) -> Result<()> {
        let invalid = |message: String| Err(Error::new(ErrorKind::InvalidOption, message));
        match &self.name {
            Some(name) if name.is_empty() => {
                return invalid("a handler's name is empty; leave it out or give it text".into());
            }
            Some(name) if name.len() > HANDLER_NAME_BYTES_MAX => {
                return invalid(format!(
                    "a handler's name is {} bytes long, the most is {HANDLER_NAME_BYTES_MAX}",
                    name.len()
                ));
            }
            _ => {}
        }
        if mode == Mode::Inline
            && let Some(option) = self.queued_option()
        {
            return invalid(format!(
                "an inline handler has no queue; add .mode(Mode::Queued) or leave .{option}(..) out"
            ));
        }
        let in_range = |option: &str, number: Option<usize>| match number {
            Some(number) if !(1..=FOLLOW_UPS_MAX).contains(&number) => {
                invalid(format!("{option} is 1 to {FOLLOW_UPS_MAX}, not {number}"))
            }
            _ => Ok(()),
        };
        in_range("queue", self.queue)?;
        in_range("concurrency", self.concurrency)?;
        match &self.group {
            Some(name) if name.is_empty() => {
                invalid("a group's name is empty; leave it out or give it text".into())
            }
            _ => Ok(()),
        }
    }

    /// The first option that only a handler with a queue has.
    fn queued_option(&self) -> Option<&'static str> {
        let set = [
            (self.queue.is_some(), "queue"),
            (self.queue_bytes.is_some(), "queue_bytes"),
            (self.overload.is_some(), "overload"),
            (self.concurrency.is_some(), "concurrency"),
            (self.group.is_some(), "group"),
            (self.key.is_some(), "ordered_by"),
        ];
        set.into_iter().find_map(|(set, option)| set.then_some(option))
    }

    /// Whether nothing is asked for that a handler of a shared lane can not have.
    pub(crate) fn is_plain(&self) -> bool {
        self.queued_option().is_none() && self.filters.is_empty() && self.layers.0.is_empty()
    }

    pub(crate) fn lane(&self) -> LaneOptions {
        LaneOptions {
            bounds: Bounds {
                events: self.queue.unwrap_or(QUEUE_EVENTS_DEFAULT),
                bytes: self.queue_bytes.unwrap_or(QUEUE_BYTES_DEFAULT),
            },
            overload: self.overload.unwrap_or_default(),
            key: self.key.clone(),
        }
    }

    pub(crate) fn concurrent_runs(&self) -> usize {
        let default = if self.key.is_some() { KEYED_CONCURRENCY_DEFAULT } else { 1 };
        self.concurrency.unwrap_or(default)
    }
}

/// Says what events are ordered by.
#[derive(Clone)]
pub(crate) struct Key(Arc<KeyOf>);

type KeyOf = dyn Fn(&Event) -> Option<Text> + Send + Sync;

impl Key {
    pub(crate) fn new(key: impl Fn(&Event) -> Option<Text> + Send + Sync + 'static) -> Self {
        Self(Arc::new(key))
    }

    pub(crate) fn of(&self, event: &Event) -> Option<Text> {
        (self.0)(event)
    }

    /// As [`of`](Self::of), and none when that panics: such an event is not ordered.
    pub(crate) fn of_any(&self, event: &Event) -> Option<Text> {
        let key = catch_unwind(AssertUnwindSafe(|| self.of(event)));
        key.unwrap_or_else(|panic| {
            // Dropping it might panic again.
            std::mem::forget(panic);
            None
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A registered handler. Dropping it changes nothing; the handler stays until
/// [`unsubscribe`](Self::unsubscribe) or the end of its bus.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let subscription = bus.on("order.*", |_: &nexus_events_model::Event| {})?;
/// assert!(subscription.unsubscribe().await);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct Subscription {
    pub(crate) entry: Arc<Entry>,
    pub(crate) bus: Weak<Inner>,
}

impl Subscription {
    /// Its id, unique on its bus.
    #[must_use]
    pub fn id(&self) -> SubscriptionId {
        self.entry.id
    }

    /// Its name in reports and statistics.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.entry.name
    }

    /// The pattern of the event types it receives.
    #[must_use]
    pub fn pattern(&self) -> &Pattern {
        &self.entry.pattern
    }

    /// Ends it. When this returns the handler runs no more; called from inside the handler it
    /// returns at once and the running call is the last. So it does from inside a handler that
    /// this one waits for, itself or through others, of whatever bus. Events that wait for it are
    /// skipped; those of a [durable](SubscriptionOptions::durable) handler stay in the log, and come
    /// when a handler of the same name is registered.
    /// `false` when it had ended before.
    pub async fn unsubscribe(&self) -> bool {
        let Some(bus) = self.bus.upgrade().map(Bus) else {
            self.entry.end();
            self.entry.idle(0).await;
            return false;
        };
        bus.0.registry.end(&self.entry);
        let passes = bus.passes_of(&self.entry);
        let removed = bus.0.registry.remove(&self.entry);
        bus.0.stripes.forget();
        let waits = Waiting::for_end(&bus, self.entry.id);
        if waits.as_ref().is_some_and(Waiting::is_circle) {
            // The handler, or somebody it waits for, would wait for this very code.
            return removed;
        }
        let context = Context::current(&bus);
        // The thread of a lane has a stripe of its own besides.
        let is_here = |stripe: &Arc<Stripe>| here::is_own(stripe) && stripe.is_passing();
        let own = bus.0.stripes.all().into_iter().find(is_here);
        let _waiting = own
            .as_ref()
            .zip(context.as_ref())
            .filter(|(stripe, _)| stripe.is_passing())
            .map(|(stripe, context)| stripe.wait_in(context.entry()));
        // Who waits for the pass on this stack may go on now.
        bus.gate().left();
        bus.passed(passes, &self.entry).await;
        self.entry.idle(0).await;
        drop(waits);
        bus.left_log(&self.entry).await;
        removed
    }
}

impl Bus {
    /// The passes of other threads in which this handler, which has ended, may still run.
    fn passes_of(&self, entry: &Arc<Entry>) -> Vec<(Arc<Stripe>, u64)> {
        let others = self.0.stripes.all().into_iter().filter(|stripe| !here::is_own(stripe));
        others
            .filter_map(|stripe| Some((stripe.pass_of(entry)?, stripe)))
            .map(|(pass, stripe)| (stripe, pass))
            .collect()
    }

    /// Waits until the handler has run in none of these.
    async fn passed(&self, passes: Vec<(Arc<Stripe>, u64)>, entry: &Entry) {
        for (stripe, pass) in &passes {
            self.gate().wait_until(|| stripe.is_past(*pass, entry)).await;
        }
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("id", &self.entry.id)
            .field("name", &self.entry.name)
            .field("pattern", &self.entry.pattern)
            .field("priority", &self.entry.priority)
            .finish_non_exhaustive()
    }
}
