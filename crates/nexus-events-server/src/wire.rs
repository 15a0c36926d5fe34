//! The one place where a bus, the streamer and the HTTP routes are put together.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use nexus_events_dispatch::{Bus, ShutdownReport};
use nexus_events_patterns::saga::Sagas;
use nexus_events_store::Store;
use nexus_events_stream::{StreamOptions, Streamer};
use tokio::sync::watch;

use crate::http;

/// A bus with everything around it: the streamer and the HTTP routes. Clones are the same.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_server::App;
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
/// let app = App::new(Bus::new())?;
/// let router: axum::Router = app.router();
/// app.shutdown(std::time::Duration::from_secs(1)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    bus: Bus,
    streamer: Streamer,
    sagas: Sagas,
    store: Option<Arc<Store>>,
    started: Instant,
    stopping: watch::Sender<bool>,
}

impl App {
    /// Puts a streamer and the routes around a bus, inside a tokio runtime.
    ///
    /// # Errors
    /// When the bus is shut down or has a streamer already.
    pub fn new(bus: Bus) -> Result<Self, nexus_events_stream::Error> {
        Self::with(bus, None)
    }

    /// The same around a bus whose store is this one: `POST /store/backup` copies it into a
    /// directory beside its file.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::Bus;
    /// use nexus_events_server::App;
    /// use nexus_events_store::Store;
    /// # let path = std::env::temp_dir().join(format!("nexus-app-{}", std::process::id()));
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = Arc::new(Store::open(&path)?);
    /// let bus = Bus::builder().store(store.clone()).open().await?;
    /// let app = App::with_store(bus, store)?;
    /// # app.shutdown(std::time::Duration::from_secs(1)).await;
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_store(bus: Bus, store: Arc<Store>) -> Result<Self, nexus_events_stream::Error> {
        Self::with(bus, Some(store))
    }

    fn with(bus: Bus, store: Option<Arc<Store>>) -> Result<Self, nexus_events_stream::Error> {
        let streamer = Streamer::new(&bus, StreamOptions::default())?;
        let sagas = Sagas::new(&bus);
        Ok(Self(Arc::new(Inner {
            bus,
            sagas,
            streamer,
            store,
            started: Instant::now(),
            stopping: watch::Sender::new(false),
        })))
    }

    /// The bus.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.0.bus
    }

    /// The sagas in the store of the bus; those whose definition is added can be cancelled and
    /// resumed over HTTP.
    #[must_use]
    pub fn sagas(&self) -> &Sagas {
        &self.0.sagas
    }

    /// The store in a file, when the bus has one that it was told of.
    pub(crate) fn file(&self) -> Option<&Arc<Store>> {
        self.0.store.as_ref()
    }

    pub(crate) fn streamer(&self) -> &Streamer {
        &self.0.streamer
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        *self.0.stopping.borrow()
    }

    /// Turns true when the server stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// The HTTP routes: `/events`, `/log`, `/consumers`, `/dead-letters`, `/scheduled`, `/replay`,
    /// `/sagas`, `/stats`, `/metrics`, `/healthz`, `/ws` and the console.
    pub fn router(&self) -> Router {
        http::router(self)
    }

    /// Closes the intake, lets queues and clients drain until the deadline, then stops both. A
    /// fifth of the time, and what the queues leave of theirs, is for the clients. The store of the
    /// bus stays open for whoever else uses it; [`EventStore::close`] it where nobody does.
    ///
    /// [`EventStore::close`]: nexus_events_dispatch::store::EventStore::close
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let begun = tokio::time::Instant::now();
        self.0.stopping.send_replace(true);
        let report = self.0.bus.shutdown(deadline * 4 / 5).await;
        self.0.streamer.shutdown(deadline.saturating_sub(begun.elapsed())).await;
        report
    }
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App").field("bus", &self.0.bus).finish_non_exhaustive()
    }
}
