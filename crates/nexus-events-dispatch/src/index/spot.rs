//! Where a filter is filed: what has to stand at some path of an event, or else it cannot match.

use nexus_events_model::filter_ast::{
    Comparison, Literal, Node, Number, Path, Step, Test, TextPlace,
};
use nexus_events_model::{Filter, Pattern, Priority};

use crate::index::found::Root;
use crate::index::ranges::{High, Low, Range};
use crate::limits::{FILTER_SPOTS_MAX, FILTER_STEPS_MAX};

/// What has to stand at a path.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Spot {
    pub(super) root: Root,
    /// From the field of the envelope on.
    pub(super) steps: Vec<Step>,
    pub(super) want: Want,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Want {
    /// A scalar that has this key.
    Key(Key),
    /// A number that lies in the range.
    Number(Range<Number>),
    /// A number that lies in the range, or several values, which may keep its sides one each.
    Numbers(Range<Number>),
    /// A point in time, in nanoseconds since 1970.
    Time(Range<i128>),
    /// An event type that the pattern matches.
    Type(Pattern),
    /// Anything.
    Present,
}

/// What a scalar is looked up by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key<S = Box<str>> {
    Null,
    Bool(bool),
    Number(Number),
    Text(S),
    Start(S),
    End(S),
}

impl Key {
    pub(super) fn borrowed(&self) -> Key<&str> {
        match self {
            Self::Null => Key::Null,
            Self::Bool(value) => Key::Bool(*value),
            Self::Number(number) => Key::Number(*number),
            Self::Text(text) => Key::Text(text),
            Self::Start(text) => Key::Start(text),
            Self::End(text) => Key::End(text),
        }
    }
}

/// One way to file a filter: it can match only where one of the spots is met.
#[derive(Debug)]
pub(super) struct Choice {
    /// About how much of what comes by meets a spot; compared with other choices only.
    pub(super) weight: usize,
    pub(super) spots: Vec<Spot>,
}

/// Few values are equal to one number or text.
const EQUAL: usize = 1;
/// A start, an end, a pattern.
const SIMILAR: usize = 2;
/// Between two bounds.
const BETWEEN: usize = 4;
/// Beyond one bound, or one of two or four values that there are.
const COARSE: usize = 8;
/// Anything at all.
const PRESENT: usize = 16;

/// The ways to file a filter; none where only [`Filter::matches`] can tell.
pub(super) fn choices(filter: &Filter) -> Vec<Choice> {
    of_node(filter.node(), &Base::default())
}

/// Where the paths of a node start.
#[derive(Debug, Default, Clone)]
struct Base {
    steps: Vec<Step>,
    /// At an element, which is never an array itself.
    in_each: bool,
}

impl Base {
    fn join(&self, path: &Path) -> Vec<Step> {
        let mut steps = self.steps.clone();
        for step in path.steps() {
            steps.push(match step {
                // What has numbers for names in an element is an object. As a name it is looked
                // for in every element of an array, not among the elements.
                Step::Index(index) if self.in_each && steps.len() == self.steps.len() => {
                    Step::Key(index.to_string().into())
                }
                step => step.clone(),
            });
        }
        steps
    }
}

