//! What is told to `tracing`: a span for each published event, one for each handler's turn inside
//! of it, and events for what goes wrong.
//!
//! When nobody asks for spans, an event costs one look at the level that is asked for. When
//! somebody does, no event takes the short way of `pass.rs`, so that has no spans to care about.

use std::any::Any;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use nexus_events_model::{Event, HandlerOutcome, Metadata, OutcomeStatus};
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Span, debug, debug_span, error, event_enabled, span_enabled, warn};

use crate::delivery::Delivery;
use crate::entry::Entry;
use crate::error::Error;
use crate::runtime::{Skip, panic_text};

/// What filters know all of this by.
const TARGET: &str = "nexus_events_dispatch";

/// Whether anybody asks for spans.
#[inline]
pub(crate) fn has_spans() -> bool {
    LevelFilter::current() >= LevelFilter::DEBUG && are_asked_for()
}

/// Somebody asks for that level, perhaps of something else.
#[cold]
fn are_asked_for() -> bool {
    span_enabled!(target: TARGET, Level::DEBUG)
}

/// The span of an event, open until its last handler is done. On the heap, because mostly there
/// is none.
#[derive(Default)]
pub(crate) struct PublishSpan(Option<Box<Span>>);

impl PublishSpan {
    /// Inside of the publisher's own span, which may be that of a handler.
    #[inline]
    pub(crate) fn of(event: &Event) -> Self {
        if has_spans() { Self::open(event) } else { Self::default() }
    }

    #[cold]
    fn open(event: &Event) -> Self {
        let span = debug_span!(
            target: TARGET,
            "nexus.publish",
            event_type = event.event_type().as_str(),
            event_id = %event.id(),
            traceparent = event.metadata().get(Metadata::TRACEPARENT).and_then(|it| it.as_str()),
        );
        Self(Some(Box::new(span)))
    }
}

/// The span of a handler's turn, or of all its further attempts, whose number is known at the end.
#[inline]
pub(crate) fn turn(delivery: &Delivery, entry: &Entry, attempt: Option<u32>) -> Span {
    if has_spans() { process(delivery, entry, attempt) } else { Span::none() }
}

#[cold]
fn process(delivery: &Delivery, entry: &Entry, attempt: Option<u32>) -> Span {
    debug_span!(
        target: TARGET,
        parent: delivery.span.0.as_deref().and_then(Span::id),
        "nexus.process",
        handler = entry.name.as_str(),
        subscription = entry.id.number(),
        attempt,
        outcome = Empty,
    )
}

/// A turn is over.
#[inline]
pub(crate) fn ended(span: &Span, outcome: &HandlerOutcome) {
    if !span.is_none() {
        span.record("attempt", outcome.attempt);
        span.record("outcome", outcome.status.as_str());
    }
}

/// A handler is done with an event.
#[inline]
pub(crate) fn done(event: &Event, entry: &Entry, outcome: &HandlerOutcome) {
    if outcome.status.is_failure() {
        let error = outcome.error.as_deref().unwrap_or_default();
        warn_of(event, entry, outcome.status, outcome.attempt, error);
    }
}

/// A handler failed and is going to try again.
#[cold]
pub(crate) fn retrying(event: &Event, entry: &Entry, first: &HandlerOutcome) {
    debug!(
        target: TARGET,
        handler = entry.name.as_str(),
        event_type = event.event_type().as_str(),
        event_id = %event.id(),
        outcome = first.status.as_str(),
        error = first.error.as_deref(),
        "the handler failed and will try again"
    );
}

/// A handler failed in a pass, which has no outcome of it.
#[cold]
pub(crate) fn failed(event: &Event, entry: &Entry, status: OutcomeStatus, error: &dyn Display) {
    if event_enabled!(target: TARGET, Level::WARN) {
        // The program's own code.
        let text = catch_unwind(AssertUnwindSafe(|| error.to_string()));
        let text = text.unwrap_or_else(|panic| {
            std::mem::forget(panic);
            "its text panics".to_owned()
        });
        warn_of(event, entry, status, 1, &text);
    }
}

/// The same for a panic.
#[cold]
pub(crate) fn panicked(event: &Event, entry: &Entry, panic: &(dyn Any + Send)) {
    if event_enabled!(target: TARGET, Level::WARN) {
        warn_of(event, entry, OutcomeStatus::Panicked, 1, &panic_text(panic));
    }
}

#[cold]
fn warn_of(event: &Event, entry: &Entry, status: OutcomeStatus, attempt: u32, error: &str) {
    warn!(
        target: TARGET,
        handler = entry.name.as_str(),
        event_type = event.event_type().as_str(),
        event_id = %event.id(),
        outcome = status.as_str(),
        attempt,
        error,
        "the handler failed"
    );
}

/// A handler lost an event. There may be very many of those.
#[cold]
pub(crate) fn dropped(event: &Event, entry: &Entry, reason: Skip) {
    debug!(
        target: TARGET,
        handler = entry.name.as_str(),
        event_type = event.event_type().as_str(),
        event_id = %event.id(),
        reason = reason.text(),
        "the handler lost an event"
    );
}

/// An event is not let in; gives the error back.
#[cold]
pub(crate) fn refused(error: Error) -> Error {
    debug!(target: TARGET, kind = error.kind().as_str(), %error, "the event is refused");
    error
}

/// A handler held up its task.
#[cold]
pub(crate) fn slow(entry: &Entry, took: Duration) {
    warn!(
        target: TARGET,
        handler = entry.name.as_str(),
        ?took,
        "a synchronous handler holds up its task; let its mode be `Mode::Blocking`, or make it asynchronous"
    );
}

/// A handler holds up its thread, and has not returned yet.
#[cold]
pub(crate) fn overdue(entry: &Entry, ran: Duration) {
    warn!(
        target: TARGET,
        handler = entry.name.as_str(),
        ?ran,
        "the handler has not returned and holds up its thread"
    );
}

/// A handler is not waited for any more.
#[cold]
pub(crate) fn stuck(entry: &Entry, ran: Duration) {
    error!(
        target: TARGET,
        handler = entry.name.as_str(),
        ?ran,
        "the handler does not return; its thread is left to it and its event counts as timed out. Handlers that take long need more time by `BusBuilder::stuck_after`"
    );
}

/// A handler does not return, and no more threads may be left to such ones.
#[cold]
pub(crate) fn hopeless(entry: &Entry, ran: Duration) {
    error!(
        target: TARGET,
        handler = entry.name.as_str(),
        ?ran,
        "the handler does not return, as too many did before; what waits for its thread waits on"
    );
}
