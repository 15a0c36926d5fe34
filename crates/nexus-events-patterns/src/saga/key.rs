//! How a saga is found for an event.

use std::fmt;
use std::sync::Arc;

use nexus_events_model::{Event, Pattern, Text};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::SAGA_KEY_BYTES_MAX;

/// Where an event has the key of its saga: what is the same in all events of one order, say.
///
/// Made of a text it is a field of the payload, with dots for fields inside of fields.
///
/// ```
/// use nexus_events_model::Event;
/// use nexus_events_patterns::saga::SagaKey;
/// let by_order = SagaKey::from("order.id");
/// let by_user = SagaKey::of("the user", |event: &Event| event.user_id().map(|user| user.to_string().into()));
/// let by_conversation = SagaKey::correlation();
/// ```
#[derive(Clone)]
pub struct SagaKey {
    what: Text,
    /// A field without a name, which no event has.
    nameless: bool,
    find: Arc<Find>,
}

type Find = dyn Fn(&Event) -> Option<Text> + Send + Sync;

impl SagaKey {
    /// A field of the payload: a text, a number, true or false.
    #[must_use]
    pub fn field(path: impl Into<Text>) -> Self {
        let path = path.into();
        let nameless = path.split('.').any(str::is_empty);
        // What means something in a JSON pointer may be part of a name.
        let escaped = |field: &str| field.replace('~', "~0").replace('/', "~1");
        let pointer: String = path.split('.').map(|field| format!("/{}", escaped(field))).collect();
        let field = Self::of(format!("the field `{path}`"), move |event| {
            match event.payload().pointer(&pointer)? {
                Value::String(text) => Some(text.as_str().into()),
                value @ (Value::Number(_) | Value::Bool(_)) => Some(value.to_string().into()),
                _ => None,
            }
        });
        Self { nameless, ..field }
    }

    /// The correlation id.
    #[must_use]
    pub fn correlation() -> Self {
        Self::of("the correlation id", |event| {
            event.correlation_id().map(|id| id.to_string().into())
        })
    }

    /// Anything else; the words say what it is when it is missing.
    #[must_use]
    pub fn of(
        what: impl Into<Text>,
        find: impl Fn(&Event) -> Option<Text> + Send + Sync + 'static,
    ) -> Self {
        Self { what: what.into(), nameless: false, find: Arc::new(find) }
    }

    /// Whether events can have it.
    pub(super) fn check(&self, saga: &str, pattern: &Pattern) -> Result<()> {
        if !self.nameless {
            return Ok(());
        }
        Err(Error::invalid_option(format!(
            "the saga `{saga}` is found by {} of `{pattern}`, which has a field without a name; name one, such as `order.id`",
            self.what
        )))
    }

    /// The key, if the event has it.
    pub(crate) fn find(&self, event: &Event) -> Option<Text> {
        (self.find)(event).filter(|key| !key.is_empty() && key.len() <= SAGA_KEY_BYTES_MAX)
    }

    /// The key, or why there is none.
    pub(crate) fn require(&self, saga: &str, event: &Event) -> Result<Text> {
        let is = match (self.find)(event) {
            Some(key) if key.is_empty() => "is empty".to_owned(),
            Some(key) if key.len() > SAGA_KEY_BYTES_MAX => {
                format!("has {} bytes, the most is {SAGA_KEY_BYTES_MAX}", key.len())
            }
            Some(key) => return Ok(key),
            None => "is missing".to_owned(),
        };
        let message = format!(
            "the saga `{saga}` is found by {} of `{}`, which {is} in the event {}",
            self.what,
            event.event_type(),
            event.id()
        );
        Err(Error::new(ErrorKind::MissingKey, message))
    }
}

impl<T: Into<Text>> From<T> for SagaKey {
    fn from(path: T) -> Self {
        Self::field(path)
    }
}

impl fmt::Debug for SagaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SagaKey").field(&self.what).finish()
    }
}
