//! What a filter finds in an event, without the event becoming JSON.

use std::fmt::Write as _;

use serde_json::Value;
use time::OffsetDateTime;

use crate::event::Event;
use crate::event_type::EventType;
use crate::filter::path::{Path, Root, Step};
use crate::ids::IdBuffer;
use crate::limits::TEXT_BYTES_MAX;
use crate::metadata::Metadata;
use crate::priority::Priority;
use crate::timestamp::IsoFormat;

/// Arrays within arrays deeper than this are not looked into; JSON text cannot nest deeper either.
const NESTING_MAX: usize = 128;

/// A place in an event, or in a bare JSON value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Found<'a> {
    /// Not even a place; every path from here leads nowhere.
    Nothing,
    /// A field of the envelope that is not set: equal to null, and missing otherwise.
    Unset,
    Event(&'a Event),
    Metadata(&'a Metadata),
    Json(&'a Value),
    Text(&'a str),
    Type(&'a EventType),
    Time(OffsetDateTime),
    Priority(Priority),
    Bool(bool),
    Count(u32),
}

/// Told each value in turn; true ends the walk.
pub(crate) type Visit<'v> = &'v mut dyn FnMut(Found<'_>) -> bool;

impl Found<'_> {
    /// Visits every value at the path until one visit is true, and says whether one was.
    pub(crate) fn walk(self, path: &Path, visit: Visit<'_>) -> bool {
        match (self, path.root(), path.steps()) {
            (Found::Event(event), Some(root), [_, rest @ ..]) => {
                walk_event(event, root, rest, visit)
            }
            (Found::Event(_) | Found::Nothing, _, _) => false,
            (found, _, steps) => found.down(steps, 0, visit),
        }
    }

    fn down(self, steps: &[Step], nesting: usize, visit: Visit<'_>) -> bool {
        let [step, rest @ ..] = steps else {
            return visit(self);
        };
        let next = match (self, step) {
            (Found::Json(Value::Object(fields)), Step::Key(name)) => fields.get(&**name),
            (Found::Json(Value::Object(fields)), Step::Index(index)) => {
                fields.get(&index.to_string())
            }
            (Found::Json(Value::Array(items)), Step::Index(index)) => items.get(*index),
            (Found::Json(Value::Array(items)), Step::Key(_)) => {
                return nesting < NESTING_MAX
                    && items.iter().any(|item| Found::Json(item).down(steps, nesting + 1, visit));
            }
            (Found::Metadata(metadata), Step::Key(name)) => metadata.get(name),
            (Found::Metadata(metadata), Step::Index(index)) => metadata.get(&index.to_string()),
            _ => None,
        };
        next.is_some_and(|value| Found::Json(value).down(rest, nesting, visit))
    }

    /// Visits the value, or the elements where it is an array, arrays within it too.
    pub(crate) fn spread(self, visit: Visit<'_>) -> bool {
        self.spread_at(0, visit)
    }

    fn spread_at(self, nesting: usize, visit: Visit<'_>) -> bool {
        match self {
            Found::Json(Value::Array(items)) => {
                nesting < NESTING_MAX
                    && items.iter().any(|item| Found::Json(item).spread_at(nesting + 1, visit))
            }
            Found::Unset | Found::Nothing => false,
            value => visit(value),
        }
    }

    pub(crate) fn is_scalar(self) -> bool {
        match self {
            Found::Nothing | Found::Unset | Found::Event(_) | Found::Metadata(_) => false,
            Found::Json(value) => !matches!(value, Value::Array(_) | Value::Object(_)),
            _ => true,
        }
    }

    pub(crate) fn is_null(self) -> bool {
        matches!(self, Found::Unset | Found::Json(Value::Null))
    }

    /// What `read` makes of the value's text, when it is text or written as text in JSON.
    pub(crate) fn with_text<T>(self, read: impl FnOnce(&str) -> T) -> Option<T> {
        match self {
            Found::Json(Value::String(text)) => Some(read(text)),
            Found::Text(text) => Some(read(text)),
            Found::Type(event_type) => Some(read(event_type.as_str())),
            Found::Priority(priority) => Some(read(priority.as_str())),
            Found::Time(time) => Some(read(TimeText::new(time).as_str())),
            _ => None,
        }
    }
}

fn walk_event(event: &Event, root: Root, rest: &[Step], visit: Visit<'_>) -> bool {
    let mut buffer = IdBuffer::new();
    let found = match root {
        Root::Payload => match event.payload().value() {
            Ok(value) => Found::Json(value),
            Err(_) => return false,
        },
        Root::Metadata => Found::Metadata(event.metadata()),
        Root::EventId => Found::Text(event.id().as_text(&mut buffer)),
        Root::EventType => Found::Type(event.event_type()),
        Root::Source => Found::Text(event.source()),
        Root::Target => optional(event.target()),
        Root::Timestamp => Found::Time(event.timestamp()),
        Root::Priority => Found::Priority(event.priority()),
        Root::CorrelationId => optional(event.correlation_id().map(|id| id.as_text(&mut buffer))),
        Root::CausationId => optional(causation_id(event)),
        Root::SessionId => optional(event.session_id().map(|id| id.as_text(&mut buffer))),
        Root::UserId => optional(event.user_id().map(|id| id.as_text(&mut buffer))),
        Root::Channel => optional(event.channel()),
        Root::Retryable => Found::Bool(event.retryable()),
        Root::MaxRetries => Found::Count(event.max_retries()),
        Root::RetryCount => Found::Count(event.retry_count()),
    };
    found.down(rest, 0, visit)
}

fn optional(text: Option<&str>) -> Found<'_> {
    text.map_or(Found::Unset, Found::Text)
}

/// As [`Event::causation_id`], without making an id of it.
fn causation_id(event: &Event) -> Option<&str> {
    let text = event.metadata().get(Metadata::CAUSATION_ID)?.as_str()?;
    (1..=TEXT_BYTES_MAX).contains(&text.len()).then_some(text)
}

/// A time as text, on the stack.
struct TimeText {
    bytes: [u8; 48],
    length: usize,
}

impl TimeText {
    fn new(time: OffsetDateTime) -> Self {
        let mut text = Self { bytes: [0; 48], length: 0 };
        let written = write!(text, "{}", IsoFormat(time));
        debug_assert!(written.is_ok(), "the longest timestamp has 42 bytes");
        text
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

impl std::fmt::Write for TimeText {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.length + text.len();
        self.bytes
            .get_mut(self.length..end)
            .ok_or(std::fmt::Error)?
            .copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}
