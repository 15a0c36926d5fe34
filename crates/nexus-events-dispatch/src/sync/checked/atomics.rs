//! Atomics. Shuttle's are sequentially consistent whatever they are told; loom's may show old
//! values wherever the ordering allows it.

#[cfg(nexus_shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize};

#[cfg(nexus_loom)]
pub(crate) use self::fenced::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize};

#[cfg(nexus_loom)]
mod fenced {
    use std::sync::atomic::Ordering;

    use loom::sync::atomic::{self, fence};

    /// Loom takes sequentially consistent accesses for mere acquire and release, but knows the
    /// fence. A fence before each access is what compilers emit for them on POWER, so nothing is
    /// stronger here than on a real machine.
    fn lead(order: Ordering) -> Ordering {
        if order == Ordering::SeqCst {
            fence(Ordering::SeqCst);
        }
        order
    }

    macro_rules! fenced {
        ($name:ident, $value:ty) => {
            #[derive(Debug, Default)]
            pub(crate) struct $name(atomic::$name);

            #[allow(dead_code, reason = "not every operation is used on every type")]
            impl $name {
                pub(crate) fn new(value: $value) -> Self {
                    Self(atomic::$name::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    self.0.load(lead(order))
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    self.0.store(value, lead(order));
                }

                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    self.0.swap(value, lead(order))
                }

                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.0.compare_exchange(current, new, lead(success), failure)
                }

                pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                    self.0.fetch_or(value, lead(order))
                }
            }
        };
    }

    macro_rules! fenced_number {
        ($name:ident, $value:ty) => {
            fenced!($name, $value);

            #[allow(dead_code, reason = "not every operation is used on every type")]
            impl $name {
                pub(crate) fn compare_exchange_weak(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.0.compare_exchange_weak(current, new, lead(success), failure)
                }

                pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    self.0.fetch_add(value, lead(order))
                }

                pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    self.0.fetch_sub(value, lead(order))
                }

                pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                    self.0.fetch_max(value, lead(order))
                }

                pub(crate) fn fetch_min(&self, value: $value, order: Ordering) -> $value {
                    self.0.fetch_min(value, lead(order))
                }

                pub(crate) fn fetch_update(
                    &self,
                    set: Ordering,
                    fetch: Ordering,
                    change: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    self.0.fetch_update(lead(set), fetch, change)
                }
            }
        };
    }

    fenced!(AtomicBool, bool);
    fenced_number!(AtomicI64, i64);
    fenced_number!(AtomicU64, u64);
    fenced_number!(AtomicUsize, usize);
}
