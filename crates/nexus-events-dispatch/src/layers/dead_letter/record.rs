//! One dead letter: the event, who gave it up, and why.

use std::str::FromStr;

use nexus_events_model::{CorrelationId, Event, IsoFormat, OutcomeStatus, Pattern, Status, Text};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::claim::Claim;
use crate::bus::Bus;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::handler::Attempt;

/// An event that a handler gave up.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt, layers::DeadLetters};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let (bus, letters) = (Bus::new(), DeadLetters::new());
/// let fails = |_: &Event| Err::<(), _>("no such account");
/// bus.on("order.*", fails.named("billing").layer(letters.layer()))?;
/// bus.publish(Event::builder("order.created").id("evt-1")).await?;
/// let letter = letters.get(1).unwrap();
/// assert_eq!((letter.event.event_type().as_str(), &*letter.handler), ("order.created", "billing"));
/// assert_eq!((&*letter.error, letter.attempts.len()), ("no such account", 1));
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct DeadLetter {
    /// Its id, from 1, in the order they were parked.
    pub id: u64,
    /// The event as the handler got it.
    pub event: Event,
    /// The handler that gave it up.
    pub handler: Text,
    /// The pattern that handler is registered for.
    pub pattern: Pattern,
    /// What the handler's events are ordered by, when they are.
    pub key: Option<Text>,
    /// Whether it was not handled at all, because an event of its key had been parked before.
    pub behind: bool,
    /// The last error, at most 4,096 bytes of it.
    pub error: Text,
    /// Whether the error was permanent, or the attempts were used up.
    pub status: Status,
    /// How the last attempt ended: error, timed out or panicked.
    pub outcome: OutcomeStatus,
    /// The attempts since it was last replayed.
    pub attempts: Vec<Attempt>,
    /// When it first failed.
    pub first_failure: OffsetDateTime,
    /// When it last failed.
    pub last_failure: OffsetDateTime,
    /// How often it was replayed.
    pub replays: u32,
    /// How often its event was [edited](super::DeadLetters::edit).
    pub edits: u32,
    /// Tells the payload as it first failed apart from others, edited ones too: the 64 bits of
    /// FNV-1a of its JSON, 0 for one that is no JSON. It proves nothing to those who fear forgery.
    pub payload_hash: u64,
    /// Who replays it, where several programs may.
    pub(crate) claim: Option<Claim>,
}

const STATUSES: [(Status, &str); 3] = [
    (Status::Permanent, "permanent"),
    (Status::Temporary, "temporary"),
    (Status::Exhausted, "exhausted"),
];

const OUTCOMES: [OutcomeStatus; 3] =
    [OutcomeStatus::Error, OutcomeStatus::Panicked, OutcomeStatus::TimedOut];

impl DeadLetter {
    /// An event that a handler could not finish, because the process ended again and again.
    pub(crate) fn crash_loop(bus: &Bus, entry: &Entry, event: &Event, error: Text) -> Self {
        let now = bus.now();
        Self {
            id: 0,
            event: event.clone(),
            handler: entry.loser().clone(),
            pattern: entry.pattern.clone(),
            key: None,
            behind: false,
            error,
            status: Status::Permanent,
            outcome: OutcomeStatus::Error,
            attempts: Vec::new(),
            first_failure: now,
            last_failure: now,
            replays: 0,
            edits: 0,
            payload_hash: hash_of(event),
            claim: None,
        }
    }

