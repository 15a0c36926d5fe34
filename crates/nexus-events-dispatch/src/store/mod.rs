//! The ports to a store: a log of events with state beside it, and [`MemoryStore`], the reference.
//!
//! An [`Append`] is one commit: events, changes of state, moves of cursors, all of it or nothing.
//! [`EventStore::read`] gives pages of the log in either direction, and a [`Follow`] goes from any
//! offset into what comes, without a gap and without giving anything twice.
//!
//! ```
//! use nexus_events_dispatch::store::{Append, EventStore, MemoryStore, Offset, Read, StateStore};
//! use nexus_events_model::Event;
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let store = MemoryStore::new();
//! let bus = nexus_events_dispatch::Bus::new();
//! let order = bus.stamp(Event::builder("order.created"))?;
//! let appended = store.append(Append::of(order).put("orders", "42", "open")).await?;
//! assert_eq!(appended.first, Offset::new(1));
//!
//! let page = store.read(Read::all()).await?;
//! assert_eq!(page.events[0].event.event_type(), "order.created");
//! assert_eq!(store.get("orders", b"42").await?.unwrap().value, b"open");
//! # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
//! ```
//!
//! # What an offset is
//!
//! Events have offsets 1, 2, 3 and so on, without a gap, in the order of their commits. An offset
//! is shown only when its event can no longer be lost to what the store promises to survive, so no
//! reader ever sees one offset with two events. A log that was emptied or restored counts anew, in
//! another [`Epoch`].
//!
//! # Ack levels
//!
//! [`Ack`] says what an append waits for. Whatever level it asks for, the commit goes to the disk.
//!
//! # A store of your own
//!
//! Implement [`EventStore`] and run `nexus_events_test::conformance::store` on it.

mod append;
mod cancelled;
mod cursor;
mod follow;
mod maintenance;
mod memory;
mod offset;
mod read;
mod select;

pub use self::append::{Ack, Append, Appended, Expected, KeyedEvent, StateWrite};
pub use self::cancelled::Cancelled;
pub use self::cursor::{Cursor, CursorInfo};
pub use self::follow::Follow;
pub use self::maintenance::{
    Capabilities, CloseReport, Damage, Held, Integrity, Progress, Retention, StoreStats, Trimmed,
};
pub use self::memory::MemoryStore;
pub use self::offset::{Bounds, Epoch, Offset};
pub use self::read::{Direction, Page, Read, Scan, StateEntry, StoredEvent, Versioned};
pub use self::select::Select;
use crate::error::Result;
use crate::handler::BoxFuture;

/// Names of the state that this crate keeps in a store, one per purpose. A name of your own must
/// not begin with `nexus.`.
///
/// ```
/// use nexus_events_dispatch::store::space;
/// assert!(space::CURSORS.starts_with("nexus."));
/// ```
pub mod space {
    /// Where readers of the log are: the name of a consumer to its [`Cursor`](super::Cursor).
    pub const CURSORS: &str = "nexus.cursors";
    /// Events that a consumer has handled beyond its cursor, in one commit with what it did.
    pub const HANDLED: &str = "nexus.handled";
    /// Events that a handler has given up.
    pub const DEAD_LETTERS: &str = "nexus.dead-letters";
    /// Events to be published later.
    pub const SCHEDULED: &str = "nexus.scheduled";
    /// Where in there they are, by event id.
    pub const SCHEDULED_IDS: &str = "nexus.scheduled-ids";
    /// Events of the log that a handler has cancelled, by offset.
    pub const CANCELLED: &str = "nexus.cancelled";
}

/// Named state with versions, changed by [`EventStore::append`] only. Object safe; futures are boxed.
///
/// ```
/// use nexus_events_dispatch::store::{Append, EventStore, MemoryStore, StateStore};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// store.append(Append::new().put("orders", "42", "open")).await?;
/// let states: &dyn StateStore = &store;
/// assert_eq!(states.get("orders", b"42").await?.unwrap().value, b"open");
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
pub trait StateStore: Send + Sync + 'static {
    /// The state under this key.
    ///
    /// # Errors
    /// Only those of every method.
    fn get<'a>(&'a self, space: &'a str, key: &'a [u8])
    -> BoxFuture<'a, Result<Option<Versioned>>>;

    /// State of neighbouring keys, in their order.
    ///
    /// # Errors
    /// Only those of every method.
    fn scan(&self, scan: Scan) -> BoxFuture<'_, Result<Vec<StateEntry>>>;
}

/// A log of events with state beside it. Object safe; futures are boxed.
///
/// # Errors
/// All methods: [`ErrorKind::Store`](crate::ErrorKind::Store) when the disk fails,
/// [`ErrorKind::Poisoned`](crate::ErrorKind::Poisoned) after it failed in a way that leaves unknown
/// what it holds, [`ErrorKind::Corrupt`](crate::ErrorKind::Corrupt) for damage that was found,
/// [`ErrorKind::Closed`](crate::ErrorKind::Closed) after [`close`](Self::close).
///
/// ```
/// use nexus_events_dispatch::store::{EventStore, MemoryStore};
/// let store: Box<dyn EventStore> = Box::new(MemoryStore::new());
/// assert!(store.bounds().is_empty());
/// ```
pub trait EventStore: StateStore {
    /// Commits events and changes of state: all or nothing. It stands in line when this is called,
    /// so two appends are committed in the order of their calls, and goes on when its future is
    /// dropped; only the answer is lost then.
    ///
    /// # Errors
    /// [`ErrorKind::Conflict`](crate::ErrorKind::Conflict) when something is not
    /// [as expected](Expected), [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) for more than
    /// [`Capabilities`] allow, [`ErrorKind::StoreFull`](crate::ErrorKind::StoreFull) when there is
    /// no room. Nothing of it is in the store then.
    fn append(&self, append: Append) -> BoxFuture<'_, Result<Appended>>;

    /// A page of the log.
    ///
    /// # Errors
    /// [`ErrorKind::Trimmed`](crate::ErrorKind::Trimmed) when it is to begin after an offset whose
    /// successor is no longer kept.
    fn read(&self, read: Read) -> BoxFuture<'_, Result<Page>>;

    /// Returns when there are events beyond this offset. Cancel safe.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) when there will be none.
    fn wait_past(&self, offset: Offset) -> BoxFuture<'_, Result<()>>;

    /// Which offsets can be read.
    fn bounds(&self) -> Bounds;

    /// How many events with this key there were: what [`Expected::Exact`] is held against.
    ///
    /// # Errors
    /// Only those of every method.
    fn key_version<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<u64>>;

    /// Removes the oldest events, as many as are beyond the bounds.
    ///
    /// # Errors
    /// Only those of every method.
    fn trim(&self, retention: Retention) -> BoxFuture<'_, Result<Trimmed>>;

    /// Gives the room of what was removed back to the disk; how many bytes.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) where
    /// [`Capabilities::compaction`] is not set.
    fn compact(&self, progress: Progress) -> BoxFuture<'_, Result<u64>>;

    /// Reads everything and compares it with its checksums. Damage is in the answer, not an error.
    ///
    /// # Errors
    /// Only those of every method.
    fn verify(&self, progress: Progress) -> BoxFuture<'_, Result<Integrity>>;

    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// Numbers for people and machines.
    fn stats(&self) -> StoreStats;

    /// Takes no more appends, commits those in line, and closes. A second call answers the same.
    ///
    /// # Errors
    /// When the last commit fails.
    fn close(&self) -> BoxFuture<'_, Result<CloseReport>>;
}
