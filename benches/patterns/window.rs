//! One event into its window, among so many keys, beside a plain map of counters that never closes
//! anything.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use nexus_events_benches::{Cell, Numbers, Peer, Report, compare, nanoseconds};
use nexus_events_model::Text;
use nexus_events_patterns::window::{
    Count, KeyedWindows, Moment, Session, Sliding, Tumbling, Window, WindowLimits, fold,
};

use crate::goals::Goals;

const KEYS: [usize; 3] = [1, 1_000, 100_000];

/// The time between two events, in microseconds: 100,000 keys have nine events each in a window of a
/// quarter of an hour.
const STEP: i64 = 1_000;

/// Events in one turn: as long as a window, so that each turn has its share of windows that close.
const EVENTS: usize = 900_000;

pub(crate) fn run(report: &mut Report, goals: &mut Goals) {
    let columns: Vec<Vec<(String, Cell)>> = KEYS.iter().map(|keys| compare(peers(*keys))).collect();
    let names = KEYS.map(|keys| format!("{keys} keys"));
    let row = |(number, (name, _)): (usize, &(String, Cell))| {
        (name.clone(), columns.iter().map(|column| Some(column[number].1)).collect())
    };
    let rows: Vec<(String, Vec<Option<Cell>>)> = columns[0].iter().enumerate().map(row).collect();
    report.table("One event into its window", &names, &rows);
    // Of those that an event is in one of.
    for (name, cell) in columns.iter().skip(2).flat_map(|column| &column[1..4]) {
        goals.most(
            &format!("nanoseconds for a window update, {name}, {} keys", KEYS[2]),
            150.0,
            cell.median,
        );
    }
}

fn peers(keys: usize) -> Vec<Peer<'static>> {
    let (quarter, minute) = (Duration::from_secs(900), Duration::from_secs(60));
    let text = |key: usize| Text::from(format!("user-{key}"));
    let session = Session::gap(5 * minute).max_wait(quarter);
    vec![
        map(keys),
        windows("tumbling", keys, Tumbling::of(quarter), |key| key),
        windows("tumbling, keys of text", keys, Tumbling::of(quarter), text),
        windows("session", keys, session, |key| key),
        windows("sliding, 5 at a time", keys, Sliding::of(quarter).every(3 * minute), |key| key),
        windows("count of 100", keys, Count::of(100), |key| key),
    ]
}

fn map(keys: usize) -> Peer<'static> {
    let (mut sums, mut numbers) = (HashMap::<usize, u64>::new(), Numbers(1));
    turns("a map of counters", move |number| {
        *sums.entry(numbers.below(keys)).or_default() += number as u64;
    })
}

fn windows<K: Hash + Eq + Clone + 'static>(
    name: &str,
    keys: usize,
    window: impl Window,
    key: impl Fn(usize) -> K,
) -> Peer<'static> {
    let keys: Vec<K> = (0..keys).map(key).collect();
    let sum =
        fold(|| 0, |sum: &mut u64, number: &u64| *sum += number).merging(|sum, more| *sum += more);
    let windows = KeyedWindows::bounded(window, WindowLimits::default(), 1 << 20);
    let mut windows = windows.expect("good options");
    let (mut closed, mut numbers, mut now) = (Vec::new(), Numbers(1), 0);
    turns(name, move |number| {
        now += STEP;
        let at = Moment::from_micros(now);
        let key = keys[numbers.below(keys.len())].clone();
        windows.advance(at, &mut closed);
        windows.push(key, at, 100, &(number as u64), &sum, &mut closed);
        // As somebody would who publishes them.
        if closed.len() > 1_000 {
            closed.clear();
        }
    })
}

fn turns(name: &str, mut call: impl FnMut(usize) + 'static) -> Peer<'static> {
    Peer::timed(name, move || {
        let begun = Instant::now();
        (0..EVENTS).for_each(&mut call);
        nanoseconds(begun.elapsed()) / EVENTS as f64
    })
}
