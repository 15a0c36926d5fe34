//! Events as JSON: fifteen fields in a fixed order out; those, any subset, and `data` for
//! `payload` in.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::de::{DeserializeOwned, DeserializeSeed, MapAccess, Visitor};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::builder::EventBuilder;
use crate::error::{Error, ErrorKind, Result};
use crate::event::Event;
use crate::event_type::EventType;
use crate::filter::UnknownFields;
use crate::limits::EVENT_BYTES_MAX;
use crate::nearest::nearest;
use crate::payload::Payload;
use crate::priority::Priority;
use crate::timestamp::IsoFormat;

/// The fields of an event in JSON, in the order they are written.
pub(crate) const FIELDS: [&str; 15] = [
    "event_id",
    "event_type",
    "source",
    "target",
    "payload",
    "metadata",
    "timestamp",
    "priority",
    "correlation_id",
    "session_id",
    "user_id",
    "channel",
    "retryable",
    "max_retries",
    "retry_count",
];

/// The one JSON encoding of an event, made once and shared by everybody who sends or stores it.
///
/// ```
/// use nexus_events_model::Event;
/// let event = Event::builder("a").id("1").timestamp_text("2026-01-02T03:04:05Z").build()?;
/// let encoded = event.encoded()?;
/// assert!(encoded.as_str().starts_with(r#"{"event_id":"1","event_type":"a","source":"","target":null,"payload":{}"#));
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded(Arc<str>);

impl Encoded {
    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Event {
    /// The event as JSON, encoded at the first call and shared from then on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPayload`] when a typed payload cannot be written as JSON.
    pub fn encoded(&self) -> Result<&Encoded> {
        if let Some(encoded) = self.encoded_cell().get() {
            return Ok(encoded);
        }
        // The payload reports its own failure better than the serializer would.
        self.payload().raw()?;
        let json = serde_json::to_string(self).map_err(|error| {
            Error::new(
                ErrorKind::InvalidPayload,
                format!("event cannot be written as JSON: {error}"),
            )
            .with_source(error)
        })?;
        Ok(self.encoded_cell().get_or_init(|| Encoded(json.into())))
    }

    /// Reads a complete event, as [`Event::encoded`] writes it.
    ///
    /// # Errors
    /// As [`EventBuilder::from_json`], and [`ErrorKind::InvalidEvent`] when the id or the
    /// timestamp is missing.
    pub fn from_json(json: &str) -> Result<Self> {
        EventBuilder::from_json(json)?.build()
    }
}

impl EventBuilder {
    /// Reads an event from JSON. Every field may be missing or `null` and then has its default;
    /// `data` is another name for `payload`. A missing id or timestamp is stamped when the event
    /// is published.
    ///
    /// ```
    /// use nexus_events_model::EventBuilder;
    /// let error = EventBuilder::from_json(r#"{"event_typ":"a.b"}"#).unwrap_err();
    /// assert!(error.to_string().contains("did you mean `event_type`?"));
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownField`] for a field no event has, naming the nearest one that exists;
    /// [`ErrorKind::InvalidEvent`] for malformed JSON or a field of the wrong type, naming the
    /// field, line and column; [`ErrorKind::InvalidEventType`] for a bad type name;
    /// [`ErrorKind::TooLarge`] over 1 MiB.
    pub fn from_json(json: &str) -> Result<Self> {
        Self::read(json, UnknownFields::Reject)
    }

    /// As [`from_json`](Self::from_json), but a field no event has is ignored.
    ///
    /// ```
    /// use nexus_events_model::EventBuilder;
    /// assert!(EventBuilder::from_json_lenient(r#"{"event_type":"a.b","color":"red"}"#).is_ok());
    /// ```
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json), without [`ErrorKind::UnknownField`].
    pub fn from_json_lenient(json: &str) -> Result<Self> {
        Self::read(json, UnknownFields::Ignore)
    }

