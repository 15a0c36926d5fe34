//! A running server: a socket, the connections on it, and how they end.

mod accept;
mod connection;
mod refusal;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use nexus_events_dispatch::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::http;
use crate::limits::{CONNECTIONS_MAX, HEADERS_WAIT_MAX, SHUTDOWN_DEADLINE};
use crate::output::{counted, grouped};
use crate::wire::App;

/// How many connections, and how long they may say nothing.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    connections: usize,
    headers_wait: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { connections: CONNECTIONS_MAX, headers_wait: HEADERS_WAIT_MAX }
    }
}

/// How a server stopped.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// Whether all got through.
    pub(crate) clean: bool,
    /// What its store has for the next start, when it has one.
    pub(crate) kept: Option<Kept>,
    /// What kept the store from closing as it should.
    pub(crate) failed: Option<Error>,
}

/// What a store has for the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    events: u64,
    left: u64,
    letters: usize,
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kept {}; ", counted(self.events, "event"))?;
        match self.left {
            0 => f.write_str("none waits for a handler")?,
            left => write!(
                f,
                "up to {} wait for handlers and are handled at the next start",
                grouped(left)
            )?,
        }
        match self.letters {
            0 => Ok(()),
            letters => write!(f, "; {}", counted(letters as u64, "dead letter")),
        }
    }
}

/// A server that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) address: SocketAddr,
    app: App,
    stop: watch::Sender<bool>,
    connections: JoinHandle<()>,
}

impl Serving {
    pub(crate) fn start(app: App, socket: TcpListener) -> std::io::Result<Self> {
        Self::start_bounded(app, socket, Bounds::default())
    }

    fn start_bounded(app: App, socket: TcpListener, bounds: Bounds) -> std::io::Result<Self> {
        let address = socket.local_addr()?;
        let mut router = app.router();
        if address.ip().is_loopback() {
            router = http::guard::for_this_machine_only(router);
        }
        let stop = watch::Sender::new(false);
        let connections = accept::connections(socket, router, bounds, stop.subscribe());
        Ok(Self { address, app, stop, connections: tokio::spawn(connections) })
    }

    /// Where a browser finds it.
    pub(crate) fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(match address {
                SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
            });
        }
        format!("http://{address}")
    }

    /// Accepts nothing more, lets requests, queues and clients drain, then stops, all within
    /// [`SHUTDOWN_DEADLINE`]. Then the store is closed, whose last commit is waited for.
    pub(crate) async fn stop(self) -> Stopped {
        let Self { app, stop, mut connections, .. } = self;
        let end = Instant::now() + SHUTDOWN_DEADLINE;
        stop.send_replace(true);
        // The last tenth is for the answers to requests whose handlers were cut off.
        let drain = app.shutdown(SHUTDOWN_DEADLINE * 9 / 10);
        let drained = tokio::time::timeout_at(end, drain).await;
        let answered = tokio::time::timeout_at(end, &mut connections).await.is_ok();
        // Ends those that are left.
        connections.abort();
        let report = drained.ok();
        let left = report.map_or(0, |report| report.redelivered);
        let clean = report.is_some_and(|report| report.is_clean()) && answered;
        let Some(store) = app.bus().store() else {
            return Stopped { clean, kept: None, failed: None };
        };
        let failed = store.close().await.err();
        let letters = app.bus().dead_letters().map_or(0, |letters| letters.stats().letters);
        let kept = Kept { events: store.stats().events, left, letters };
        Stopped { clean, kept: Some(kept), failed }
    }
}

#[cfg(test)]
mod tests;
