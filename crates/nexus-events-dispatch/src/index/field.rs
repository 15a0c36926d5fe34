//! All filters that wait for a value at one path.

use std::hash::{BuildHasher, RandomState};

use nexus_events_model::filter_ast::Number;
use serde_json::Value;

use crate::index::found::Found;
use crate::index::map::Map;
use crate::index::pattern_index::PatternIndex;
use crate::index::ranges::Ranges;
use crate::index::spot::{Key, Want};
use crate::index::values::Values;
use crate::sync::Arc;

/// Arrays within arrays deeper than this are not looked into, as by the filters themselves.
pub(super) const NESTING_MAX: usize = 128;

/// One of so many ranges and patterns is taken to hold any one value; nobody counts them.
const GUESSED_SHARE: usize = 8;

/// The values filed under what may stand at one path.
#[derive(Debug, Clone)]
pub(super) struct Field<V> {
    keys: Map<Arc<Bucket<V>>>,
    /// How long the starts and the ends among the keys are.
    starts: Lengths,
    ends: Lengths,
    number: Ranges<Number, V>,
    numbers: Ranges<Number, V>,
    time: Ranges<i128, V>,
    types: PatternIndex<V>,
    present: Values<V>,
}

#[derive(Debug, Clone)]
struct Bucket<V> {
    key: Key,
    values: Values<V>,
}

/// Lengths in bytes, each with the number of keys that have it; there are few.
#[derive(Debug, Clone, Default)]
struct Lengths(Vec<(usize, usize)>);

impl Lengths {
    fn add(&mut self, length: usize) {
        match self.0.iter_mut().find(|(known, _)| *known == length) {
            Some((_, count)) => *count += 1,
            None => self.0.push((length, 1)),
        }
    }

    fn remove(&mut self, length: usize) {
        if let Some((_, count)) = self.0.iter_mut().find(|(known, _)| *known == length) {
            *count -= 1;
        }
        self.0.retain(|(_, count)| *count > 0);
    }
}

/// Told each candidate, and whether it may be told again for the same event.
pub(super) trait Offer<'a, V> {
    fn offer(&mut self, value: &'a V, again: bool);

    /// What the index hashes with.
    fn hasher(&self) -> &RandomState;
}

impl<V> Default for Field<V> {
    fn default() -> Self {
        Self {
            keys: Map::default(),
            starts: Lengths::default(),
            ends: Lengths::default(),
            number: Ranges::default(),
            numbers: Ranges::default(),
            time: Ranges::default(),
            types: PatternIndex::new(),
            present: Values::None,
        }
    }
}

