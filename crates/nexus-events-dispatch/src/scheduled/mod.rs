//! Events published later: kept in the store of the bus until they are due, fired once.
//!
//! One commit takes an event from what is scheduled and appends it to the log, so it fires once
//! however often the program is restarted in between, and however many buses use the store. The
//! time of day says when it is due; waiting is done by tokio's timer, and never for longer than it
//! takes to notice that the clock was changed ([`CLOCK_CHECK`](crate::limits::CLOCK_CHECK)).

mod fire;
mod jump;
mod plan;
mod schedule;
mod stored;
mod timekeeper;

pub(crate) use self::plan::Plan;
pub use self::plan::ScheduledStats;
pub use self::schedule::{Misfire, Schedule};
pub use self::stored::{Scheduled, ScheduledFilter, ScheduledId};
pub(crate) use self::timekeeper::Timekeeper;

use std::time::Duration;

use nexus_events_model::IntoEvent;
use time::OffsetDateTime;

use crate::bus::Bus;
use crate::context::Context;
use crate::durable::Durables;
use crate::error::{Error, ErrorKind, Result};
use crate::store::{Append, EventStore, Scan, space};
use crate::sync::Arc;

impl Bus {
    /// Publishes an event at this time, or at once if that is past. It is kept in the store until
    /// then and survives the program.
    ///
    /// It passes no layer of the bus. Its id is made now if it has none, its timestamp is the time
    /// at which it fires; scheduled inside a handler it inherits the conversation.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use nexus_events_dispatch::{Bus, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// let tomorrow = bus.now() + Duration::from_secs(24 * 3600);
    /// let id = bus.publish_at(Event::builder("invoice.due").id("evt-1"), tomorrow).await?;
    /// assert_eq!((id.to_string(), bus.scheduled_stats().waiting), ("evt-1".to_owned(), 1));
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the bus has no store; [`ErrorKind::NoRuntime`] when it was
    /// opened in a runtime without timer; [`ErrorKind::Invalid`] for a malformed event;
    /// [`ErrorKind::Conflict`] when one with this id is scheduled already;
    /// [`ErrorKind::Overloaded`] when 100,000 are; [`ErrorKind::Closed`] after a shutdown; those of
    /// the store.
    pub async fn publish_at(
        &self,
        event: impl IntoEvent,
        time: OffsetDateTime,
    ) -> Result<ScheduledId> {
        self.schedule(event, Schedule::at(time)).await
    }

    /// The same after so much time.
    ///
    /// # Errors
    /// As [`publish_at`](Self::publish_at), and [`ErrorKind::InvalidOption`] for a time that no
    /// calendar has.
    pub async fn publish_after(
        &self,
        event: impl IntoEvent,
        after: Duration,
    ) -> Result<ScheduledId> {
        self.schedule(event, Schedule::after(after)).await
    }

