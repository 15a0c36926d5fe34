//! What the layers share: a handler with something around it, panics contained.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nexus_events_model::{Event, Text};

use crate::context::Context;
use crate::entrance::before;
use crate::error::{Error, Result};
use crate::handler::{BoxFuture, Called, Handler, HandlerError, HandlerResult, LastAttempt, Mode};
use crate::layer::{Layer, NewSubscription};
use crate::runtime::{contain, panic_text};
use crate::sync::{Arc, Handle};

/// Something around a handler.
pub(crate) trait Surround: Send + Sync + 'static {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a>;
}

struct Around<S> {
    inner: Arc<dyn Handler>,
    surround: S,
}

/// The handler with `surround` around it; it keeps its name and its mode.
pub(crate) fn around(inner: Arc<dyn Handler>, surround: impl Surround) -> Arc<dyn Handler> {
    Arc::new(Around { inner, surround })
}

impl<S: Surround> Handler for Around<S> {
    fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
        self.surround.call(&self.inner, event, context)
    }

    fn mode(&self) -> Mode {
        self.inner.mode()
    }

    fn name(&self) -> Text {
        self.inner.name()
    }
}

/// Calls a handler; its panics are errors.
pub(crate) fn call<'a>(
    inner: &'a Arc<dyn Handler>,
    event: &'a Event,
    context: &'a Context,
) -> Called<'a> {
    match catch_unwind(AssertUnwindSafe(|| inner.call(event, context))) {
        Ok(Called::Ready(result)) => Called::Ready(result),
        Ok(Called::Pending(future)) => Called::Pending(Box::pin(async move {
            contain(future).await.unwrap_or_else(|panic| Err(caught(panic)))
        })),
        Err(panic) => Called::Ready(Err(caught(panic))),
    }
}

/// A panic as an error.
pub(super) fn caught(panic: Box<dyn Any + Send>) -> HandlerError {
    let error = HandlerError::panicked(panic_text(&*panic).to_string());
    // What was thrown is the program's own value, and its drop may panic again.
    catch_unwind(AssertUnwindSafe(|| drop(panic))).unwrap_or_else(std::mem::forget);
    error
}

/// The text of an error, which is the program's own code and may panic.
pub(super) fn text_of(error: &HandlerError) -> Text {
    catch_unwind(AssertUnwindSafe(|| Text::from(error.to_string()))).unwrap_or_else(|panic| {
        std::mem::forget(panic);
        Text::from_static("an error whose text panicked")
    })
}

/// Further attempts, panics contained. `begun` is how many were made before.
pub(super) async fn finish(retries: BoxFuture<'static, LastAttempt>, begun: u32) -> LastAttempt {
    contain(retries)
        .await
        .unwrap_or_else(|panic| LastAttempt { attempt: begun + 1, result: Err(caught(panic)) })
}

/// Tells `then` the last result: that of the call, or that of the attempts left to a task. When
/// the call is dropped half way, so is `then`.
pub(super) fn at_last<'a>(
    called: Called<'a>,
    then: impl FnOnce(&HandlerResult) + Send + 'static,
) -> Called<'a> {
    match called {
        Called::Ready(result) => Called::Ready(tell(result, then)),
        Called::Pending(future) => {
            Called::Pending(Box::pin(async move { tell(future.await, then) }))
        }
    }
}

fn tell(
    mut result: HandlerResult,
    then: impl FnOnce(&HandlerResult) + Send + 'static,
) -> HandlerResult {
    let retries = result.as_mut().err().and_then(HandlerError::take_retries);
    match (result, retries) {
        (Err(error), Some(retries)) => {
            let begun = error.attempts().len() as u32;
            Err(error.with_retries(Box::pin(async move {
                let last = finish(retries, begun).await;
                then(&last.result);
                last
            })))
        }
        (result, _) => {
            then(&result);
            result
        }
    }
}

/// Whether the handler may wait: it may not on a publisher's own stack, where its first attempt
/// is when it is inline.
pub(super) fn may_wait(context: &Context) -> bool {
    context.entry().mode != Mode::Inline || context.attempt() > 1
}

/// Whether it is on a thread that may block. A handler there may enter the runtime itself, so
/// nothing may call it from inside of a future.
pub(super) fn on_thread(context: &Context) -> bool {
    context.worker.is_some()
}

/// What the future gives, waited for on a thread that may block.
pub(super) fn wait_here<T>(context: &Context, future: impl Future<Output = T>) -> T {
    Handle::current().block_on(context.scope(future))
}

/// What the future gives, or `None` when the handler ends before. Another handler may have the
/// worker meanwhile.
pub(super) async fn until_ended<T>(
    context: &Context,
    future: impl Future<Output = T>,
) -> Option<T> {
    let output = before(future, context.ended());
    match &context.worker {
        Some(worker) => worker.lend(output).await,
        None => output.await,
    }
}

/// Refuses a layer whose work is publishing around one handler, where it would do nothing.
pub(super) fn only_for_a_bus(layer: &impl Layer, subscription: &NewSubscription) -> Result<()> {
    let is_this =
        |other: &Arc<dyn Layer>| std::ptr::addr_eq(Arc::as_ptr(other), std::ptr::from_ref(layer));
    if subscription.options.layers.0.iter().any(is_this) {
        return Err(Error::invalid_option(
            "a layer made with `on_publish` does nothing around one handler; give it to `BusBuilder::layer`, or make it with `on_handle`",
        ));
    }
    Ok(())
}
