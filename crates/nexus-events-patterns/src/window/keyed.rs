//! The open windows of many keys.

use std::cmp::Reverse;
use std::fmt;
use std::hash::Hash;
use std::vec;

use super::due::Deadlines;
use super::old::Old;
use super::open::{Arrival, ClosedWindow, OpenWindows, Pushed, WindowLimits};
use super::slots::{Slot, Slots};
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
    keys: Slots<K, A>,
    /// When there is a place with a window that is over: one entry for each that has an end, at
    /// the time that the place says too. Others are outdated.
    due: Deadlines,
    /// Places to look at now, the earliest last.
    over: Vec<(Moment, u32)>,
    old: Old,
    watermark: Moment,
    /// Windows closed in one step, before they get their key.
    scratch: Vec<ClosedWindow<A>>,
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
            keys: Slots::new(),
            due: Deadlines::new(),
            over: Vec::new(),
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
        let (number, slot) = self.keys.place(key);
        let pushed = slot.open.push(&*self.window, self.limits, arrival, fold, &mut self.scratch);
        if pushed == Pushed::Added {
            slot.used = used;
        }
        let next = slot.open.next_end().unwrap_or(Moment::MAX);
        if next < slot.due {
            slot.due = next;
            self.due.push(next, number);
        }
        let is_empty = slot.open.is_empty();
        give(slot, &mut self.scratch, closed);
        if is_empty {
            self.keys.remove(number);
        }
        if self.keys.len() > self.keys_max {
            self.make_room(closed);
        }
        if self.due.len() > 2 * self.keys.places() + DUE_SPARE {
            self.due_anew();
        }
        pushed
    }

    /// Moves the watermark, and closes what is over then, the earliest first. A watermark before the
    /// present one changes nothing.
    pub fn advance(&mut self, watermark: Moment, closed: &mut Vec<KeyedWindow<K, A>>) {
        if watermark <= self.watermark {
            return;
        }
        self.watermark = watermark;
        if self.due.next().is_some_and(|next| next <= watermark) {
            self.due.advance(watermark, &mut self.over);
            self.over.sort_unstable_by_key(|due| Reverse(*due));
        }
        while let Some((at, number)) = self.over.pop() {
            let Some(slot) = self.keys.at_mut(number) else { continue };
            if slot.due != at {
                continue;
            }
            slot.open.close_due(&*self.window, watermark, &mut self.scratch);
            slot.due = slot.open.next_end().unwrap_or(Moment::MAX);
            if slot.due < Moment::MAX {
                self.due.push(slot.due, number);
            }
            let is_empty = slot.open.is_empty();
            give(slot, &mut self.scratch, closed);
            if is_empty {
                self.keys.remove(number);
            }
        }
    }

    /// Closes the windows of one key.
    pub fn close(&mut self, key: &K, reason: CloseReason, closed: &mut Vec<KeyedWindow<K, A>>) {
        if let Some(number) = self.keys.find(key) {
            self.close_place(number, reason, closed);
        }
    }

    fn close_place(
        &mut self,
        number: u32,
        reason: CloseReason,
        closed: &mut Vec<KeyedWindow<K, A>>,
    ) {
        let Some((key, mut open)) = self.keys.remove(number) else { return };
        open.close_all(reason, &mut self.scratch);
        let windows = self.scratch.drain(..);
        closed.extend(windows.map(|window| KeyedWindow { key: key.clone(), window }));
    }

    /// Closes all windows: none is open any more, and they come one by one.
    pub fn close_all(&mut self, reason: CloseReason) -> AllClosed<K, A> {
        self.due.forget();
        self.over.clear();
        AllClosed { slots: self.keys.take().into_iter(), reason, current: None }
    }

    /// Forgets all windows and the watermark.
    pub fn clear(&mut self) {
        self.keys.take();
        self.due.clear();
        self.over.clear();
        self.watermark = Moment::MIN;
    }

    fn make_room(&mut self, closed: &mut Vec<KeyedWindow<K, A>>) {
        let keys = &self.keys;
        let used = |slot: &Slot<K, A>| slot.key.as_ref().map(|_| slot.used);
        let last_use = |number: u32| keys.at(number).and_then(used);
        let all = || keys.iter().filter_map(|(number, slot)| Some((number, used(slot)?)));
        if let Some(number) = self.old.least(last_use, all) {
            self.close_place(number, CloseReason::Keys, closed);
        }
    }

    /// Drops outdated deadlines, which are the most.
    fn due_anew(&mut self) {
        self.due.forget();
        for (number, slot) in self.keys.iter_mut() {
            slot.due = slot.open.next_end().unwrap_or(Moment::MAX);
            if slot.due < Moment::MAX {
                self.due.push(slot.due, number);
            }
        }
    }

    /// Puts the windows of a key in that were kept elsewhere meanwhile; bounds are looked at with
    /// the next push.
    pub fn restore(&mut self, key: K, windows: impl IntoIterator<Item = OpenWindow<A>>) {
        let used = self.old.used();
        let (number, slot) = self.keys.place(key);
        for open in windows {
            slot.open.insert(open);
        }
        slot.used = used;
        let next = slot.open.next_end().unwrap_or(Moment::MAX);
        if next < slot.due {
            slot.due = next;
            self.due.push(next, number);
        }
    }

    /// The open windows of a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&OpenWindows<A>> {
        self.keys.at(self.keys.find(key)?).map(|slot| &slot.open)
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
        self.due.next()
    }

    /// How many keys have open windows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no window is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.len() == 0
    }
}

/// Gives what was closed its key.
#[inline]
fn give<K: Clone, A>(
    slot: &Slot<K, A>,
    windows: &mut Vec<ClosedWindow<A>>,
    closed: &mut Vec<KeyedWindow<K, A>>,
) {
    if windows.is_empty() {
        return;
    }
    if let Some(key) = &slot.key {
        let windows = windows.drain(..);
        closed.extend(windows.map(|window| KeyedWindow { key: key.clone(), window }));
    }
}

/// All windows of a [`KeyedWindows`], closed: from [`KeyedWindows::close_all`]. What it has not given
/// when it is dropped is lost.
pub struct AllClosed<K, A> {
    slots: vec::IntoIter<Slot<K, A>>,
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
            let mut slot = self.slots.next()?;
            let Some(key) = slot.key else { continue };
            let mut closed = Vec::with_capacity(slot.open.len());
            slot.open.close_all(self.reason, &mut closed);
            self.current = Some((key, closed.into_iter()));
        }
    }
}

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
