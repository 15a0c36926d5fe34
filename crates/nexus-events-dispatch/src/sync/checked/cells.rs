//! Values that threads share: behind a lock, set once, or swapped as a whole.

use std::fmt;
use std::ops::Deref;
use std::sync::PoisonError;

use super::checker::sync as checker;
pub(crate) use super::checker::sync::MutexGuard;
use super::{Arc, AtomicBool, AtomicUsize, Ordering};

/// As parking_lot's: a panic does not poison it.
#[derive(Default)]
pub(crate) struct Mutex<T>(checker::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(checker::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    /// What the model sees of the value.
    is_set: AtomicBool,
    setting: Mutex<()>,
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self {
            value: std::sync::OnceLock::new(),
            is_set: AtomicBool::new(false),
            setting: Mutex::default(),
        }
    }

    pub(crate) fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let _setting = self.setting.lock();
        let set = self.value.set(value);
        self.is_set.store(true, Ordering::Release);
        set
    }

    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if let Some(value) = self.get() {
            return value;
        }
        let _setting = self.setting.lock();
        if self.value.get().is_none() {
            let _ = self.value.set(init());
            self.is_set.store(true, Ordering::Release);
        }
        self.value.get().unwrap_or_else(|| unreachable!("set above"))
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

/// As `arc_swap`'s, but for what is swapped out: it goes with the whole.
pub(crate) struct ArcSwap<T> {
    /// Every value there was. Locked for a moment only, never across a step of the model.
    values: std::sync::Mutex<Vec<Arc<T>>>,
    current: AtomicUsize,
}

impl<T> ArcSwap<T> {
    pub(crate) fn from_pointee(value: T) -> Self {
        Self { values: std::sync::Mutex::new(vec![Arc::new(value)]), current: AtomicUsize::new(0) }
    }

    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        Guard(self.value(self.current.load(Ordering::Acquire)))
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        self.value(self.current.load(Ordering::Acquire))
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        drop(self.swap(value));
    }

    pub(crate) fn swap(&self, value: Arc<T>) -> Arc<T> {
        let next = {
            let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            values.push(value);
            values.len() - 1
        };
        self.value(self.current.swap(next, Ordering::AcqRel))
    }

    fn value(&self, at: usize) -> Arc<T> {
        self.values.lock().unwrap_or_else(PoisonError::into_inner)[at].clone()
    }
}

impl<T: Default> Default for ArcSwap<T> {
    fn default() -> Self {
        Self::from_pointee(T::default())
    }
}

pub(crate) struct Guard<T>(T);

impl<T> Deref for Guard<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
