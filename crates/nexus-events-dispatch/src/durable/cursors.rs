//! Where a consumer begins: its cursor, read from the store, and what a crash has left of it.

use std::collections::BTreeSet;

use super::consumer::Consumer;
use super::window::{Window, count_crash};
use super::{Durables, Start};
use crate::error::Result;
use crate::store::{
    Append, Cursor, Expected, Offset, Page, Read, Scan, Select, StoredEvent, space,
};
use crate::sync::{Arc, Ordering};

impl Consumer {
    /// Its place in the log, and what is to be handled of what it has seen.
    pub(super) async fn begin(&self, durables: &Arc<Durables>) -> Result<()> {
        let store = durables.store();
        let mut cursor = match store.get(space::CURSORS, self.name().as_bytes()).await? {
            Some(state) => Cursor::of(self.name(), &state.value)?,
            None => self.first(durables),
        };
        let marks = self.marks(durables).await?;
        let until = if cursor.open { cursor.delivered.max(cursor.seen) } else { cursor.seen };
        // What is stored while this reads is not passed over.
        let until = until.min(store.bounds().last);
        let mut events = Vec::new();
        // Each by itself: what was handled between them may be much more than fits into memory.
        for pending in &cursor.pending {
            events.extend(self.between(durables, pending.before(), *pending).await?);
        }
        events.extend(self.between(durables, cursor.seen, until).await?);
        events.retain(|stored| !marks.contains(&stored.offset));
        let offsets: Vec<Offset> = events.iter().map(|stored| stored.offset).collect();
        count_crash(&mut cursor, &offsets);
        let mut window = Window::of(&cursor);
        events.into_iter().for_each(|stored| window.take(stored));
        window.look_past(until);
        self.counts.redelivered.store(window.len() as u64, Ordering::Relaxed);
        let append = Append::new().cursor(self.name(), &window.cursor(true));
        let append = marks
            .iter()
            .fold(append, |append, offset| append.delete(space::HANDLED, self.mark(*offset)));
        *self.window.lock() = window;
        store.append(append).await?;
        self.ready.store(true, Ordering::SeqCst);
        self.progress.notify_waiters();
        Ok(())
    }

    /// Where it begins is in the store before any event that is published from now on: a crash
    /// before it gets to its first one must not let it begin after that.
    pub(super) fn begins_here(&self, durables: &Durables) {
        let first = self.first(durables).to_bytes();
        let append = Append::new();
        let append = append.put_if(Expected::Absent, space::CURSORS, self.name().as_str(), first);
        // It stands in line now. Where there is a cursor already it is refused, as it should be.
        drop(durables.store().append(append));
    }

    fn first(&self, durables: &Durables) -> Cursor {
        let bounds = durables.store().bounds();
        Cursor::at(match self.durable.start {
            Start::Latest => self.latest.max(bounds.first.before()),
            Start::Earliest => bounds.first.before(),
            Start::After(offset) => offset.min(bounds.last).max(bounds.first.before()),
        })
    }

    /// What handlers have committed as handled.
    async fn marks(&self, durables: &Durables) -> Result<BTreeSet<Offset>> {
        let prefix = self.prefix();
        let (mut marks, mut scan) =
            (BTreeSet::new(), Scan::of(space::HANDLED).prefix(prefix.clone()));
        loop {
            let entries = durables.store().scan(scan.clone()).await?;
            let Some(last) = entries.last() else { return Ok(marks) };
            scan.after = Some(last.key.clone());
            let offset = |key: &[u8]| key.get(prefix.len()..)?.try_into().ok();
            let offsets = entries.iter().filter_map(|entry| offset(&entry.key));
            marks.extend(offsets.map(u64::from_be_bytes).map(Offset::new));
        }
    }

    /// The events that it wants after one offset, up to another.
    async fn between(
        &self,
        durables: &Durables,
        after: Offset,
        until: Offset,
    ) -> Result<Vec<StoredEvent>> {
        let bounds = durables.store().bounds();
        let after = after.max(bounds.first.before());
        let (mut events, until) = (Vec::new(), until.min(bounds.last));
        let mut next =
            (after < until).then(|| Read::after(after).until(until).select(self.select()));
        while let Some(read) = next {
            let page: Page = durables.store().read(read).await?;
            events.extend(page.events);
            next = page.next;
        }
        Ok(events)
    }

    /// What it wants of the log.
    pub(super) fn select(&self) -> Select {
        let Some(front) = self.front() else { return Select::new() };
        Select::new().pattern(front.pattern.clone())
    }
}
