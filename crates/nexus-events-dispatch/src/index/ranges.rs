//! Ranges of numbers or times: which of ten thousand hold this one?

use crate::index::values::Values;
use crate::sync::Arc;

/// A side may be this many times as heavy as the other, as in Adams' trees.
const HEAVIER: usize = 3;
/// An inner grandchild this many times as heavy as the outer one needs the double rotation.
const INNER: usize = 2;

/// Where a range starts; what starts later is greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Low<K> {
    Open,
    /// `true`: the bound itself is outside.
    At(K, bool),
}

/// Where a range ends; what ends later is greater.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum High<K> {
    /// `true`: the bound itself is inside.
    At(K, bool),
    Open,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range<K> {
    pub(super) low: Low<K>,
    pub(super) high: High<K>,
}

impl<K: Ord> Low<K> {
    fn admits(&self, key: &K) -> bool {
        match self {
            Self::Open => true,
            Self::At(low, outside) => low < key || (!outside && low == key),
        }
    }
}

impl<K: Ord> High<K> {
    fn admits(&self, key: &K) -> bool {
        match self {
            Self::Open => true,
            Self::At(high, inside) => key < high || (*inside && key == high),
        }
    }
}

impl<K: Ord> Range<K> {
    /// What lies in both ranges.
    pub(super) fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    pub(super) fn is_open(&self) -> bool {
        self.low == Low::Open || self.high == High::Open
    }
}

/// Values under ranges: a persistent weight-balanced tree in the order of the starts, in which
/// each node knows the latest end below it. A look-up leaves out what ends too early or starts
/// too late, a change copies one path.
#[derive(Debug, Clone)]
pub(super) struct Ranges<K, V> {
    root: Link<K, V>,
    len: usize,
}

type Link<K, V> = Option<Arc<Node<K, V>>>;

#[derive(Debug)]
struct Node<K, V> {
    item: Arc<Item<K, V>>,
    latest: High<K>,
    nodes: usize,
    left: Link<K, V>,
    right: Link<K, V>,
}

#[derive(Debug)]
struct Item<K, V> {
    range: Range<K>,
    values: Values<V>,
}

impl<K, V> Default for Ranges<K, V> {
    fn default() -> Self {
        Self { root: None, len: 0 }
    }
}

impl<K, V> Ranges<K, V> {
    /// The number of values.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Visits the values of every range.
    pub(super) fn each<'a>(&'a self, visit: &mut impl FnMut(&'a V)) {
        each(self.root.as_ref(), visit);
    }
}

impl<K: Ord + Clone, V: Clone> Ranges<K, V> {
    /// Visits the values of the ranges that the key lies in.
    pub(super) fn at<'a>(&'a self, key: &K, visit: &mut impl FnMut(&'a V)) {
        at(self.root.as_ref(), key, visit);
    }

    pub(super) fn find(&self, range: &Range<K>, same: impl FnMut(&V) -> bool) -> Option<&V> {
        let mut link = self.root.as_deref();
        while let Some(node) = link {
            link = match range.cmp(&node.item.range) {
                std::cmp::Ordering::Less => node.left.as_deref(),
                std::cmp::Ordering::Greater => node.right.as_deref(),
                std::cmp::Ordering::Equal => return node.item.values.find(same),
            };
        }
        None
    }

    pub(super) fn insert(&mut self, range: &Range<K>, value: V) {
        self.root = changed(self.root.as_ref(), range, |values| values.push(value));
        self.len += 1;
    }

    pub(super) fn remove(&mut self, range: &Range<K>, same: impl FnMut(&V) -> bool) -> bool {
        let mut removed = false;
        self.root = changed(self.root.as_ref(), range, |values| removed = values.remove(same));
        self.len -= usize::from(removed);
        removed
    }
}

fn each<'a, K, V>(link: Option<&'a Arc<Node<K, V>>>, visit: &mut impl FnMut(&'a V)) {
    if let Some(node) = link {
        each(node.left.as_ref(), visit);
        node.item.values.each(visit);
        each(node.right.as_ref(), visit);
    }
}

fn at<'a, K: Ord, V>(link: Option<&'a Arc<Node<K, V>>>, key: &K, visit: &mut impl FnMut(&'a V)) {
    let Some(node) = link.filter(|node| node.latest.admits(key)) else { return };
    at(node.left.as_ref(), key, visit);
    if node.item.range.low.admits(key) {
        if node.item.range.high.admits(key) {
            node.item.values.each(visit);
        }
        at(node.right.as_ref(), key, visit);
    }
}

fn nodes<K, V>(link: &Link<K, V>) -> usize {
    link.as_ref().map_or(0, |node| node.nodes)
}

/// The tree with the values of one range changed; a range without values goes.
fn changed<K: Ord + Clone, V: Clone>(
    link: Option<&Arc<Node<K, V>>>,
    range: &Range<K>,
    change: impl FnOnce(&mut Values<V>),
) -> Link<K, V> {
    let Some(node) = link else {
        let mut values = Values::None;
        change(&mut values);
        let item = Item { range: range.clone(), values };
        return (!item.values.is_empty()).then(|| joined(Arc::new(item), None, None));
    };
    let (item, left, right) = (node.item.clone(), node.left.clone(), node.right.clone());
    match range.cmp(&item.range) {
        std::cmp::Ordering::Less => {
            Some(balanced(item, changed(left.as_ref(), range, change), right))
        }
        std::cmp::Ordering::Greater => {
            Some(balanced(item, left, changed(right.as_ref(), range, change)))
        }
        std::cmp::Ordering::Equal => {
            let mut values = item.values.clone();
            change(&mut values);
            if values.is_empty() {
                return glued(left, right);
            }
            Some(joined(Arc::new(Item { range: range.clone(), values }), left, right))
        }
    }
}

