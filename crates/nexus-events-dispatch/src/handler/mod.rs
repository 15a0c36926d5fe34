//! The code that receives events: the [`Handler`] trait, and functions as handlers.

mod error;

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;

use nexus_events_model::{Event, Filter, Text};
use serde_json::Value;

pub use self::error::{Attempt, HandlerError, LastAttempt};
use crate::context::Context;
use crate::layer::Layer;
use crate::runtime::NOT_INLINE;
use crate::subscription::{HandlerPriority, SubscriptionOptions};
use crate::sync::Arc;

/// What a handler's turn gave: a value for the report (`null` for nothing), or an error.
pub type HandlerResult = Result<Value, HandlerError>;

/// A future on the heap.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a handler runs.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt, Mode};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// let slow = (|_: &nexus_events_model::Event| { /* reads a file */ }).mode(Mode::Blocking);
/// bus.on("report.*", slow)?;
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// On the publisher's own stack; for short synchronous handlers, their default.
    Inline,
    /// On a task of its own, one event at a time, in the order of publication, behind a bounded
    /// queue; the default of asynchronous handlers.
    Queued,
    /// As [`Queued`](Self::Queued), but on a thread that may block; at most `max_workers` of them
    /// run at the same time on one bus.
    Blocking,
}

/// A handler that was called: either it is done, or it has begun.
pub enum Called<'a> {
    /// It is done.
    Ready(HandlerResult),
    /// It goes on when polled.
    Pending(BoxFuture<'a, HandlerResult>),
}

impl fmt::Debug for Called<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(result) => f.debug_tuple("Ready").field(result).finish(),
            Self::Pending(_) => f.write_str("Pending"),
        }
    }
}

/// Code that receives events. Functions and closures are handlers already, see
/// [`IntoHandler`]; implement this for a type that carries its own state.
///
/// ```
/// use nexus_events_dispatch::{Bus, Called, Context, Handler, Mode};
/// use nexus_events_model::Event;
///
/// struct Printer;
///
/// impl Handler for Printer {
///     fn mode(&self) -> Mode { Mode::Inline }
///     fn call<'a>(&'a self, event: &'a Event, _: &'a Context) -> Called<'a> {
///         Called::Ready(Ok(event.id().to_string().into()))
///     }
/// }
///
/// Bus::new().on("order.*", Printer)?;
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Handles one event. It may be called from several threads at once when it is inline.
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a>;

    /// Where it runs when its options do not say.
    fn mode(&self) -> Mode {
        Mode::Queued
    }

    /// Its name when its options do not say. A number is added where the name is taken.
    fn name(&self) -> Text {
        Text::from_static(short_type_name::<Self>())
    }

    /// [`call`](Self::call) for when nobody asks for the value. Compiled for each handler, so that
    /// a short one becomes one indirect call.
    #[doc(hidden)]
    fn turn(self: Arc<Self>) -> Turn {
        Box::new(move |event, context| match self.call(event, context) {
            Called::Ready(Ok(_)) => None,
            Called::Ready(Err(error)) => Some(error),
            Called::Pending(_) => Some(NOT_INLINE.into()),
        })
    }
}

/// A handler's turn in a pass: its error, if it fails.
#[doc(hidden)]
pub type Turn = Box<dyn Fn(&Event, &Context) -> Option<HandlerError> + Send + Sync>;

/// The last part of a type's path, `validate` for `my_app::orders::validate`; closures have none
/// and are called `handler`.
fn short_type_name<T: ?Sized>() -> &'static str {
    let path = std::any::type_name::<T>();
    if path.ends_with("{{closure}}") {
        return "handler";
    }
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path)
}

/// What a function that is a handler may return: nothing, a [`Value`], or a [`Result`] of either.
pub trait HandlerReturn {
    /// The same as a [`HandlerResult`].
    fn into_result(self) -> HandlerResult;

    /// Its error alone.
    #[doc(hidden)]
    fn into_error(self) -> Option<HandlerError>
    where
        Self: Sized,
    {
        self.into_result().err()
    }
}

