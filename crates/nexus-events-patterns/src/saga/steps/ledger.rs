//! Writing down what becomes of steps while others of the same saga still run.

use nexus_events_dispatch::{Bus, ErrorKind as BusErrorKind, HandlerError};
use nexus_events_model::Event;
use tokio::sync::Mutex;

use super::super::change::append_of;
use super::super::conflicts::Conflicts;
use super::super::instance::{ACTIVE, Instance};
use super::super::machine::Reaction;
use crate::error::Error;

/// The saga as its running steps know it.
pub(super) struct Ledger<'a> {
    bus: &'a Bus,
    row: Mutex<Instance>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(bus: &'a Bus, saga: Instance) -> Self {
        Self { bus, row: Mutex::new(saga) }
    }

    pub(super) async fn row(&self) -> Instance {
        self.row.lock().await.clone()
    }

    pub(super) fn into_row(self) -> Instance {
        self.row.into_inner()
    }

    /// Changes the saga in a commit of its own; `false` when something else drives it by now.
    pub(super) async fn change(
        &self,
        change: impl Fn(&mut Instance),
        events: Vec<Event>,
    ) -> Result<bool, HandlerError> {
        let mut row = self.row.lock().await;
        let mut conflicts = Conflicts::new(0);
        loop {
            let mut after = row.clone();
            change(&mut after);
            after.changed = self.bus.now();
            let events = events.clone();
            let reaction =
                Reaction { instance: Some(after.clone()), events, ..Reaction::default() };
            let append = append_of(reaction).map_err(HandlerError::permanent)?;
            match self.bus.commit(append).await {
                Ok(appended) => {
                    after.stored = appended.version;
                    *row = after;
                    return Ok(true);
                }
                Err(error) if error.kind() == BusErrorKind::Conflict => {
                    let is_left = conflicts.pause().await;
                    let Some(now) = self.read(&row).await? else { return Ok(false) };
                    if !is_left {
                        return Err(error.into());
                    }
                    *row = now;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether the saga is still as it was when its steps began.
    pub(super) async fn is_up_to_date(&self) -> Result<bool, HandlerError> {
        let row = self.row.lock().await;
        let stored = self.stored(&row).await?;
        Ok(stored.is_some_and(|stored| stored.is_at_turn_of(&row)))
    }

    /// The saga as it is now, if the same event still drives it.
    async fn read(&self, row: &Instance) -> Result<Option<Instance>, HandlerError> {
        Ok(self.stored(row).await?.filter(|stored| stored.is_at_turn_of(row)))
    }

    async fn stored(&self, row: &Instance) -> Result<Option<Instance>, HandlerError> {
        let store = self.bus.store().ok_or_else(Error::no_store)?;
        let Some(stored) = store.get(ACTIVE, &row.row()).await? else { return Ok(None) };
        let read = Instance::read(&row.saga, &row.key, &stored);
        read.map(Some).map_err(HandlerError::permanent)
    }
}
