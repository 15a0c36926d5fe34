//! Many filters, one event.

use std::collections::HashSet;
use std::fmt;
use std::hash::RandomState;

use nexus_events_model::{Event, Filter, IdBuffer};

use crate::index::field::Offer;
use crate::index::found::Root;
use crate::index::paths::Paths;
use crate::index::spot::{Choice, Spot, choices};
use crate::index::values::Values;
use crate::sync::Arc;

/// Values under filters; says which of them match an event, without asking most of the filters.
///
/// It is a value, as [`PatternIndex`](crate::PatternIndex) is: a clone is a few pointers, and a
/// change copies only what lies on its own path.
///
/// Each filter is filed under one condition that it cannot match without: preferably a field that
/// equals something, or else one that starts or ends so, lies between bounds, or is there at all.
/// An event brings up the filters whose condition it meets, and [`Filter::matches`] has the last
/// word. So ten thousand filters on one field that each want another value cost about as much as
/// one.
///
/// | filter | filed under |
/// |---|---|
/// | `source == 'shop' && payload.amount > 100` | the source, or the amount where the source is crowded |
/// | `payload.sku in ['a', 'b']` | both values |
/// | `payload.a == 1 \|\| payload.b == 2` | both conditions |
/// | `payload.file.startsWith('img/')`, `.endsWith`, `.like('img/*')` | the start or the end |
/// | `payload.t >= 10 && payload.t < 20` | the range |
/// | `priority >= 'high'` | both priorities |
/// | `event_type.matchesPattern('order.*')` | the pattern |
/// | `payload.note.matches('a+')`, `payload.note != 'x'`, `has(payload.note)` | the field being there |
/// | `!(source == 'shop')`, or an alternative without a condition | nothing: it is asked about each event |
///
/// ```
/// use nexus_events_dispatch::FilterIndex;
/// use nexus_events_model::{Event, Filter};
/// use serde_json::json;
///
/// let mut index = FilterIndex::new();
/// index.insert(&Filter::parse("source == 'shop' && payload.amount > 100")?, "large orders");
/// index.insert(&Filter::parse("source == 'till'")?, "the till");
///
/// let event = Event::builder("order.created")
///     .id("1").timestamp_text("2026-01-02T03:04:05Z")
///     .source("shop")
///     .payload(json!({"amount": 120}))
///     .build()?;
/// let mut found = Vec::new();
/// index.for_each_match(&event, |name| found.push(*name));
/// assert_eq!(found, ["large orders"]);
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
pub struct FilterIndex<T> {
    roots: [Option<Arc<Paths<Filed<T>>>>; Root::ALL.len()],
    /// What no condition brings up.
    rest: Values<Filed<T>>,
    /// Values come from strangers, so where they land in the maps is not theirs to know.
    hasher: RandomState,
    len: usize,
}

type Filed<T> = Arc<Entry<T>>;

struct Entry<T> {
    filter: Filter,
    value: T,
    /// Where it is filed; among the rest when there is no spot.
    spots: Vec<Spot>,
}

impl<T> FilterIndex<T> {
    /// An index without values.
    #[must_use]
    pub fn new() -> Self {
        Self {
            roots: [const { None }; Root::ALL.len()],
            rest: Values::None,
            hasher: RandomState::new(),
            len: 0,
        }
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a value under a filter; the same one may stand there several times.
    pub fn insert(&mut self, filter: &Filter, value: T) {
        let spots = self.best(choices(filter)).map_or_else(Vec::new, |choice| choice.spots);
        let entry = Arc::new(Entry { filter: filter.clone(), value, spots });
        for spot in &entry.spots {
            let paths = Arc::make_mut(self.roots[spot.root as usize].get_or_insert_default());
            paths.change(&spot.steps, &self.hasher, |field| {
                field.insert(&spot.want, entry.clone(), &self.hasher);
            });
        }
        if entry.spots.is_empty() {
            self.rest.push(entry);
        }
        self.len += 1;
    }

    /// Removes a value under an equal filter for which `same` holds; says whether there was one.
    ///
    /// ```
    /// # use nexus_events_dispatch::FilterIndex;
    /// # use nexus_events_model::Filter;
    /// let filter = Filter::parse("source == 'shop'")?;
    /// let mut index = FilterIndex::new();
    /// index.insert(&filter, 7);
    /// assert!(!index.remove(&Filter::all(), |value| *value == 7));
    /// assert!(index.remove(&filter, |value| *value == 7));
    /// assert!(index.is_empty());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn remove(&mut self, filter: &Filter, same: impl Fn(&T) -> bool) -> bool {
        let Some(entry) = self.find(filter, &same) else { return false };
        let is = |known: &Filed<T>| Arc::ptr_eq(known, &entry);
        for spot in &entry.spots {
            let root = &mut self.roots[spot.root as usize];
            let Some(paths) = root else { continue };
            let paths = Arc::make_mut(paths);
            paths.change(&spot.steps, &self.hasher, |field| {
                field.remove(&spot.want, is, &self.hasher);
            });
            if paths.is_empty() {
                *root = None;
            }
        }
        if entry.spots.is_empty() {
            self.rest.remove(is);
        }
        self.len -= 1;
        true
    }

