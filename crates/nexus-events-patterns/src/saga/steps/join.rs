//! Polling several futures at once, and one that may panic.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Poll;

use nexus_events_dispatch::BoxFuture;

/// What all of them come to, in their order.
pub(super) async fn join<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|task| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(ready) = future.as_mut().poll(task)
            {
                *result = Some(ready);
            }
        }
        if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results.into_iter().flatten().collect()
}

/// What a future comes to, or what its panic says.
pub(super) async fn contain<T>(future: BoxFuture<'_, T>) -> Result<T, String> {
    let mut future = Some(future);
    poll_fn(|task| {
        let polled = catch_unwind(AssertUnwindSafe(|| match &mut future {
            Some(running) => running.as_mut().poll(task),
            None => Poll::Pending,
        }));
        let result = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(ready)) => Ok(ready),
            Err(panic) => Err(text(&*panic)),
        };
        // Dropping what has panicked may panic again.
        let _ = catch_unwind(AssertUnwindSafe(|| future = None));
        Poll::Ready(result)
    })
    .await
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.map_or_else(|| "panicked".to_owned(), |text| format!("panicked: {text}"))
}
