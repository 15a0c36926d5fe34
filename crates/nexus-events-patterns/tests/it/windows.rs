//! Windows beside oracles that recompute everything from all events.

use std::collections::BTreeMap;
use std::time::Duration;

use nexus_events_patterns::window::{
    Arrival, CloseReason, Count, Fold, KeyedWindow, KeyedWindows, Moment, OpenWindows, Pushed,
    Session, Sliding, Span, Tumbling, Window, WindowLimits, fold,
};
use proptest::prelude::*;

fn at(micros: i64) -> Moment {
    Moment::from_micros(micros)
}

fn micros(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn span(start: i64, end: i64) -> Span {
    Span::new(at(start), at(end))
}

/// Keeps what was in a window.
fn all() -> impl Fold<i64, Value = Vec<i64>> {
    fold(Vec::new, |items: &mut Vec<i64>, item: &i64| items.push(*item))
        .merging(|items: &mut Vec<i64>, later: Vec<i64>| items.extend(later))
}

/// Windows of one key, driven as an aggregator does in event time.
struct Driven {
    windows: KeyedWindows<u8, Vec<i64>>,
    grace: i64,
    newest: i64,
    late: usize,
    closed: Vec<KeyedWindow<u8, Vec<i64>>>,
}

impl Driven {
    fn new(window: impl Window, grace: i64) -> Self {
        let windows = KeyedWindows::new(window).unwrap();
        Self { windows, grace, newest: i64::MIN, late: 0, closed: Vec::new() }
    }

    fn push(&mut self, key: u8, time: i64) {
        self.newest = self.newest.max(time);
        self.windows.advance(at(self.newest.saturating_sub(self.grace)), &mut self.closed);
        let pushed = self.windows.push(key, at(time), 1, &time, &all(), &mut self.closed);
        self.late += usize::from(pushed == Pushed::Late);
    }

    /// Key, span and what was in it, in order.
    fn taken(&mut self) -> Vec<(u8, Span, Vec<i64>)> {
        let sorted = |mut items: Vec<i64>| {
            items.sort_unstable();
            items
        };
        let taken = self.closed.drain(..).map(|it| {
            assert_eq!(it.window.count, it.window.value.len() as u64);
            assert_eq!(it.window.bytes, it.window.count);
            (it.key, it.window.span, sorted(it.window.value))
        });
        let mut taken: Vec<_> = taken.collect();
        taken.sort_unstable();
        taken
    }

    fn rest(&mut self) -> Vec<(u8, Span, Vec<i64>)> {
        self.closed.extend(self.windows.close_all(CloseReason::Shutdown));
        self.taken()
    }
}

#[test]
fn d24_tumbling_closes_at_end_plus_grace_and_counts_what_is_late() {
    let mut driven = Driven::new(Tumbling::of(micros(2)), 1);
    for time in [0, 1, 2, 1, 0, 5, 0] {
        driven.push(0, time);
    }
    let reasons: Vec<_> = driven.closed.iter().map(|it| it.window.reason).collect();
    assert_eq!(reasons, [CloseReason::Time; 2]);
    let taken = driven.taken();
    assert_eq!(taken, [(0, span(0, 2), vec![0, 0, 1, 1]), (0, span(2, 4), vec![2])]);
    assert_eq!(driven.late, 1);
    assert_eq!(driven.rest(), [(0, span(4, 6), vec![5])]);
}

#[test]
fn d25_a_late_event_makes_one_of_two_sessions() {
    let mut driven = Driven::new(Session::gap(micros(10)), 100);
    for time in [0, 11, 5] {
        driven.push(0, time);
    }
    assert_eq!(driven.rest(), [(0, span(0, 21), vec![0, 5, 11])]);
}

#[test]
fn a_session_is_over_at_its_gap_and_no_unit_early() {
    let mut driven = Driven::new(Session::gap(micros(10)), 0);
    driven.push(0, 0);
    driven.push(1, 9);
    assert_eq!(driven.taken(), []);
    driven.push(0, 9);
    driven.push(1, 18);
    assert_eq!(driven.taken(), [], "its end is 19");
    driven.push(2, 19);
    assert_eq!(driven.taken(), [(0, span(0, 19), vec![0, 9])]);
    // Exactly a gap after the last one is another session.
    driven.push(1, 28);
    assert_eq!(driven.taken(), [(1, span(9, 28), vec![9, 18])]);
}

#[test]
fn max_wait_ends_a_session_that_never_is_quiet() {
    let mut driven = Driven::new(Session::gap(micros(5)).max_wait(micros(12)), 0);
    for time in [0, 4, 8, 11, 12, 15] {
        driven.push(0, time);
    }
    assert_eq!(driven.closed[0].window.reason, CloseReason::MaxWait);
    assert_eq!(driven.taken(), [(0, span(0, 12), vec![0, 4, 8, 11])]);
    assert_eq!(driven.rest(), [(0, span(12, 20), vec![12, 15])]);
}

#[test]
fn a_late_event_does_not_move_the_end_of_a_session_into_the_past() {
    let mut driven = Driven::new(Session::gap(micros(10)).max_wait(micros(10)), 8);
    for (key, time) in [(3, 0), (0, 17), (3, -9)] {
        driven.push(key, time);
    }
    assert_eq!(driven.late, 1, "its own session would be over");
    assert_eq!(driven.rest()[1], (3, span(0, 10), vec![0]));
}

#[test]
fn sessions_do_not_merge_when_the_aggregate_cannot() {
    let count = fold(|| 0, |count: &mut u32, _: &i64| *count += 1);
    let (mut windows, mut closed) = (OpenWindows::new(), Vec::new());
    for time in [0, 11, 5] {
        let arrival = Arrival { item: &time, at: at(time), bytes: 0, watermark: Moment::MIN };
        let session = Session::gap(micros(10));
        windows.push(&session, WindowLimits::default(), arrival, &count, &mut closed);
    }
    windows.close_all(CloseReason::Forced, &mut closed);
    assert_eq!(closed.iter().map(|it| it.value).collect::<Vec<_>>(), [2, 1]);
}

#[test]
fn count_windows_close_with_their_last_event() {
    let mut driven = Driven::new(Count::of(3), 0);
    (0..7).for_each(|time| driven.push(0, time));
    assert!(driven.closed.iter().all(|it| it.window.reason == CloseReason::Size));
    let lists: Vec<_> = driven.taken().into_iter().map(|(_, _, items)| items).collect();
    assert_eq!(lists, [vec![0, 1, 2], vec![3, 4, 5]]);
    assert_eq!(driven.windows.next_end(), None, "time does not close it");

    let mut driven = Driven::new(Count::of(3).max_wait(micros(10)), 0);
    [0, 5, 10].into_iter().for_each(|time| driven.push(0, time));
    assert_eq!(driven.closed[0].window.reason, CloseReason::MaxWait);
    assert_eq!(driven.taken(), [(0, span(0, 10), vec![0, 5])]);
}

#[test]
fn bounds_close_early_and_the_same_window_opens_again() {
    let limits = WindowLimits::new(3, 100);
    let mut windows = KeyedWindows::bounded(Tumbling::of(micros(10)), limits, 10).unwrap();
    let mut closed = Vec::new();
    for bytes in [1, 1, 1, 60, 40, 7] {
        windows.push((), at(5), bytes, &0, &all(), &mut closed);
    }
    let got: Vec<_> = closed.iter().map(|it| (it.window.reason, it.window.bytes)).collect();
    assert_eq!(got, [(CloseReason::Size, 3), (CloseReason::Bytes, 100)]);
    windows.advance(at(10), &mut closed);
    assert_eq!((closed.len(), closed[2].window.bytes), (3, 7));
    assert!(windows.is_empty() && windows.next_end().is_none());
}

#[test]
fn bad_windows_are_refused_by_the_part_that_is_wrong() {
    let check = |window: &dyn Window| window.check().unwrap_err().to_string();
    assert_eq!(
        check(&Tumbling::of(micros(0))),
        "a tumbling window's size is at least 1µs, not 0ns"
    );
    assert!(check(&Sliding::of(micros(5)).every(micros(0))).contains("sliding window's step"));
    assert!(check(&Sliding::of(micros(5)).every(micros(6))).contains("longer than its size"));
    assert!(check(&Sliding::of(micros(1_000)).every(micros(1))).contains("the most is 128"));
    assert!(check(&Session::gap(micros(0))).contains("session's gap"));
    assert!(check(&Session::gap(micros(5)).max_wait(micros(4))).contains("max_wait"));
    assert!(check(&Count::of(0)).contains("at least 1 event"));
    let limits = WindowLimits::default();
    let error = KeyedWindows::<u8, ()>::bounded(Count::of(1), limits, 0).unwrap_err();
    assert_eq!(error.to_string(), "total_keys is 1 to 16777216, not 0");
}

/// Closes and lates by the book: every window is kept with all of its events, and looked at anew
/// with each of them.
fn by_the_book(
    window: &impl Window,
    grace: i64,
    events: &[(u8, i64)],
) -> (Vec<(u8, Span, Vec<i64>)>, usize) {
    let mut open: BTreeMap<(u8, Span), Vec<i64>> = BTreeMap::new();
    let (mut done, mut late, mut newest) = (Vec::new(), 0, i64::MIN);
    for (key, time) in events {
        newest = newest.max(*time);
        let watermark = at(newest - grace);
        let over: Vec<_> = open.keys().filter(|(_, span)| span.end <= watermark).copied().collect();
        for over in over {
            done.push((over.0, over.1, open.remove(&over).unwrap()));
        }
        let mut is_late = true;
        window.spans(at(*time), &mut |span| {
            if span.end > watermark {
                is_late = false;
                open.entry((*key, span)).or_default().push(*time);
            }
        });
        late += usize::from(is_late);
    }
    done.extend(open.into_iter().map(|((key, span), items)| (key, span, items)));
    done.iter_mut().for_each(|(_, _, items)| items.sort_unstable());
    done.sort_unstable();
    (done, late)
}

/// Sessions of one key by the book: what lies closer together than the gap is one.
fn sessions(gap: i64, mut times: Vec<i64>) -> Vec<(Span, Vec<i64>)> {
    times.sort_unstable();
    let apart = |a: &i64, b: &i64| b - a < gap;
    let sessions = times.chunk_by(apart);
    sessions.map(|it| (span(it[0], it[it.len() - 1] + gap), it.to_vec())).collect()
}

fn events() -> impl Strategy<Value = Vec<(u8, i64)>> {
    // Time goes on, and some events are late.
    let step = (0_u8..4, -30_i64..10, 0_i64..12);
    prop::collection::vec(step, 0..120).prop_map(|steps| {
        let mut now = 0;
        let time = |(key, late, step): (u8, i64, i64)| {
            now += step;
            (key, now + late.min(0))
        };
        steps.into_iter().map(time).collect()
    })
}

proptest! {
    #[test]
    fn tumbling_and_sliding_are_by_the_book(
        events in events(),
        (size, step) in (1_u64..40).prop_flat_map(|size| (Just(size), 1..=size)),
        grace in 0_i64..30,
    ) {
        let sliding = Sliding::of(micros(size)).every(micros(step));
        let mut driven = Driven::new(sliding, grace);
        events.iter().for_each(|(key, time)| driven.push(*key, *time));
        let mut got = driven.taken();
        got.extend(driven.rest());
        got.sort_unstable();
        prop_assert_eq!((got, driven.late), by_the_book(&sliding, grace, &events));

        let tumbling = Tumbling::of(micros(size)).offset(micros(step));
        let mut driven = Driven::new(tumbling, grace);
        events.iter().for_each(|(key, time)| driven.push(*key, *time));
        let mut got = driven.taken();
        got.extend(driven.rest());
        got.sort_unstable();
        prop_assert_eq!((got, driven.late), by_the_book(&tumbling, grace, &events));
    }

    #[test]
    fn sessions_are_by_the_book_in_whatever_order_they_come(events in events(), gap in 1_i64..30) {
        // With a grace longer than all of it nothing is late.
        let mut driven = Driven::new(Session::gap(micros(gap as u64)), 1_000_000);
        events.iter().for_each(|(key, time)| driven.push(*key, *time));
        let mut book = Vec::new();
        for key in 0..4 {
            let own = events.iter().filter(|(other, _)| *other == key).map(|(_, time)| *time);
            let own = sessions(gap, own.collect());
            book.extend(own.into_iter().map(|(span, items)| (key, span, items)));
        }
        prop_assert_eq!(driven.rest(), book);
    }

    #[test]
    fn sessions_that_close_keep_every_event_once(
        events in events(),
        gap in 1_i64..30,
        wait in 0_i64..60,
        grace in 0_i64..30,
        keys in 1_usize..5,
    ) {
        let session = Session::gap(micros(gap as u64)).max_wait(micros((gap + wait) as u64));
        let limits = WindowLimits::new(7, 1_000);
        let mut driven = Driven::new(session, grace);
        driven.windows = KeyedWindows::bounded(session, limits, keys).unwrap();
        let mut got = Vec::new();
        for (key, time) in &events {
            driven.push(*key, *time);
            prop_assert!(driven.windows.len() <= keys);
            got.extend(driven.taken());
            let watermark = driven.windows.watermark();
            for open in (0..4).filter_map(|key| driven.windows.get(&key)).flat_map(OpenWindows::iter) {
                prop_assert!(open.span.end > watermark, "{:?} is over", open.span);
                prop_assert!(open.last.since(open.first) < micros((gap + wait) as u64));
                prop_assert!(driven.windows.next_end().unwrap() <= open.span.end);
            }
        }
        got.extend(driven.rest());
        let items = got.iter().flat_map(|(_, _, items)| items);
        prop_assert_eq!(items.count() + driven.late, events.len());
    }

    #[test]
    fn the_key_used_least_recently_gives_way(uses in prop::collection::vec(0_u8..20, 1..200), room in 1_usize..16) {
        let limits = WindowLimits::default();
        let mut windows = KeyedWindows::bounded(Count::of(1_000), limits, room).unwrap();
        let (mut book, mut closed) = (Vec::<u8>::new(), Vec::new());
        for key in uses {
            windows.push(key, at(0), 0, &0, &all(), &mut closed);
            book.retain(|other| *other != key);
            book.push(key);
            let gone = (book.len() > room).then(|| book.remove(0));
            prop_assert_eq!(closed.drain(..).map(|it| it.key).next(), gone);
        }
    }
}
