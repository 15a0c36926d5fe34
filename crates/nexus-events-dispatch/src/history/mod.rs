//! The most recent events in memory.
//!
//! Each thread that publishes has a [`Stage`] of its own; when it is full, its thread files what
//! is in it into the ring. Whoever reads empties all stages first. Events of different threads
//! are merged by the time they came in, on a clock of the machine that nobody sets.

mod leaving;
#[cfg(test)]
mod oracle;
mod ring;
mod stage;

use nexus_events_model::{Event, Pattern};

use self::ring::Ring;
pub(crate) use self::stage::Stage;
use self::stage::{Fill, StageMax};
use crate::limits::{HISTORY_STAGED_BYTES, HISTORY_STAGED_EVENTS, HISTORY_STAGED_PART};
use crate::shared::{let_all_go, let_go};
use crate::stripe::Stripes;
use crate::sync::{Arc, Mutex, tick};

/// A thread that files looks after another one each so many times.
const OTHERS_EVERY: usize = 8;

pub(crate) struct History {
    /// Where the stages are.
    stripes: Arc<Stripes>,
    /// That of threads which have no stripe at hand.
    aside: Stage,
    stage_max: StageMax,
    ring: Mutex<Ring>,
    is_on: bool,
}

impl History {
    /// A history of this many events and about as many bytes; of none, it costs nothing.
    pub(crate) fn new(stripes: Arc<Stripes>, events_max: usize, bytes_max: usize) -> Self {
        let part = |of: usize, max: usize| (of / HISTORY_STAGED_PART).min(max);
        let stage_max = StageMax {
            events: part(events_max, HISTORY_STAGED_EVENTS),
            bytes: part(bytes_max, HISTORY_STAGED_BYTES),
        };
        let ring = Mutex::new(Ring::new(events_max, bytes_max, stage_max));
        Self { stripes, aside: Stage::default(), stage_max, ring, is_on: events_max > 0 }
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Adds an event by way of the running thread's stage.
    #[inline]
    pub(crate) fn push(&self, event: &Event, stage: &Stage) {
        if self.is_on {
            self.keep(event, stage);
        }
    }

    /// The same where the thread has none at hand.
    pub(crate) fn push_aside(&self, event: &Event) {
        self.stripes.have_others();
        self.push(event, &self.aside);
    }

    fn keep(&self, event: &Event, stage: &Stage) {
        // One thread alone is in order by itself.
        let now = || self.stripes.are_several().then(tick);
        let (fill, leaving) = stage.push(event, now, self.stage_max);
        let ring = match fill {
            Fill::Room => None,
            Fill::Full => self.ring.try_lock(),
            Fill::Twice => Some(self.ring.lock()),
        };
        if let Some(mut ring) = ring {
            let out = self.file(&mut ring, stage);
            drop(ring);
            let_all_go(out);
        }
        let [first, second] = leaving;
        first.into_iter().for_each(let_go);
        second.into_iter().for_each(let_go);
    }

    /// Files what one thread has staged, and now and then what another one has, each in turn: it
    /// may publish no more.
    fn file(&self, ring: &mut Ring, stage: &Stage) -> Vec<Event> {
        stage.lock().move_to(&mut ring.taken);
        ring.filings = ring.filings.wrapping_add(1);
        if ring.filings.is_multiple_of(OTHERS_EVERY) {
            self.take_other(ring);
        }
        let mut out = ring.file();
        if stage.number() != 0 {
            stage.lock().take_back(ring.leaving.of(stage.number()), &mut out);
        }
        out
    }

    fn take_other(&self, ring: &mut Ring) {
        let turn = ring.filings / OTHERS_EVERY;
        self.stripes.with_all(|stripes| {
            let other = turn.checked_rem(stripes.len()).map(|at| &stripes[at].stage);
            other.unwrap_or(&self.aside).lock().move_to(&mut ring.taken);
        });
    }

    /// Files all that is staged.
    fn file_all(&self, ring: &mut Ring) -> Vec<Event> {
        self.stripes.with_all(|stripes| {
            let stages = stripes.iter().map(|stripe| &stripe.stage).chain([&self.aside]);
            // All are locked before the first is emptied: what is seen of one thread never lacks
            // what came before it on another.
            let mut stages: Vec<_> = stages.map(Stage::lock).collect();
            stages.iter_mut().for_each(|stage| stage.move_to(&mut ring.taken));
        });
        ring.file()
    }

    /// The last `limit` events that match, oldest first.
    pub(crate) fn recent(&self, limit: usize, pattern: Option<&Pattern>) -> Vec<Event> {
        let matches = |event: &&Event| pattern.is_none_or(|it| it.matches(event.event_type()));
        let mut events: Vec<Event> =
            self.read(|ring| ring.newest().filter(matches).take(limit).cloned().collect());
        events.reverse();
        events
    }

    pub(crate) fn len(&self) -> usize {
        self.read(Ring::len)
    }

    fn read<T>(&self, read: impl FnOnce(&Ring) -> T) -> T {
        let mut ring = self.ring.lock();
        let out = self.file_all(&mut ring);
        let read = read(&ring);
        drop(ring);
        let_all_go(out);
        read
    }

    /// Lets go of what threads hold of it, at the end of the bus: their stripes last longer.
    pub(crate) fn end(&self) {
        let mut out = self.file_all(&mut self.ring.lock());
        self.stripes.all().iter().for_each(|stripe| stripe.stage.lock().end(&mut out));
        let_all_go(out);
    }
}

#[cfg(test)]
mod tests {
    use nexus_events_model::Payload;

    use super::*;

    const MEGABYTES_16: usize = 16 * 1024 * 1024;

    fn event(number: usize, payload: Payload) -> Event {
        Event::builder("a.b")
            .id(format!("evt-{number}"))
            .timestamp_text("2026-01-02T03:04:05Z")
            .payload(payload)
            .build()
            .unwrap()
    }

    fn history(events_max: usize, bytes_max: usize) -> History {
        History::new(Arc::default(), events_max, bytes_max)
    }

    fn push(history: &History, event: &Event) {
        history.push_aside(event);
    }

    #[test]
    fn keeps_the_last_events_in_order() {
        let history = history(2_000, MEGABYTES_16);
        (0..5_000).for_each(|number| push(&history, &event(number, Payload::empty())));
        assert_eq!(history.len(), 2_000);
        let ids: Vec<String> =
            history.recent(3, None).iter().map(|event| event.id().to_string()).collect();
        assert_eq!(ids, ["evt-4997", "evt-4998", "evt-4999"]);
    }

    #[test]
    fn keeps_no_more_bytes_than_its_bound() {
        let history = history(10_000, MEGABYTES_16);
        let megabyte = Payload::from_json(format!("{:?}", "x".repeat(1024 * 1024))).unwrap();
        (0..64).for_each(|number| push(&history, &event(number, megabyte.clone())));
        assert_eq!(history.len(), 15);
    }

    #[test]
    fn selects_by_pattern() {
        let history = history(10, MEGABYTES_16);
        let other =
            Event::builder("c").id("c").timestamp_text("2026-01-02T03:04:05Z").build().unwrap();
        (0..3).for_each(|number| push(&history, &event(number, Payload::empty())));
        push(&history, &other);
        assert_eq!(history.recent(2, Some(&Pattern::new("a.*").unwrap())).len(), 2);
        assert_eq!(history.recent(9, Some(&Pattern::new("c").unwrap())), [other]);
    }

    #[test]
    fn of_none_keeps_none() {
        let history = history(0, MEGABYTES_16);
        push(&history, &event(1, Payload::empty()));
        assert_eq!(history.len(), 0);
    }
}