    /// As [`publish_at`](Self::publish_at), with what happens if it is late.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use nexus_events_dispatch::{Bus, Misfire, Schedule, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// let soon = Schedule::after(Duration::from_secs(5)).misfire(Misfire::Skip { grace: Duration::from_secs(60) });
    /// bus.schedule(Event::builder("tea.ready"), soon).await?;
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`publish_after`](Self::publish_after).
    pub async fn schedule(&self, event: impl IntoEvent, schedule: Schedule) -> Result<ScheduledId> {
        let durables = self.schedules()?;
        if self.gate().is_closed() {
            return Err(Error::closed());
        }
        let now = self.now();
        let event = self.stamp(event)?;
        let event = match Context::current(self) {
            Some(context) => context.delivery().adopt(event)?,
            None => event,
        };
        let scheduled = Scheduled::new(event, schedule.due(now)?, now, schedule.misfire)?;
        let plan = &self.0.plan;
        plan.reserve(durables).await?;
        let append = scheduled.put(Append::new().ack(durables.persist.ack));
        if let Err(error) = durables.store().append(append).await {
            plan.release();
            return Err(match error.kind() {
                ErrorKind::Conflict => scheduled.is_there_already(),
                _ => error,
            });
        }
        plan.wake();
        Ok(scheduled.id)
    }

    /// What is scheduled and matches, in the order in which it is due, a page of it.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use nexus_events_dispatch::{Bus, ScheduledFilter, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// bus.publish_after(Event::builder("b"), Duration::from_secs(20)).await?;
    /// bus.publish_after(Event::builder("a"), Duration::from_secs(10)).await?;
    /// let page = bus.scheduled(&ScheduledFilter::new().limit(1)).await?;
    /// assert_eq!(page[0].event.event_type(), "a");
    /// let page = bus.scheduled(&ScheduledFilter::new().after(&page[0])).await?;
    /// assert_eq!(page[0].event.event_type(), "b");
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the bus has no store; those of the store;
    /// [`ErrorKind::Corrupt`] for one that cannot be read.
    pub async fn scheduled(&self, filter: &ScheduledFilter) -> Result<Vec<Scheduled>> {
        let store = self.schedules()?.store();
        let (mut page, mut scan) = (Vec::new(), Scan::of(space::SCHEDULED));
        scan.after.clone_from(&filter.after);
        while page.len() < filter.limit {
            let entries = store.scan(scan.clone()).await?;
            let Some(last) = entries.last() else { break };
            scan.after = Some(last.key.clone());
            for entry in &entries {
                let scheduled = Scheduled::read(&entry.state.value)?;
                if filter.means(&scheduled) && page.len() < filter.limit {
                    page.push(scheduled);
                }
            }
        }
        Ok(page)
    }

    /// Takes one back; what it was.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use nexus_events_dispatch::{Bus, ErrorKind, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// let id = bus.publish_after(Event::builder("a"), Duration::from_secs(10)).await?;
    /// bus.cancel_scheduled(&id).await?;
    /// assert_eq!(bus.cancel_scheduled(&id).await.unwrap_err().kind(), ErrorKind::UnknownScheduled);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownScheduled`] when it has fired or was cancelled;
    /// [`ErrorKind::Unsupported`] when the bus has no store; those of the store, then it stays.
    pub async fn cancel_scheduled(&self, id: &ScheduledId) -> Result<Scheduled> {
        let scheduled = self.change(id, |scheduled, taken| (taken, scheduled)).await?;
        self.0.plan.cancelled();
        Ok(scheduled)
    }

    /// Moves one to another time; it keeps its id.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use nexus_events_dispatch::{Bus, ScheduledFilter, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// let id = bus.publish_after(Event::builder("a"), Duration::from_secs(10)).await?;
    /// let tomorrow = bus.now() + Duration::from_secs(24 * 3600);
    /// let moved = bus.reschedule(&id, tomorrow).await?;
    /// assert_eq!(bus.scheduled(&ScheduledFilter::new()).await?, [moved]);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`cancel_scheduled`](Self::cancel_scheduled).
    pub async fn reschedule(&self, id: &ScheduledId, time: OffsetDateTime) -> Result<Scheduled> {
        let moved = self
            .change(id, |scheduled, taken| {
                let moved = scheduled.moved_to(time);
                (moved.put(taken), moved)
            })
            .await?;
        self.0.plan.wake();
        Ok(moved)
    }

    /// How many are scheduled, and what became of others on this bus.
    ///
    /// ```
    /// use nexus_events_dispatch::Bus;
    /// assert_eq!(Bus::new().scheduled_stats().waiting, 0);
    /// ```
    #[must_use]
    pub fn scheduled_stats(&self) -> ScheduledStats {
        self.0.plan.stats()
    }

    /// Changes one that is there, whoever else is at it.
    async fn change(
        &self,
        id: &ScheduledId,
        change: impl Fn(Scheduled, Append) -> (Append, Scheduled),
    ) -> Result<Scheduled> {
        let store = self.schedules()?.store();
        loop {
            let (scheduled, version) = find(&**store, id).await?;
            let (append, changed) = change(scheduled.clone(), scheduled.taken(version));
            match store.append(append).await {
                // Somebody was faster.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                appended => return appended.map(|_| changed),
            }
        }
    }

    fn schedules(&self) -> Result<&Arc<Durables>> {
        let message = "the bus has no store, so nothing can be scheduled; add `.store(..)` to `Bus::builder()`";
        self.durables().ok_or_else(|| Error::new(ErrorKind::Unsupported, message))
    }
}

async fn find(store: &dyn EventStore, id: &ScheduledId) -> Result<(Scheduled, u64)> {
    if let Some(key) = store.get(space::SCHEDULED_IDS, id.to_string().as_bytes()).await?
        && let Some(state) = store.get(space::SCHEDULED, &key.value).await?
    {
        return Ok((Scheduled::read(&state.value)?, state.version));
    }
    let message = format!(
        "nothing is scheduled as `{id}`: it has fired, was cancelled, or never was; `scheduled` lists those that are there"
    );
    Err(Error::new(ErrorKind::UnknownScheduled, message))
}
