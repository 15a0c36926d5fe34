//! What can be registered, and options set right on it.

use std::fmt;

use nexus_events_model::{Filter, Text};

use super::shape::{Accepts, Shaped};
use super::{Handler, Mode};
use crate::durable::Durable;
use crate::layer::Layer;
use crate::subscription::{HandlerPriority, SubscriptionOptions};
use crate::sync::Arc;

/// What can be registered with [`Bus::on`](crate::Bus::on): a [`Handler`], or a function.
///
/// A function takes up to eight arguments, each of which says what it needs of the event, and
/// may be synchronous or asynchronous:
///
/// | argument | gives | `fn` | `async fn` |
/// |---|---|---|---|
/// | `&Event`, `&Context` | the event, and what to do with it; the cheapest | yes | |
/// | `&T`, a [`TypedEvent`] | the payload of the event type `T` stands for | yes | |
/// | [`Event`], [`Context`] | the same to keep; a clone is cheap | yes | yes |
/// | [`Payload<T>`](crate::Payload) | the payload as a `T` | yes | yes |
/// | [`State<S>`](crate::State) | a value registered with [`BusBuilder::state`] | yes | yes |
/// | [`EventId`], [`EventType`], [`Priority`], [`Metadata`] | that part of the event | yes | yes |
/// | [`CorrelationId`], [`CausationId`], [`SessionId`], [`UserId`] | the id, if the event has one | yes | yes |
/// | `Option<A>`, `Result<A, Rejection>` | any of the above, or why not | yes | yes |
/// | your own | what [`FromEvent`](crate::FromEvent) makes of it | yes | yes |
///
/// It returns one of what [`HandlerReturn`](crate::HandlerReturn) lists. A synchronous one runs
/// inline, an asynchronous one is queued; see [`Mode`].
///
/// ```
/// use nexus_events_dispatch::{Bus, Context, HandlerError, Payload, State};
/// use nexus_events_model::Event;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Created { user_id: String }
///
/// #[derive(Clone)]
/// struct Mailer;
///
/// fn validate(event: &Event, context: &Context) {
///     if event.payload().get("user_id").is_none() {
///         context.cancel("no user_id");
///     }
/// }
/// async fn welcome(user: Payload<Created>, State(mailer): State<Mailer>) -> Result<(), HandlerError> {
///     println!("welcome, {}", user.user_id);
///     Ok(())
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::builder().state(Mailer).build()?;
/// bus.on("user.created", validate)?;
/// bus.on("user.created", welcome)?;
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
///
/// [`TypedEvent`]: nexus_events_model::TypedEvent
/// [`Event`]: nexus_events_model::Event
/// [`Context`]: crate::Context
/// [`BusBuilder::state`]: crate::BusBuilder::state
/// [`EventId`]: nexus_events_model::EventId
/// [`EventType`]: nexus_events_model::EventType
/// [`Priority`]: nexus_events_model::Priority
/// [`Metadata`]: nexus_events_model::Metadata
/// [`CorrelationId`]: nexus_events_model::CorrelationId
/// [`CausationId`]: nexus_events_model::CausationId
/// [`SessionId`]: nexus_events_model::SessionId
/// [`UserId`]: nexus_events_model::UserId
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event handler",
    label = "not a function of 0 to 8 arguments, nor a `Handler`",
    note = "a handler is an `fn`, `async fn` or closure with up to 8 arguments, for instance `|event: &Event| ..`, `async |event: Event| ..` or `async fn(Payload<Order>, State<Db>)`",
    note = "a type with state of its own implements `Handler`"
)]
pub trait IntoHandler<Shape>: Sized {
    /// The handler and the options set on it.
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions);
}

// The only implementation, so that the compiler reports which of its conditions is not met.
impl<H, Shape> IntoHandler<Shape> for H
where
    H: Shaped<Shape>,
    Shape: Accepts<H>,
{
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions) {
        Shape::accept(self)
    }
}

/// Options set right on a handler: `bus.on("user.created", validate.priority(100))`.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt};
/// use nexus_events_model::{Event, Filter};
/// fn alert(event: &Event) { /* .. */ }
/// let late = Filter::parse("payload.delay > 60")?;
/// Bus::new().on("flight.departed", alert.named("late-alert").priority(10).filter(late))?;
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
pub trait HandlerExt<Shape>: Sized {
    /// The name in reports and statistics, unique on its bus.
    #[must_use]
    fn named(self, name: impl Into<Text>) -> Configured
    where
        Self: IntoHandler<Shape>,
    {
        self.with(|options| options.name(name))
    }

    /// The order among handlers of one event: higher first, equal ones together. Default: 0.
    #[must_use]
    fn priority(self, priority: impl Into<HandlerPriority>) -> Configured
    where
        Self: IntoHandler<Shape>,
    {
        self.with(|options| options.priority(priority))
    }

    /// Only events for which the filter holds. Several filters must all hold.
    #[must_use]
    fn filter(self, filter: Filter) -> Configured
    where
        Self: IntoHandler<Shape>,
    {
        self.with(|options| options.filter(filter))
    }

    /// Where it runs. Default: as the handler says.
    #[must_use]
    fn mode(self, mode: Mode) -> Configured
    where
        Self: IntoHandler<Shape>,
    {
        self.with(|options| options.mode(mode))
    }

    /// Puts a layer around it, inside of those that are there already.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, HandlerExt, Layer};
    /// struct Audited;
    /// impl Layer for Audited {}
    /// Bus::new().on("**", (|_: &nexus_events_model::Event| {}).layer(Audited))?;
    /// # Ok::<(), nexus_events_dispatch::Error>(())
    /// ```
    #[must_use]
    fn layer(self, layer: impl Layer) -> Configured
    where
        Self: IntoHandler<Shape>,
    {
        self.with(|options| options.layer(layer))
    }

    /// Makes it durable: it gets every event of the bus's store at least once, as
    /// [`SubscriptionOptions::durable`] says.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{Bus, HandlerExt, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// bus.on("order.*", (async |_: Event| {}).durable("billing"))?;
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    fn durable(self, durable: impl Into<Durable>) -> Configured
    where
        Self: IntoHandler<Shape>,
    {
        self.with(|options| options.durable(durable))
    }

    /// Changes any of its options.
    ///
    /// ```
    /// # use nexus_events_dispatch::{Bus, HandlerExt, Mode};
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let count = |_: &nexus_events_model::Event| {};
    /// Bus::new().on("**", count.with(|options| options.mode(Mode::Queued).queue(64)))?;
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    fn with(self, change: impl FnOnce(SubscriptionOptions) -> SubscriptionOptions) -> Configured
    where
        Self: IntoHandler<Shape>,
    {
        let (handler, options) = self.into_handler();
        Configured { handler, options: change(options) }
    }
}

// Any shape will do, so that the compiler finds the methods and then reports what is missing.
impl<Shape, H: Shaped<Shape>> HandlerExt<Shape> for H {}

/// A handler with options, made by [`HandlerExt`].
pub struct Configured {
    pub(super) handler: Arc<dyn Handler>,
    pub(super) options: SubscriptionOptions,
}

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configured").field("options", &self.options).finish_non_exhaustive()
    }
}
