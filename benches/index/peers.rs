//! Other ways to find what matches an event type.

use std::collections::HashMap;
use std::sync::Arc;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use nexus_events_model::{EventType, Pattern, PatternSegment};
use parking_lot::RwLock;
use regex::RegexSet;

/// As many results as our own cache keeps.
const CACHED_MAX: usize = 4_096;

/// Asks every pattern.
pub(crate) struct Scan(pub(crate) Vec<(Pattern, usize)>);

impl Scan {
    pub(crate) fn sum(&self, event_type: &EventType) -> usize {
        let matching = self.0.iter().filter(|(pattern, _)| pattern.matches(event_type));
        matching.map(|(_, value)| value).sum()
    }
}

/// One automaton of all patterns.
pub(crate) struct Regexes(RegexSet);

impl Regexes {
    pub(crate) fn new(patterns: &[(Pattern, usize)]) -> Self {
        let segment = "[A-Za-z0-9_-]+";
        let regex = |(pattern, _): &(Pattern, usize)| {
            let parts: Vec<String> = pattern
                .segments()
                .iter()
                .map(|part| match part {
                    PatternSegment::Exact(name) => regex::escape(name),
                    PatternSegment::One => segment.to_owned(),
                    PatternSegment::Many => format!(r"{segment}(?:\.{segment})*"),
                })
                .collect();
            format!("^{}$", parts.join(r"\."))
        };
        let set = regex::RegexSetBuilder::new(patterns.iter().map(regex))
            .size_limit(1 << 30)
            .dfa_size_limit(1 << 28)
            .build();
        Self(set.expect("regexes within the limit"))
    }

    pub(crate) fn sum(&self, event_type: &EventType) -> usize {
        self.0.matches(event_type.as_str()).iter().sum()
    }
}

/// File globs, with slashes in place of dots; the event types have them too.
pub(crate) struct Globs(GlobSet);

impl Globs {
    pub(crate) fn new(patterns: &[(Pattern, usize)]) -> Self {
        let mut set = GlobSetBuilder::new();
        for (pattern, _) in patterns {
            let text = pattern.as_str().replace('.', "/");
            let glob = GlobBuilder::new(&text).literal_separator(true).build();
            set.add(glob.expect("a valid glob"));
        }
        Self(set.build().expect("globs within the limit"))
    }

    pub(crate) fn sum(&self, path: &str, into: &mut Vec<usize>) -> usize {
        self.0.matches_into(path, into);
        into.iter().sum()
    }
}

/// A trie of hash maps that is changed in place.
#[derive(Default)]
pub(crate) struct Trie {
    exact: HashMap<Box<str>, Trie>,
    one: Option<Box<Trie>>,
    many: Option<Box<Trie>>,
    values: Vec<usize>,
}

impl Trie {
    pub(crate) fn insert(&mut self, pattern: &Pattern, value: usize) {
        self.node(pattern).values.push(value);
    }

    /// The emptied nodes stay; that is the faster way.
    pub(crate) fn remove(&mut self, pattern: &Pattern, value: usize) {
        self.node(pattern).values.retain(|known| *known != value);
    }

    fn node(&mut self, pattern: &Pattern) -> &mut Self {
        pattern.segments().iter().fold(self, |node, segment| match segment {
            PatternSegment::Exact(name) => node.exact.entry(name.as_str().into()).or_default(),
            PatternSegment::One => node.one.get_or_insert_default(),
            PatternSegment::Many => node.many.get_or_insert_default(),
        })
    }

    pub(crate) fn each(&self, event_type: &EventType, found: &mut impl FnMut(usize)) {
        self.visit(&mut event_type.segments(), found);
    }

    fn visit<'a>(
        &self,
        rest: &mut (impl Iterator<Item = &'a str> + Clone),
        found: &mut impl FnMut(usize),
    ) {
        let Some(segment) = rest.next() else {
            self.values.iter().for_each(|value| found(*value));
            return;
        };
        let next = [self.exact.get(segment), self.one.as_deref()];
        next.into_iter().flatten().for_each(|node| node.visit(&mut rest.clone(), found));
        if let Some(node) = &self.many {
            loop {
                node.visit(&mut rest.clone(), found);
                if rest.next().is_none() {
                    break;
                }
            }
        }
    }
}

/// A trie and its results by name, both behind one lock, as in the server of NATS: a change
/// forgets the results.
#[derive(Default)]
pub(crate) struct Locked(RwLock<Sublist>);

#[derive(Default)]
struct Sublist {
    trie: Trie,
    results: HashMap<String, Arc<[usize]>>,
}

impl Locked {
    pub(crate) fn insert(&self, pattern: &Pattern, value: usize) {
        let mut list = self.0.write();
        list.trie.insert(pattern, value);
        list.results.clear();
    }

    pub(crate) fn remove(&self, pattern: &Pattern, value: usize) {
        let mut list = self.0.write();
        list.trie.remove(pattern, value);
        list.results.clear();
    }

    /// A share of the result, so that nothing runs under the lock.
    pub(crate) fn matches(&self, event_type: &EventType) -> Arc<[usize]> {
        if let Some(found) = self.0.read().results.get(event_type.as_str()) {
            return found.clone();
        }
        let mut list = self.0.write();
        let mut found = Vec::new();
        list.trie.each(event_type, &mut |value| found.push(value));
        let found: Arc<[usize]> = found.into();
        if list.results.len() == CACHED_MAX {
            list.results.clear();
        }
        list.results.insert(event_type.as_str().to_owned(), found.clone());
        found
    }

    /// Reads a result under the lock.
    pub(crate) fn sum(&self, event_type: &EventType) -> usize {
        if let Some(found) = self.0.read().results.get(event_type.as_str()) {
            return found.iter().sum();
        }
        self.matches(event_type).iter().sum()
    }
}
