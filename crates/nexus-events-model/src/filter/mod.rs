//! Conditions over the fields of an event: one tree, three syntaxes that parse into it, one
//! evaluator, one explanation.

mod calls;
mod compile;
mod display;
mod eval;
mod event_pattern;
mod explain;
mod fields;
mod found;
mod leaf;
mod lexer;
mod literal;
mod node;
mod number;
mod operators;
mod path;
mod shape;
mod text;

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::{Error, Result};
use crate::event::Event;
use crate::filter::compile::{Compiler, Start};
use crate::filter::found::Found;
use crate::filter::node::Node;

pub use crate::filter::explain::Explanation;

/// The tree that a [`Filter`] is, to read: for an index over many filters, or an editor.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::{Comparison, Literal, Node, Test};
///
/// let filter = Filter::parse("source == 'shop'")?;
/// let Node::Field { path, test, .. } = filter.node() else { unreachable!() };
/// assert_eq!(path.to_string(), "source");
/// assert_eq!(*test, Test::Is(Comparison::Equal, Literal::Text("shop".into())));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
pub mod filter_ast {
    pub use crate::filter::leaf::{Comparison, List, Test};
    pub use crate::filter::literal::Literal;
    pub use crate::filter::node::Node;
    pub use crate::filter::number::Number;
    pub use crate::filter::path::{Path, Step};
    pub use crate::filter::shape::{Cidr, Regex, TextPlace, TextTest, Wildcard};
}

/// What happens to a name that no event has.
///
/// ```
/// use nexus_events_model::{Filter, UnknownFields};
/// use serde_json::{Map, Value};
///
/// let fields: Map<String, Value> = serde_json::from_str(r#"{"sorce":"shop"}"#).unwrap();
/// assert!(Filter::from_fields(&fields, UnknownFields::Reject).is_err());
/// assert_eq!(Filter::from_fields(&fields, UnknownFields::Ignore)?, Filter::all());
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownFields {
    /// It is an error, which names the nearest name that exists.
    Reject,
    /// It is passed over.
    Ignore,
}

/// A condition over the fields of an event. Cheap to clone.
///
/// Three syntaxes mean the same:
///
/// ```
/// use nexus_events_model::{Event, Filter, Priority, UnknownFields};
/// use serde_json::json;
///
/// let text = Filter::parse("priority in ['high', 'critical'] && payload.amount > 100")?;
/// let flat = json!({"priority": ["high", "critical"], "payload.amount": {">": 100}});
/// let flat = Filter::from_fields(flat.as_object().unwrap(), UnknownFields::Reject)?;
/// let tree = Filter::from_event_pattern(&json!({
///     "priority": ["high", "critical"],
///     "payload": {"amount": [{"numeric": [">", 100]}]},
/// }))?;
///
/// let event = Event::builder("order.created")
///     .id("1").timestamp_text("2026-01-02T03:04:05Z")
///     .priority(Priority::High)
///     .payload(json!({"amount": 120}))
///     .build()?;
/// assert!(text.matches(&event) && flat.matches(&event) && tree.matches(&event));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
///
/// # What a filter sees
///
/// The fifteen fields of the envelope, `data` as another name for `payload`, and `causation_id`.
/// A path goes into the payload and the metadata, and spreads over every array on its way: one
/// matching element is enough. Conditions that belong to one element stand in one
/// `payload.items.exists(x, x.sku == 'a' && x.count > 1)`, or in one nested object of the
/// EventBridge-style form.
///
/// # What is missing, and what is null
///
/// A comparison with something that is missing never matches, `!=` and `anything-but` included;
/// only the negation of a whole condition does, as in `!(payload.state == 'done')`. A field of the
/// envelope that is not set, such as `session_id`, is missing, and equals `null` all the same. A
/// null in the payload exists.
///
/// # Types
///
/// Values of different types are never equal and never in order: `'10'` is not `10`. That is no
/// error, the condition just does not match. Numbers compare exactly. `priority` compares by
/// importance, so `priority >= 'high'` takes high and critical. `timestamp` compares as a point
/// in time; text in a payload does against `timestamp('2026-01-02T03:04:05Z')`.
///
/// # Bounds
///
/// Text, nesting, nodes, lists and regexes are bounded, see [`limits`](crate::limits); what is
/// over is refused as it is parsed. Matching takes no allocation, except where case is ignored in
/// a wildcard, and the first look into a payload that came as text.
#[derive(Clone, PartialEq)]
pub struct Filter(Arc<Node>);

