//! What functions that are handlers may return.

use std::time::Duration;

use nexus_events_model::{Event, EventBuilder, IntoEvent, Text};
use serde_json::Value;

use super::{HandlerError, HandlerResult};
use crate::context::Context;
use crate::publish::Receipt;

/// What a function that is a handler may return.
///
/// | returned | means |
/// |---|---|
/// | `()` | done |
/// | [`Value`] | done, with this value in the report |
/// | [`Outcome`] | what it says: go on, cancel, try again later, give up |
/// | [`Event`], [`EventBuilder`] | a follow-up, as with [`Context::publish`] |
/// | `Vec<E>`, `[E; N]` | follow-ups, in this order, of anything that can be published |
/// | [`Receipt`] | done; what [`Context::publish`] returns |
/// | `Option<R>` | `R`, or done |
/// | `Result<R, E>` | `R`, or an error; `E` converts into [`HandlerError`] |
///
/// ```
/// use nexus_events_dispatch::{Bus, Error};
/// use nexus_events_model::{Event, EventBuilder};
///
/// fn ship(event: &Event) -> Result<Vec<EventBuilder>, &'static str> {
///     let items = event.payload().get("items").and_then(|items| items.as_array());
///     let items = items.ok_or("the order has no items")?;
///     Ok(items.iter().map(|item| Event::builder("item.shipped").payload(item.clone())).collect())
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.on("order.paid", ship)?;
/// bus.publish(Event::builder("order.paid").payload(serde_json::json!({"items": ["pen", "ink"]}))).await?;
/// assert_eq!(bus.stats().events.total_events, 3);
/// # Ok::<(), Error>(()) }).unwrap();
/// ```
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    note = "return `()`, a `Value`, an `Outcome`, follow-ups (`Event`, `EventBuilder`, `Vec<_>` of what can be published), or an `Option` or `Result` of these whose error converts into `HandlerError`, as every `std::error::Error` that is `Send + Sync` does",
    note = "`json!(..)` makes a `Value` of anything that serialises"
)]
pub trait HandlerReturn {
    /// Carries it out, and gives the result for the report.
    ///
    /// # Errors
    /// The handler's failure.
    fn into_result(self, context: &Context) -> HandlerResult;

    /// Carries it out, and gives its error alone.
    #[doc(hidden)]
    fn into_error(self, context: &Context) -> Option<HandlerError>
    where
        Self: Sized,
    {
        self.into_result(context).err()
    }
}

/// The end of a handler's turn, said explicitly.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_dispatch::{Bus, HandlerExt, Outcome};
/// use nexus_events_model::{Event, OutcomeStatus};
///
/// fn validate(event: &Event) -> Outcome {
///     match event.payload().get("amount").and_then(|amount| amount.as_u64()) {
///         None => Outcome::fail("the order has no amount"),
///         Some(0) => Outcome::cancel("nothing to pay"),
///         Some(_) => Outcome::Continue,
///     }
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.on("order.created", validate.priority(100))?;
/// bus.on("order.created", (|_: &Event| {}).named("ship"))?;
/// let order = Event::builder("order.created").payload(serde_json::json!({"amount": 0}));
/// let report = bus.publish_and_wait(order).await?;
/// assert_eq!(report.outcome("ship").unwrap().status, OutcomeStatus::Cancelled);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[must_use = "an outcome has an effect when the handler returns it"]
pub enum Outcome {
    /// Done; the event goes on to the next handlers.
    Continue,
    /// Done, with a value for the report.
    Value(Value),
    /// Done, and no handler of lower priority runs; as [`Context::cancel`].
    Cancel(Text),
    /// Failed for now; another attempt makes sense after this time. It is made where a layer
    /// tries again, and is an error otherwise.
    RetryAfter(Duration),
    /// Failed for good: trying again cannot help.
    Fail(Text),
}

