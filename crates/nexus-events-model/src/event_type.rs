//! The dotted name an event is addressed by.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{EVENT_TYPE_BYTES_MAX, EVENT_TYPE_SEGMENTS_MAX};
use crate::text::Text;

/// The dotted name an event is addressed by: 1 to 16 segments of `[A-Za-z0-9_-]+`, joined by
/// dots, at most 255 bytes. Any such name is valid; the constants below are merely common.
///
/// ```
/// use nexus_events_model::EventType;
/// let placed = EventType::new("order.placed")?;
/// assert_eq!(placed.segments().collect::<Vec<_>>(), ["order", "placed"]);
/// assert!(EventType::new("order placed").is_err());
/// assert_eq!(EventType::USER_CREATED.as_str(), "user.created");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Clone)]
pub struct EventType {
    name: Text,
    /// Computed once, so that a lookup by type never hashes the name again.
    hash: u64,
}

macro_rules! constants {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// Common event types.
        impl EventType {
            $($(#[$doc])* pub const $name: Self = Self::from_static($text);)*

            /// Every constant of this type.
            ///
            /// ```
            /// # use nexus_events_model::EventType;
            /// assert_eq!(EventType::COMMON.len(), 35);
            /// ```
            pub const COMMON: &'static [Self] = &[$(Self::$name),*];
        }
    };
}

constants! {
    /// `workflow.started`
    WORKFLOW_STARTED = "workflow.started";
    /// `workflow.completed`
    WORKFLOW_COMPLETED = "workflow.completed";
    /// `workflow.failed`
    WORKFLOW_FAILED = "workflow.failed";
    /// `workflow.paused`
    WORKFLOW_PAUSED = "workflow.paused";
    /// `workflow.resumed`
    WORKFLOW_RESUMED = "workflow.resumed";
    /// `workflow.cancelled`
    WORKFLOW_CANCELLED = "workflow.cancelled";
    /// `node.started`
    NODE_STARTED = "node.started";
    /// `node.completed`
    NODE_COMPLETED = "node.completed";
    /// `node.failed`
    NODE_FAILED = "node.failed";
    /// `node.retrying`
    NODE_RETRYING = "node.retrying";
    /// `system.started`
    SYSTEM_STARTED = "system.started";
    /// `system.shutdown`
    SYSTEM_SHUTDOWN = "system.shutdown";
    /// `system.error`
    SYSTEM_ERROR = "system.error";
    /// `system.health_check`
    HEALTH_CHECK = "system.health_check";
    /// `user.authenticated`
    USER_AUTHENTICATED = "user.authenticated";
    /// `user.session_started`
    USER_SESSION_STARTED = "user.session_started";
    /// `user.session_ended`
    USER_SESSION_ENDED = "user.session_ended";
    /// `user.action`
    USER_ACTION = "user.action";
    /// `user.created`
    USER_CREATED = "user.created";
    /// `user.updated`
    USER_UPDATED = "user.updated";
    /// `user.deleted`
    USER_DELETED = "user.deleted";
    /// `user.login`
    USER_LOGIN = "user.login";
    /// `user.logout`
    USER_LOGOUT = "user.logout";
    /// `channel.connected`
    CHANNEL_CONNECTED = "channel.connected";
    /// `channel.disconnected`
    CHANNEL_DISCONNECTED = "channel.disconnected";
    /// `channel.message`
    CHANNEL_MESSAGE = "channel.message";
    /// `data.created`
    DATA_CREATED = "data.created";
    /// `data.updated`
    DATA_UPDATED = "data.updated";
    /// `data.deleted`
    DATA_DELETED = "data.deleted";
    /// `plugin.loaded`
    PLUGIN_LOADED = "plugin.loaded";
    /// `plugin.unloaded`
    PLUGIN_UNLOADED = "plugin.unloaded";
    /// `task.completed`
    TASK_COMPLETED = "task.completed";
    /// `notification.sent`
    NOTIFICATION_SENT = "notification.sent";
    /// `error.occurred`
    ERROR_OCCURRED = "error.occurred";
    /// `custom.event`, the type of JSON that names none
    CUSTOM_EVENT = "custom.event";
}

impl EventType {
    /// An event type from text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidEventType`] when a rule above is broken; the text names the rule and
    /// [`Error::position`] the first wrong byte.
    pub fn new(name: impl Into<Text>) -> Result<Self> {
        let name = name.into();
        check(&name)?;
        Ok(Self { hash: fnv1a(name.as_bytes()), name })
    }

    /// An event type from a literal, checked at compile time when used in a constant.
    ///
    /// ```
    /// use nexus_events_model::EventType;
    /// const PLACED: EventType = EventType::from_static("order.placed");
    /// ```
    ///
    /// # Panics
    /// When the name breaks the rules; in a `const` that is a compile error.
    #[must_use]
    pub const fn from_static(name: &'static str) -> Self {
        assert!(
            is_valid(name.as_bytes()),
            "an event type is 1 to 16 segments of [A-Za-z0-9_-]+ joined by dots, at most 255 bytes"
        );
        Self { name: Text::from_static(name), hash: fnv1a(name.as_bytes()) }
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// The parts between the dots.
    #[must_use]
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.name.split('.')
    }

    /// A hash of the name that is the same in every process and release.
    ///
    /// ```
    /// # use nexus_events_model::EventType;
    /// assert_eq!(EventType::USER_LOGIN.name_hash(), EventType::new("user.login")?.name_hash());
    /// # Ok::<(), nexus_events_model::Error>(())
    /// ```
    #[must_use]
    pub fn name_hash(&self) -> u64 {
        self.hash
    }
}

fn check(name: &str) -> Result<()> {
    let fail = |position: usize, why: String| {
        let shown: String = name.chars().take(80).collect();
        let message = format!("event type `{shown}` {why}; write it like `order.created`");
        Err(Error::new(ErrorKind::InvalidEventType, message).at(position))
    };
    if name.is_empty() {
        return fail(0, "is empty".into());
    }
    if name.len() > EVENT_TYPE_BYTES_MAX {
        return fail(
            EVENT_TYPE_BYTES_MAX,
            format!("is {} bytes long, the most is {EVENT_TYPE_BYTES_MAX}", name.len()),
        );
    }
    let mut start = 0;
    for (count, segment) in name.split('.').enumerate() {
        if count == EVENT_TYPE_SEGMENTS_MAX {
            return fail(start, format!("has more than {EVENT_TYPE_SEGMENTS_MAX} segments"));
        }
        if segment.is_empty() {
            return fail(start, format!("has an empty segment at byte {start}"));
        }
        if let Some((at, wrong)) = segment.char_indices().find(|(_, c)| !is_segment_char(*c)) {
            let at = start + at;
            return fail(
                at,
                format!("has {wrong:?} at byte {at}, only A-Z a-z 0-9 _ - may stand in a segment"),
            );
        }
        start += segment.len() + 1;
    }
    Ok(())
}

pub(crate) fn is_segment_char(c: char) -> bool {
    c.is_ascii() && is_segment_byte(c as u8)
}

const fn is_segment_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

const fn is_valid(name: &[u8]) -> bool {
    let mut segments = 1;
    let mut segment_bytes = 0;
    let mut at = 0;
    while at < name.len() {
        if name[at] == b'.' {
            if segment_bytes == 0 {
                return false;
            }
            segments += 1;
            segment_bytes = 0;
        } else if is_segment_byte(name[at]) {
            segment_bytes += 1;
        } else {
            return false;
        }
        at += 1;
    }
    segment_bytes > 0 && segments <= EVENT_TYPE_SEGMENTS_MAX && name.len() <= EVENT_TYPE_BYTES_MAX
}

const fn fnv1a(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut at = 0;
    while at < bytes.len() {
        hash ^= bytes[at] as u64;
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
        at += 1;
    }
    hash
}

impl Default for EventType {
    /// `custom.event`
    fn default() -> Self {
        Self::CUSTOM_EVENT
    }
}

impl PartialEq for EventType {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (self.name.is_same(&other.name) || self.name == other.name)
    }
}

impl Eq for EventType {}

impl PartialEq<str> for EventType {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for EventType {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl Hash for EventType {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialOrd for EventType {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EventType {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.name.cmp(&other.name)
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for EventType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventType({})", self.name)
    }
}

impl FromStr for EventType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<&str> for EventType {
    type Error = Error;

    fn try_from(name: &str) -> Result<Self> {
        Self::new(name)
    }
}

impl TryFrom<String> for EventType {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        Self::new(name)
    }
}

impl From<&EventType> for EventType {
    fn from(event_type: &EventType) -> Self {
        event_type.clone()
    }
}

impl serde::Serialize for EventType {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for EventType {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Text::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
