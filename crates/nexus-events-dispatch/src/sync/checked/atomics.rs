//! Atomics. Shuttle's are sequentially consistent whatever they are told; loom's may show old
//! values wherever the ordering allows it.

#[cfg(nexus_shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize};

#[cfg(nexus_loom)]
pub(crate) use self::ordered::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize};

#[cfg(nexus_loom)]
mod ordered {
    use std::sync::atomic::Ordering::{self, Acquire, Release, SeqCst};

    use loom::sync::atomic::{self, AtomicUsize as Order};

    loom::lazy_static! {
        /// Loom takes sequentially consistent accesses for mere acquire and release. Here each
        /// takes its place in this one order: a read sees what was written that way before it, and
        /// only such writes are seen by it.
        static ref ORDER: Order = Order::new(0);
    }

    fn read<T>(order: Ordering, access: impl FnOnce() -> T) -> T {
        if order == SeqCst {
            ORDER.fetch_add(1, Acquire);
        }
        access()
    }

    fn write<T>(order: Ordering, access: impl FnOnce() -> T) -> T {
        let done = access();
        if order == SeqCst {
            ORDER.fetch_add(1, Release);
        }
        done
    }

    fn change<T>(order: Ordering, access: impl FnOnce() -> T) -> T {
        write(order, || read(order, access))
    }

    macro_rules! ordered {
        ($name:ident, $value:ty) => {
            #[derive(Debug, Default)]
            pub(crate) struct $name(atomic::$name);

            #[allow(dead_code, reason = "not every operation is used on every type")]
            impl $name {
                pub(crate) fn new(value: $value) -> Self {
                    Self(atomic::$name::new(value))
                }

                pub(crate) fn load(&self, order: Ordering) -> $value {
                    read(order, || self.0.load(order))
                }

                pub(crate) fn store(&self, value: $value, order: Ordering) {
                    write(order, || self.0.store(value, order));
                }

                pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                    change(order, || self.0.swap(value, order))
                }

                pub(crate) fn fetch_or(&self, value: $value, order: Ordering) -> $value {
                    change(order, || self.0.fetch_or(value, order))
                }

                pub(crate) fn compare_exchange(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    change(success, || self.0.compare_exchange(current, new, success, failure))
                }
            }
        };
    }

    macro_rules! ordered_number {
        ($name:ident, $value:ty) => {
            ordered!($name, $value);

            #[allow(dead_code, reason = "not every operation is used on every type")]
            impl $name {
                pub(crate) fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                    change(order, || self.0.fetch_add(value, order))
                }

                pub(crate) fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                    change(order, || self.0.fetch_sub(value, order))
                }

                pub(crate) fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                    change(order, || self.0.fetch_max(value, order))
                }

                pub(crate) fn fetch_min(&self, value: $value, order: Ordering) -> $value {
                    change(order, || self.0.fetch_min(value, order))
                }

                pub(crate) fn compare_exchange_weak(
                    &self,
                    current: $value,
                    new: $value,
                    success: Ordering,
                    failure: Ordering,
                ) -> Result<$value, $value> {
                    self.compare_exchange(current, new, success, failure)
                }

                pub(crate) fn fetch_update(
                    &self,
                    set: Ordering,
                    fetch: Ordering,
                    update: impl FnMut($value) -> Option<$value>,
                ) -> Result<$value, $value> {
                    change(set, || self.0.fetch_update(set, fetch, update))
                }
            }
        };
    }

    ordered!(AtomicBool, bool);
    ordered_number!(AtomicI64, i64);
    ordered_number!(AtomicU64, u64);
    ordered_number!(AtomicUsize, usize);
}
