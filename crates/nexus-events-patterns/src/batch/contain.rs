//! The program's own futures, whose panics are theirs alone.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use nexus_events_dispatch::BoxFuture;

/// What a future gives, or the text of its panic.
pub(super) async fn contain<T>(mut future: BoxFuture<'_, T>) -> Result<T, String> {
    poll_fn(|task| {
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(task)));
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => Poll::Ready(Err(text_of(panic))),
        }
    })
    .await
}

fn text_of(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    let text = format!("panicked: {}", text.unwrap_or("without text"));
    // Dropping it might panic again.
    std::mem::forget(panic);
    text
}
