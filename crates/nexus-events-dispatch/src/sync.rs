//! The one door for locks, atomics and shared pointers, so that a model checker can replace them.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, OnceLock, Weak};

pub(crate) use arc_swap::{ArcSwap, Guard};
pub(crate) use crossbeam_queue::ArrayQueue;
pub(crate) use parking_lot::Mutex;
