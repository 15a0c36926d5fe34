//! Subscribing and unsubscribing, and what readers notice of it.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nexus_events_dispatch::{FilterIndex, PatternTable};
use nexus_events_model::{EventType, Filter, Pattern};

use crate::filters::{Kind, filter_text};
use crate::peers::Locked;
use crate::subscriptions::{HOT, SIZES, event_types, pattern};
use nexus_events_benches::{Cell, Numbers, Peer, Report, compare, nanoseconds};

/// Subscriptions that each come and go in one turn.
const CHANGED: usize = 500;

/// Of the pauses between changes while readers are watched.
const CHANGES_PER_SECOND: u32 = 1_000;

const FILTERS: [usize; 4] = [10, 1_000, 10_000, 100_000];

pub(crate) fn run(report: &mut Report) {
    patterns(report);
    filters(report);
    readers(report);
}

/// Columns of cells, as rows of the table.
fn rows(columns: &[Vec<(String, Cell)>]) -> Vec<(String, Vec<Option<Cell>>)> {
    let row = |(number, (name, _)): (usize, &(String, Cell))| {
        (name.clone(), columns.iter().map(|column| Some(column[number].1)).collect())
    };
    columns[0].iter().enumerate().map(row).collect()
}

/// The time that one call takes, over [`CHANGED`] of them.
fn timed(mut call: impl FnMut(usize)) -> f64 {
    let start = Instant::now();
    (0..CHANGED).for_each(&mut call);
    nanoseconds(start.elapsed()) / CHANGED as f64
}

/// What is shared by threads, and changed while they read.
trait Shared {
    fn insert(&self, pattern: &Pattern, value: usize);
    fn remove(&self, pattern: &Pattern, value: usize);
    fn read(&self, event_type: &EventType) -> usize;
}

impl Shared for PatternTable<usize> {
    fn insert(&self, pattern: &Pattern, value: usize) {
        self.insert(pattern, value);
    }

    fn remove(&self, pattern: &Pattern, value: usize) {
        assert!(self.remove(pattern, |known| *known == value));
    }

    fn read(&self, event_type: &EventType) -> usize {
        self.with_matches(event_type, <[usize]>::len)
    }
}

impl Shared for Locked {
    fn insert(&self, pattern: &Pattern, value: usize) {
        self.insert(pattern, value);
    }

    fn remove(&self, pattern: &Pattern, value: usize) {
        self.remove(pattern, value);
    }

    fn read(&self, event_type: &EventType) -> usize {
        self.matches(event_type).len()
    }
}

fn patterns(report: &mut Report) {
    let columns = SIZES.map(|size| {
        let (table, locked) = (filled(size), Locked::default());
        (0..size).for_each(|number| locked.insert(&pattern(number, size), number));
        let load = Load::new(size);
        let mut peers = load.peers("`PatternTable`", &table);
        peers.extend(load.peers("locked cache", &locked));
        compare(peers)
    });
    let names = SIZES.map(|size| format!("{size} subscriptions"));
    let title = "One subscription more or less, and one look-up after it";
    report.table(title, &names, &rows(&columns));
}

fn filled(size: usize) -> PatternTable<usize> {
    let table = PatternTable::new();
    table.change(|index| {
        for number in 0..size {
            index.insert(&pattern(number, size), number);
        }
    });
    table
}

/// Random patterns of those that are there already, so that each lands somewhere else, and the
/// event types that somebody asks about in between, so that there is something to forget.
struct Load {
    chosen: Vec<(Pattern, usize)>,
    types: Vec<EventType>,
}

impl Load {
    fn new(size: usize) -> Self {
        let mut numbers = Numbers(3);
        let chosen = |number| (pattern(numbers.below(size), size), size + number);
        Self { chosen: (0..CHANGED).map(chosen).collect(), types: event_types(HOT, size) }
    }

