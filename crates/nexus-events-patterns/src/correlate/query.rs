//! Where the events of a tree come from: the history, and the store behind it.

use std::collections::HashSet;

use nexus_events_dispatch::Bus;
use nexus_events_dispatch::store::{EventStore, Read, Select};
use nexus_events_model::{CorrelationId, Event, EventId};

use super::tree::CausationTree;
use crate::error::Result;
use crate::limits::{TREE_EVENTS_MAX, TREE_SCANNED_MAX};

impl CausationTree {
    /// The conversation under this id, from the store and the history of a bus; the first 10,000
    /// events of it.
    ///
    /// # Errors
    /// [`ErrorKind::Bus`](crate::ErrorKind::Bus) when the store cannot be read.
    pub async fn of_correlation(bus: &Bus, id: &CorrelationId) -> Result<Self> {
        let mut found = Found::default();
        if let Some(store) = bus.store() {
            found.read(&**store, Select::new().correlation_id(id.to_string())).await?;
        }
        let history = bus.history(usize::MAX, None);
        let belongs = |event: &&Event| event.correlation_id() == Some(id);
        history.iter().filter(belongs).for_each(|event| found.add(event));
        Ok(found.tree())
    }

    /// The conversation of this event; `None` when neither history nor store has it, or it is
    /// further back in the log than a million events. An event that belongs to no conversation has
    /// around it what the history knows to have led to it, and what it led to.
    ///
    /// # Errors
    /// [`ErrorKind::Bus`](crate::ErrorKind::Bus) when the store cannot be read.
    pub async fn of_event(bus: &Bus, id: &EventId) -> Result<Option<Self>> {
        let history = bus.history(usize::MAX, None);
        let event = match (history.iter().find(|event| event.id() == id), bus.store()) {
            (Some(event), _) => Some(event.clone()),
            (None, Some(store)) => find(&**store, id).await?,
            (None, None) => None,
        };
        let Some(event) = event else { return Ok(None) };
        match event.correlation_id() {
            Some(id) => Self::of_correlation(bus, id).await.map(Some),
            None => Ok(Some(around(event, &history))),
        }
    }
}

/// Events that were found so far.
#[derive(Default)]
struct Found {
    events: Vec<Event>,
    ids: HashSet<EventId>,
    truncated: bool,
}

impl Found {
    fn add(&mut self, event: &Event) {
        if self.ids.contains(event.id()) {
            return;
        }
        if self.events.len() == TREE_EVENTS_MAX {
            self.truncated = true;
            return;
        }
        self.ids.insert(event.id().clone());
        self.events.push(event.clone());
    }

    async fn read(&mut self, store: &dyn EventStore, select: Select) -> Result<()> {
        let mut next = Some(Read::all().select(select));
        while let Some(read) = next.take().filter(|_| !self.truncated) {
            let page = store.read(read).await?;
            page.events.iter().for_each(|stored| self.add(&stored.event));
            next = page.next;
        }
        Ok(())
    }

    fn tree(self) -> CausationTree {
        let mut tree = CausationTree::build(self.events);
        tree.truncated = self.truncated;
        tree
    }
}

/// Looks through a log from its end.
async fn find(store: &dyn EventStore, id: &EventId) -> Result<Option<Event>> {
    let (mut next, mut scanned) = (Some(Read::all().backward()), 0);
    while let Some(read) = next.take().filter(|_| scanned < TREE_SCANNED_MAX) {
        let page = store.read(read).await?;
        scanned += page.events.len();
        if let Some(found) = page.events.iter().find(|stored| stored.event.id() == id) {
            return Ok(Some(found.event.clone()));
        }
        next = page.next;
    }
    Ok(None)
}

/// What is tied to an event by causes alone.
fn around(event: Event, history: &[Event]) -> CausationTree {
    let all = CausationTree::build(history.iter().cloned().chain([event.clone()]));
    let Some(place) = all.find(event.id()) else { return all };
    let first = all.path_to(place).first().map(|event| event.id().clone());
    let start = first.and_then(|first| all.find(&first)).unwrap_or(place);
    let depth = all.nodes()[start].depth();
    let below = all.nodes()[start + 1..].iter().take_while(|node| node.depth() > depth);
    let mut found = Found::default();
    found.add(all.nodes()[start].event());
    below.for_each(|node| found.add(node.event()));
    found.tree()
}
