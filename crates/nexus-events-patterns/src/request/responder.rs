//! Functions that answer with what they return.

use std::any::type_name;
use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use nexus_events_dispatch::{
    Bus, Called, Configured, Context, FromEvent, Handler, HandlerError, HandlerExt, HandlerResult,
    Mode, Rejection, SubscriptionOptions,
};
use nexus_events_model::{Event, Pattern, Payload, Text};
use serde::Serialize;
use serde_json::Value;

use super::reject::Reject;
use super::reply_to::ReplyTo;

/// A function that answers requests: an `fn`, `async fn` or closure with up to six arguments that
/// are [taken from the event](FromEvent), and a `Result` whose error becomes a [`Reject`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not answer requests",
    label = "not a function of 0 to 6 arguments that returns `Result<T, Reject>`",
    note = "a responder is an `fn`, `async fn` or closure such as `async |query: Payload<Query>| -> Result<User, Reject>`; its answer is `Serialize + Send + Sync`",
    note = "a handler that answers later or several times takes a `ReplyTo` and is registered by `respond_with`"
)]
pub trait Responder<Shape> {
    /// The handler that it becomes.
    fn into_handler(self) -> Arc<dyn Handler>;
}

/// A responder as a handler, for options: what
/// [`respond`](crate::Requests::respond) registers without any.
///
/// A synchronous one answers on the requester's stack, an asynchronous one on a task. A request
/// whose requester has gone before is not begun; an event that nobody waits for an answer to is
/// handled all the same. What cannot be read is answered with [`Reject::INVALID`].
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt, Payload};
/// use nexus_events_model::Event;
/// use nexus_events_patterns::{Reject, Requests, responder};
///
/// async fn square(number: Payload<u64>) -> Result<u64, Reject> {
///     number.checked_mul(*number).ok_or(Reject::new(1, "too large"))
/// }
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let bus = Bus::new();
/// bus.on("number.squared", responder(square).named("square").with(|options| options.concurrency(8)))?;
/// let squared: u64 = bus.request(Event::builder("number.squared").typed(12_u64)).await?;
/// assert_eq!(squared, 144);
/// # Ok::<(), nexus_events_patterns::Error>(()) }).unwrap();
/// ```
#[must_use]
pub fn responder<Shape>(function: impl Responder<Shape>) -> Configured {
    Shared(function.into_handler()).with(SubscriptionOptions::responds)
}

/// A handler of whatever type.
struct Shared(Arc<dyn Handler>);

impl Handler for Shared {
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
        self.0.call(event, context)
    }

    fn check(&self, bus: &Bus, pattern: &Pattern) -> nexus_events_dispatch::Result<()> {
        self.0.check(bus, pattern)
    }

    fn mode(&self) -> Mode {
        self.0.mode()
    }

    fn name(&self) -> Text {
        self.0.name()
    }
}

/// A function with the arguments that it takes.
struct Function<F, Shape>(F, PhantomData<fn() -> Shape>);

/// It returns when it is done.
#[derive(Debug)]
pub struct Now;

/// It returns a future.
#[derive(Debug)]
pub struct Later;

/// Gives the answer to whoever waits for it.
fn answer<T: Serialize + Send + Sync + 'static>(
    reply_to: Option<&ReplyTo>,
    result: Result<T, impl Into<Reject>>,
) -> HandlerResult {
    if let Some(reply_to) = reply_to {
        // That it came too late is counted.
        let _ = reply_to.answer(result.map(Payload::typed).map_err(Into::into));
    }
    Ok(Value::Null)
}

fn unreadable(reply_to: Option<&ReplyTo>, rejection: Rejection) -> HandlerError {
    if let Some(reply_to) = reply_to {
        let _ = reply_to.reject(Reject::new(Reject::INVALID, rejection.to_string()));
    }
    rejection.into()
}

fn is_cancelled(reply_to: Option<&ReplyTo>) -> bool {
    reply_to.is_some_and(ReplyTo::is_cancelled)
}

/// The last word of the function's path.
fn name<F>() -> Text {
    let path = type_name::<F>();
    if path.ends_with("{{closure}}") {
        return Text::from_static("responder");
    }
    let path = path.split('<').next().unwrap_or(path);
    Text::from_static(path.rsplit("::").next().unwrap_or(path))
}

