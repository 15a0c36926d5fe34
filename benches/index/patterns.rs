//! Event types to subscriptions.

use nexus_events_dispatch::{PatternIndex, PatternTable};
use nexus_events_model::{EventType, Pattern};

use crate::peers::{Globs, Locked, Regexes, Scan, Trie};
use crate::subscriptions::{HOT, SIZES, SPREAD, event_types, pattern};
use nexus_events_benches::{Cell, Peer, Report, compare};

/// Beyond this many subscriptions a scan takes longer than anybody waits.
const SCANNED_MAX: usize = 100_000;

/// Beyond this many patterns the automata take minutes to build.
const AUTOMATON_MAX: usize = 1_000;

const NAMES: [&str; 8] = [
    "`PatternTable`, remembered (`with_matches`)",
    "`PatternTable`, remembered (`matches`)",
    "`PatternIndex`, not remembered",
    "locked cache as in NATS, shared result",
    "locked cache as in NATS, read under the lock",
    "trie of hash maps, no cache",
    "`globset`",
    "`regex::RegexSet`",
];

pub(crate) fn run(report: &mut Report) {
    let mut tables =
        [("few event types, asked about often", HOT), ("event types spread over all", SPREAD)]
            .map(|(title, count)| (title, count, rows()));
    for (column, size) in SIZES.into_iter().enumerate() {
        let all = Everything::new(size);
        for (_, count, rows) in &mut tables {
            let cells = all.compare(&event_types(*count, size));
            for (name, cell) in cells {
                let row = rows.iter_mut().find(|(known, _)| *known == name);
                row.expect("a known peer").1[column] = Some(cell);
            }
        }
    }
    let columns = SIZES.map(|size| format!("{size} subscriptions"));
    for (title, _, rows) in tables {
        report.table(&format!("Matching: {title}"), &columns, &rows);
    }
}

fn rows() -> Vec<(String, Vec<Option<Cell>>)> {
    let names = NAMES.into_iter().chain(["scan of all patterns"]);
    names.map(|name| (name.to_owned(), vec![None; SIZES.len()])).collect()
}

/// The same subscriptions in every form.
struct Everything {
    table: PatternTable<usize>,
    index: PatternIndex<usize>,
    locked: Locked,
    trie: Trie,
    globs: Option<Globs>,
    regexes: Option<Regexes>,
    scan: Option<Scan>,
}

impl Everything {
    fn new(size: usize) -> Self {
        let patterns: Vec<(Pattern, usize)> =
            (0..size).map(|number| (pattern(number, size), number)).collect();
        let mut index = PatternIndex::new();
        let (table, locked, mut trie) = (PatternTable::new(), Locked::default(), Trie::default());
        for (pattern, number) in &patterns {
            index.insert(pattern, *number);
            locked.insert(pattern, *number);
            trie.insert(pattern, *number);
        }
        table.change(|changed| *changed = index.clone());
        let small = size <= AUTOMATON_MAX;
        Self {
            table,
            index,
            locked,
            trie,
            globs: small.then(|| Globs::new(&patterns)),
            regexes: small.then(|| Regexes::new(&patterns)),
            scan: (size <= SCANNED_MAX).then_some(Scan(patterns)),
        }
    }

    fn compare(&self, types: &[EventType]) -> Vec<(String, Cell)> {
        let mask = types.len() - 1;
        let at = move |number: usize| &types[number & mask];
        let paths: Vec<String> = types.iter().map(|name| name.as_str().replace('.', "/")).collect();
        let indexed = |event_type: &EventType| {
            let mut sum = 0;
            self.index.for_each_match(event_type, |value| sum += value);
            sum
        };
        let walked = |event_type: &EventType| {
            let mut sum = 0;
            self.trie.each(event_type, &mut |value| sum += value);
            sum
        };
        for event_type in types.iter().take(100) {
            let expected = indexed(event_type);
            assert_eq!(self.table.matches(event_type).iter().sum::<usize>(), expected);
            assert_eq!(self.locked.sum(event_type), expected);
            assert_eq!(walked(event_type), expected);
            let path = event_type.as_str().replace('.', "/");
            assert!(self.globs.iter().all(|globs| globs.sum(&path, &mut Vec::new()) == expected));
            assert!(self.regexes.iter().all(|regexes| regexes.sum(event_type) == expected));
            assert!(self.scan.iter().all(|scan| scan.sum(event_type) == expected));
        }
        let mut peers = vec![
            Peer::new(NAMES[0], |number| {
                self.table.with_matches(at(number), |found| found.iter().sum::<usize>())
            }),
            Peer::new(NAMES[1], |number| self.table.matches(at(number)).iter().sum::<usize>()),
            Peer::new(NAMES[2], |number| indexed(at(number))),
            Peer::new(NAMES[3], |number| self.locked.matches(at(number)).iter().sum::<usize>()),
            Peer::new(NAMES[4], |number| self.locked.sum(at(number))),
            Peer::new(NAMES[5], |number| walked(at(number))),
        ];
        if let Some(globs) = &self.globs {
            let mut into = Vec::new();
            let paths = &paths;
            peers.push(Peer::new(NAMES[6], move |number| {
                globs.sum(&paths[number & mask], &mut into)
            }));
        }
        if let Some(regexes) = &self.regexes {
            peers.push(Peer::new(NAMES[7], move |number| regexes.sum(at(number))));
        }
        if let Some(scan) = &self.scan {
            peers.push(Peer::new("scan of all patterns", move |number| scan.sum(at(number))));
        }
        compare(peers)
    }
}
