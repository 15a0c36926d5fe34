//! Firing what is due.

use nexus_events_model::Event;
use time::OffsetDateTime;
use tracing::warn;

use super::schedule::Misfire;
use super::stored::Scheduled;
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::durable::Durables;
use crate::error::{ErrorKind, Result};
use crate::limits::SCHEDULED_PAGE;
use crate::store::{Appended, Scan, StateEntry, space};
use crate::sync::Arc;

impl Bus {
    /// Fires what is due, in the order in which it is; when the next one is due.
    pub(super) async fn fire_due(
        &self,
        durables: &Arc<Durables>,
    ) -> Result<Option<OffsetDateTime>> {
        let mut scan = Scan::of(space::SCHEDULED).limit(SCHEDULED_PAGE);
        loop {
            let entries = durables.store().scan(scan.clone()).await?;
            let Some(last) = entries.last() else { return Ok(None) };
            scan.after = Some(last.key.clone());
            for entry in entries {
                let scheduled = match Scheduled::read(&entry.state.value) {
                    Ok(scheduled) => scheduled,
                    Err(error) => {
                        warn!(%error, "an event that is scheduled cannot be read, and stays");
                        continue;
                    }
                };
                if scheduled.due > self.now() {
                    return Ok(Some(scheduled.due));
                }
                if self.gate().is_closed() {
                    return Ok(None);
                }
                match self.fire(durables, &scheduled, &entry).await {
                    // This event alone is at fault, and is not to hold up those behind it.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::Invalid(_) | ErrorKind::TooLarge) =>
                    {
                        warn!(%error, "an event that is scheduled cannot be stored, and stays");
                    }
                    fired => fired?,
                }
            }
        }
    }

    async fn fire(
        &self,
        durables: &Arc<Durables>,
        scheduled: &Scheduled,
        entry: &StateEntry,
    ) -> Result<()> {
        let (plan, now) = (&self.0.plan, self.now());
        let version = entry.state.version;
        let is_late = match scheduled.misfire {
            Misfire::PublishOnce => false,
            Misfire::Skip { grace } => now - scheduled.due > grace,
        };
        if is_late {
            let taken = durables.store().append(scheduled.taken(version)).await;
            return unless_taken(taken).map(|taken| taken.map_or((), |_| plan.skipped()));
        }
        let event = scheduled.event.to_builder().timestamp(now).build()?;
        if !durables.persist.means(event.event_type()) {
            let taken = durables.store().append(scheduled.taken(version)).await;
            if unless_taken(taken)?.is_some() {
                plan.fired();
                self.dispatch_fired(durables, event);
            }
            return Ok(());
        }
        let entering = durables.enter(&event);
        let append = scheduled.take(durables.append_of(&event), version);
        match unless_taken(durables.store().append(append).await)? {
            None => plan.release(),
            Some(appended) if appended.duplicate => {
                // It was published by other means; what is left is not to fire.
                unless_taken(durables.store().append(scheduled.taken(version)).await)?;
                plan.skipped();
            }
            Some(appended) => {
                entering.stored(appended.first);
                plan.fired();
                self.dispatch_fired(durables, event);
            }
        }
        Ok(())
    }

    /// As a follow-up that nobody's handler has published.
    fn dispatch_fired(&self, durables: &Durables, event: Event) {
        let id = event.id().clone();
        match Delivery::first(self, event, None) {
            Ok(delivery) => self.hand_over(delivery),
            // It is in the log, for all who read that.
            Err(_) => durables.live.gone(&id),
        }
    }
}

/// `None` when somebody else has fired, moved or cancelled it meanwhile.
fn unless_taken(appended: Result<Appended>) -> Result<Option<Appended>> {
    match appended {
        Err(error) if error.kind() == ErrorKind::Conflict => Ok(None),
        appended => appended.map(Some),
    }
}
