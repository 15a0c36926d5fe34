//! What a store in memory keeps, and what it removes.

use nexus_events_model::Text;
use time::OffsetDateTime;

use super::state::State;
use crate::error::Result;
use crate::store::cursor::{Cursor, CursorInfo};
use crate::store::maintenance::{Held, Retention, Trimmed};
use crate::store::offset::Offset;
use crate::store::read::{StoredEvent, Versioned};
use crate::store::space;

/// The oldest events that are beyond the bounds.
pub(super) struct Cut {
    /// How many they are.
    surplus: u64,
    /// How many of them can go.
    pub(super) free: u64,
    /// All cursors; none of them is read when nothing is beyond the bounds.
    cursors: Vec<CursorInfo>,
}

impl Cut {
    fn last_cursor(&self) -> Option<&CursorInfo> {
        self.cursors.iter().min_by_key(|info| info.cursor.acked)
    }
}

impl State {
    /// Gives back what it has done, and the events that it has removed.
    pub(super) fn trim(
        &mut self,
        retention: Retention,
        now: OffsetDateTime,
    ) -> Result<(Trimmed, Vec<StoredEvent>)> {
        let cut = self.cut(retention, now)?;
        let first = self.first;
        let removed = self.remove(cut.free);
        let mut trimmed = Trimmed { events: cut.free, ..Trimmed::nothing(self.first) };
        if let Some(last) = cut.last_cursor().filter(|_| cut.free < cut.surplus) {
            trimmed.held = Some((cut.surplus - cut.free, last.consumer.clone()));
        }
        let lost = |info: &CursorInfo| {
            let from = info.cursor.acked.next().max(first).number();
            let lost = self.first.number().saturating_sub(from);
            (lost > 0).then(|| (info.consumer.clone(), lost))
        };
        trimmed.lost = cut.cursors.iter().filter_map(lost).collect();
        Ok((trimmed, removed))
    }

    pub(super) fn cut(&self, retention: Retention, now: OffsetDateTime) -> Result<Cut> {
        let surplus = self.surplus(retention, now);
        if surplus == 0 {
            return Ok(Cut { surplus, free: 0, cursors: Vec::new() });
        }
        let mut cut = Cut { surplus, free: surplus, cursors: self.cursors()? };
        if let Some(last) = cut.last_cursor().filter(|_| retention.held == Held::Keep) {
            let passed = last.cursor.acked.next().number().saturating_sub(self.first.number());
            cut.free = surplus.min(passed);
        }
        Ok(cut)
    }

    /// Removes the oldest events and gives them back.
    pub(super) fn remove(&mut self, count: u64) -> Vec<StoredEvent> {
        let removed: Vec<StoredEvent> = self.events.drain(..count as usize).collect();
        self.bytes -= self.sizes.drain(..count as usize).sum::<u64>();
        self.first = Offset::new(self.first.number() + count);
        removed
    }

    /// How many of the oldest events are beyond the bounds.
    fn surplus(&self, retention: Retention, now: OffsetDateTime) -> u64 {
        let (mut events, mut bytes, mut surplus) = (self.events.len() as u64, self.bytes, 0);
        for (stored, size) in self.events.iter().zip(&self.sizes) {
            let too_many = retention.events_max.is_some_and(|most| events > most);
            let too_big = retention.bytes_max.is_some_and(|most| bytes > most);
            let too_old = retention.age_max.is_some_and(|longest| now - stored.recorded > longest);
            if !(too_many || too_big || too_old) {
                break;
            }
            events -= 1;
            bytes -= size;
            surplus += 1;
        }
        surplus
    }

    fn cursors(&self) -> Result<Vec<CursorInfo>> {
        let from = (Text::from_static(space::CURSORS), Vec::new());
        let entries = self.state.range(from..);
        let entries = entries.take_while(|((space, _), _)| *space == space::CURSORS);
        let cursor = |((_, key), state): (&(Text, Vec<u8>), &Versioned)| {
            let consumer = String::from_utf8_lossy(key).into_owned();
            Ok(CursorInfo { cursor: Cursor::of(&consumer, &state.value)?, consumer })
        };
        entries.map(cursor).collect()
    }
}