    fn read(json: &str, unknown: UnknownFields) -> Result<Self> {
        if json.len() > EVENT_BYTES_MAX {
            let message =
                format!("event is {} bytes long, the most is {EVENT_BYTES_MAX}", json.len());
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let mut failure = None;
        let mut deserializer = serde_json::Deserializer::from_str(json);
        let fields = EventFields::new(unknown, &mut failure);
        let read = fields
            .deserialize(&mut deserializer)
            .and_then(|builder| deserializer.end().map(|()| builder));
        match (read, failure) {
            (Ok(builder), _) => Ok(builder),
            (Err(_), Some(failure)) => Err(failure),
            (Err(error), None) => Err(Error::new(
                ErrorKind::InvalidEvent,
                format!("event is not valid JSON: {error}"),
            )
            .with_source(error)),
        }
    }
}

/// Reads the fields of one event. Serde's own errors are texts only, so a typed one is left
/// beside it.
struct EventFields<'f> {
    unknown: UnknownFields,
    failure: &'f mut Option<Error>,
    /// The last field was `null`, which is the same as not there.
    was_null: bool,
}

impl<'f> EventFields<'f> {
    fn new(unknown: UnknownFields, failure: &'f mut Option<Error>) -> Self {
        Self { unknown, failure, was_null: false }
    }
}

impl<'de> DeserializeSeed<'de> for EventFields<'_> {
    type Value = EventBuilder;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<EventBuilder, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl EventFields<'_> {
    fn stop<E: serde::de::Error>(&mut self, error: Error) -> E {
        let text = error.to_string();
        self.failure.get_or_insert(error);
        E::custom(text)
    }

    /// The value of a field, `None` for `null`.
    fn value<'de, T: DeserializeOwned, A: MapAccess<'de>>(
        &mut self,
        field: &str,
        map: &mut A,
    ) -> Result<Option<T>, A::Error> {
        let value = map.next_value::<Option<T>>().map_err(|error| {
            let failure = Error::new(ErrorKind::InvalidEvent, format!("field `{field}`: {error}"));
            self.stop(failure)
        })?;
        self.was_null = value.is_none();
        Ok(value)
    }

    /// Applies a field that is text.
    fn text<'de, A: MapAccess<'de>>(
        &mut self,
        field: &str,
        map: &mut A,
        builder: EventBuilder,
        set: impl FnOnce(EventBuilder, String) -> EventBuilder,
    ) -> Result<EventBuilder, A::Error> {
        let text = self.value::<String, A>(field, map)?;
        Ok(match text {
            Some(text) => set(builder, text),
            None => builder,
        })
    }

    fn field<'de, A: MapAccess<'de>>(
        &mut self,
        field: &str,
        map: &mut A,
        builder: EventBuilder,
    ) -> Result<EventBuilder, A::Error> {
        Ok(match field {
            "event_id" => self.text(field, map, builder, EventBuilder::id)?,
            "event_type" => self.text(field, map, builder, EventBuilder::event_type)?,
            "source" => self.text(field, map, builder, EventBuilder::source)?,
            "target" => self.text(field, map, builder, EventBuilder::target)?,
            "timestamp" => {
                self.text(field, map, builder, |builder, text| {
                    // What the reference writes for none.
                    if text.is_empty() { builder } else { builder.timestamp_text(&text) }
                })?
            }
            "correlation_id" => self.text(field, map, builder, EventBuilder::correlation_id)?,
            "session_id" => self.text(field, map, builder, EventBuilder::session_id)?,
            "user_id" => self.text(field, map, builder, EventBuilder::user_id)?,
            "channel" => self.text(field, map, builder, EventBuilder::channel)?,
            "priority" => match self.value::<Priority, A>(field, map)? {
                Some(priority) => builder.priority(priority),
                None => builder,
            },
            "payload" | "data" => match self.value::<Box<RawValue>, A>(field, map)? {
                Some(raw) => {
                    builder.payload(Payload::from_raw(raw).map_err(|error| self.stop(error))?)
                }
                None => builder,
            },
            "metadata" => match self.value(field, map)? {
                Some(metadata) => builder.all_metadata(metadata),
                None => builder,
            },
            "retryable" => match self.value(field, map)? {
                Some(retryable) => builder.retryable(retryable),
                None => builder,
            },
            "max_retries" => match self.value(field, map)? {
                Some(max_retries) => builder.max_retries(max_retries),
                None => builder,
            },
            "retry_count" => match self.value(field, map)? {
                Some(retry_count) => builder.retry_count(retry_count),
                None => builder,
            },
            unknown => {
                if self.unknown == UnknownFields::Reject {
                    return Err(self.stop(unknown_field(unknown)));
                }
                map.next_value::<serde::de::IgnoredAny>()?;
                builder
            }
        })
    }
}

