//! Events that survive the program: written to a store before they are dispatched, and handled
//! from there.
//!
//! A publish passes the layers of the bus, then [`persist`] appends the event and dispatches it.
//! Handlers that are durable are not given it then: what stands for them in the registry rings
//! when their wave has come, and a [`consumer`] with a cursor takes the event from the log. So a
//! backlog is in the store and not in memory, there is one way whether a handler is behind or not,
//! and what a higher wave cancels is not handled.

mod batch;
mod commit;
mod consumer;
mod counted;
mod cursors;
mod doorbell;
mod feed;
mod in_turn;
mod live;
mod options;
mod persist;
mod registering;
mod subscribe;
mod trouble;
mod window;

pub use self::consumer::ConsumerStats;
pub(crate) use self::consumer::{Consumer, FromLog};
pub use self::options::{Durable, Persist, Start};
pub(crate) use self::persist::Persisting;
pub(crate) use self::subscribe::{front, lane, mode_of};
use crate::layers::DeadLetters;
use crate::store::EventStore;
use crate::sync::{Arc, Mutex};

use self::live::Live;

/// What a bus with a store has.
pub(crate) struct Durables {
    pub(crate) persist: Persist,
    pub(crate) letters: DeadLetters,
    /// Which events are on their way through the waves.
    pub(crate) live: Live,
    /// Those that read the log, and those whose name is taken for them.
    consumers: Mutex<Vec<Arc<Consumer>>>,
}

impl Durables {
    pub(crate) fn new(persist: Persist, letters: DeadLetters) -> Arc<Self> {
        let (live, consumers) = (Live::default(), Mutex::default());
        Arc::new(Self { persist, letters, live, consumers })
    }

    pub(crate) fn store(&self) -> &Arc<dyn EventStore> {
        &self.persist.store
    }
}
