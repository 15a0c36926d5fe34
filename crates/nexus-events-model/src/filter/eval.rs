//! Whether a node matches. The one evaluator: everything faster is tested against it.

use std::cmp::Ordering;

use serde_json::Value;

use crate::event_type::EventType;
use crate::filter::found::Found;
use crate::filter::leaf::{Comparison, List, Test};
use crate::filter::literal::{Literal, parse_time};
use crate::filter::node::Node;
use crate::filter::number::Number;
use crate::pattern::Pattern;
use crate::priority::Priority;

impl Node {
    pub(crate) fn holds(&self, found: Found<'_>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(found)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(found)),
            Self::Not(node) => !node.holds(found),
            Self::Field { path, test } => found.walk(path, &mut |value| test.holds(value)),
            Self::Each { path, node } => {
                found.walk(path, &mut |value| value.spread(&mut |element| node.holds(element)))
            }
        }
    }
}

impl Test {
    /// Whether the value at the end of a path passes; of an array, whether an element does.
    pub(crate) fn holds(&self, found: Found<'_>) -> bool {
        match self {
            Self::Has => !matches!(found, Found::Unset),
            Self::Contains(literal) => contains(found, literal),
            Self::Size(comparison, size) => {
                found_size(found).is_some_and(|found| comparison.accepts(found.cmp(size)))
            }
            _ if matches!(found, Found::Unset) => self.holds_null(),
            _ => found.spread(&mut |value| self.holds_scalar(value)),
        }
    }

    /// What is unset equals null; in everything else it is missing.
    fn holds_null(&self) -> bool {
        match self {
            Self::Is(Comparison::Equal, literal) => *literal == Literal::Null,
            Self::OneOf(list) => list.literals().contains(&Literal::Null),
            _ => false,
        }
    }

    fn holds_scalar(&self, found: Found<'_>) -> bool {
        match self {
            Self::Exists => found.is_scalar(),
            Self::Is(Comparison::Equal, literal) => equals(found, literal),
            Self::Is(Comparison::NotEqual, literal) => found.is_scalar() && !equals(found, literal),
            Self::Is(comparison, literal) => {
                compare(found, literal).is_some_and(|order| comparison.accepts(order))
            }
            Self::OneOf(list) => list.holds(found),
            Self::NoneOf(list) => found.is_scalar() && !list.holds(found),
            Self::Text(test) => found.with_text(|text| test.holds(text)) == Some(true),
            Self::Wildcard(wildcard) => found.with_text(|text| wildcard.holds(text)) == Some(true),
            Self::Regex(regex) => found.with_text(|text| regex.holds(text)) == Some(true),
            Self::Cidr(range) => found.with_text(|text| range.holds(text)) == Some(true),
            Self::Pattern(pattern) => match found {
                Found::Type(event_type) => pattern.matches(event_type),
                _ => found.with_text(|text| matches_text(pattern, text)) == Some(true),
            },
            Self::Has | Self::Contains(_) | Self::Size(..) => self.holds(found),
        }
    }
}

fn matches_text(pattern: &Pattern, text: &str) -> bool {
    EventType::new(text).is_ok_and(|event_type| pattern.matches(&event_type))
}

impl List {
    fn holds(&self, found: Found<'_>) -> bool {
        if self.is_searchable() {
            self.literals().binary_search_by(|literal| order_plain(literal, found)).is_ok()
        } else {
            self.literals().iter().any(|literal| equals(found, literal))
        }
    }
}

fn equals(found: Found<'_>, literal: &Literal) -> bool {
    match literal {
        Literal::Null => found.is_null(),
        Literal::Bool(wanted) => bool_of(found) == Some(*wanted),
        _ => compare(found, literal) == Some(Ordering::Equal),
    }
}

/// How the value orders against the literal; `None` when they are not of one type.
fn compare(found: Found<'_>, literal: &Literal) -> Option<Ordering> {
    match literal {
        Literal::Null | Literal::Bool(_) => None,
        Literal::Number(wanted) => Some(number_of(found)?.cmp(wanted)),
        Literal::Text(wanted) => found.with_text(|text| text.cmp(&**wanted)),
        Literal::Time(wanted) => match found {
            Found::Time(time) => Some(time.cmp(wanted)),
            Found::Json(Value::String(text)) => Some(parse_time(text)?.cmp(wanted)),
            _ => None,
        },
        Literal::Priority(wanted) => match found {
            Found::Priority(priority) => Some(priority.cmp(wanted)),
            Found::Json(Value::String(text)) => {
                let known = Priority::ALL.into_iter().find(|priority| priority.as_str() == text)?;
                Some(known.cmp(wanted))
            }
            _ => None,
        },
    }
}

/// The literal against the value, in the order that a sorted list of plain literals has.
fn order_plain(literal: &Literal, found: Found<'_>) -> Ordering {
    if found.is_null() {
        return if *literal == Literal::Null { Ordering::Equal } else { Ordering::Greater };
    }
    if let Some(value) = bool_of(found) {
        return literal.cmp(&Literal::Bool(value));
    }
    if let Some(value) = number_of(found) {
        return literal.cmp(&Literal::Number(value));
    }
    let order = found.with_text(|value| match literal {
        Literal::Text(text) => (**text).cmp(value),
        _ => Ordering::Less,
    });
    // An object equals nothing, whichever way the search is sent.
    order.unwrap_or(Ordering::Less)
}

fn bool_of(found: Found<'_>) -> Option<bool> {
    match found {
        Found::Bool(value) | Found::Json(&Value::Bool(value)) => Some(value),
        _ => None,
    }
}

fn number_of(found: Found<'_>) -> Option<Number> {
    match found {
        Found::Count(number) => Some(u64::from(number).into()),
        Found::Json(Value::Number(number)) => Number::from_json(number),
        _ => None,
    }
}

fn contains(found: Found<'_>, literal: &Literal) -> bool {
    match (found, literal) {
        (Found::Json(Value::Array(items)), _) => {
            items.iter().any(|item| equals(Found::Json(item), literal))
        }
        (_, Literal::Text(wanted)) => {
            found.with_text(|text| text.contains(&**wanted)) == Some(true)
        }
        _ => false,
    }
}

fn found_size(found: Found<'_>) -> Option<u64> {
    let size = match found {
        Found::Json(Value::Array(items)) => items.len(),
        Found::Json(Value::Object(fields)) => fields.len(),
        Found::Metadata(metadata) => metadata.len(),
        _ => found.with_text(|text| text.chars().count())?,
    };
    u64::try_from(size).ok()
}
