//! What was found for the event types asked about of late.

use nexus_events_model::EventType;

use crate::limits::MATCHES_CACHED_MAX;
use crate::sync::Arc;

/// A change copies one page and the list of pages, so both are about the root of the whole.
const PAGES: usize = 64;
const PAGE_LINES_MAX: usize = MATCHES_CACHED_MAX / PAGES;

/// A bounded map from event types to what was found for them. It is a value: a change is a copy.
///
/// On a full page the new line takes the place of an old one.
#[derive(Debug, Clone)]
pub(super) struct Recent<T> {
    pages: [Option<Page<T>>; PAGES],
}

/// At most half full, so that a search ends soon at a free place.
#[derive(Debug)]
struct Page<T> {
    lines: Arc<[Option<Line<T>>]>,
    count: usize,
}

#[derive(Debug)]
struct Line<T> {
    event_type: EventType,
    found: Arc<[T]>,
}

impl<T> Clone for Page<T> {
    fn clone(&self) -> Self {
        Self { lines: self.lines.clone(), count: self.count }
    }
}

impl<T> Clone for Line<T> {
    fn clone(&self) -> Self {
        Self { event_type: self.event_type.clone(), found: self.found.clone() }
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self { pages: [const { None }; PAGES] }
    }
}

/// The page, and where on it to start.
#[expect(clippy::cast_possible_truncation, reason = "a part of the hash will do")]
fn place(event_type: &EventType) -> (usize, usize) {
    let hash = event_type.name_hash();
    (hash as usize % PAGES, (hash >> 32) as usize)
}

impl<T> Recent<T> {
    #[inline]
    pub(super) fn get(&self, event_type: &EventType) -> Option<&Arc<[T]>> {
        let (page, start) = place(event_type);
        let lines = &self.pages[page].as_ref()?.lines;
        let mask = lines.len() - 1;
        let mut at = start & mask;
        while let Some(line) = &lines[at] {
            if line.event_type == *event_type {
                return Some(&line.found);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Whether a line for this type would push out another.
    pub(super) fn is_full(&self, event_type: &EventType) -> bool {
        let page = &self.pages[place(event_type).0];
        page.as_ref().is_some_and(|page| page.count == PAGE_LINES_MAX)
    }

    pub(super) fn with(&self, event_type: &EventType, found: &Arc<[T]>) -> Self {
        let mut pages = self.pages.clone();
        let (page, start) = place(event_type);
        let page = &mut pages[page];
        let line = Line { event_type: event_type.clone(), found: found.clone() };
        *page = Some(match page {
            Some(page) if page.count < PAGE_LINES_MAX => page.with(line, None),
            Some(page) => page.with(line, page.victim(start)),
            None => Page { lines: Arc::from([]), count: 0 }.with(line, None),
        });
        Self { pages }
    }
}

impl<T> Page<T> {
    /// The first line from here on.
    fn victim(&self, start: usize) -> Option<&EventType> {
        let (before, after) = self.lines.split_at(start % self.lines.len());
        after.iter().chain(before).flatten().map(|line| &line.event_type).next()
    }

    fn with(&self, line: Line<T>, without: Option<&EventType>) -> Self {
        let count = self.count + usize::from(without.is_none());
        let mut lines = Vec::new();
        lines.resize_with((count * 2).next_power_of_two(), || None);
        let kept = self.lines.iter().flatten().filter(|line| Some(&line.event_type) != without);
        kept.for_each(|line| put(&mut lines, line.clone()));
        put(&mut lines, line);
        Self { lines: lines.into(), count }
    }
}

fn put<T>(lines: &mut [Option<Line<T>>], line: Line<T>) {
    let mask = lines.len() - 1;
    let mut at = place(&line.event_type).1 & mask;
    while lines[at].is_some() {
        at = (at + 1) & mask;
    }
    lines[at] = Some(line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_remembers_the_latest() {
        let mut recent = Recent::default();
        for number in 0..3 * MATCHES_CACHED_MAX {
            let event_type = EventType::new(format!("a.n{number}")).unwrap();
            assert!(recent.get(&event_type).is_none());
            recent = recent.with(&event_type, &Arc::from([number]));
            assert_eq!(recent.get(&event_type).unwrap()[..], [number]);
        }
        let count: usize = recent.pages.iter().flatten().map(|page| page.count).sum();
        assert!((MATCHES_CACHED_MAX / 4..=MATCHES_CACHED_MAX).contains(&count), "{count}");
    }
}
