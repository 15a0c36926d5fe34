//! An event that waits for its time, as the store has it.

use std::fmt;
use std::time::Duration;

use nexus_events_model::{Event, EventId, IsoFormat, Pattern};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::schedule::{Misfire, Schedule};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{IDEMPOTENCY_KEY_BYTES_MAX, READ_EVENTS_DEFAULT};
use crate::store::{Append, Expected, space};

/// Names a scheduled event: the id that the event has.
///
/// ```
/// use nexus_events_dispatch::ScheduledId;
/// use nexus_events_model::EventId;
/// assert_eq!(ScheduledId::from(EventId::new("evt-1")?).to_string(), "evt-1");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScheduledId(EventId);

impl ScheduledId {
    /// The id that the event has when it fires.
    #[must_use]
    pub fn event_id(&self) -> &EventId {
        &self.0
    }
}

impl From<EventId> for ScheduledId {
    fn from(id: EventId) -> Self {
        Self(id)
    }
}

impl fmt::Display for ScheduledId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An event that waits for its time.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Scheduled {
    /// Its name.
    pub id: ScheduledId,
    /// What is published.
    pub event: Event,
    /// When.
    pub due: OffsetDateTime,
    /// When it was scheduled.
    pub scheduled: OffsetDateTime,
    /// What happens if it is late.
    pub misfire: Misfire,
}

impl Scheduled {
    /// An event to be published at this time, for [`Append::schedule`]. It needs its id and time,
    /// see [`Bus::stamp`](crate::Bus::stamp); its timestamp becomes the time at which it is
    /// published.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use std::time::Duration;
    /// use nexus_events_dispatch::{Bus, Scheduled, Schedule, ScheduledFilter};
    /// use nexus_events_dispatch::store::{Append, MemoryStore};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
    /// let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await?;
    /// let event = bus.stamp(Event::builder("cart.expired"))?;
    /// let expiry = Scheduled::of(event, Schedule::after(Duration::from_secs(900)), bus.now())?;
    /// bus.commit(Append::new().put("carts", "42", "open").schedule(&expiry)).await?;
    /// assert_eq!(bus.scheduled(&ScheduledFilter::new()).await?[0].due, expiry.due);
    /// bus.commit(Append::new().put("carts", "42", "paid").unschedule(&expiry)).await?;
    /// assert_eq!(bus.scheduled_stats().waiting, 0);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`] for a time that no calendar has; [`ErrorKind::TooLarge`] for an
    /// id of more than 255 bytes; [`ErrorKind::Invalid`] for a payload that is no JSON.
    pub fn of(event: Event, schedule: Schedule, now: OffsetDateTime) -> Result<Self> {
        Self::new(event, schedule.due(now)?, now, schedule.misfire)
    }

    pub(super) fn new(
        event: Event,
        due: OffsetDateTime,
        scheduled: OffsetDateTime,
        misfire: Misfire,
    ) -> Result<Self> {
        let id = ScheduledId(event.id().clone());
        let bytes = id.to_string().len();
        if bytes > IDEMPOTENCY_KEY_BYTES_MAX {
            return Err(Error::too_large(format!(
                "the id of a scheduled event has {bytes} bytes, the most is {IDEMPOTENCY_KEY_BYTES_MAX}"
            )));
        }
        // What is no JSON cannot be stored.
        event.payload().json()?;
        Ok(Self { id, event, due: whole(due), scheduled, misfire })
    }

    pub(super) fn moved_to(self, due: OffsetDateTime) -> Self {
        Self { due: whole(due), ..self }
    }

    /// When it is due, such that times are in the order of their bytes, and what it is.
    pub(super) fn key(&self) -> Vec<u8> {
        let micros = self.due.unix_timestamp() * 1_000_000 + i64::from(self.due.microsecond());
        let mut key = (micros.cast_unsigned() ^ (1 << 63)).to_be_bytes().to_vec();
        key.extend(self.id.to_string().into_bytes());
        key
    }

    /// The commit, which also puts it there, unless one with its id is.
    pub(crate) fn put(&self, append: Append) -> Append {
        let (key, id) = (self.key(), self.id.to_string());
        append.put_if(Expected::Absent, space::SCHEDULED_IDS, id, key.clone()).put_if(
            Expected::Absent,
            space::SCHEDULED,
            key,
            self.to_json().to_string(),
        )
    }

    /// The commit that takes it away, as long as it is in this state.
    pub(super) fn taken(&self, version: u64) -> Append {
        self.take(Append::new(), version)
    }

    /// The commit, which also takes it away, as long as it is in this state.
    pub(super) fn take(&self, append: Append, version: u64) -> Append {
        append
            .delete_if(Expected::Exact(version), space::SCHEDULED, self.key())
            .delete(space::SCHEDULED_IDS, self.id.to_string())
    }

    /// The commit, which also takes it away, if it is still there.
    pub(crate) fn take_any(&self, append: Append) -> Append {
        append
            .delete(space::SCHEDULED, self.key())
            .delete(space::SCHEDULED_IDS, self.id.to_string())
    }

