//! The stand-ins: the same names, with a step of the model wherever threads could meet.
//!
//! What is built of locks (semaphores, channels) is the real one: each call is one step, taken next
//! to others that the model does see.

mod atomics;
mod cells;
mod local;
mod notify;
mod tasks;
mod time;

#[cfg(nexus_loom)]
use loom as checker;
#[cfg(nexus_shuttle)]
use shuttle as checker;

pub(crate) use std::sync::atomic::{AtomicU64 as StaticU64, Ordering};
pub(crate) use std::sync::{Arc, Weak};

pub(crate) use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

pub(crate) use self::atomics::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize};
pub(crate) use self::cells::{ArcSwap, Guard, Mutex, MutexGuard, OnceLock};
pub(crate) use self::checker::thread;
pub(crate) use self::local::{Scoped, scoped_thread_local, thread_local};
pub(crate) use self::notify::{Notified, Notify};
pub(crate) use self::tasks::{AbortHandle, Handle, Id, spawn_blocking, try_id};
pub(crate) use self::time::{
    Instant, Instant as StdInstant, Tick, sleep, sleep_until, tick, timeout, timeout_at,
};

/// What a model may do to the world around the bus.
pub mod model {
    pub use super::time::{advance, begin};
}
