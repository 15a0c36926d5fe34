//! The open windows of many keys.

use std::cmp::Ordering;
use std::collections::hash_map::{Entry, IntoIter, RandomState};
use std::collections::{BinaryHeap, HashMap};
use std::fmt;
use std::hash::Hash;
use std::vec;

use super::old::Old;
use super::open::{Arrival, ClosedWindow, OpenWindows, Pushed, WindowLimits};
use super::{CloseReason, Fold, Moment, OpenWindow, Window};
use crate::error::{Error, Result};
use crate::limits::{WINDOW_KEYS_DEFAULT, WINDOW_KEYS_MAX};

/// Deadlines that may be outdated before they are looked through.
const DUE_SPARE: usize = 1_024;

/// A window that is over, and whose it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyedWindow<K, A> {
    /// The key.
    pub key: K,
    /// The window.
    pub window: ClosedWindow<A>,
}

/// The open windows of many keys, bounded, with one watermark for all of them. Without a clock: what
/// is over is closed by [`advance`](Self::advance).
///
/// What a push costs does not depend on how much is open: one lookup of the key, and the windows
/// that the event is in. When there is no room for another key, the windows of that used least
/// recently are closed, with the reason [`CloseReason::Keys`].
pub struct KeyedWindows<K, A> {
    window: Box<dyn Window>,
    limits: WindowLimits,
    keys_max: usize,
    keys: HashMap<K, Slot<A>, RandomState>,
    /// When keys have a window that is over; one entry for each that has an end, with the
    /// number in its slot. Others are outdated.
    due: BinaryHeap<Due<K>>,
    old: Old<K>,
    watermark: Moment,
    /// Windows closed in one step, before they get their key.
    scratch: Vec<ClosedWindow<A>>,
}

/// What there is of one key.
struct Slot<A> {
    open: OpenWindows<A>,
    used: u64,
    /// The earliest end it has in the heap; no later than the earliest of its windows.
    due: Moment,
    /// The number of that entry.
    entry: u64,
}

struct Due<K> {
    at: Moment,
    entry: u64,
    key: K,
}

impl<K: Hash + Eq + Clone, A> KeyedWindows<K, A> {
    /// None open yet, and at most 50,000 keys.
    ///
    /// # Errors
    /// Those of [`Window::check`].
    pub fn new(window: impl Window) -> Result<Self> {
        Self::bounded(window, WindowLimits::default(), WINDOW_KEYS_DEFAULT)
    }

    /// None open yet, with other bounds: of each window, and how many keys have one.
    ///
    /// # Errors
    /// Those of [`Window::check`]; [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption)
    /// when a bound is 0, or for more than 16,777,216 keys.
    pub fn bounded(window: impl Window, limits: WindowLimits, keys: usize) -> Result<Self> {
        window.check()?;
        if !(1..=WINDOW_KEYS_MAX).contains(&keys) {
            let message = format!("total_keys is 1 to {WINDOW_KEYS_MAX}, not {keys}");
            return Err(Error::invalid_option(message));
        }
        for (what, bound) in [("per_key", limits.events), ("bytes", limits.bytes)] {
            if bound == 0 {
                return Err(Error::invalid_option(format!("{what} is at least 1, not 0")));
            }
        }
        Ok(Self {
            window: Box::new(window),
            limits,
            keys_max: keys,
            keys: HashMap::default(),
            due: BinaryHeap::new(),
            old: Old::new(),
            watermark: Moment::MIN,
            scratch: Vec::new(),
        })
    }

    /// Takes something in that happened at this time and counts for so many bytes. Windows that have
    /// all they may are closed at once. It does not move the watermark: [`advance`](Self::advance)
    /// first.
    pub fn push<I: ?Sized, F: Fold<I, Value = A>>(
        &mut self,
        key: K,
        at: Moment,
        bytes: u64,
        item: &I,
        fold: &F,
        closed: &mut Vec<KeyedWindow<K, A>>,
    ) -> Pushed {
        let arrival = Arrival { item, at, bytes, watermark: self.watermark };
        let used = self.old.used();
        let mut entry = match self.keys.entry(key) {
            Entry::Occupied(entry) => entry,
            Entry::Vacant(entry) => entry.insert_entry(Slot::new()),
        };
        let slot = entry.get_mut();
        let pushed = slot.open.push(&*self.window, self.limits, arrival, fold, &mut self.scratch);
        if pushed == Pushed::Added {
            slot.used = used;
        }
        let next = slot.open.next_end().unwrap_or(Moment::MAX);
        if next < slot.due {
            (slot.due, slot.entry) = (next, used);
            self.due.push(Due { at: next, entry: used, key: entry.key().clone() });
        }
        if !self.scratch.is_empty() {
            let key = entry.key();
            let windows = self.scratch.drain(..);
            closed.extend(windows.map(|window| KeyedWindow { key: key.clone(), window }));
        }
        if entry.get().open.is_empty() {
            entry.remove();
        }
        if self.keys.len() > self.keys_max {
            self.make_room(closed);
        }
        self.shrink();
        pushed
    }

