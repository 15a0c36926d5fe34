//! What the program runs with.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, OnceLock, Weak};
pub(crate) use std::time::Instant as StdInstant;
pub(crate) use std::{thread, thread_local};

pub(crate) use arc_swap::{ArcSwap, Guard};
pub(crate) use parking_lot::{Mutex, MutexGuard};
pub(crate) use scoped_tls::scoped_thread_local;
pub(crate) use tokio::runtime::{Handle, Id};
pub(crate) use tokio::sync::futures::Notified;
pub(crate) use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};
pub(crate) use tokio::task::{AbortHandle, spawn_blocking, try_id};
pub(crate) use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

/// A time that no thread sees go back: what happens after something else has no earlier one.
pub(crate) type Tick = StdInstant;

pub(crate) fn tick() -> Tick {
    StdInstant::now()
}

/// A number of the whole program, which no model follows.
pub(crate) use std::sync::atomic::AtomicU64 as StaticU64;