fn joined<K: Ord + Clone, V>(
    item: Arc<Item<K, V>>,
    left: Link<K, V>,
    right: Link<K, V>,
) -> Arc<Node<K, V>> {
    let below = [&left, &right].into_iter().flatten().map(|node| &node.latest);
    let latest = below.fold(&item.range.high, |latest, other| latest.max(other)).clone();
    let nodes = 1 + nodes(&left) + nodes(&right);
    Arc::new(Node { item, latest, nodes, left, right })
}

/// As [`joined`], where one side has changed by a node.
fn balanced<K: Ord + Clone, V>(
    item: Arc<Item<K, V>>,
    left: Link<K, V>,
    right: Link<K, V>,
) -> Arc<Node<K, V>> {
    let (lefts, rights) = (nodes(&left), nodes(&right));
    if lefts + rights > 1 {
        if let Some(heavy) = right.as_ref().filter(|_| rights > HEAVIER * lefts) {
            return turned_left(item, left, heavy);
        }
        if let Some(heavy) = left.as_ref().filter(|_| lefts > HEAVIER * rights) {
            return turned_right(item, heavy, right);
        }
    }
    joined(item, left, right)
}

fn turned_left<K: Ord + Clone, V>(
    item: Arc<Item<K, V>>,
    left: Link<K, V>,
    heavy: &Node<K, V>,
) -> Arc<Node<K, V>> {
    let inner = heavy.left.as_ref().filter(|_| nodes(&heavy.left) >= INNER * nodes(&heavy.right));
    match inner {
        Some(inner) => joined(
            inner.item.clone(),
            Some(joined(item, left, inner.left.clone())),
            Some(joined(heavy.item.clone(), inner.right.clone(), heavy.right.clone())),
        ),
        None => joined(
            heavy.item.clone(),
            Some(joined(item, left, heavy.left.clone())),
            heavy.right.clone(),
        ),
    }
}

fn turned_right<K: Ord + Clone, V>(
    item: Arc<Item<K, V>>,
    heavy: &Node<K, V>,
    right: Link<K, V>,
) -> Arc<Node<K, V>> {
    let inner = heavy.right.as_ref().filter(|_| nodes(&heavy.right) >= INNER * nodes(&heavy.left));
    match inner {
        Some(inner) => joined(
            inner.item.clone(),
            Some(joined(heavy.item.clone(), heavy.left.clone(), inner.left.clone())),
            Some(joined(item, inner.right.clone(), right)),
        ),
        None => joined(
            heavy.item.clone(),
            heavy.left.clone(),
            Some(joined(item, heavy.right.clone(), right)),
        ),
    }
}

/// Both sides of a node that is gone.
fn glued<K: Ord + Clone, V>(left: Link<K, V>, right: Link<K, V>) -> Link<K, V> {
    match right {
        None => left,
        Some(right) => {
            let (first, rest) = without_first(&right);
            Some(balanced(first, left, rest))
        }
    }
}

fn without_first<K: Ord + Clone, V>(node: &Node<K, V>) -> (Arc<Item<K, V>>, Link<K, V>) {
    match &node.left {
        None => (node.item.clone(), node.right.clone()),
        Some(left) => {
            let (first, rest) = without_first(left);
            (first, Some(balanced(node.item.clone(), rest, node.right.clone())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn height<K, V>(link: &Link<K, V>) -> usize {
        link.as_ref().map_or(0, |node| 1 + height(&node.left).max(height(&node.right)))
    }

    fn range(number: i64) -> Range<i64> {
        let low = if number % 5 == 0 { Low::Open } else { Low::At(number, number % 2 == 0) };
        let high =
            if number % 7 == 0 { High::Open } else { High::At(number + 10, number % 3 == 0) };
        Range { low, high }
    }

    fn check(ranges: &Ranges<i64, i64>, held: &[i64]) {
        assert_eq!(ranges.len(), held.len());
        for key in -15..120 {
            let mut found = Vec::new();
            ranges.at(&key, &mut |value| found.push(*value));
            found.sort_unstable();
            let holds = |number: &&i64| {
                let range = range(**number);
                range.low.admits(&key) && range.high.admits(&key)
            };
            assert_eq!(found, held.iter().filter(holds).copied().collect::<Vec<_>>(), "{key}");
        }
    }

    #[test]
    fn it_holds_what_was_put_in_and_stays_flat() {
        let mut ranges = Ranges::default();
        let mut held = Vec::new();
        for number in 0..100 {
            ranges.insert(&range(number), number);
            held.push(number);
        }
        let full = ranges.clone();
        assert!(height(&ranges.root) <= 12, "{}", height(&ranges.root));
        for number in (0..100).map(|number| number * 37 % 100) {
            check(&ranges, &held);
            assert!(ranges.remove(&range(number), |value| *value == number));
            assert!(!ranges.remove(&range(number), |value| *value == number));
            held.retain(|known| *known != number);
            let lightest = f64::from(u32::try_from(held.len()).unwrap() + 1).log2();
            assert!((height(&ranges.root) as f64) <= 2.5 * lightest + 1.0);
        }
        assert!(ranges.root.is_none());
        check(&full, &(0..100).collect::<Vec<_>>());
    }
}
