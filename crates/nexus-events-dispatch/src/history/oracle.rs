//! The history beside a slow one that is obviously right: one list that everybody waits for.

use std::collections::VecDeque;

use nexus_events_model::{Event, Pattern, Payload};
use proptest::prelude::*;
use serde::{Serialize, Serializer};

use super::History;
use crate::limits::HISTORY_STAGED_EVENTS;
use crate::stripe::{Stripe, Stripes};
use crate::sync::{Arc, tick};

struct Slow {
    events: VecDeque<Event>,
    events_max: usize,
    bytes_max: usize,
}

impl Slow {
    fn push(&mut self, event: &Event) {
        self.events.push_back(event.clone());
        let bytes = |events: &VecDeque<Event>| events.iter().map(Event::size).sum::<usize>();
        while self.events.len() > self.events_max || bytes(&self.events) > self.bytes_max {
            self.events.pop_front();
        }
    }

    fn recent(&self, limit: usize, pattern: Option<&Pattern>) -> Vec<Event> {
        let matches = |event: &&Event| pattern.is_none_or(|it| it.matches(event.event_type()));
        let mut events: Vec<_> =
            self.events.iter().rev().filter(matches).take(limit).cloned().collect();
        events.reverse();
        events
    }
}

/// Threads, of which the first has no stage at hand.
const THREADS: usize = 5;

#[derive(Debug, Clone)]
enum Step {
    Publish {
        thread: usize,
        events: usize,
        big: bool,
    },
    Read {
        limit: usize,
        some: bool,
    },
    Count,
    /// A thread ends; the next one that publishes gets its stripe.
    End(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let publish = (0..THREADS, 1..30_usize, prop::bool::weighted(0.1));
    prop_oneof![
        12 => publish.prop_map(|(thread, events, big)| Step::Publish { thread, events, big }),
        2 => (0..300_usize, any::<bool>()).prop_map(|(limit, some)| Step::Read { limit, some }),
        1 => Just(Step::Count),
        1 => (1..THREADS).prop_map(Step::End),
    ]
}

fn bounds() -> impl Strategy<Value = (usize, usize)> {
    let events = prop_oneof![0..12_usize, 60..300_usize, Just(10_000)];
    (events, prop_oneof![2 => Just(usize::MAX), 1 => 0..100_000_usize])
}

/// So many bytes.
struct Body<const N: usize>([u8; N]);

impl<const N: usize> Serialize for Body<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

struct Both {
    fast: History,
    slow: Slow,
    stripes: Arc<Stripes>,
    threads: [Option<Arc<Stripe>>; THREADS],
    published: usize,
    /// Each event holds one of these, so their counts are how many there are.
    small: Arc<Body<100>>,
    big: Arc<Body<20_000>>,
}

impl Both {
    fn new((events_max, bytes_max): (usize, usize)) -> Self {
        let stripes = Arc::<Stripes>::default();
        Self {
            fast: History::new(stripes.clone(), events_max, bytes_max),
            slow: Slow { events: VecDeque::new(), events_max, bytes_max },
            stripes,
            threads: Default::default(),
            published: 0,
            small: Arc::new(Body([0; _])),
            big: Arc::new(Body([0; _])),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Publish { thread, events, big } => {
                (0..events).for_each(|_| self.publish(thread, big));
            }
            Step::Read { limit, some } => self.read(limit, some),
            Step::Count => assert_eq!(self.fast.len(), self.slow.events.len()),
            Step::End(thread) => {
                if let Some(stripe) = self.threads[thread].take() {
                    stripe.release();
                }
            }
        }
    }

    fn publish(&mut self, thread: usize, big: bool) {
        self.published += 1;
        let body = match big {
            true => Payload::shared(self.big.clone()),
            false => Payload::shared(self.small.clone()),
        };
        let event = event(self.published, body);
        // Some machines have slow clocks, and here no time passes between two threads.
        let before = tick();
        while tick() == before {}
        if thread == 0 {
            self.fast.push_aside(&event);
        } else {
            let stripe = self.threads[thread].get_or_insert_with(|| self.stripes.take());
            self.fast.push(&event, &stripe.stage);
        }
        self.slow.push(&event);
    }

    fn read(&self, limit: usize, some: bool) {
        let pattern = some.then(|| Pattern::new("odd.*").unwrap());
        let ids = |events: Vec<Event>| -> Vec<String> {
            events.iter().map(|event| event.id().to_string()).collect()
        };
        let (fast, slow) =
            (self.fast.recent(limit, pattern.as_ref()), self.slow.recent(limit, pattern.as_ref()));
        assert_eq!(ids(fast), ids(slow));
    }

    /// No more is held than the bounds and what threads may hold, which is nothing where the
    /// history is small.
    fn check_memory(&mut self) {
        self.slow.events.clear();
        let held = Arc::strong_count(&self.small) + Arc::strong_count(&self.big) - 2;
        let stages = if self.slow.events_max < HISTORY_STAGED_EVENTS { 0 } else { THREADS };
        // Twice of it staged, twice of it on the way back, and the same with its thread.
        let more = stages * 6 * HISTORY_STAGED_EVENTS;
        assert!(held <= self.slow.events_max + more, "{held} events");
    }
}

fn event(number: usize, body: Payload) -> Event {
    let event_type = if number.is_multiple_of(2) { "even.number" } else { "odd.number" };
    Event::builder(event_type)
        .id(number.to_string())
        .timestamp_text("2026-01-02T03:04:05Z")
        .payload(body)
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn as_the_slow_one(bounds in bounds(), script in prop::collection::vec(step(), 1..80)) {
        let mut both = Both::new(bounds);
        script.into_iter().for_each(|step| both.take(step));
        both.read(usize::MAX, false);
        both.check_memory();
        both.fast.end();
    }
}
