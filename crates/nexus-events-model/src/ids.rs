//! The ids an envelope carries. Any text is an id; a UUID in its usual form takes no allocation.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::TEXT_BYTES_MAX;
use crate::text::Text;

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    /// In two halves, because whole words are what a processor moves well.
    Uuid(u64, u64),
    Text(Text),
}

impl From<Uuid> for Repr {
    fn from(uuid: Uuid) -> Self {
        let (high, low) = uuid.as_u64_pair();
        Self::Uuid(high, low)
    }
}

impl Repr {
    /// Keeps the id as it came: only text that prints back identically becomes a UUID.
    fn parse(text: Text) -> Self {
        let mut buffer = Uuid::encode_buffer();
        match Uuid::try_parse(&text) {
            Ok(uuid) if uuid.hyphenated().encode_lower(&mut buffer) == &*text => Self::from(uuid),
            _ => Self::Text(text),
        }
    }

    fn write<'a>(&'a self, buffer: &'a mut IdBuffer) -> &'a str {
        match self {
            Self::Uuid(high, low) => {
                Uuid::from_u64_pair(*high, *low).hyphenated().encode_lower(&mut buffer.0)
            }
            Self::Text(text) => text,
        }
    }
}

/// Room for one id as text, so that reading an id never allocates.
///
/// ```
/// use nexus_events_model::{CorrelationId, IdBuffer};
/// let id = CorrelationId::new("order-42")?;
/// assert_eq!(id.as_text(&mut IdBuffer::new()), "order-42");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug)]
pub struct IdBuffer([u8; 36]);

impl IdBuffer {
    /// An empty buffer.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; 36])
    }
}

impl Default for IdBuffer {
    fn default() -> Self {
        Self::new()
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $label:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Repr);

        impl $name {
            /// An id from text, kept as it came.
            ///
            /// # Errors
            /// [`ErrorKind::InvalidEvent`] for empty text, [`ErrorKind::TooLarge`] over 1,024 bytes.
            pub fn new(id: impl Into<Text>) -> Result<Self> {
                let id = id.into();
                if id.is_empty() {
                    return Err(Error::new(ErrorKind::InvalidEvent, concat!($label, " is empty; leave it out or give it text")));
                }
                check_length($label, &id)?;
                Ok(Self(Repr::parse(id)))
            }

            /// The id as text.
            pub fn as_text<'a>(&'a self, buffer: &'a mut IdBuffer) -> &'a str {
                self.0.write(buffer)
            }

            /// The id as a UUID, when it is one in lower-case hyphenated form.
            #[must_use]
            pub fn as_uuid(&self) -> Option<Uuid> {
                match self.0 {
                    Repr::Uuid(high, low) => Some(Uuid::from_u64_pair(high, low)),
                    Repr::Text(_) => None,
                }
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid.into())
            }
        }

        impl From<&$name> for $name {
            fn from(id: &$name) -> Self {
                id.clone()
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(id: &str) -> Result<Self> {
                Self::new(id)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(id: String) -> Result<Self> {
                Self::new(id)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_text(&mut IdBuffer::new()) == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                *self == **other
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_text(&mut IdBuffer::new()))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_text(&mut IdBuffer::new()))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                Self::new(Text::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// Names one event for ever. Made as a UUIDv7 where an event has none; an id from outside is
    /// kept byte for byte.
    ///
    /// ```
    /// use nexus_events_model::EventId;
    /// let id = EventId::new("evt-7")?;
    /// assert_eq!(id, "evt-7");
    /// assert!(EventId::new("").is_err());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    EventId, "event_id"
}

id! {
    /// Groups the events of one conversation.
    ///
    /// ```
    /// use nexus_events_model::CorrelationId;
    /// assert_eq!(CorrelationId::new("corr_123")?, "corr_123");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    CorrelationId, "correlation_id"
}

id! {
    /// The event that led to this one.
    ///
    /// ```
    /// use nexus_events_model::{CausationId, EventId};
    /// let cause = EventId::new("evt-7")?;
    /// assert_eq!(CausationId::from(&cause), "evt-7");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    CausationId, "causation_id"
}

id! {
    /// The session an event belongs to.
    ///
    /// ```
    /// use nexus_events_model::SessionId;
    /// assert_eq!(SessionId::new("session_456")?, "session_456");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    SessionId, "session_id"
}

id! {
    /// The user an event is about or from.
    ///
    /// ```
    /// use nexus_events_model::UserId;
    /// assert_eq!(UserId::new("user_789")?, "user_789");
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    UserId, "user_id"
}

impl EventId {
    /// Nobody's.
    pub(crate) const NIL: Self = Self(Repr::Uuid(0, 0));
}

impl From<&EventId> for CausationId {
    fn from(id: &EventId) -> Self {
        Self(id.0.clone())
    }
}

impl From<&EventId> for CorrelationId {
    /// The first event of a conversation often lends it its id.
    fn from(id: &EventId) -> Self {
        Self(id.0.clone())
    }
}

#[inline]
pub(crate) fn check_length(field: &str, text: &Text) -> Result<()> {
    match text.as_bytes().len() {
        0..=TEXT_BYTES_MAX => Ok(()),
        bytes => Err(too_long(field, bytes)),
    }
}

#[cold]
fn too_long(field: &str, bytes: usize) -> Error {
    let message = format!("{field} is {bytes} bytes long, the most is {TEXT_BYTES_MAX}");
    Error::new(ErrorKind::TooLarge, message)
}

/// Names one registration of a handler on a bus; unique within that bus.
///
/// ```
/// use nexus_events_model::SubscriptionId;
/// assert_eq!(SubscriptionId::new(7).to_string(), "7");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubscriptionId(u64);

impl SubscriptionId {
    /// The id with this number.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