impl HandlerReturn for () {
    fn into_result(self) -> HandlerResult {
        Ok(Value::Null)
    }

    fn into_error(self) -> Option<HandlerError> {
        None
    }
}

impl HandlerReturn for Value {
    fn into_result(self) -> HandlerResult {
        Ok(self)
    }
}

impl<T: HandlerReturn, E: Into<HandlerError>> HandlerReturn for Result<T, E> {
    fn into_result(self) -> HandlerResult {
        self.map_err(Into::into).and_then(T::into_result)
    }
}

/// What can be registered with [`Bus::on`](crate::Bus::on): a [`Handler`], or a function of one
/// of these shapes that returns nothing, a [`Value`], or a [`Result`] of either.
///
/// | shape | runs |
/// |---|---|
/// | `Fn(&Event)`, `Fn(&Event, &Context)` | inline |
/// | `async Fn(Event)`, `async Fn(Event, Context)` | queued |
///
/// ```
/// use nexus_events_dispatch::{Bus, Context, HandlerError};
/// use nexus_events_model::Event;
///
/// fn validate(event: &Event, context: &Context) {
///     if event.payload().get("user_id").is_none() {
///         context.cancel("no user_id");
///     }
/// }
/// async fn welcome(event: Event) -> Result<(), HandlerError> {
///     let user = event.payload().get("user_id").ok_or("no user_id")?;
///     println!("welcome, {user}");
///     Ok(())
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.on("user.created", validate)?;
/// bus.on("user.created", welcome)?;
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event handler",
    note = "write `fn(&Event)`, `fn(&Event, &Context)`, `async fn(Event)` or `async fn(Event, Context)`, annotate a closure's argument as in `|event: &Event| ..`, and return `()`, a `Value` or a `Result` of either whose error converts into `HandlerError`",
    note = "the future of an async handler must be `Send`"
)]
pub trait IntoHandler<Shape>: Sized {
    /// The handler and the options set on it.
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions);
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
pub trait HandlerExt<Shape>: IntoHandler<Shape> {
    /// The name in reports and statistics, unique on its bus.
    #[must_use]
    fn named(self, name: impl Into<Text>) -> Configured {
        self.with(|options| options.name(name))
    }

    /// The order among handlers of one event: higher first, equal ones together. Default: 0.
    #[must_use]
    fn priority(self, priority: impl Into<HandlerPriority>) -> Configured {
        self.with(|options| options.priority(priority))
    }

    /// Only events for which the filter holds. Several filters must all hold.
    #[must_use]
    fn filter(self, filter: Filter) -> Configured {
        self.with(|options| options.filter(filter))
    }

    /// Where it runs. Default: as the handler says.
    #[must_use]
    fn mode(self, mode: Mode) -> Configured {
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
    fn layer(self, layer: impl Layer) -> Configured {
        self.with(|options| options.layer(layer))
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
    fn with(self, change: impl FnOnce(SubscriptionOptions) -> SubscriptionOptions) -> Configured {
        let (handler, options) = self.into_handler();
        Configured { handler, options: change(options) }
    }
}

impl<Shape, H: IntoHandler<Shape>> HandlerExt<Shape> for H {}

/// A handler with options, made by [`HandlerExt`].
pub struct Configured {
    handler: Arc<dyn Handler>,
    options: SubscriptionOptions,
}

impl fmt::Debug for Configured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configured").field("options", &self.options).finish_non_exhaustive()
    }
}

/// The shapes of functions, which keep the implementations below apart.
#[doc(hidden)]
pub mod shape {
    macro_rules! shapes {
        ($($name:ident)*) => { $(
            #[allow(missing_docs)]
            #[derive(Debug)]
            pub struct $name;
        )* };
    }

    shapes! { Implemented Shared WithOptions Sync SyncContext Async AsyncContext }
}

impl<H: Handler> IntoHandler<shape::Implemented> for H {
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions) {
        (Arc::new(self), SubscriptionOptions::new())
    }
}

