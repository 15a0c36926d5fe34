//! A handler that records what it gets.

use std::sync::Arc;

use nexus_events_model::Event;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Records the events its handlers get. Clones share one record.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// use nexus_events_model::Event;
/// use nexus_events_test::Recorder;
/// let (bus, recorder) = (Bus::new(), Recorder::new());
/// bus.on("order.*", recorder.handler())?;
/// bus.try_publish(Event::builder("order.created").source("shop"))?;
/// assert_eq!(recorder.events()[0].source(), "shop");
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Recorder(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    events: Mutex<Vec<Event>>,
    changed: Notify,
}

impl Recorder {
    /// An empty record.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An inline handler that records each event.
    pub fn handler(&self) -> impl Fn(&Event) + Send + Sync + 'static + use<> {
        let record = self.clone();
        move |event: &Event| {
            record.0.events.lock().push(event.clone());
            record.0.changed.notify_waiters();
        }
    }

    /// What was recorded so far, in order.
    #[must_use]
    pub fn events(&self) -> Vec<Event> {
        self.0.events.lock().clone()
    }

    /// The types of what was recorded so far, in order.
    ///
    /// ```
    /// # use nexus_events_test::Recorder;
    /// assert!(Recorder::new().event_types().is_empty());
    /// ```
    #[must_use]
    pub fn event_types(&self) -> Vec<String> {
        self.0.events.lock().iter().map(|event| event.event_type().to_string()).collect()
    }

    /// How many events were recorded.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.events.lock().len()
    }

    /// Whether nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.0.events.lock().clear();
    }

    /// Waits until at least this many events are recorded.
    ///
    /// ```
    /// # use nexus_events_dispatch::Bus;
    /// # use nexus_events_model::Event;
    /// # use nexus_events_test::Recorder;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let (bus, recorder) = (Bus::new(), Recorder::new());
    /// bus.on("a", recorder.handler())?;
    /// tokio::spawn(async move { bus.publish(Event::builder("a")).await });
    /// recorder.wait_for(1).await;
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    pub async fn wait_for(&self, count: usize) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if self.len() >= count {
                return;
            }
            changed.await;
        }
    }
}
