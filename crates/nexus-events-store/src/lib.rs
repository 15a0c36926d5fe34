//! The durable store of Nexus events: one file with a log of events and state beside it.
//!
//! What an append was told to be [`Synced`](nexus_events_dispatch::store::Ack::Synced) is there
//! after the process was killed, the system has crashed or the power was cut, on a disk that keeps
//! what it says it keeps. An append happens as a whole or not at all: its events, its state and the
//! cursors it moves are in one commit.
//!
//! ```
//! use nexus_events_dispatch::Bus;
//! use nexus_events_dispatch::store::{Append, EventStore, Read, StateStore};
//! use nexus_events_model::Event;
//! use nexus_events_store::Store;
//!
//! # let folder = std::env::temp_dir().join(format!("nexus-lib-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder).unwrap();
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let store = Store::open(folder.join("events.nexus"))?;
//! let order = Bus::new().stamp(Event::builder("order.created"))?;
//! store.append(Append::of(order).put("orders", "42", "open")).await?;
//!
//! assert_eq!(store.read(Read::all()).await?.events[0].event.event_type(), "order.created");
//! assert_eq!(store.get("orders", b"42").await?.unwrap().value, b"open");
//! # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
//! # std::fs::remove_dir_all(&folder).unwrap();
//! ```
//!
//! # Who should use this crate
//!
//! Programs whose events are to outlive them. The ports it implements, and what they promise, are
//! in `nexus_events_dispatch::store`.
//!
//! # How it is fast
//!
//! One thread writes. It takes all appends that wait, checks each, and commits them as one *frame*
//! with one sync, so a thousand publishers share what a sync costs. Lookups by type, source,
//! conversation and key are kept in memory for the newest events and written down once for every
//! 8,192 of them. The newest events are in memory as they are; followers at the head of the log
//! never wait for the disk.
//!
//! # What fsync means
//!
//! A write reaches the memory of the operating system, and the disk some time later. `fsync` asks
//! for it to be on the disk, and takes as long as the disk needs: a tenth of a millisecond to ten.
//! [`Ack`](nexus_events_dispatch::store::Ack) says what an append waits for:
//!
//! | Level | Answered when | A crash of the process | A loss of power |
//! |---|---|---|---|
//! | `Memory` | it was checked and has its offsets | loses it | loses it |
//! | `Buffered` | the operating system has it | keeps it | may lose it |
//! | `Synced` | the disk has it | keeps it | keeps it |
//!
//! All of them go to the disk in the order they came. Readers are shown what the disk has.
//!
//! # What a crash leaves
//!
//! A file with everything up to some commit, at least the last one that was answered as `Synced`,
//! and nothing of what came after it. The next one to open it reads it through once, compares it
//! with its checksums, and goes on.
//!
//! # When the disk fails
//!
//! After a write or a sync that failed nobody knows what the disk holds. The store then takes
//! nothing any more: all who wait, and all who come, are told
//! [`Poisoned`](nexus_events_dispatch::ErrorKind::Poisoned), and no sync is tried again, because
//! the second one may say yes to what the first one lost. Opened anew it shows all that was
//! answered. A full disk is no such failure: appends are refused as
//! [`StoreFull`](nexus_events_dispatch::ErrorKind::StoreFull) until there is room.
//!
//! Damage is found when it is read, and named with its offsets; the rest can be read. See
//! [`EventStore::verify`](nexus_events_dispatch::store::EventStore::verify) and [`Store::repair`].
//!
//! # What is assumed of the disk
//!
//! That a sync that returns is true. That bits which flip later are rare: they are found, and lost.
//! That the file is on a local file system with locks; those of a network may lie about both. A
//! sector that is written while the power fails may hold anything, its neighbours what they held.

pub mod limits;

mod backend;
mod builder;
mod bytes;
mod copy;
mod error;
mod frame;
mod happened;
mod log;
mod medium;
mod opening;
mod page;
mod postings;
mod queue;
mod rescue;
mod rows;
mod salvage;
mod schema;
mod shared;
mod states;
mod store;
mod tail;
mod verify;
mod writer;

pub use crate::builder::StoreBuilder;
pub use crate::medium::{Disk, FileMedium, Medium, Opening};
pub use crate::rescue::Repaired;
pub use crate::store::Store;
