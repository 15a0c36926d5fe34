//! The open windows of one key.

use super::{CloseReason, Fold, Moment, Span, Window};

/// A window that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenWindow<A> {
    /// From when to when it is, as far as is known.
    pub span: Span,
    /// Its earliest event.
    pub first: Moment,
    /// Its latest event.
    pub last: Moment,
    /// How many events it has.
    pub count: u64,
    /// How many bytes they are.
    pub bytes: u64,
    /// What they come to.
    pub value: A,
}

/// A window that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClosedWindow<A> {
    /// From when to when it was.
    pub span: Span,
    /// Its earliest event.
    pub first: Moment,
    /// Its latest event.
    pub last: Moment,
    /// How many events it had, at least 1.
    pub count: u64,
    /// How many bytes they were.
    pub bytes: u64,
    /// Why it was closed.
    pub reason: CloseReason,
    /// What they come to.
    pub value: A,
}

impl<A> OpenWindow<A> {
    fn close(self, reason: CloseReason) -> ClosedWindow<A> {
        let Self { span, first, last, count, bytes, value } = self;
        ClosedWindow { span, first, last, count, bytes, reason, value }
    }

    /// Puts a window back that was kept elsewhere meanwhile.
    #[must_use]
    pub fn restore(
        span: Span,
        (first, last): (Moment, Moment),
        count: u64,
        bytes: u64,
        value: A,
    ) -> Self {
        Self { span, first, last, count, bytes, value }
    }
}

/// How much a window may hold; one that has as much is closed.
///
/// ```
/// use nexus_events_patterns::window::WindowLimits;
/// assert_eq!(WindowLimits::default().events, 1_000_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WindowLimits {
    /// Events of one window.
    pub events: u64,
    /// Bytes of its events.
    pub bytes: u64,
}

impl WindowLimits {
    /// So many events and bytes.
    #[must_use]
    pub const fn new(events: u64, bytes: u64) -> Self {
        Self { events, bytes }
    }
}

impl Default for WindowLimits {
    /// A million events and 64 MiB.
    fn default() -> Self {
        use crate::limits::{WINDOW_BYTES_DEFAULT, WINDOW_EVENTS_DEFAULT};
        Self { events: WINDOW_EVENTS_DEFAULT, bytes: WINDOW_BYTES_DEFAULT }
    }
}

/// Something that comes to the windows of a key.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a, I: ?Sized> {
    /// What is aggregated.
    pub item: &'a I,
    /// When it happened.
    pub at: Moment,
    /// How many bytes it counts for.
    pub bytes: u64,
    /// Nothing is over that ends after this.
    pub watermark: Moment,
}

/// What became of something that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pushed {
    /// It is in a window, or in several.
    Added,
    /// Every window it belongs to is over. It is in none.
    Late,
}

/// The open windows of one key: a state machine without a clock. In most cases there is one window,
/// which takes no allocation.
///
/// ```
/// use std::time::Duration;
/// use nexus_events_patterns::window::{Arrival, CloseReason, Moment, OpenWindows, Pushed, Session, WindowLimits, fold};
///
/// let session = Session::gap(Duration::from_micros(10));
/// let sum = fold(|| 0_u64, |sum: &mut u64, item: &u64| *sum += item).merging(|sum, later| *sum += later);
/// let (mut windows, mut closed) = (OpenWindows::new(), Vec::new());
/// // The last one is late, and bridges the two before.
/// for (at, item) in [(0, 1), (11, 2), (5, 4)] {
///     let at = Moment::from_micros(at);
///     let arrival = Arrival { item: &item, at, bytes: 8, watermark: Moment::MIN };
///     assert_eq!(windows.push(&session, WindowLimits::default(), arrival, &sum, &mut closed), Pushed::Added);
/// }
/// windows.close_due(&session, Moment::from_micros(21), &mut closed);
/// assert_eq!((closed[0].value, closed[0].count, closed[0].reason), (7, 3, CloseReason::Time));
/// assert!(windows.is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct OpenWindows<A>(Windows<A>);