impl Outcome {
    /// Done, and no handler of lower priority runs.
    ///
    /// ```
    /// use nexus_events_dispatch::Outcome;
    /// assert_eq!(Outcome::cancel("no address"), Outcome::Cancel("no address".into()));
    /// ```
    pub fn cancel(reason: impl Into<Text>) -> Self {
        Self::Cancel(reason.into())
    }

    /// Failed for good.
    ///
    /// ```
    /// use nexus_events_dispatch::Outcome;
    /// assert_eq!(Outcome::fail("no such user"), Outcome::Fail("no such user".into()));
    /// ```
    pub fn fail(reason: impl Into<Text>) -> Self {
        Self::Fail(reason.into())
    }
}

impl HandlerReturn for Outcome {
    fn into_result(self, context: &Context) -> HandlerResult {
        match self {
            Self::Continue => Ok(Value::Null),
            Self::Value(value) => Ok(value),
            Self::Cancel(reason) => {
                context.cancel(reason);
                Ok(Value::Null)
            }
            Self::RetryAfter(delay) => {
                let text = format!("the handler asks for another attempt after {delay:?}");
                Err(HandlerError::from(text).retry_after(delay))
            }
            Self::Fail(reason) => Err(HandlerError::permanent(reason.as_str())),
        }
    }
}

impl HandlerReturn for () {
    fn into_result(self, _: &Context) -> HandlerResult {
        Ok(Value::Null)
    }

    fn into_error(self, _: &Context) -> Option<HandlerError> {
        None
    }
}

impl HandlerReturn for Value {
    fn into_result(self, _: &Context) -> HandlerResult {
        Ok(self)
    }
}

impl HandlerReturn for Receipt {
    fn into_result(self, _: &Context) -> HandlerResult {
        Ok(Value::Null)
    }
}

impl<R: HandlerReturn> HandlerReturn for Option<R> {
    fn into_result(self, context: &Context) -> HandlerResult {
        self.map_or(Ok(Value::Null), |returned| returned.into_result(context))
    }
}

impl<R: HandlerReturn, E: Into<HandlerError>> HandlerReturn for Result<R, E> {
    fn into_result(self, context: &Context) -> HandlerResult {
        self.map_err(Into::into)?.into_result(context)
    }

    fn into_error(self, context: &Context) -> Option<HandlerError> {
        match self {
            Ok(returned) => returned.into_error(context),
            Err(error) => Some(error.into()),
        }
    }
}

impl HandlerReturn for Event {
    fn into_result(self, context: &Context) -> HandlerResult {
        publish([self], context)
    }
}

impl HandlerReturn for EventBuilder {
    fn into_result(self, context: &Context) -> HandlerResult {
        publish([self], context)
    }
}

impl<E: IntoEvent> HandlerReturn for Vec<E> {
    fn into_result(self, context: &Context) -> HandlerResult {
        publish(self, context)
    }
}

impl<E: IntoEvent, const N: usize> HandlerReturn for [E; N] {
    fn into_result(self, context: &Context) -> HandlerResult {
        publish(self, context)
    }
}

/// Publishes follow-ups; none, when one of them is malformed.
fn publish<E: IntoEvent>(events: impl IntoIterator<Item = E>, context: &Context) -> HandlerResult {
    let stamped = events.into_iter().map(|event| context.bus().stamp(event));
    let events = stamped.collect::<Result<Vec<_>, _>>().map_err(HandlerError::permanent)?;
    for event in events {
        context.publish(event)?;
    }
    Ok(Value::Null)
}

/// What `panic!` and `todo!` are: `!`, which cannot be named yet.
type Never = <fn() -> ! as Returns>::Returned;

/// The return type of a function.
pub trait Returns {
    /// The type.
    type Returned;
}

impl<R> Returns for fn() -> R {
    type Returned = R;
}

#[diagnostic::do_not_recommend]
impl HandlerReturn for Never {
    fn into_result(self, _: &Context) -> HandlerResult {
        self
    }
}
