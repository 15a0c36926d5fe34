//! Where in an event a filter looks.

use std::fmt;

use crate::filter::literal::Quoted;
use crate::text::Text;

/// A field of the event's envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    EventId,
    EventType,
    Source,
    Target,
    Payload,
    Metadata,
    Timestamp,
    Priority,
    CorrelationId,
    CausationId,
    SessionId,
    UserId,
    Channel,
    Retryable,
    MaxRetries,
    RetryCount,
}

impl Root {
    /// Every name a path into an event may start with.
    pub(crate) const NAMES: [(&'static str, Self); 17] = [
        ("event_id", Self::EventId),
        ("event_type", Self::EventType),
        ("source", Self::Source),
        ("target", Self::Target),
        ("payload", Self::Payload),
        ("data", Self::Payload),
        ("metadata", Self::Metadata),
        ("timestamp", Self::Timestamp),
        ("priority", Self::Priority),
        ("correlation_id", Self::CorrelationId),
        ("causation_id", Self::CausationId),
        ("session_id", Self::SessionId),
        ("user_id", Self::UserId),
        ("channel", Self::Channel),
        ("retryable", Self::Retryable),
        ("max_retries", Self::MaxRetries),
        ("retry_count", Self::RetryCount),
    ];

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.into_iter().find(|(known, _)| *known == name).map(|(_, root)| root)
    }
}

/// One step of a [`Path`].
///
/// ```
/// use nexus_events_model::filter_ast::Step;
/// assert_ne!(Step::Key("0".into()), Step::Index(0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// The field of this name; in an array, the field of this name of every element.
    Key(Text),
    /// The element at this place; in an object, the field with this number as its name.
    Index(usize),
}

/// Where a filter looks: from the event, or from the element that an enclosing
/// [`Each`](crate::filter_ast::Node::Each) stands at. A path may lead to several values, because
/// it spreads over the elements of every array on its way.
///
/// ```
/// use nexus_events_model::Filter;
/// use nexus_events_model::filter_ast::{Node, Step};
///
/// let filter = Filter::parse("payload.items[0] == 7")?;
/// let Node::Field { path, .. } = filter.node() else { unreachable!() };
/// assert_eq!(path.steps()[1..], [Step::Key("items".into()), Step::Index(0)]);
/// assert_eq!(path.to_string(), "payload.items[0]");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    steps: Box<[Step]>,
    /// Of the first step, should the path start at an event.
    root: Option<Root>,
}

impl Path {
    pub(crate) fn new(steps: Vec<Step>) -> Self {
        let root = match steps.first() {
            Some(Step::Key(name)) => Root::named(name),
            _ => None,
        };
        Self { steps: steps.into(), root }
    }

    /// The path of no step: the element itself.
    pub(crate) fn here() -> Self {
        Self::new(Vec::new())
    }

    /// The steps, first to last; none means the element itself.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(crate) fn root(&self) -> Option<Root> {
        self.root
    }

    /// The path as the text form writes it, inside this many [`Each`](crate::filter_ast::Node::Each).
    pub(crate) fn write(&self, scope: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = match (scope, &*self.steps) {
            (0, [Step::Key(first), rest @ ..]) if is_name(first) => {
                f.write_str(first)?;
                rest
            }
            (0, [Step::Key(first), rest @ ..]) => {
                write!(f, "`{first}`")?;
                rest
            }
            (_, steps) => {
                write!(f, "{}", Variable(scope))?;
                steps
            }
        };
        steps.iter().try_for_each(|step| match step {
            Step::Key(name) if is_name(name) => write!(f, ".{name}"),
            Step::Key(name) => write!(f, "[{}]", Quoted(name)),
            Step::Index(index) => write!(f, "[{index}]"),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(0, f)
    }
}

/// The name that the text form gives to the element at this depth.
pub(crate) struct Variable(pub(crate) usize);

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => f.write_str("x"),
            depth => write!(f, "x{depth}"),
        }
    }
}

pub(crate) fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

pub(crate) fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn is_name(text: &str) -> bool {
    text.starts_with(is_name_start) && text.chars().all(is_name_char)
}
