//! A replay on its way.

use std::collections::BTreeMap;

use super::pace::Recorded;
use super::range::Replay;
use super::report::{ReplayEnd, ReplayedRange};
use crate::bus::{Bus, with_timer};
use crate::context::Context;
use crate::entrance::before;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::READ_EVENTS_DEFAULT;
use crate::route::Route;
use crate::store::{Cancelled, EventStore, Offset, Page, Read, StoredEvent};
use crate::sync::{Arc, Handle, Instant, sleep_until};

impl Bus {
    /// Gives a part of the log to handlers again, one event after the other, each when all handlers
    /// are done with the one before. Handlers see that it is a [replay](Context::is_replay).
    ///
    /// Nothing is stored again, no layer of the bus is asked, and the history does not change. What
    /// was [cancelled](Context::cancel) when it was published is not given to the handlers that did
    /// not get it then. Durable handlers get events too, and where they are in the log does not
    /// change. What handlers publish is published. When the future is dropped, no other event is
    /// given.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use nexus_events_dispatch::{Bus, HandlerExt, Replay, store::MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// for amount in [5, 7] {
    ///     bus.publish(Event::builder("order.created").payload(serde_json::json!(amount))).await?;
    /// }
    /// bus.on("order.*", (|_: &Event| {}).named("report"))?;
    /// let report = bus.replay(Replay::all().to_handler("report")).await?;
    /// assert_eq!((report.events, report.total.handled, report.last.number()), (2, 2, 2));
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when the bus has no store; [`ErrorKind::InvalidOption`] for a pace
    /// out of its range, [`ErrorKind::NoRuntime`] for one in a runtime without timer; [`ErrorKind::UnknownHandler`]; [`ErrorKind::WouldWait`] from inside that
    /// very handler, or one that it waits for; [`ErrorKind::Trimmed`] when what it is to begin with
    /// is no longer kept. What fails after the first event is in [`ReplayedRange::end`].
    pub async fn replay(&self, replay: Replay) -> Result<ReplayedRange> {
        replay.pace.check()?;
        if replay.pace.waits() {
            with_timer(Handle::try_current().map_err(|_| Error::no_runtime())?)?;
        }
        let message = "the bus has no store, so there is no log to replay; add `.store(..)` to `Bus::builder()`";
        let store = self.store().ok_or_else(|| Error::new(ErrorKind::Unsupported, message))?;
        if let Some(name) = &replay.handler {
            self.target(name)?;
        }
        let last = store.bounds().last;
        let until = replay.until.map_or(last, |until| until.min(last));
        let mut run = Run {
            bus: self,
            store: &**store,
            recorded: Recorded::default(),
            report: ReplayedRange::new(replay.after, until),
            began: Instant::now(),
            replay,
        };
        match run.all().await {
            Ok(()) => {}
            Err(error) if run.report.events == 0 => return Err(error),
            Err(error) => run.report.end = ReplayEnd::Failed(error),
        }
        Ok(run.report)
    }

    fn target(&self, name: &str) -> Result<Arc<Entry>> {
        let entry = self.0.registry.find(name).ok_or_else(|| Error::unknown_handler(name))?;
        match Context::is_within(self, entry.id) {
            true => Err(Error::waits_for_itself(name)),
            false => Ok(entry),
        }
    }
}

struct Run<'a> {
    bus: &'a Bus,
    store: &'a dyn EventStore,
    replay: Replay,
    recorded: Recorded,
    report: ReplayedRange,
    began: Instant,
}

impl Run<'_> {
    async fn all(&mut self) -> Result<()> {
        let (after, until) = (self.replay.after, self.report.until);
        if after >= until {
            return Ok(());
        }
        let select = self.replay.select.clone();
        let first = Read::after(after).until(until).select(select).events(READ_EVENTS_DEFAULT);
        let mut next = Some(first);
        while let Some(read) = next {
            let Page { events, next: then, .. } = self.store.read(read).await?;
            let cancelled = self.cancelled(&events).await?;
            for stored in events {
                if !self.wait_for(&stored).await {
                    self.report.end = ReplayEnd::Stopped;
                    return Ok(());
                }
                let offset = stored.offset;
                self.give(stored, cancelled.get(&offset)).await?;
                self.done(offset);
            }
            // What is left of the page was not selected.
            self.report.last = then.as_ref().map_or(until, |then| then.after);
            next = then;
        }
        Ok(())
    }

    async fn cancelled(&self, events: &[StoredEvent]) -> Result<BTreeMap<Offset, Cancelled>> {
        match (events.first(), events.last()) {
            (Some(first), Some(last)) => {
                Cancelled::between(self.store, first.offset, last.offset).await
            }
            _ => Ok(BTreeMap::new()),
        }
    }

    /// Waits for the turn of an event; `false` when there is none any more.
    async fn wait_for(&mut self, stored: &StoredEvent) -> bool {
        let stop = &self.replay.stop;
        let pace = self.replay.pace;
        let recorded = self.recorded.since_first(stored.recorded);
        if pace.waits() && !self.replay.dry_run && !stop.is_stopped() {
            let after = pace.after(self.report.events, recorded);
            // One that never comes is waited for as long as that.
            match self.began.checked_add(after) {
                Some(turn) => drop(before(sleep_until(turn), stop.stopped()).await),
                None => stop.stopped().await,
            }
        }
        !stop.is_stopped()
    }

    async fn give(&mut self, stored: StoredEvent, cancelled: Option<&Cancelled>) -> Result<()> {
        let entries = self.entries(&stored)?;
        let is_cancelled = |entry: &&Arc<Entry>| {
            cancelled.is_some_and(|cancelled| cancelled.priority > entry.priority.number())
        };
        let (without, with): (Vec<_>, Vec<_>) = entries.iter().partition(is_cancelled);
        without.iter().for_each(|entry| self.report.count(&entry.name, |it| it.cancelled += 1));
        if self.replay.dry_run {
            for entry in with {
                let accepts = entry.accepts(&stored.event);
                self.report.count(&entry.name, |counts| match accepts {
                    true => counts.handled += 1,
                    false => counts.skipped += 1,
                });
            }
            return Ok(());
        }
        if self.bus.gate().is_closed() {
            return Err(Error::closed());
        }
        if with.is_empty() {
            return Ok(());
        }
        let route = Route::new(with.into_iter().cloned().collect());
        let given = self.bus.give_again(stored.event, route).await?;
        given.outcomes.iter().for_each(|outcome| self.report.outcome(outcome));
        Ok(())
    }

    /// Who is to have it.
    fn entries(&self, stored: &StoredEvent) -> Result<Vec<Arc<Entry>>> {
        let event_type = stored.event.event_type();
        if let Some(name) = &self.replay.handler {
            let entry = self.bus.target(name)?;
            let wants = entry.pattern.matches(event_type);
            return Ok(if wants { vec![entry] } else { Vec::new() });
        }
        let route = self.bus.route(event_type);
        Ok(route.iter().map(|entry| self.bus.0.registry.behind(entry)).collect())
    }

    fn done(&mut self, offset: Offset) {
        self.report.events += 1;
        self.report.last = offset;
        if let Some(tell) = &self.replay.progress {
            tell(&self.report);
        }
    }
}
