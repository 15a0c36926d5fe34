//! How one `on` takes handlers of all shapes.
//!
//! The work is done in two steps, for the sake of error messages. [`Shaped`] finds the shape and
//! looks at nothing but the number of arguments. [`Accepts`] then asks everything else of that one
//! shape. With a single step the compiler would have several candidates and could only say that
//! none of them fits.

use std::marker::PhantomData;

pub use super::argument::{Argument, Borrowed, Owned, Typed};
use super::into::Configured;
use super::{Handler, HandlerReturn};
use crate::subscription::SubscriptionOptions;
use crate::sync::Arc;

/// That a handler has this shape.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event handler",
    label = "not a function of 0 to 8 arguments, nor a `Handler`",
    note = "a handler is an `fn`, `async fn` or closure with up to 8 arguments, for instance `|event: &Event| ..`, `async |event: Event| ..` or `async fn(Payload<Order>, State<Db>)`",
    note = "a type with state of its own implements `Handler`"
)]
pub trait Shaped<Shape> {}

/// That handlers of this shape can be made of an `H`.
pub trait Accepts<H> {
    fn accept(handler: H) -> (Arc<dyn Handler>, SubscriptionOptions);
}

/// A type that implements [`Handler`].
#[derive(Debug)]
pub struct Implemented;

/// An [`Arc`] of one.
#[derive(Debug)]
pub struct Shared;

/// A handler with options.
#[derive(Debug)]
pub struct WithOptions;

/// A function with these arguments that returns this.
#[derive(Debug)]
pub struct Function<When, Args, Return>(PhantomData<(When, Args, Return)>);

/// A function that is done when it returns.
#[derive(Debug)]
pub struct Now;

/// A function that is done when its future is.
#[derive(Debug)]
pub struct Later;

#[diagnostic::do_not_recommend]
impl<H: Handler> Shaped<Implemented> for H {}

impl<H: Handler> Accepts<H> for Implemented {
    fn accept(handler: H) -> (Arc<dyn Handler>, SubscriptionOptions) {
        (Arc::new(handler), SubscriptionOptions::new())
    }
}

#[diagnostic::do_not_recommend]
impl<H: Handler> Shaped<Shared> for Arc<H> {}

impl<H: Handler> Accepts<Arc<H>> for Shared {
    fn accept(handler: Arc<H>) -> (Arc<dyn Handler>, SubscriptionOptions) {
        (handler, SubscriptionOptions::new())
    }
}

#[diagnostic::do_not_recommend]
impl Shaped<WithOptions> for Configured {}

impl Accepts<Configured> for WithOptions {
    fn accept(handler: Configured) -> (Arc<dyn Handler>, SubscriptionOptions) {
        (handler.handler, handler.options)
    }
}

macro_rules! shaped {
    ($($arg:ident $kind:ident),*) => {
        impl<F, When, R, $($arg, $kind),*> Shaped<Function<When, ($(($arg, $kind),)*), R>> for F
        where
            F: Fn($($arg),*) -> R,
        {
        }
    };
}

super::function::for_each_arity!(shaped);

impl<F, When, Args, R> Accepts<F> for Function<When, Args, R>
where
    R: Returned<When>,
    When: Runs<F, Args, R>,
{
    fn accept(function: F) -> (Arc<dyn Handler>, SubscriptionOptions) {
        (When::handler(function), SubscriptionOptions::new())
    }
}

/// That functions with these arguments and this return type can be run.
///
/// Implemented for [`Now`] and [`Later`], so that the compiler does not look any further when it
/// could not tell which of them it is, and reports that alone.
pub trait Runs<F, Args, Return> {
    fn handler(function: F) -> Arc<dyn Handler>;
}

/// Whether a function is done when it has returned this.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "returns `{Self}`",
    note = "return `()`, a `Value`, an `Outcome`, follow-ups (`Event`, `EventBuilder`, `Vec<_>` of what can be published), or an `Option` or `Result` of these whose error converts into `HandlerError`, as every `std::error::Error` that is `Send + Sync` does",
    note = "`json!(..)` makes a `Value` of anything that serialises"
)]
pub trait Returned<When> {}

impl<R: HandlerReturn> Returned<Now> for R {}
impl<R: Future> Returned<Later> for R {}
