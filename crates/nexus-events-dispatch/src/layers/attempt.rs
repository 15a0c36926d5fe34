//! One further attempt of a handler, where handlers of its mode run.

use nexus_events_model::Event;

use super::around::call;
use crate::context::{Context, Retry};
use crate::handler::{Called, Handler, HandlerResult, Mode};
use crate::sync::{Arc, Handle, spawn_blocking};
use crate::worker::Worker;

/// Calls the handler again and counts it in `context`; `None` when the handler has ended.
pub(super) async fn again(
    inner: &Arc<dyn Handler>,
    event: &Event,
    context: &mut Context,
) -> Option<HandlerResult> {
    if context.entry().mode == Mode::Blocking {
        // Waiting for a worker is not running yet, so an unsubscribe need not wait for it.
        let worker = Worker::occupy(context.bus().workers()).await;
        let run = context.retry()?;
        context.attempt = run.attempt;
        return Some(on_thread(inner.clone(), event.clone(), run, worker).await);
    }
    let run = context.retry()?;
    context.attempt = run.attempt;
    Some(run.scope(on_task(inner, event, &run)).await)
}

async fn on_task(inner: &Arc<dyn Handler>, event: &Event, run: &Retry) -> HandlerResult {
    match call(inner, event, run) {
        Called::Ready(result) => result,
        Called::Pending(future) => future.await,
    }
}

async fn on_thread(
    inner: Arc<dyn Handler>,
    event: Event,
    run: Retry,
    worker: Worker,
) -> HandlerResult {
    let context = run.with_worker(Some(worker.clone()));
    let runtime = Handle::current();
    let thread = spawn_blocking(move || {
        // A thread cannot be stopped, so the run is over when the thread says so.
        let _run = run;
        worker.runs_here();
        match context.within(|| call(&inner, &event, &context)) {
            Called::Ready(result) => result,
            Called::Pending(future) => runtime.block_on(context.scope(future)),
        }
    });
    thread.await.unwrap_or_else(|ended| Err(ended.into()))
}
