//! The server of Nexus events: events come in over HTTP, handlers run, clients watch over a
//! WebSocket or in the console.
//!
//! The binary is `nexus`: `nexus demo` replays a real week of events, `nexus serve` runs a
//! server, `nexus publish` and `nexus tail` talk to one. To put the same routes into a program of
//! your own, with your own handlers on the bus:
//!
//! ```no_run
//! use nexus_events_dispatch::Bus;
//! use nexus_events_model::Event;
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bus = Bus::new();
//! bus.on("order.*", |event: &Event| println!("{}", event.event_type()))?;
//! let socket = tokio::net::TcpListener::bind("127.0.0.1:7878").await?;
//! axum::serve(socket, nexus_events_server::app(&bus)?).await?;
//! # Ok(()) }
//! ```
//!
//! # Who should use this crate
//!
//! Programs that want the HTTP routes and the console. The facade, `nexus-events`, has the bus
//! and the streamer without them.
//!
//! # Who may connect
//!
//! Whoever reaches the socket may publish and read; bind to a loopback address unless something
//! in front checks who comes. A browser page from another origin is refused, and so is, on a
//! loopback address, a name that is not this machine's own.

pub mod limits;

mod cli;
mod commands;
mod config;
mod demo;
mod exit;
mod http;
mod keep;
mod output;
mod progress;
mod serving;
mod signals;
mod wire;

pub use crate::cli::Cli;
pub use crate::exit::{Exit, Failure};
pub use crate::output::colours;
pub use crate::wire::App;

/// The HTTP routes around a bus, to serve or to nest into other routes. Use [`App`] to shut the
/// streamer down in an orderly way.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let router: axum::Router = nexus_events_server::app(&Bus::new())?;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
///
/// # Errors
/// As [`App::new`].
pub fn app(bus: &nexus_events_dispatch::Bus) -> Result<axum::Router, nexus_events_stream::Error> {
    Ok(App::new(bus.clone())?.router())
}