    /// Calls `found` once for each value whose filter matches, in no particular order.
    pub fn for_each_match<'a>(&'a self, event: &Event, found: impl FnMut(&'a T)) {
        let mut candidates =
            Candidates { event, hasher: &self.hasher, offered: HashSet::new(), found };
        self.rest.each(&mut |entry| candidates.ask(entry));
        for (root, paths) in Root::ALL.into_iter().zip(&self.roots) {
            if let Some(paths) = paths
                && let Some(found) = root.read(event, &mut IdBuffer::new())
            {
                paths.visit(found, false, &mut candidates);
            }
        }
    }

    /// The choice that brings up the fewest candidates, as far as one can tell.
    fn best(&self, choices: Vec<Choice>) -> Option<Choice> {
        choices.into_iter().min_by_key(|choice| {
            let crowd: usize = choice.spots.iter().map(|spot| self.crowd(spot)).sum();
            (crowd + 1) * choice.weight
        })
    }

    fn crowd(&self, spot: &Spot) -> usize {
        let paths = self.roots[spot.root as usize].as_ref();
        let field = paths.and_then(|paths| paths.field(&spot.steps, &self.hasher));
        field.map_or(0, |field| field.crowd(&spot.want, &self.hasher))
    }

    /// It is filed under one of the choices there are, whichever was best at the time.
    fn find(&self, filter: &Filter, same: &impl Fn(&T) -> bool) -> Option<Filed<T>> {
        let is = |entry: &Filed<T>| same(&entry.value) && entry.filter == *filter;
        let among = |choice: &Choice| {
            let spot = choice.spots.first()?;
            let paths = self.roots[spot.root as usize].as_ref()?;
            paths.field(&spot.steps, &self.hasher)?.find(&spot.want, is, &self.hasher)
        };
        let choices = choices(filter);
        choices.iter().find_map(among).or_else(|| self.rest.find(is)).cloned()
    }
}

/// Judges what is offered, each filter once.
struct Candidates<'e, F> {
    event: &'e Event,
    hasher: &'e RandomState,
    /// Those that may be offered again, by where they are.
    offered: HashSet<usize>,
    found: F,
}

impl<F> Candidates<'_, F> {
    fn ask<'a, T>(&mut self, entry: &'a Filed<T>)
    where
        F: FnMut(&'a T),
    {
        if entry.filter.matches(self.event) {
            (self.found)(&entry.value);
        }
    }
}

impl<'a, T: 'a, F: FnMut(&'a T)> Offer<'a, Filed<T>> for Candidates<'_, F> {
    fn offer(&mut self, entry: &'a Filed<T>, again: bool) {
        let once = !again && entry.spots.len() == 1;
        if once || self.offered.insert(Arc::as_ptr(entry).addr()) {
            self.ask(entry);
        }
    }

    fn hasher(&self) -> &RandomState {
        self.hasher
    }
}

impl<T> Clone for FilterIndex<T> {
    fn clone(&self) -> Self {
        Self {
            roots: self.roots.clone(),
            rest: self.rest.clone(),
            hasher: self.hasher.clone(),
            len: self.len,
        }
    }
}

impl<T> Default for FilterIndex<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for FilterIndex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FilterIndex").field("len", &self.len).finish_non_exhaustive()
    }
}