impl Filter {
    fn new(node: Node) -> Self {
        Self(Arc::new(node))
    }

    /// The filter that every event matches.
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// assert_eq!(Filter::all(), Filter::parse("true")?);
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn all() -> Self {
        Self::new(Node::All(Box::new([])))
    }

    /// Reads the text form, a subset of CEL.
    ///
    /// | | |
    /// |---|---|
    /// | fields | `source`, `payload.items[0].sku`, `payload['a.b']`, `` payload.`a.b` `` |
    /// | comparisons | `==` `!=` `<` `<=` `>` `>=`, `in ['a', 'b']`, `not in [1, 2]`, `contains 'a'` |
    /// | text | `.startsWith('a')` `.endsWith('a')` `.contains('a')` `.like('a*z')` `.matches(r'\d+')`; in any case: `.lower() == 'a'`, `.lower().startsWith('a')` |
    /// | presence | `has(path)`: anything is there; `exists(path)`: a scalar is there |
    /// | size | `size(path) > 3`: elements, fields or characters |
    /// | one element | `path.exists(x, x.a == 1 && x.b == 2)`, `path.all(x, x > 0)` |
    /// | special | `event_type.matchesPattern('order.*')`, `payload.ip.inCidr('10.0.0.0/8')` |
    /// | logic | `&&` `\|\|` `!` `( )`; a field alone means `== true` |
    /// | values | `'text'` `"text"` `r'raw\text'` `42` `-1.5e3` `true` `false` `null` `timestamp('..')` |
    ///
    /// # Errors
    /// [`ErrorKind::InvalidFilter`](crate::ErrorKind::InvalidFilter), and
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) over a bound; [`Error::position`] is
    /// the first wrong byte.
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// let error = Filter::parse("prority == 'high'").unwrap_err();
    /// assert_eq!(error.to_string(), "unknown field `prority`; did you mean `priority`? (at byte 0)");
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        text::parse(text).map(Self::new)
    }

    /// Reads the flat form: a map from fields to what they have to be, all of it. A scalar means
    /// equal, a list means any of it, an object holds operators such as `">"`, `"prefix"` or
    /// `"exists"`. A field is a path with dots, or a JSON pointer where a name has a dot.
    ///
    /// With [`UnknownFields::Ignore`] a field no event has is passed over, as by the clients of
    /// the seed protocol, and so is no value refused that the field can never have.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), with the field instead of a position.
    ///
    /// ```
    /// # use nexus_events_model::{Filter, UnknownFields};
    /// let fields = serde_json::json!({"source": "shop", "/payload/a.b": {">=": 1, "<": 9}});
    /// let filter = Filter::from_fields(fields.as_object().unwrap(), UnknownFields::Reject)?;
    /// assert_eq!(filter.to_string(), "payload['a.b'].exists(x, x < 9 && x >= 1) && source == 'shop'");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn from_fields(fields: &Map<String, Value>, unknown: UnknownFields) -> Result<Self> {
        let mut compiler = Compiler::new(Start::Event, unknown == UnknownFields::Reject);
        Self::from_json(fields::parse(&mut compiler, fields, unknown))
    }

    /// Reads the EventBridge-style form: keys all hold, lists are alternatives, objects nest.
    ///
    /// A list holds scalars and objects of operators: `prefix`, `suffix`, `anything-but`,
    /// `numeric`, `exists`, `wildcard`, `equals-ignore-case`, `cidr`, and beyond EventBridge
    /// `regex`, `all_of`, `before`, `after`, `size`, `contains`, `pattern`, and `ignore_case`
    /// beside `prefix`, `suffix` or `wildcard`. `$or` takes a list of objects, `$not` an object.
    ///
    /// The fields of one nested object hold in one and the same element where the event has an
    /// array; a nested object with a single field is a mere path. A key with a dot is that key.
    ///
    /// # Errors
    /// As [`from_fields`](Self::from_fields); an empty list or object too.
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// let filter = Filter::from_event_pattern(&serde_json::json!({
    ///     "source": [{"prefix": "airport/"}],
    ///     "payload": {"carrier": ["B6", "DL"], "delay": [{"numeric": [">", 0, "<=", 120]}]},
    /// }))?;
    /// assert_eq!(
    ///     filter.to_string(),
    ///     "payload.exists(x, x.carrier in ['B6', 'DL'] && x.delay.exists(x2, x2 > 0 && x2 <= 120)) \
    ///      && source.startsWith('airport/')",
    /// );
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn from_event_pattern(pattern: &Value) -> Result<Self> {
        Self::from_json(event_pattern::parse(&mut Compiler::new(Start::Event, true), pattern))
    }

    /// As [`from_event_pattern`](Self::from_event_pattern), for
    /// [`matches_value`](Self::matches_value): the first names may be any.
    ///
    /// # Errors
    /// As [`from_event_pattern`](Self::from_event_pattern).
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// # use serde_json::json;
    /// let filter = Filter::from_value_pattern(&json!({"detail": {"state": ["running"]}}))?;
    /// assert!(filter.matches_value(&json!({"detail": {"state": "running"}})));
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn from_value_pattern(pattern: &Value) -> Result<Self> {
        Self::from_json(event_pattern::parse(&mut Compiler::new(Start::Json, true), pattern))
    }

    fn from_json(compiled: compile::Compiled<Node>) -> Result<Self> {
        compiled.map_err(compile::Refusal::into_error)?.bounded().map(Self::new)
    }

    /// Whether the event matches.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.0.holds(Found::Event(event))
    }

    /// Whether a bare JSON object matches, its keys in place of the event's fields.
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// let filter = Filter::parse("payload.amount > 100")?;
    /// assert!(filter.matches_value(&serde_json::json!({"payload": {"amount": 101}})));
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn matches_value(&self, value: &Value) -> bool {
        self.0.holds(Found::Json(value))
    }

    /// Why the event matches or does not: what every condition found.
    #[must_use]
    pub fn explain(&self, event: &Event) -> Explanation {
        explain::explain(&self.0, event)
    }

    /// Both filters match.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) when the two together are over a bound.
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// let both = Filter::parse("source == 'a'")?.and(Filter::parse("channel == 'b'")?)?;
    /// assert_eq!(both.to_string(), "source == 'a' && channel == 'b'");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn and(self, other: Self) -> Result<Self> {
        Node::all(vec![self.into_node(), other.into_node()]).bounded().map(Self::new)
    }

    /// One of the filters matches, or both.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) when the two together are over a bound.
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// let either = Filter::parse("source == 'a'")?.or(Filter::parse("channel == 'b'")?)?;
    /// assert_eq!(either.to_string(), "source == 'a' || channel == 'b'");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn or(self, other: Self) -> Result<Self> {
        Node::any(vec![self.into_node(), other.into_node()]).bounded().map(Self::new)
    }

    /// The filter does not match.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) when it becomes too deep.
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// let other = Filter::parse("source == 'a'")?.negated()?;
    /// assert_eq!(other.to_string(), "!(source == 'a')");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    pub fn negated(self) -> Result<Self> {
        self.into_node().negated().bounded().map(Self::new)
    }

    fn into_node(self) -> Node {
        Arc::unwrap_or_clone(self.0)
    }

    /// The tree, to read.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.0
    }

    /// The number of nodes, for callers with a stricter bound than this crate's.
    ///
    /// ```
    /// # use nexus_events_model::Filter;
    /// let filter = Filter::parse("source == 'a' && !has(target)")?;
    /// assert_eq!((filter.node_count(), filter.depth()), (4, 3));
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn node_count(&self) -> usize {
        self.0.count()
    }

    /// The number of nodes on the longest way down.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.depth()
    }
}

impl Default for Filter {
    /// As [`Filter::all`].
    fn default() -> Self {
        Self::all()
    }
}

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Filter {
    /// The text form; parsed again, it matches alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Filter({})", self.0)
    }
}
