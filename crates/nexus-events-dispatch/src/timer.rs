//! Waiting no longer than so long, whatever runtime there is to tell the time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;

use crate::runtime::contain;
use crate::sync::{Handle, Instant, timeout_at};

/// What the future gives, if it does in time. The runtime that runs this tells the time, or else
/// the first of `others` that can; where none can, the future has all the time it wants.
pub(crate) async fn in_time<T: Send>(
    others: impl IntoIterator<Item = Handle>,
    until: Instant,
    future: impl Future<Output = T> + Send,
) -> Option<T> {
    let mut future = pin!(future);
    let timers: Vec<Handle> = Handle::try_current().into_iter().chain(others).collect();
    for runtime in timers {
        let reborrowed = future.as_mut();
        let timed = catch_unwind(AssertUnwindSafe(|| {
            let _runtime = runtime.enter();
            timeout_at(until, reborrowed)
        }));
        let Ok(timed) = timed.map_err(std::mem::forget) else { continue };
        match contain(Box::pin(timed)).await {
            Ok(in_time) => return in_time.ok(),
            // A timer panics when its runtime ends, which need not be the publisher's.
            Err(panic) => std::mem::forget(panic),
        }
    }
    Some(future.await)
}