impl<V: Clone> Field<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
            && self.number.is_empty()
            && self.numbers.is_empty()
            && self.time.is_empty()
            && self.types.is_empty()
            && self.present.is_empty()
    }

    /// About how many candidates a match of this kind yields.
    pub(super) fn crowd(&self, want: &Want, hasher: &RandomState) -> usize {
        match want {
            Want::Key(key) => {
                self.bucket(&key.borrowed(), hasher).map_or(0, |bucket| bucket.values.len())
            }
            Want::Number(_) => self.number.len() / GUESSED_SHARE,
            Want::Numbers(_) => self.numbers.len() / GUESSED_SHARE,
            Want::Time(_) => self.time.len() / GUESSED_SHARE,
            Want::Type(_) => self.types.len() / GUESSED_SHARE,
            Want::Present => self.present.len(),
        }
    }

    pub(super) fn insert(&mut self, want: &Want, value: V, hasher: &RandomState) {
        match want {
            Want::Key(key) => self.insert_key(key, value, hasher),
            Want::Number(range) => self.number.insert(range, value),
            Want::Numbers(range) => self.numbers.insert(range, value),
            Want::Time(range) => self.time.insert(range, value),
            Want::Type(pattern) => self.types.insert(pattern, value),
            Want::Present => self.present.push(value),
        }
    }

    fn insert_key(&mut self, key: &Key, value: V, hasher: &RandomState) {
        match key {
            Key::Start(text) => self.starts.add(text.len()),
            Key::End(text) => self.ends.add(text.len()),
            _ => {}
        }
        let is = |bucket: &Arc<Bucket<V>>| bucket.key == *key;
        let new = || Arc::new(Bucket { key: key.clone(), values: Values::None });
        self.keys.change(hasher.hash_one(key.borrowed()), is, new, |bucket| {
            Arc::make_mut(bucket).values.push(value);
        });
    }

    pub(super) fn remove(&mut self, want: &Want, same: impl Fn(&V) -> bool, hasher: &RandomState) {
        match want {
            Want::Key(key) => self.remove_key(key, same, hasher),
            Want::Number(range) => _ = self.number.remove(range, same),
            Want::Numbers(range) => _ = self.numbers.remove(range, same),
            Want::Time(range) => _ = self.time.remove(range, same),
            Want::Type(pattern) => _ = self.types.remove(pattern, same),
            Want::Present => _ = self.present.remove(same),
        }
    }

    fn remove_key(&mut self, key: &Key, same: impl Fn(&V) -> bool, hasher: &RandomState) {
        let hash = hasher.hash_one(key.borrowed());
        let is = |bucket: &Arc<Bucket<V>>| bucket.key == *key;
        let Some(bucket) = self.keys.get(hash, is) else { return };
        let mut values = bucket.values.clone();
        if !values.remove(same) {
            return;
        }
        match key {
            Key::Start(text) => self.starts.remove(text.len()),
            Key::End(text) => self.ends.remove(text.len()),
            _ => {}
        }
        if values.is_empty() {
            self.keys.remove(hash, is);
            return;
        }
        let new = || Arc::new(Bucket { key: key.clone(), values: Values::None });
        self.keys.change(hash, is, new, |bucket| Arc::make_mut(bucket).values = values);
    }

    pub(super) fn find(
        &self,
        want: &Want,
        same: impl Fn(&V) -> bool,
        hasher: &RandomState,
    ) -> Option<&V> {
        match want {
            Want::Key(key) => self.bucket(&key.borrowed(), hasher)?.values.find(same),
            Want::Number(range) => self.number.find(range, same),
            Want::Numbers(range) => self.numbers.find(range, same),
            Want::Time(range) => self.time.find(range, same),
            Want::Type(pattern) => self.types.find(pattern, same),
            Want::Present => self.present.find(same),
        }
    }

    fn bucket(&self, key: &Key<&str>, hasher: &RandomState) -> Option<&Bucket<V>> {
        let is = |bucket: &Arc<Bucket<V>>| bucket.key.borrowed() == *key;
        self.keys.get(hasher.hash_one(key), is).map(|bucket| &**bucket)
    }

    /// Offers what is filed under what stands here; `again` where the path leads to more places.
    pub(super) fn visit<'a>(&'a self, found: Found<'_>, again: bool, to: &mut impl Offer<'a, V>) {
        if let Found::Unset = found {
            self.visit_key(&Key::Null, again, to);
            return;
        }
        self.present.each(&mut |value| to.offer(value, again));
        let several = again || matches!(found, Found::Json(Value::Array(_)));
        if several {
            self.numbers.each(&mut |value| to.offer(value, true));
        }
        self.visit_each(found, several, 0, to);
    }

    /// The value, or the elements where it is an array, arrays within it too.
    fn visit_each<'a>(
        &'a self,
        found: Found<'_>,
        again: bool,
        nesting: usize,
        to: &mut impl Offer<'a, V>,
    ) {
        match found {
            Found::Json(Value::Array(items)) if nesting < NESTING_MAX => {
                for item in items {
                    self.visit_each(Found::Json(item), again, nesting + 1, to);
                }
            }
            scalar => self.visit_scalar(scalar, again, to),
        }
    }

    fn visit_scalar<'a>(&'a self, found: Found<'_>, again: bool, to: &mut impl Offer<'a, V>) {
        match found {
            Found::Json(Value::Null) => self.visit_key(&Key::Null, again, to),
            Found::Json(Value::Bool(value)) => {
                self.visit_key(&Key::Bool(*value), again, to);
            }
            Found::Bool(value) => self.visit_key(&Key::Bool(value), again, to),
            Found::Json(Value::Number(json)) => {
                if let Some(number) = number(json) {
                    self.visit_number(number, again, to);
                }
            }
            Found::Count(count) => self.visit_number(u64::from(count).into(), again, to),
            Found::Json(Value::String(text)) => self.visit_text(text, again, to),
            Found::Text(text) => self.visit_text(text, again, to),
            Found::Priority(priority) => self.visit_text(priority.as_str(), again, to),
            Found::Type(event_type) => {
                self.visit_text(event_type.as_str(), again, to);
                self.types.for_each_match(event_type, |value| to.offer(value, again));
            }
            Found::Time(time) => {
                let offer = &mut |value| to.offer(value, again);
                self.time.at(&time.unix_timestamp_nanos(), offer);
            }
            Found::Json(_) | Found::Metadata(_) | Found::Unset => {}
        }
    }

    fn visit_number<'a>(&'a self, number: Number, again: bool, to: &mut impl Offer<'a, V>) {
        self.visit_key(&Key::Number(number), again, to);
        self.number.at(&number, &mut |value| to.offer(value, again));
        if !again {
            self.numbers.at(&number, &mut |value| to.offer(value, again));
        }
    }

    fn visit_text<'a>(&'a self, text: &str, again: bool, to: &mut impl Offer<'a, V>) {
        self.visit_key(&Key::Text(text), again, to);
        for (length, _) in &self.starts.0 {
            if let Some(start) = text.get(..*length) {
                self.visit_key(&Key::Start(start), again, to);
            }
        }
        for (length, _) in &self.ends.0 {
            let start = text.len().checked_sub(*length);
            if let Some(end) = start.and_then(|start| text.get(start..)) {
                self.visit_key(&Key::End(end), again, to);
            }
        }
    }

    fn visit_key<'a>(&'a self, key: &Key<&str>, again: bool, to: &mut impl Offer<'a, V>) {
        if self.keys.is_empty() {
            return;
        }
        if let Some(bucket) = self.bucket(key, to.hasher()) {
            bucket.values.each(&mut |value| to.offer(value, again));
        }
    }
}

fn number(json: &serde_json::Number) -> Option<Number> {
    match (json.as_i64(), json.as_u64()) {
        (Some(number), _) => Some(number.into()),
        (None, Some(number)) => Some(number.into()),
        (None, None) => Number::from_f64(json.as_f64()?),
    }
}