#[derive(Debug, Clone)]
enum Windows<A> {
    One(OpenWindow<A>),
    Many(Vec<OpenWindow<A>>),
}

impl<A> OpenWindows<A> {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Windows::Many(Vec::new()))
    }

    /// Whether none is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all().is_empty()
    }

    /// How many are open.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all().len()
    }

    /// Those that are open, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &OpenWindow<A>> {
        self.all().iter()
    }

    #[inline]
    const fn all(&self) -> &[OpenWindow<A>] {
        match &self.0 {
            Windows::One(open) => std::slice::from_ref(open),
            Windows::Many(all) => all.as_slice(),
        }
    }

    /// When the first of them is over; `None` when none ever is by itself.
    #[must_use]
    pub fn next_end(&self) -> Option<Moment> {
        let end = self.iter().map(|open| open.span.end).min()?;
        (end < Moment::MAX).then_some(end)
    }

    /// Takes something in. Windows that have all they may are closed at once; those whose time is
    /// over are not: that is [`close_due`](Self::close_due).
    pub fn push<W: Window + ?Sized, I: ?Sized, F: Fold<I, Value = A>>(
        &mut self,
        window: &W,
        limits: WindowLimits,
        arrival: Arrival<'_, I>,
        fold: &F,
        closed: &mut Vec<ClosedWindow<A>>,
    ) -> Pushed {
        let most = window.size().map_or(limits.events, |size| size.min(limits.events));
        let limits = WindowLimits { events: most, ..limits };
        let mut pushed = Pushed::Late;
        if let Some(span) = window.joined(arrival.at, arrival.at) {
            let place = self.grow(window, span, &arrival, fold);
            self.put(place, span, limits, &arrival, fold, closed, &mut pushed);
        } else {
            window.spans(arrival.at, &mut |span| {
                let place = self.iter().position(|open| open.span == span);
                self.put(place, span, limits, &arrival, fold, closed, &mut pushed);
            });
        }
        pushed
    }

    /// Adds to the window at this place, or to a new one.
    #[allow(clippy::too_many_arguments, reason = "the parts of one step of the machine")]
    #[inline]
    fn put<I: ?Sized, F: Fold<I, Value = A>>(
        &mut self,
        place: Option<usize>,
        span: Span,
        limits: WindowLimits,
        arrival: &Arrival<'_, I>,
        fold: &F,
        closed: &mut Vec<ClosedWindow<A>>,
        pushed: &mut Pushed,
    ) {
        let place = match place {
            Some(place) => place,
            None if span.end <= arrival.watermark => return,
            None => {
                let (value, at) = (fold.start(), arrival.at);
                self.insert(OpenWindow { span, first: at, last: at, count: 0, bytes: 0, value })
            }
        };
        *pushed = Pushed::Added;
        let Some(open) = self.get_mut(place) else { return };
        open.first = open.first.min(arrival.at);
        open.last = open.last.max(arrival.at);
        open.count += 1;
        open.bytes = open.bytes.saturating_add(arrival.bytes);
        // Last: where it panics, the event counts, and what the program made of it is there.
        fold.add(&mut open.value, arrival.item);
        let reason = if open.count >= limits.events {
            CloseReason::Size
        } else if open.bytes >= limits.bytes {
            CloseReason::Bytes
        } else {
            return;
        };
        closed.extend(self.remove(place).map(|open| open.close(reason)));
    }

    /// The window that the event makes longer, with those that it bridges in it.
    #[inline]
    fn grow<W: Window + ?Sized, I: ?Sized, F: Fold<I, Value = A>>(
        &mut self,
        window: &W,
        span: Span,
        arrival: &Arrival<'_, I>,
        fold: &F,
    ) -> Option<usize> {
        let at = arrival.at;
        let (mut place, joined) = self.iter().enumerate().find_map(|(place, open)| {
            let joined = || window.joined(open.first.min(at), open.last.max(at));
            let joined = open.span.overlaps(span).then(joined)??;
            // Where there is a longest wait, a late event would end it earlier, even in the past.
            (joined.end > arrival.watermark).then_some((place, joined))
        })?;
        let open = self.get_mut(place)?;
        (open.span, open.first, open.last) = (joined, open.first.min(at), open.last.max(at));
        while fold.can_merge() && self.len() > 1 {
            let Some((other, joined)) = self.bridged(window, place, arrival.watermark) else {
                break;
            };
            let (first, second) = (place.min(other), place.max(other));
            // The later place first, so that the other one stays where it is.
            let (Some(b), Some(a)) = (self.remove(second), self.remove(first)) else { break };
            let (mut earlier, later) = if a.first <= b.first { (a, b) } else { (b, a) };
            fold.merge(&mut earlier.value, later.value);
            earlier.span = joined;
            earlier.last = earlier.last.max(later.last);
            earlier.count += later.count;
            earlier.bytes = earlier.bytes.saturating_add(later.bytes);
            place = self.insert(earlier);
        }
        Some(place)
    }

    /// Another window that may be one with that at this place.
    fn bridged<W: Window + ?Sized>(
        &self,
        window: &W,
        place: usize,
        watermark: Moment,
    ) -> Option<(usize, Span)> {
        let open = self.get(place)?;
        self.iter().enumerate().filter(|(other, _)| *other != place).find_map(|(other, it)| {
            let joined = || window.joined(open.first.min(it.first), open.last.max(it.last));
            let joined = open.span.overlaps(it.span).then(joined)??;
            (joined.end > watermark).then_some((other, joined))
        })
    }

    /// Closes those whose end the watermark has reached, the earliest first.
    pub fn close_due<W: Window + ?Sized>(
        &mut self,
        window: &W,
        watermark: Moment,
        closed: &mut Vec<ClosedWindow<A>>,
    ) {
        let before = closed.len();
        let mut place = 0;
        while place < self.len() {
            let end = self.get(place).map_or(Moment::MAX, |open| open.span.end);
            if end > watermark || end == Moment::MAX {
                place += 1;
            } else if let Some(open) = self.remove(place) {
                let reason = window.reason(open.span, open.last);
                closed.push(open.close(reason));
            }
        }
        closed[before..].sort_by_key(|window| (window.span.end, window.span.start));
    }

    /// Closes all of them, the earliest first.
    pub fn close_all(&mut self, reason: CloseReason, closed: &mut Vec<ClosedWindow<A>>) {
        let before = closed.len();
        match std::mem::take(self).0 {
            Windows::One(open) => closed.push(open.close(reason)),
            Windows::Many(all) => closed.extend(all.into_iter().map(|open| open.close(reason))),
        }
        closed[before..].sort_by_key(|window| (window.span.end, window.span.start));
    }

    /// Puts a window in that was kept elsewhere meanwhile.
    pub fn insert(&mut self, open: OpenWindow<A>) -> usize {
        match std::mem::take(self).0 {
            Windows::One(first) => self.0 = Windows::Many(vec![first, open]),
            Windows::Many(all) if all.capacity() == 0 => self.0 = Windows::One(open),
            Windows::Many(mut all) => {
                all.push(open);
                self.0 = Windows::Many(all);
            }
        }
        self.len() - 1
    }

    fn get(&self, place: usize) -> Option<&OpenWindow<A>> {
        self.all().get(place)
    }

    #[inline]
    fn get_mut(&mut self, place: usize) -> Option<&mut OpenWindow<A>> {
        match &mut self.0 {
            Windows::One(open) => (place == 0).then_some(open),
            Windows::Many(all) => all.get_mut(place),
        }
    }

    /// Takes one out; the last one takes its place.
    fn remove(&mut self, place: usize) -> Option<OpenWindow<A>> {
        if let Windows::Many(all) = &mut self.0 {
            return (place < all.len()).then(|| all.swap_remove(place));
        }
        match std::mem::take(self).0 {
            Windows::One(open) => Some(open),
            Windows::Many(_) => None,
        }
    }
}

impl<A> Default for OpenWindows<A> {
    fn default() -> Self {
        Self::new()
    }
}
