//! The WebSocket streamer of Nexus events: clients subscribe over a socket and see the events of
//! a bus.
//!
//! ```
//! use nexus_events_dispatch::Bus;
//! use nexus_events_stream::{StreamOptions, Streamer};
//!
//! let bus = Bus::new();
//! let streamer = Streamer::new(&bus, StreamOptions::new())?;
//! let app: axum::Router = streamer.router(); // serve it with axum::serve; clients come to /ws
//! # Ok::<(), nexus_events_stream::Error>(())
//! ```
//!
//! A client, here in a browser:
//!
//! ```js
//! const socket = new WebSocket("ws://localhost:8080/ws");
//! socket.onopen = () => socket.send(JSON.stringify({
//!     type: "subscribe", event_types: ["order.*"], filters: {priority: "high"},
//! }));
//! socket.onmessage = ({data}) => console.log(JSON.parse(data).event);
//! ```
//!
//! `docs/wire-protocol.md` has every message.
//!
//! # Who should use this crate
//!
//! Most programs want the facade, `nexus-events`, with its feature `stream`. Come here to put the
//! streamer into an axum server of your own.
//!
//! # What a client sees
//!
//! Every event that reached the end of the bus, in the order it got there, once for each of the
//! client's subscriptions that wants it; so not an event that a handler cancelled. After the reply
//! to an unsubscribe there is nothing more from that subscription.
//!
//! # Slow clients
//!
//! Every client has a queue of its own (4,096 messages, 1 MiB), and the bus only ever puts in.
//! When a queue is full, that client alone is disconnected with code 1013, because a gap it
//! cannot see would be worse. One that reads nothing for 10 seconds is disconnected too. Both
//! show in [`StreamStats`], with the messages that were dropped.
//!
//! # Cost
//!
//! An event is encoded when the first subscription wants it, once for all; an event nobody wants
//! costs one look into an index. What waits is written in one go and flushed once. While
//! clients are written to very often, all together, each of them is written to once in a
//! millisecond or two ([`StreamOptions::write_pause`]), so that there is something left of the
//! machine.
//!
//! # Shutdown
//!
//! [`Streamer::shutdown`] lets queues drain, closes with code 1001 and reports who was cut off.

pub mod limits;

mod allowance;
mod client;
mod close_code;
mod error;
mod heartbeat;
mod options;
mod origin;
mod pause;
mod protocol;
mod queue;
mod route;
mod session;
mod stats;
mod streamer;
mod subscriptions;

pub use crate::close_code::CloseReason;
pub use crate::error::{Error, ErrorKind, Result, Status};
pub use crate::options::StreamOptions;
pub use crate::stats::StreamStats;
pub use crate::streamer::{StreamShutdownReport, Streamer};
