//! What each thread has of its own, by reference.
//!
//! All threads of a model run on one thread of the machine, so each that is inside of
//! [`Scoped::set`] gets a slot of its own.

use std::cell::RefCell;

use scoped_tls::ScopedKey;

use super::checker::thread::{self, ThreadId};

/// How many threads of a model may be inside at the same time.
pub(crate) const SLOTS: usize = 8;

std::thread_local! {
    /// Which thread of the model has which slot, and how often it is inside.
    static OWNERS: RefCell<[Option<(ThreadId, usize)>; SLOTS]> = const { RefCell::new([None; SLOTS]) };
}

pub(crate) struct Scoped<T: 'static>(pub(crate) [&'static ScopedKey<T>; SLOTS]);

impl<T> Scoped<T> {
    pub(crate) fn set<R>(&'static self, value: &T, code: impl FnOnce() -> R) -> R {
        let slot = Slot::take();
        self.0[slot.0].set(value, code)
    }

    pub(crate) fn is_set(&'static self) -> bool {
        own().is_some_and(|at| self.0[at].is_set())
    }

    pub(crate) fn with<R>(&'static self, code: impl FnOnce(&T) -> R) -> R {
        let at = own().unwrap_or_else(|| unreachable!("looked before with `is_set`"));
        self.0[at].with(code)
    }
}

fn own() -> Option<usize> {
    let me = thread::current().id();
    OWNERS.with_borrow(|owners| owners.iter().position(|owner| owner.is_some_and(|it| it.0 == me)))
}

struct Slot(usize);

impl Slot {
    fn take() -> Self {
        let (own, me) = (own(), thread::current().id());
        OWNERS.with_borrow_mut(|owners| {
            let free = || owners.iter().position(Option::is_none);
            let at = own.or_else(free).unwrap_or_else(|| unreachable!("more than {SLOTS} threads"));
            owners[at] = Some((me, owners[at].map_or(0, |(_, times)| times) + 1));
            Self(at)
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        OWNERS.with_borrow_mut(|owners| {
            owners[self.0] =
                owners[self.0].filter(|(_, times)| *times > 1).map(|(me, times)| (me, times - 1));
        });
    }
}

/// Loom's own takes no `const` block.
#[cfg(nexus_loom)]
macro_rules! loom_thread_local {
    ($(#[$attribute:meta])* static $name:ident: $value:ty = const { $first:expr };) => {
        loom::thread_local! {
            $(#[$attribute])*
            static $name: $value = $first;
        }
    };
}

#[cfg(nexus_loom)]
pub(crate) use loom_thread_local as thread_local;
#[cfg(nexus_shuttle)]
pub(crate) use shuttle::thread_local;

macro_rules! scoped_thread_local {
    ($(#[$attribute:meta])* static $name:ident: $value:ty) => {
        $(#[$attribute])*
        static $name: $crate::sync::Scoped<$value> = {
            scoped_tls::scoped_thread_local!(static A: $value);
            scoped_tls::scoped_thread_local!(static B: $value);
            scoped_tls::scoped_thread_local!(static C: $value);
            scoped_tls::scoped_thread_local!(static D: $value);
            scoped_tls::scoped_thread_local!(static E: $value);
            scoped_tls::scoped_thread_local!(static F: $value);
            scoped_tls::scoped_thread_local!(static G: $value);
            scoped_tls::scoped_thread_local!(static H: $value);
            $crate::sync::Scoped([&A, &B, &C, &D, &E, &F, &G, &H])
        };
    };
}

pub(crate) use scoped_thread_local;
