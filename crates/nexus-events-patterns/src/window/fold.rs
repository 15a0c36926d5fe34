//! How events become an aggregate.

use std::fmt;

/// How what comes in a window becomes one value. [`fold`] makes one of two functions.
///
/// ```
/// use nexus_events_patterns::window::{Fold, fold};
/// let sum = fold(|| 0_u64, |sum: &mut u64, item: &u64| *sum += item).merging(|sum, later| *sum += later);
/// let mut value = sum.start();
/// sum.add(&mut value, &4);
/// sum.merge(&mut value, 5);
/// assert_eq!(value, 9);
/// ```
pub trait Fold<I: ?Sized> {
    /// The aggregate.
    type Value;

    /// That of an empty window.
    fn start(&self) -> Self::Value;

    /// Takes one more in.
    fn add(&self, value: &mut Self::Value, item: &I);

    /// Whether two aggregates can become one. Where they cannot, windows that a late event bridges
    /// stay apart.
    fn can_merge(&self) -> bool {
        false
    }

    /// Takes the aggregate of a later window in; asked only when [`can_merge`](Self::can_merge).
    fn merge(&self, earlier: &mut Self::Value, later: Self::Value) {
        let _ = (earlier, later);
    }
}

/// A [`Fold`] from what an empty window has and how one more is taken in.
pub fn fold<S, A>(start: S, add: A) -> Folding<S, A, ()> {
    Folding { start, add, merge: () }
}

/// A [`Fold`] made of functions, from [`fold`].
#[derive(Clone, Copy)]
#[must_use = "a fold does nothing until something is aggregated with it"]
pub struct Folding<S, A, M> {
    start: S,
    add: A,
    merge: M,
}

impl<S, A> Folding<S, A, ()> {
    /// The same, where two aggregates can become one.
    pub fn merging<V, M>(self, merge: M) -> Folding<S, A, Merging<M>>
    where
        S: Fn() -> V,
        M: Fn(&mut V, V),
    {
        Folding { start: self.start, add: self.add, merge: Merging(merge) }
    }
}

/// How two aggregates become one, in a [`Folding`].
#[derive(Clone, Copy)]
pub struct Merging<M>(M);

impl<I: ?Sized, V, S, A> Fold<I> for Folding<S, A, ()>
where
    S: Fn() -> V,
    A: Fn(&mut V, &I),
{
    type Value = V;

    fn start(&self) -> V {
        (self.start)()
    }

    fn add(&self, value: &mut V, item: &I) {
        (self.add)(value, item);
    }
}

impl<I: ?Sized, V, S, A, M> Fold<I> for Folding<S, A, Merging<M>>
where
    S: Fn() -> V,
    A: Fn(&mut V, &I),
    M: Fn(&mut V, V),
{
    type Value = V;

    fn start(&self) -> V {
        (self.start)()
    }

    fn add(&self, value: &mut V, item: &I) {
        (self.add)(value, item);
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn merge(&self, earlier: &mut V, later: V) {
        (self.merge.0)(earlier, later);
    }
}

impl<S, A, M> fmt::Debug for Folding<S, A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Folding")
    }
}

impl<M> fmt::Debug for Merging<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Merging")
    }
}