    /// All of it as JSON, times in ISO 8601, the grace in milliseconds or null for an event that
    /// fires however late it is.
    ///
    /// ```json
    /// {"event": {"id": "evt-1", "event_type": "invoice.due"}, "due": "2026-01-02T03:04:05+00:00",
    ///  "scheduled": "2026-01-01T03:04:05+00:00", "grace": null}
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Value {
        let grace = match self.misfire {
            Misfire::PublishOnce => None,
            Misfire::Skip { grace } => Some(u64::try_from(grace.as_millis()).unwrap_or(u64::MAX)),
        };
        json!({
            "event": serde_json::to_value(&self.event).unwrap_or_default(),
            "due": IsoFormat(self.due).to_string(),
            "scheduled": IsoFormat(self.scheduled).to_string(),
            "grace": grace,
        })
    }

    pub(super) fn read(value: &[u8]) -> Result<Self> {
        let json: Value = serde_json::from_slice(value).map_err(|_| wrong("JSON"))?;
        let time = |field: &str| {
            let time = json[field].as_str().and_then(|it| OffsetDateTime::parse(it, &Rfc3339).ok());
            time.ok_or_else(|| wrong(field))
        };
        let event = Event::from_json(&json["event"].to_string())?;
        let misfire = match &json["grace"] {
            Value::Null => Misfire::PublishOnce,
            grace => {
                let grace = grace.as_u64().ok_or_else(|| wrong("grace"))?;
                Misfire::Skip { grace: Duration::from_millis(grace) }
            }
        };
        let (due, scheduled) = (time("due")?, time("scheduled")?);
        Ok(Self { id: ScheduledId(event.id().clone()), event, due, scheduled, misfire })
    }

    pub(super) fn is_there_already(&self) -> Error {
        let message = format!(
            "an event with the id `{}` is scheduled already; `reschedule` it, or give this one another id",
            self.id
        );
        Error::new(ErrorKind::Conflict, message)
    }
}

/// To the microsecond, the finest that is stored, in UTC.
fn whole(time: OffsetDateTime) -> OffsetDateTime {
    let time = time.checked_to_offset(time::UtcOffset::UTC).unwrap_or(time);
    time.replace_nanosecond(time.microsecond() * 1_000).unwrap_or(time)
}

fn wrong(field: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a scheduled event has no valid `{field}`"))
}

/// Which scheduled events are meant, and how many of them at a time.
///
/// ```
/// use nexus_events_dispatch::ScheduledFilter;
/// use nexus_events_model::Pattern;
/// let invoices = ScheduledFilter::new().pattern(Pattern::new("invoice.*")?).limit(50);
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use = "a filter does nothing until something is filtered with it"]
pub struct ScheduledFilter {
    pattern: Option<Pattern>,
    pub(super) after: Option<Vec<u8>>,
    pub(super) limit: usize,
}

impl Default for ScheduledFilter {
    fn default() -> Self {
        Self { pattern: None, after: None, limit: READ_EVENTS_DEFAULT }
    }
}

impl ScheduledFilter {
    /// All, 256 at a time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Of event types that match.
    pub fn pattern(mut self, pattern: Pattern) -> Self {
        self.pattern = Some(pattern);
        self
    }

    /// Those that come after this one, to read them page by page.
    pub fn after(mut self, last: &Scheduled) -> Self {
        self.after = Some(last.key());
        self
    }

    /// At most so many.
    pub fn limit(mut self, most: usize) -> Self {
        self.limit = most;
        self
    }

    pub(super) fn means(&self, scheduled: &Scheduled) -> bool {
        let event_type = scheduled.event.event_type();
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(event_type))
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    fn scheduled(id: &str, due: OffsetDateTime, misfire: Misfire) -> Scheduled {
        let event = Event::builder("a").id(id).timestamp(due).build().unwrap();
        Scheduled::new(event, due, due, misfire).unwrap()
    }

    #[test]
    fn keys_are_in_the_order_of_time() {
        let times = [
            datetime!(-9999-01-01 00:00 UTC),
            datetime!(1969-12-31 23:59:59.999999 UTC),
            datetime!(1970-01-01 00:00 UTC),
            datetime!(1970-01-01 00:00:00.000001 UTC),
            datetime!(2026-01-02 03:04:05 +02:00),
            datetime!(2026-01-02 03:04:05 UTC),
            datetime!(9999-12-31 23:59:59 UTC),
        ];
        let keys = times.map(|time| scheduled("z", time, Misfire::PublishOnce).key());
        assert!(keys.is_sorted());
        let earlier = scheduled("a", times[5], Misfire::PublishOnce).key();
        assert!(keys[4] < earlier && earlier < keys[5]);
    }

    #[test]
    fn what_is_written_is_read() {
        let grace = Duration::from_secs(60);
        for misfire in [Misfire::PublishOnce, Misfire::Skip { grace }] {
            let one = scheduled("evt-1", datetime!(2026-01-02 03:04:05.678901 UTC), misfire);
            assert_eq!(Scheduled::read(one.to_json().to_string().as_bytes()).unwrap(), one);
        }
        for broken in ["", "{}", r#"{"event":{"event_type":"a"},"due":"never"}"#] {
            assert!(Scheduled::read(broken.as_bytes()).is_err());
        }
    }
}
