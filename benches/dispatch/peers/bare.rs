//! Loops written by hand: the least a dispatch can cost. Each once with our event, stamped by a
//! bus, and once with the lean one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, RwLock};

use arc_swap::ArcSwap;
use nexus_events_model::Event;

use crate::carried::{Carried, LeanEvent, OurEvent};
use crate::event::Lean;
use crate::inline::{Inline, Peer};
use crate::source::Source;

type Handlers<E> = Vec<Box<dyn Fn(&E) + Send + Sync>>;

/// How the handlers are kept and called.
trait Keep<E>: Send + Sync + 'static {
    fn new(handlers: usize, handler: fn(&E)) -> Self;
    fn call(&self, event: &E);
}

struct Loop<M, K> {
    make: M,
    keep: K,
}

impl<M: Carried, K: Keep<M::Event>> Inline for Loop<M, K> {
    fn publish(&self, source: Source, _: usize) {
        for given in source {
            let event = self.make.make(given);
            self.keep.call(&event);
        }
    }
}

pub(crate) fn peers() -> Vec<Peer> {
    let mut peers = Vec::new();
    macro_rules! pair {
        ($name:literal, $keep:ident) => {
            peers.push(peer::<OurEvent, $keep<Event>>(concat!($name, ", our event")));
            peers.push(peer::<LeanEvent, $keep<Lean>>(concat!($name, ", lean event")));
        };
    }
    pair!("bare loop", Plain);
    pair!("loop with catch_unwind", Contained);
    pair!("arc_swap load", Swapped);
    pair!("RwLock held", Locked);
    pair!("RwLock and list cloned", Cloned);
    peers
}

fn peer<M: Carried, K: Keep<M::Event>>(name: &'static str) -> Peer {
    Peer {
        name,
        start: |handlers| Box::new(Loop { make: M::new(), keep: K::new(handlers, M::handle) }),
        runs: |handlers| handlers,
    }
}

fn list<E: 'static>(handlers: usize, handler: fn(&E)) -> Handlers<E> {
    (0..handlers).map(|_| Box::new(move |event: &E| handler(event)) as _).collect()
}

struct Plain<E>(Handlers<E>);

impl<E: 'static> Keep<E> for Plain<E> {
    fn new(handlers: usize, handler: fn(&E)) -> Self {
        Self(list(handlers, handler))
    }

    fn call(&self, event: &E) {
        self.0.iter().for_each(|handler| handler(event));
    }
}

struct Contained<E>(Handlers<E>);

impl<E: 'static> Keep<E> for Contained<E> {
    fn new(handlers: usize, handler: fn(&E)) -> Self {
        Self(list(handlers, handler))
    }

    fn call(&self, event: &E) {
        for handler in &self.0 {
            let _ = catch_unwind(AssertUnwindSafe(|| handler(event)));
        }
    }
}

struct Swapped<E>(ArcSwap<Handlers<E>>);

impl<E: 'static> Keep<E> for Swapped<E> {
    fn new(handlers: usize, handler: fn(&E)) -> Self {
        Self(ArcSwap::from_pointee(list(handlers, handler)))
    }

    fn call(&self, event: &E) {
        self.0.load().iter().for_each(|handler| handler(event));
    }
}

/// Common, and wrong: a handler that subscribes waits for itself.
struct Locked<E>(RwLock<Handlers<E>>);

impl<E: 'static> Keep<E> for Locked<E> {
    fn new(handlers: usize, handler: fn(&E)) -> Self {
        Self(RwLock::new(list(handlers, handler)))
    }

    fn call(&self, event: &E) {
        let handlers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        handlers.iter().for_each(|handler| handler(event));
    }
}

type Shared<E> = Vec<Arc<dyn Fn(&E) + Send + Sync>>;

struct Cloned<E>(RwLock<Shared<E>>);

impl<E: 'static> Keep<E> for Cloned<E> {
    fn new(handlers: usize, handler: fn(&E)) -> Self {
        let handler = |_| Arc::new(move |event: &E| handler(event)) as _;
        Self(RwLock::new((0..handlers).map(handler).collect()))
    }

    fn call(&self, event: &E) {
        let handlers = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        handlers.iter().for_each(|handler| handler(event));
    }
}
