//! The values that a filter compares with.

use std::fmt;

use serde_json::Value;
use time::OffsetDateTime;

use crate::filter::number::Number;
use crate::priority::Priority;
use crate::text::Text;
use crate::timestamp::{self, IsoFormat};

/// A value that a filter compares with.
///
/// ```
/// use nexus_events_model::filter_ast::Literal;
/// assert_eq!(Literal::Text("it's".into()).to_string(), r"'it\'s'");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Literal {
    /// `null`; an unset field of the event is null too.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text(Text),
    /// A point in time; compared with the event's timestamp and with text in ISO 8601.
    Time(OffsetDateTime),
    /// A priority; compared by importance.
    Priority(Priority),
}

impl Literal {
    /// The literal of a JSON scalar.
    pub(crate) fn from_json(value: &Value) -> Option<Self> {
        Some(match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Number(number) => Self::Number(Number::from_json(number)?),
            Value::String(text) => Self::Text(text.as_str().into()),
            Value::Array(_) | Value::Object(_) => return None,
        })
    }

    /// Whether `<` and `>` say anything about it.
    pub(crate) fn is_ordered(&self) -> bool {
        !matches!(self, Self::Null | Self::Bool(_))
    }

    /// Whether it is only ever equal to a value of its own JSON type, so that a sorted list can
    /// be searched.
    pub(crate) fn is_plain(&self) -> bool {
        !matches!(self, Self::Time(_) | Self::Priority(_))
    }
}

/// Reads text that may well not be a time, without the cost of an error for most of it.
pub(crate) fn parse_time(text: &str) -> Option<OffsetDateTime> {
    let shape = text.as_bytes();
    let plausible = (19..=40).contains(&shape.len()) && shape[4] == b'-' && shape[7] == b'-';
    plausible.then(|| timestamp::parse(text).ok()).flatten()
}

impl fmt::Display for Literal {
    /// As the text form of a filter writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => write!(f, "{}", Quoted(text)),
            Self::Time(time) => write!(f, "timestamp('{}')", IsoFormat(*time)),
            Self::Priority(priority) => write!(f, "'{priority}'"),
        }
    }
}

/// Text in single quotes, with what would end or break it escaped.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("'")?;
        for c in self.0.chars() {
            match c {
                '\'' | '\\' => write!(f, "\\{c}")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("'")
    }
}