    /// The conversation the event belongs to.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&CorrelationId> {
        self.event.correlation_id()
    }

    /// The trace the event belongs to, as W3C writes it.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        self.event.trace_context().map(|context| context.to_string())
    }

    /// All of it as JSON, times in ISO 8601, the hash in hexadecimal. An event that is no JSON is
    /// null.
    ///
    /// ```json
    /// {"id": 7, "event": {"id": "evt-1", "event_type": "order.created"}, "handler": "billing",
    ///  "pattern": "order.*", "key": "customer-3", "behind": false, "error": "connection lost",
    ///  "status": "exhausted", "outcome": "error",
    ///  "attempts": [{"started": "2026-01-02T03:04:05+00:00", "error": "connection lost"}],
    ///  "first_failure": "2026-01-02T03:04:05+00:00", "last_failure": "2026-01-02T03:04:05+00:00",
    ///  "correlation_id": "order-42", "replays": 0, "edits": 0, "payload_hash": "811c9dc5a1b2c3d4",
    ///  "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "claim": null}
    /// ```
    #[must_use]
    pub fn to_json(&self) -> Value {
        let iso = |time| IsoFormat(time).to_string();
        let attempt =
            |attempt: &Attempt| json!({"started": iso(attempt.started), "error": attempt.error});
        let status = STATUSES.iter().find(|(status, _)| *status == self.status);
        json!({
            "id": self.id,
            "event": serde_json::to_value(&self.event).unwrap_or_default(),
            "handler": self.handler,
            "pattern": self.pattern.as_str(),
            "key": self.key,
            "behind": self.behind,
            "error": self.error,
            "status": status.map(|(_, name)| name),
            "outcome": self.outcome.as_str(),
            "attempts": self.attempts.iter().map(attempt).collect::<Vec<_>>(),
            "first_failure": iso(self.first_failure),
            "last_failure": iso(self.last_failure),
            "correlation_id": self.correlation_id(),
            "traceparent": self.traceparent(),
            "replays": self.replays,
            "edits": self.edits,
            "payload_hash": format!("{:016x}", self.payload_hash),
            "claim": self.claim.map(|claim| json!({"by": claim.by.to_string(), "until": iso(claim.until)})),
        })
    }

    /// Reads what [`to_json`](Self::to_json) wrote, for stores.
    ///
    /// # Errors
    /// [`ErrorKind::Store`], naming the field that is missing or wrong;
    /// [`ErrorKind::Invalid`] for a malformed event or pattern.
    pub fn from_json(json: &Value) -> Result<Self> {
        let attempt = |json| Ok(Attempt::new(time(json, "started")?, text(json, "error")?));
        let attempts = json["attempts"].as_array().ok_or_else(|| wrong("attempts"))?;
        let (status, outcome) = (text(json, "status")?, text(json, "outcome")?);
        Ok(Self {
            id: json["id"].as_u64().ok_or_else(|| wrong("id"))?,
            event: Event::from_json(&json["event"].to_string())?,
            handler: text(json, "handler")?.into(),
            pattern: Pattern::from_str(text(json, "pattern")?)?,
            key: json["key"].as_str().map(Text::from),
            behind: json["behind"].as_bool().ok_or_else(|| wrong("behind"))?,
            error: text(json, "error")?.into(),
            status: STATUSES
                .into_iter()
                .find_map(|(known, name)| (name == status).then_some(known))
                .ok_or_else(|| wrong("status"))?,
            outcome: OUTCOMES
                .into_iter()
                .find(|known| known.as_str() == outcome)
                .ok_or_else(|| wrong("outcome"))?,
            attempts: attempts.iter().map(attempt).collect::<Result<_>>()?,
            first_failure: time(json, "first_failure")?,
            last_failure: time(json, "last_failure")?,
            replays: count(json, "replays")?,
            edits: count(json, "edits")?,
            payload_hash: u64::from_str_radix(text(json, "payload_hash")?, 16)
                .map_err(|_| wrong("payload_hash"))?,
            claim: match &json["claim"] {
                Value::Null => None,
                claim => Some(Claim {
                    by: text(claim, "by")?.parse().map_err(|_| wrong("claim"))?,
                    until: time(claim, "until")?,
                }),
            },
        })
    }

    /// About how many bytes it holds.
    #[must_use]
    pub fn size(&self) -> usize {
        let attempt = |attempt: &Attempt| size_of::<Attempt>() + attempt.error.len();
        size_of::<Self>()
            + self.event.size()
            + self.error.len()
            + self.attempts.iter().map(attempt).sum::<usize>()
    }
}

/// The 64 bits of FNV-1a.
pub(super) fn hash_of(event: &Event) -> u64 {
    let Ok(json) = event.payload().json() else { return 0 };
    json.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn count(json: &Value, field: &str) -> Result<u32> {
    json[field].as_u64().and_then(|count| count.try_into().ok()).ok_or_else(|| wrong(field))
}

fn wrong(field: &str) -> Error {
    Error::new(ErrorKind::Store, format!("a stored dead letter has no valid `{field}`"))
}

fn text<'a>(json: &'a Value, field: &str) -> Result<&'a str> {
    json[field].as_str().ok_or_else(|| wrong(field))
}

fn time(json: &Value, field: &str) -> Result<OffsetDateTime> {
    OffsetDateTime::parse(text(json, field)?, &Rfc3339).map_err(|_| wrong(field))
}
