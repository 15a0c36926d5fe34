//! A frame: what one commit puts into the log, as one value in parts that each fill a page.

mod envelope;
mod parts;
mod read;
mod write;

pub(crate) use self::parts::{Part, join, split};
pub(crate) use self::read::{Frame, heading};
pub(crate) use self::write::FrameWriter;

/// What everything in a frame has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Heading {
    /// The number of the frame: 1, 2, 3 and so on, for ever.
    pub(crate) number: u64,
    /// The offset of its first event.
    pub(crate) first: u64,
    /// How many events it has; at least one.
    pub(crate) events: u64,
    /// The number of the commit that its last append was.
    pub(crate) commit: u64,
    /// When the store took it, in microseconds since 1970.
    pub(crate) recorded: i64,
    /// The bytes of all events of the log before it.
    pub(crate) bytes_before: u64,
}

impl Heading {
    pub(crate) fn last(&self) -> u64 {
        (self.first + self.events).saturating_sub(1)
    }
}

/// An append that had an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) key: nexus_events_model::Text,
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) version: u64,
    pub(crate) recorded: i64,
}

/// The layout that this program writes.
const FORMAT: u8 = 1;

/// Microseconds since 1970 as a time.
pub(crate) fn time_of(micros: i64) -> Option<time::OffsetDateTime> {
    let time = time::OffsetDateTime::from_unix_timestamp(micros.div_euclid(1_000_000)).ok()?;
    time.replace_microsecond(u32::try_from(micros.rem_euclid(1_000_000)).ok()?).ok()
}

pub(crate) fn micros_of(time: time::OffsetDateTime) -> i64 {
    time.unix_timestamp() * 1_000_000 + i64::from(time.microsecond())
}