fn unknown_field(field: &str) -> Error {
    let hint = nearest(field, FIELDS).map_or_else(
        || "an event has ".to_owned() + &FIELDS.join(", "),
        |known| format!("did you mean `{known}`?"),
    );
    let shown: String = field.chars().take(64).collect();
    Error::new(ErrorKind::UnknownField, format!("an event has no field `{shown}`; {hint}"))
}

impl<'de> Visitor<'de> for EventFields<'_> {
    type Value = EventBuilder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<EventBuilder, A::Error> {
        let mut builder = Event::builder(EventType::CUSTOM_EVENT);
        let mut seen: Vec<&'static str> = Vec::with_capacity(FIELDS.len());
        while let Some(field) = map.next_key::<Cow<'de, str>>()? {
            let name = if field == "data" { "payload" } else { &*field };
            if seen.contains(&name) {
                let hint = if name == "payload" { " (`data` is another name for it)" } else { "" };
                let message = format!("field `{name}` is given twice; keep one{hint}");
                return Err(self.stop(Error::new(ErrorKind::InvalidEvent, message)));
            }
            let known = FIELDS.into_iter().find(|known| *known == name);
            self.was_null = false;
            builder = self.field(&field, &mut map, builder)?;
            if !self.was_null {
                seen.extend(known);
            }
        }
        // Reports a wrong id, type or time here, with the other mistakes of the text.
        match builder.into_checked() {
            Ok(builder) => Ok(builder),
            Err(error) => Err(self.stop(error)),
        }
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let payload = self.payload().raw().map_err(serde::ser::Error::custom)?;
        let mut fields = serializer.serialize_struct("Event", FIELDS.len())?;
        fields.serialize_field("event_id", self.id())?;
        fields.serialize_field("event_type", self.event_type())?;
        fields.serialize_field("source", self.source())?;
        fields.serialize_field("target", &self.target())?;
        fields.serialize_field("payload", payload)?;
        fields.serialize_field("metadata", self.metadata())?;
        fields.serialize_field("timestamp", &IsoFormat(self.timestamp()))?;
        fields.serialize_field("priority", &self.priority())?;
        fields.serialize_field("correlation_id", &self.correlation_id())?;
        fields.serialize_field("session_id", &self.session_id())?;
        fields.serialize_field("user_id", &self.user_id())?;
        fields.serialize_field("channel", &self.channel())?;
        fields.serialize_field("retryable", &self.retryable())?;
        fields.serialize_field("max_retries", &self.max_retries())?;
        fields.serialize_field("retry_count", &self.retry_count())?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Event {
    /// Strict, and complete: as [`Event::from_json`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut failure = None;
        let fields = EventFields::new(UnknownFields::Reject, &mut failure);
        fields.deserialize(deserializer)?.build().map_err(serde::de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for EventBuilder {
    /// Strict: as [`EventBuilder::from_json`].
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        EventFields::new(UnknownFields::Reject, &mut None).deserialize(deserializer)
    }
}