macro_rules! responders {
    ($($arg:ident),*) => {
        impl<F, T, E, $($arg),*> Responder<(Now, T, E, $($arg,)*)> for F
        where
            F: Fn($($arg),*) -> Result<T, E> + Send + Sync + 'static,
            T: Serialize + Send + Sync + 'static,
            E: Into<Reject> + 'static,
            $($arg: FromEvent + 'static,)*
        {
            fn into_handler(self) -> Arc<dyn Handler> {
                Arc::new(Function::<F, (Now, T, E, $($arg,)*)>(self, PhantomData))
            }
        }

        #[allow(non_snake_case, unused_variables, reason = "a function may have no argument")]
        impl<F, T, E, $($arg),*> Handler for Function<F, (Now, T, E, $($arg,)*)>
        where
            F: Fn($($arg),*) -> Result<T, E> + Send + Sync + 'static,
            T: Serialize + Send + Sync + 'static,
            E: Into<Reject> + 'static,
            $($arg: FromEvent + 'static,)*
        {
            fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
                let reply_to = ReplyTo::of(event, context);
                let reply_to = reply_to.as_ref();
                if is_cancelled(reply_to) {
                    return Called::Ready(Ok(Value::Null));
                }
                $(let $arg = match $arg::from_event(event, context) {
                    Ok(taken) => taken,
                    Err(rejection) => return Called::Ready(Err(unreadable(reply_to, rejection))),
                };)*
                Called::Ready(answer(reply_to, (self.0)($($arg),*)))
            }

            fn check(&self, bus: &Bus, pattern: &Pattern) -> nexus_events_dispatch::Result<()> {
                $($arg::check(bus, pattern)?;)*
                Ok(())
            }

            fn mode(&self) -> Mode {
                Mode::Inline
            }

            fn name(&self) -> Text {
                name::<F>()
            }
        }

        impl<F, Fut, T, E, $($arg),*> Responder<(Later, Fut, T, E, $($arg,)*)> for F
        where
            F: Fn($($arg),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<T, E>> + Send + 'static,
            T: Serialize + Send + Sync + 'static,
            E: Into<Reject> + 'static,
            $($arg: FromEvent + 'static,)*
        {
            fn into_handler(self) -> Arc<dyn Handler> {
                Arc::new(Function::<F, (Later, Fut, T, E, $($arg,)*)>(self, PhantomData))
            }
        }

        #[allow(non_snake_case, unused_variables, reason = "a function may have no argument")]
        impl<F, Fut, T, E, $($arg),*> Handler for Function<F, (Later, Fut, T, E, $($arg,)*)>
        where
            F: Fn($($arg),*) -> Fut + Send + Sync + 'static,
            Fut: Future<Output = Result<T, E>> + Send + 'static,
            T: Serialize + Send + Sync + 'static,
            E: Into<Reject> + 'static,
            $($arg: FromEvent + 'static,)*
        {
            fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
                let reply_to = ReplyTo::of(event, context);
                if is_cancelled(reply_to.as_ref()) {
                    return Called::Ready(Ok(Value::Null));
                }
                $(let $arg = match $arg::from_event(event, context) {
                    Ok(taken) => taken,
                    Err(rejection) => {
                        return Called::Ready(Err(unreadable(reply_to.as_ref(), rejection)));
                    }
                };)*
                let result = (self.0)($($arg),*);
                Called::Pending(Box::pin(async move { answer(reply_to.as_ref(), result.await) }))
            }

            fn check(&self, bus: &Bus, pattern: &Pattern) -> nexus_events_dispatch::Result<()> {
                $($arg::check(bus, pattern)?;)*
                Ok(())
            }

            fn name(&self) -> Text {
                name::<F>()
            }
        }
    };
}

responders!();
responders!(A1);
responders!(A1, A2);
responders!(A1, A2, A3);
responders!(A1, A2, A3, A4);
responders!(A1, A2, A3, A4, A5);
responders!(A1, A2, A3, A4, A5, A6);
