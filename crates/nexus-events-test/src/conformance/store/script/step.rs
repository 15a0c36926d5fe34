//! What a script is made of.

use nexus_events_dispatch::store::Held;
use nexus_events_model::{Event, Pattern, Priority};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};

use crate::generate;

/// One operation of a script. Keys, spaces and consumers are few, so that steps meet each other.
#[derive(Debug, Clone)]
pub enum Step {
    /// An append.
    Append(Draft),
    /// A read, page by page to its end.
    Read {
        /// After this offset.
        after: u64,
        /// Until this one, if any.
        until: Option<u64>,
        /// The newest first.
        backward: bool,
        /// Events of a page.
        events: usize,
        /// Which event types.
        pattern: Option<Pattern>,
        /// Which key.
        key: Option<u8>,
        /// How important at least.
        priority: Option<Priority>,
    },
    /// The state under a key, of two spaces.
    Get(u8, u8),
    /// State of a space: its prefix, after which key, and how much.
    Scan(u8, Option<u8>, Option<u8>, usize),
    /// How many events with this key there were.
    KeyVersion(u8),
    /// Which offsets can be read.
    Bounds,
    /// All cursors.
    Cursors,
    /// A trim to so many events.
    Trim(u64, Held),
    /// A trim of what is older than so many seconds, where there is a clock.
    TrimByAge(u64),
    /// The clock goes on, so many seconds, where there is one.
    Advance(u64),
    /// Everything is verified.
    Verify,
    /// The store is closed and opened again, where it can be.
    Reopen,
}

/// What is appended by a [`Step::Append`].
#[derive(Debug, Clone)]
pub struct Draft {
    /// Events with the key of each.
    pub events: Vec<(Option<u8>, Event)>,
    /// Keys, and what is expected: none, some, or so many more than there are.
    pub expected: Vec<(u8, Option<i8>)>,
    /// Changes of state.
    pub state: Vec<Write>,
    /// A consumer, and where its cursor moves.
    pub cursor: Option<(u8, u64)>,
    /// One of few idempotency keys.
    pub idempotency_key: Option<u8>,
}

/// A change of state by a [`Draft`].
#[derive(Debug, Clone)]
pub struct Write {
    /// One of two spaces.
    pub space: u8,
    /// One of few keys.
    pub key: u8,
    /// What is put; `None` removes.
    pub value: Option<u8>,
    /// Whether something, or nothing, must be there.
    pub is_there: Option<bool>,
    /// Whether it must be as the script has seen it last.
    pub is_as_seen: bool,
}

impl Step {
    /// Whether it can be done with what is there.
    pub(super) fn is_possible(&self, has_clock: bool, can_reopen: bool) -> bool {
        match self {
            Self::TrimByAge(_) | Self::Advance(_) => has_clock,
            Self::Reopen => can_reopen,
            _ => true,
        }
    }
}

/// Scripts of up to so many steps.
///
/// ```
/// use nexus_events_test::conformance::store::script;
/// use proptest::prelude::*;
/// proptest!(|(steps in script(20))| prop_assert!(steps.len() <= 20));
/// ```
pub fn script(steps: usize) -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..=steps)
}

fn step() -> impl Strategy<Value = Step> {
    let key = || 0..4_u8;
    let held = prop_oneof![Just(Held::Keep), Just(Held::Remove)];
    prop_oneof![
        8 => draft().prop_map(Step::Append),
        4 => read(),
        2 => (0..2_u8, key()).prop_map(|(space, key)| Step::Get(space, key)),
        2 => (0..2_u8, prop::option::of(key()), prop::option::of(key()), 0..5_usize)
            .prop_map(|(space, prefix, after, limit)| Step::Scan(space, prefix, after, limit)),
        1 => key().prop_map(Step::KeyVersion),
        1 => Just(Step::Bounds),
        1 => Just(Step::Cursors),
        1 => (0..12_u64, held).prop_map(|(events, held)| Step::Trim(events, held)),
        1 => (0..400_u64).prop_map(Step::TrimByAge),
        2 => (0..400_u64).prop_map(Step::Advance),
        1 => Just(Step::Verify),
        1 => Just(Step::Reopen),
    ]
}

fn read() -> impl Strategy<Value = Step> {
    let range = (0..30_u64, prop::option::of(0..30_u64), any::<bool>(), 1..6_usize);
    let priority = prop::option::of(prop::sample::select(&Priority::ALL[..]));
    let select = (prop::option::of(generate::pattern()), prop::option::of(0..4_u8), priority);
    (range, select).prop_map(|((after, until, backward, events), (pattern, key, priority))| {
        // Half of them from the start: nothing is removed there.
        let after = after.saturating_sub(15);
        Step::Read { after, until, backward, events, pattern, key, priority }
    })
}

fn draft() -> impl Strategy<Value = Draft> {
    let key = || 0..4_u8;
    let events = prop::collection::vec((prop::option::of(key()), generate::event()), 0..4);
    let expected = prop::collection::vec((key(), prop::option::of(0..2_i8)), 0..2);
    let state = prop::collection::vec(write(), 0..3);
    let cursor = prop::option::weighted(0.2, (0..3_u8, 0..30_u64));
    let idempotency_key = prop::option::weighted(0.3, 0..5_u8);
    (events, expected, state, cursor, idempotency_key).prop_map(
        |(events, expected, state, cursor, idempotency_key)| Draft {
            events,
            expected,
            state,
            cursor,
            idempotency_key,
        },
    )
}

fn write() -> impl Strategy<Value = Write> {
    let place = (0..2_u8, 0..4_u8, prop::option::weighted(0.7, any::<u8>()));
    let expected = (prop::option::weighted(0.3, any::<bool>()), prop::bool::weighted(0.3));
    (place, expected).prop_map(|((space, key, value), (is_there, is_as_seen))| Write {
        space,
        key,
        value,
        is_there,
        is_as_seen,
    })
}