impl<H: Handler> IntoHandler<shape::Shared> for Arc<H> {
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions) {
        (self, SubscriptionOptions::new())
    }
}

impl IntoHandler<shape::WithOptions> for Configured {
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions) {
        (self.handler, self.options)
    }
}

/// A function of one of the shapes, as a handler.
struct Function<F, Shape>(F, PhantomData<fn() -> Shape>);

fn function<F, Shape>(function: F) -> (Arc<dyn Handler>, SubscriptionOptions)
where
    Function<F, Shape>: Handler,
{
    (Arc::new(Function(function, PhantomData)), SubscriptionOptions::new())
}

impl<F, R> IntoHandler<shape::Sync> for F
where
    F: Fn(&Event) -> R + Send + Sync + 'static,
    R: HandlerReturn,
{
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions) {
        function::<F, shape::Sync>(self)
    }
}

impl<F, R> Handler for Function<F, shape::Sync>
where
    F: Fn(&Event) -> R + Send + Sync + 'static,
    R: HandlerReturn,
{
    fn call<'a>(&'a self, event: &'a Event, _: &'a Context) -> Called<'a> {
        Called::Ready((self.0)(event).into_result())
    }

    fn turn(self: Arc<Self>) -> Turn {
        Box::new(move |event, _| (self.0)(event).into_error())
    }

    fn mode(&self) -> Mode {
        Mode::Inline
    }

    fn name(&self) -> Text {
        Text::from_static(short_type_name::<F>())
    }
}

impl<F, R> IntoHandler<shape::SyncContext> for F
where
    F: Fn(&Event, &Context) -> R + Send + Sync + 'static,
    R: HandlerReturn,
{
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions) {
        function::<F, shape::SyncContext>(self)
    }
}

impl<F, R> Handler for Function<F, shape::SyncContext>
where
    F: Fn(&Event, &Context) -> R + Send + Sync + 'static,
    R: HandlerReturn,
{
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
        Called::Ready((self.0)(event, context).into_result())
    }

    fn turn(self: Arc<Self>) -> Turn {
        Box::new(move |event, context| (self.0)(event, context).into_error())
    }

    fn mode(&self) -> Mode {
        Mode::Inline
    }

    fn name(&self) -> Text {
        Text::from_static(short_type_name::<F>())
    }
}

impl<F, A> IntoHandler<shape::Async> for F
where
    F: Fn(Event) -> A + Send + Sync + 'static,
    A: Future<Output: HandlerReturn> + Send + 'static,
{
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions) {
        function::<F, shape::Async>(self)
    }
}

impl<F, A> Handler for Function<F, shape::Async>
where
    F: Fn(Event) -> A + Send + Sync + 'static,
    A: Future<Output: HandlerReturn> + Send + 'static,
{
    fn call<'a>(&'a self, event: &'a Event, _: &'a Context) -> Called<'a> {
        let future = (self.0)(event.clone());
        Called::Pending(Box::pin(async move { future.await.into_result() }))
    }

    fn name(&self) -> Text {
        Text::from_static(short_type_name::<F>())
    }
}

impl<F, A> IntoHandler<shape::AsyncContext> for F
where
    F: Fn(Event, Context) -> A + Send + Sync + 'static,
    A: Future<Output: HandlerReturn> + Send + 'static,
{
    fn into_handler(self) -> (Arc<dyn Handler>, SubscriptionOptions) {
        function::<F, shape::AsyncContext>(self)
    }
}

impl<F, A> Handler for Function<F, shape::AsyncContext>
where
    F: Fn(Event, Context) -> A + Send + Sync + 'static,
    A: Future<Output: HandlerReturn> + Send + 'static,
{
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
        let future = (self.0)(event.clone(), context.clone());
        Called::Pending(Box::pin(async move { future.await.into_result() }))
    }

    fn name(&self) -> Text {
        Text::from_static(short_type_name::<F>())
    }
}