/// Any choice is good for the whole node.
fn of_node(node: &Node, base: &Base) -> Vec<Choice> {
    match node {
        Node::All(nodes) => {
            let between = between(nodes);
            // One bound alone is never better than both.
            let alone = |node: &&Node| {
                !matches!(node, Node::Field { path, test: Test::Is(comparison, Literal::Number(_)), .. }
                    if is_order(*comparison) && between.iter().any(|(known, _)| *known == path))
            };
            let mut choices: Vec<Choice> =
                nodes.iter().filter(alone).flat_map(|node| of_node(node, base)).collect();
            choices.extend(between.iter().filter_map(|(path, range)| of_range(base, path, range)));
            choices
        }
        Node::Each { path, node, .. } => {
            of_node(node, &Base { steps: base.join(path), in_each: true })
        }
        Node::Any(nodes) => of_any(nodes, base).into_iter().collect(),
        Node::Field { path, test, .. } => of_test(base.join(path), test).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// The best choice of each alternative, all together.
fn of_any(nodes: &[Node], base: &Base) -> Option<Choice> {
    let mut all = Choice { weight: 0, spots: Vec::new() };
    for node in nodes {
        let choice = of_node(node, base).into_iter().min_by_key(|choice| choice.weight)?;
        all.weight = all.weight.max(choice.weight);
        all.spots.extend(choice.spots);
    }
    (1..=FILTER_SPOTS_MAX).contains(&all.spots.len()).then_some(all)
}

/// The numbers at one path that two bounds are given for.
fn between(nodes: &[Node]) -> Vec<(&Path, Range<Number>)> {
    let mut ranges: Vec<(&Path, Range<Number>)> = Vec::new();
    for node in nodes {
        let Node::Field { path, test: Test::Is(comparison, Literal::Number(number)), .. } = node
        else {
            continue;
        };
        let Some(range) = range(*comparison, *number).filter(|_| is_order(*comparison)) else {
            continue;
        };
        match ranges.iter_mut().find(|(known, _)| *known == path) {
            Some((_, known)) => *known = known.clone().and(range),
            None => ranges.push((path, range)),
        }
    }
    ranges.retain(|(_, range)| !range.is_open());
    ranges
}

/// Of an element, the bounds are about one number; elsewhere there may be several.
fn of_range(base: &Base, path: &Path, range: &Range<Number>) -> Option<Choice> {
    let one = base.in_each && path.steps().is_empty();
    let want = if one { Want::Number(range.clone()) } else { Want::Numbers(range.clone()) };
    choice(base.join(path), BETWEEN, vec![want])
}

fn is_order(comparison: Comparison) -> bool {
    !matches!(comparison, Comparison::Equal | Comparison::NotEqual)
}

fn range<K: Clone + Ord>(comparison: Comparison, bound: K) -> Option<Range<K>> {
    let (low, high) = match comparison {
        Comparison::Equal => (Low::At(bound.clone(), false), High::At(bound, true)),
        Comparison::Less => (Low::Open, High::At(bound, false)),
        Comparison::AtMost => (Low::Open, High::At(bound, true)),
        Comparison::Greater => (Low::At(bound, true), High::Open),
        Comparison::AtLeast => (Low::At(bound, false), High::Open),
        _ => return None,
    };
    Some(Range { low, high })
}

fn choice(mut steps: Vec<Step>, weight: usize, wants: Vec<Want>) -> Option<Choice> {
    let Step::Key(name) = steps.first()? else { return None };
    let root = Root::named(name)?;
    steps.remove(0);
    let useless = wants.contains(&Want::Present) && steps.is_empty() && !root.is_optional();
    if useless
        || wants.is_empty()
        || steps.len() > FILTER_STEPS_MAX
        || wants.len() > FILTER_SPOTS_MAX
    {
        return None;
    }
    let spot = |want| Spot { root, steps: steps.clone(), want };
    Some(Choice { weight, spots: wants.into_iter().map(spot).collect() })
}

fn of_test(steps: Vec<Step>, test: &Test) -> Option<Choice> {
    let root = match &*steps {
        [Step::Key(name)] => Root::named(name),
        _ => None,
    };
    let (weight, wants) = match test {
        Test::Is(comparison, literal) => of_comparison(root, *comparison, literal),
        Test::OneOf(list) => of_list(root, list.literals())?,
        Test::Text(test) if !test.ignores_case() => {
            let text = test.text().into();
            match test.place() {
                TextPlace::Whole => of_key(root, Key::Text(text)),
                TextPlace::Start => of_key(root, Key::Start(text)),
                TextPlace::End => of_key(root, Key::End(text)),
                _ => return None,
            }
        }
        Test::Wildcard(wildcard) if !wildcard.ignores_case() => {
            let start = wildcard.as_str().split(['*', '\\']).next().unwrap_or_default();
            of_key(root, Key::Start(start.into()))
        }
        Test::Pattern(pattern) if root == Some(Root::EventType) => match pattern.as_event_type() {
            Some(event_type) => of_key(root, Key::Text(event_type.as_str().into())),
            None => (SIMILAR, vec![Want::Type(pattern.clone())]),
        },
        Test::Exists
        | Test::Has
        | Test::NoneOf(_)
        | Test::Text(_)
        | Test::Wildcard(_)
        | Test::Regex(_)
        | Test::Cidr(_)
        | Test::Pattern(_)
        | Test::Contains(_)
        | Test::Size(..) => present(),
        _ => return None,
    };
    choice(steps, weight, wants)
}

fn present() -> (usize, Vec<Want>) {
    (PRESENT, vec![Want::Present])
}

fn of_comparison(
    root: Option<Root>,
    comparison: Comparison,
    literal: &Literal,
) -> (usize, Vec<Want>) {
    match (comparison, literal) {
        (Comparison::NotEqual, _) => present(),
        (comparison, Literal::Time(time)) if root == Some(Root::Timestamp) => {
            let range = range(comparison, time.unix_timestamp_nanos());
            let weight = if comparison == Comparison::Equal { EQUAL } else { COARSE };
            range.map_or_else(present, |range| (weight, vec![Want::Time(range)]))
        }
        (Comparison::Equal, literal) => match key(literal) {
            Some(key) => of_key(root, key),
            None => present(),
        },
        (comparison, Literal::Number(number)) => {
            let range = range(comparison, *number);
            range.map_or_else(present, |range| (COARSE, vec![Want::Number(range)]))
        }
        (comparison, Literal::Priority(bound)) => {
            let accepted =
                Priority::ALL.into_iter().filter(|priority| accepts(comparison, *priority, *bound));
            let key = |priority: Priority| Want::Key(Key::Text(priority.as_str().into()));
            (COARSE, accepted.map(key).collect())
        }
        _ => present(),
    }
}

fn accepts(comparison: Comparison, priority: Priority, bound: Priority) -> bool {
    match comparison {
        Comparison::Less => priority < bound,
        Comparison::AtMost => priority <= bound,
        Comparison::Greater => priority > bound,
        Comparison::AtLeast => priority >= bound,
        _ => true,
    }
}

fn of_list(root: Option<Root>, literals: &[Literal]) -> Option<(usize, Vec<Want>)> {
    let keys: Option<Vec<(usize, Vec<Want>)>> =
        literals.iter().map(|literal| key(literal).map(|key| of_key(root, key))).collect();
    match keys {
        Some(keys) => {
            let weight = keys.iter().map(|(weight, _)| *weight).max()?;
            Some((weight, keys.into_iter().flat_map(|(_, wants)| wants).collect()))
        }
        // A field that is not set equals null without being there.
        None => (!literals.contains(&Literal::Null)).then(present),
    }
}

fn of_key(root: Option<Root>, key: Key) -> (usize, Vec<Want>) {
    let weight = match (&key, root) {
        // The time is not made text to look it up.
        (Key::Text(_) | Key::Start(_) | Key::End(_), Some(Root::Timestamp)) => return present(),
        (Key::Start(text) | Key::End(text), _) if text.is_empty() => return present(),
        (Key::Start(_) | Key::End(_), _) => SIMILAR,
        (Key::Null | Key::Bool(_), _) | (_, Some(Root::Priority)) => COARSE,
        (Key::Number(_) | Key::Text(_), _) => EQUAL,
    };
    (weight, vec![Want::Key(key)])
}

/// What every scalar that equals the literal is looked up by.
fn key(literal: &Literal) -> Option<Key> {
    Some(match literal {
        Literal::Null => Key::Null,
        Literal::Bool(value) => Key::Bool(*value),
        Literal::Number(number) => Key::Number(*number),
        Literal::Text(text) => Key::Text(text.as_str().into()),
        Literal::Priority(priority) => Key::Text(priority.as_str().into()),
        _ => return None,
    })
}
