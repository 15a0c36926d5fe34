//! Pages of the log.

use super::state::State;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::READ_SCAN_EVENTS;
use crate::store::offset::Offset;
use crate::store::read::{Direction, Page, Read, StoredEvent};

/// Events that a read may be about, in its order.
pub(super) struct Part {
    events: Vec<StoredEvent>,
    /// Whether the read is about events beyond these, too.
    is_cut: bool,
}

impl State {
    pub(super) fn part(&self, read: &Read) -> Result<Part> {
        let bounds = self.bounds();
        let (first, last) = (bounds.first, bounds.last);
        if read.after > Offset::START && read.after.next() < first {
            let message = format!(
                "the event after offset {} is no longer kept; the oldest one is {first}",
                read.after
            );
            return Err(Error::new(ErrorKind::Trimmed, message));
        }
        let from = read.after.next().max(first);
        let until = read.until.map_or(last, |until| until.min(last));
        if from > until {
            return Ok(Part { events: Vec::new(), is_cut: false });
        }
        let at = |offset: Offset| (offset.number() - first.number()) as usize;
        let range = self.events.range(at(from)..=at(until));
        let most = match read.select.is_all() {
            true => read.events_max.max(1),
            false => READ_SCAN_EVENTS.max(read.events_max),
        };
        let is_cut = range.len() > most;
        let events = match read.direction {
            Direction::Backward => range.rev().take(most).cloned().collect(),
            Direction::Forward => range.take(most).cloned().collect(),
        };
        Ok(Part { events, is_cut })
    }
}

impl Part {
    /// What the read selects of it. Reads payloads, which is the program's own code.
    pub(super) fn page(self, read: Read) -> Page {
        let (mut chosen, mut bytes) = (Vec::new(), 0);
        let mut looked_at = None;
        let mut events = self.events.into_iter();
        for stored in &mut events {
            let offset = stored.offset;
            if read.select.matches(&stored) {
                bytes += stored.event.size();
                if !chosen.is_empty() && bytes > read.bytes_max {
                    return Page::new(chosen, looked_at.map(|end| rest(read, end)));
                }
                chosen.push(stored);
            }
            looked_at = Some(offset);
            if chosen.len() >= read.events_max.max(1) {
                break;
            }
        }
        let has_more = self.is_cut || events.len() > 0;
        Page::new(chosen, looked_at.filter(|_| has_more).map(|end| rest(read, end)))
    }
}

/// The same read from beyond this event.
fn rest(read: Read, end: Offset) -> Read {
    match read.direction {
        Direction::Forward => Read { after: end, ..read },
        Direction::Backward => Read { until: Some(end.before()), ..read },
    }
}