    /// Moves the watermark, and closes what is over then, the earliest first. A watermark before the
    /// present one changes nothing.
    pub fn advance(&mut self, watermark: Moment, closed: &mut Vec<KeyedWindow<K, A>>) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        while self.due.peek().is_some_and(|due| due.at <= watermark) {
            let Some(Due { entry: number, key, .. }) = self.due.pop() else { return };
            let Entry::Occupied(mut entry) = self.keys.entry(key) else { continue };
            let slot = entry.get_mut();
            if slot.entry != number {
                continue;
            }
            slot.open.close_due(&*self.window, watermark, &mut self.scratch);
            slot.due = slot.open.next_end().unwrap_or(Moment::MAX);
            let key = entry.key();
            let windows = self.scratch.drain(..);
            closed.extend(windows.map(|window| KeyedWindow { key: key.clone(), window }));
            let (next, key) = (entry.get().due, key.clone());
            if entry.get().open.is_empty() {
                entry.remove();
            } else if next < Moment::MAX {
                self.due.push(Due { at: next, entry: number, key });
            }
        }
    }

    /// Closes the windows of one key.
    pub fn close(&mut self, key: &K, reason: CloseReason, closed: &mut Vec<KeyedWindow<K, A>>) {
        let Some((key, mut slot)) = self.keys.remove_entry(key) else { return };
        slot.open.close_all(reason, &mut self.scratch);
        let windows = self.scratch.drain(..);
        closed.extend(windows.map(|window| KeyedWindow { key: key.clone(), window }));
    }

    /// Closes all windows: none is open any more, and they come one by one.
    pub fn close_all(&mut self, reason: CloseReason) -> AllClosed<K, A> {
        self.due.clear();
        let slots = std::mem::take(&mut self.keys).into_iter();
        AllClosed { slots, reason, current: None }
    }

    /// Forgets all windows and the watermark.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.due.clear();
        self.watermark = Moment::MIN;
    }

    fn make_room(&mut self, closed: &mut Vec<KeyedWindow<K, A>>) {
        let keys = &self.keys;
        let last_use = |key: &K| keys.get(key).map(|slot| slot.used);
        let all = || keys.iter().map(|(key, slot)| (key, slot.used));
        if let Some(key) = self.old.least(last_use, all) {
            self.close(&key, CloseReason::Keys, closed);
        }
    }

    /// Drops outdated deadlines once they are the most.
    fn shrink(&mut self) {
        if self.due.len() > 2 * self.keys.len() + DUE_SPARE {
            let keys = &self.keys;
            let mut entries = std::mem::take(&mut self.due).into_vec();
            entries.retain(|due| keys.get(&due.key).is_some_and(|slot| slot.entry == due.entry));
            self.due = entries.into();
        }
    }

    /// Puts the windows of a key in that were kept elsewhere meanwhile; bounds are looked at with
    /// the next push.
    pub fn restore(&mut self, key: K, windows: impl IntoIterator<Item = OpenWindow<A>>) {
        let used = self.old.used();
        let slot = self.keys.entry(key.clone()).or_insert_with(Slot::new);
        for open in windows {
            slot.open.insert(open);
        }
        slot.used = used;
        (slot.due, slot.entry) = (slot.open.next_end().unwrap_or(Moment::MAX), used);
        if slot.due < Moment::MAX {
            self.due.push(Due { at: slot.due, entry: used, key });
        }
    }

    /// The open windows of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&OpenWindows<A>> {
        self.keys.get(key).map(|slot| &slot.open)
    }

    /// Nothing is over that ends after this.
    #[must_use]
    pub fn watermark(&self) -> Moment {
        self.watermark
    }

    /// When something may be over next; `None` when nothing is by itself. It may be early, then
    /// nothing is over yet.
    #[must_use]
    pub fn next_end(&self) -> Option<Moment> {
        self.due.peek().map(|due| due.at)
    }

    /// How many keys have open windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no window is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl<A> Slot<A> {
    const fn new() -> Self {
        Self { open: OpenWindows::new(), used: 0, due: Moment::MAX, entry: 0 }
    }
}

/// All windows of a [`KeyedWindows`], closed: from [`KeyedWindows::close_all`]. What it has not given
/// when it is dropped is lost.
pub struct AllClosed<K, A> {
    slots: IntoIter<K, Slot<A>>,
    reason: CloseReason,
    current: Option<(K, vec::IntoIter<ClosedWindow<A>>)>,
}

impl<K: Clone, A> Iterator for AllClosed<K, A> {
    type Item = KeyedWindow<K, A>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, windows)) = &mut self.current
                && let Some(window) = windows.next()
            {
                return Some(KeyedWindow { key: key.clone(), window });
            }
            let (key, mut slot) = self.slots.next()?;
            let mut closed = Vec::with_capacity(slot.open.len());
            slot.open.close_all(self.reason, &mut closed);
            self.current = Some((key, closed.into_iter()));
        }
    }
}

/// The earliest is the greatest, as a heap wants it.
impl<K> Ord for Due<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

impl<K> PartialOrd for Due<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> PartialEq for Due<K> {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<K> Eq for Due<K> {}

impl<K, A> fmt::Debug for KeyedWindows<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedWindows")
            .field("window", &self.window)
            .field("keys", &self.keys.len())
            .field("watermark", &self.watermark)
            .finish_non_exhaustive()
    }
}

impl<K, A> fmt::Debug for AllClosed<K, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllClosed").field("reason", &self.reason).finish_non_exhaustive()
    }
}