    /// What one inserts, the next removes.
    fn peers<'a>(&'a self, name: &str, shared: &'a impl Shared) -> Vec<Peer<'a>> {
        let each = |call: fn(&_, &Pattern, usize)| {
            move || {
                timed(|number| {
                    let (pattern, value) = &self.chosen[number];
                    call(shared, pattern, *value);
                    std::hint::black_box(shared.read(&self.types[number % HOT]));
                })
            }
        };
        vec![
            Peer::timed(format!("{name}: subscribe"), each(Shared::insert)),
            Peer::timed(format!("{name}: unsubscribe"), each(Shared::remove)),
        ]
    }
}

fn filters(report: &mut Report) {
    let columns = FILTERS.map(|size| {
        let filter = |number: usize| {
            Filter::parse(&filter_text(Kind::Mixed, number)).expect("a valid filter")
        };
        let mut index = FilterIndex::new();
        (0..size).for_each(|number| index.insert(&filter(number), number));
        let chosen: Vec<Filter> = (0..CHANGED).map(|number| filter(size + number)).collect();
        // A reader keeps a version, so that nothing can be changed in place.
        let versions = RefCell::new((index.clone(), index));
        let change = |change: &dyn Fn(&mut FilterIndex<usize>)| {
            let (index, kept) = &mut *versions.borrow_mut();
            change(index);
            *kept = index.clone();
        };
        compare(vec![
            Peer::timed("`FilterIndex`: insert", || {
                timed(|number| change(&|index| index.insert(&chosen[number], number)))
            }),
            Peer::timed("`FilterIndex`: remove", || {
                timed(|number| {
                    let removed = |index: &mut FilterIndex<usize>| {
                        assert!(index.remove(&chosen[number], |known| *known == number));
                    };
                    change(&removed);
                })
            }),
        ])
    });
    let names = FILTERS.map(|size| format!("{size} filters"));
    let title = "One filter more or less, while a reader keeps a version";
    report.table(title, &names, &rows(&columns));
}

/// The 99th of a hundred look-ups while nothing changes, and while subscriptions come and go.
fn readers(report: &mut Report) {
    let size = 100_000;
    let table = filled(size);
    let types = event_types(HOT, size);
    let cells = compare(vec![
        Peer::timed("nothing changes", || slowest(&table, &types)),
        Peer::timed(format!("{CHANGES_PER_SECOND} changes per second"), || {
            let done = AtomicBool::new(false);
            thread::scope(|scope| {
                scope.spawn(|| keep_changing(&table, size, &done));
                let slowest = slowest(&table, &types);
                done.store(true, Ordering::Relaxed);
                slowest
            })
        }),
    ]);
    let rows: Vec<_> = cells.into_iter().map(|(name, cell)| (name, vec![Some(cell)])).collect();
    let title = "What a reader notices: look-up that 99 of 100 do not exceed, clock included";
    report.table(title, &["100000 subscriptions".to_owned()], &rows);
}

fn slowest(table: &PatternTable<usize>, types: &[EventType]) -> f64 {
    let mut taken: Vec<Duration> = (0..200_000)
        .map(|number| {
            let start = Instant::now();
            std::hint::black_box(table.with_matches(&types[number % types.len()], <[usize]>::len));
            start.elapsed()
        })
        .collect();
    taken.sort_unstable();
    nanoseconds(taken[taken.len() * 99 / 100])
}

fn keep_changing(table: &PatternTable<usize>, size: usize, done: &AtomicBool) {
    let mut numbers = Numbers(5);
    while !done.load(Ordering::Relaxed) {
        let pattern = pattern(numbers.below(size), size);
        table.insert(&pattern, size);
        thread::sleep(Duration::from_secs(1) / CHANGES_PER_SECOND / 2);
        assert!(table.remove(&pattern, |known| *known == size));
        thread::sleep(Duration::from_secs(1) / CHANGES_PER_SECOND / 2);
    }
}
