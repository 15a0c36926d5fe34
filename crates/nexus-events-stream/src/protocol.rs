//! The words on the wire: what clients say and what they are told.

use std::collections::BTreeMap;
use std::fmt::Write;

use nexus_events_model::{Encoded, Filter, Pattern, UnknownFields};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use time::{OffsetDateTime, UtcOffset};

use crate::stats::StreamStats;

/// What a client asks for.
#[derive(Debug)]
pub(crate) enum Request<'a> {
    Subscribe(Subscribe<'a>),
    /// The id as it was written, and as text where it is one.
    Unsubscribe {
        written: &'a str,
        id: Option<String>,
    },
    GetStats,
    /// Clients of the seed protocol get no reply to a type it does not have.
    Unknown,
}

#[derive(Debug)]
pub(crate) struct Subscribe<'a> {
    /// As they were written, to be echoed.
    pub(crate) event_types: &'a str,
    pub(crate) filters: &'a str,
    /// Those of the event types that can be one.
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) filter: Option<Filter>,
    pub(crate) session_id: Option<String>,
}

type Fields<'a> = BTreeMap<String, &'a RawValue>;

/// Reads a message, or says what is wrong with it.
pub(crate) fn parse(text: &str, patterns_max: usize) -> Result<Request<'_>, String> {
    let json: &RawValue =
        serde_json::from_str(text).map_err(|_| "Invalid JSON message".to_owned())?;
    if !json.get().starts_with('{') {
        return Err("message is not a JSON object; send one like {\"type\":\"get_stats\"}".into());
    }
    let fields: Fields<'_> =
        serde_json::from_str(json.get()).map_err(|_| "Invalid JSON message".to_owned())?;
    let kind = fields.get("type").and_then(|kind| serde_json::from_str::<String>(kind.get()).ok());
    match kind.as_deref() {
        Some("subscribe") => subscribe(&fields, patterns_max).map(Request::Subscribe),
        Some("unsubscribe") => unsubscribe(&fields),
        Some("get_stats") => Ok(Request::GetStats),
        _ => Ok(Request::Unknown),
    }
}

fn subscribe<'a>(fields: &Fields<'a>, patterns_max: usize) -> Result<Subscribe<'a>, String> {
    let event_types = fields.get("event_types").map_or("[]", |written| written.get());
    let filters = fields.get("filters").map_or("{}", |written| written.get());
    Ok(Subscribe {
        event_types,
        filters,
        patterns: patterns(event_types, patterns_max)?,
        filter: filter(filters)?,
        session_id: session_id(fields)?,
    })
}

/// What cannot be a pattern matches nothing, as an event type that the seed does not know.
fn patterns(written: &str, most: usize) -> Result<Vec<Pattern>, String> {
    let entries: Vec<&RawValue> = serde_json::from_str(written).map_err(|_| {
        "event_types is not a list; write it like [\"order.created\", \"user.*\"]".to_owned()
    })?;
    if entries.len() > most {
        return Err(format!(
            "event_types has {} entries, the most is {most}; use wildcards or several subscriptions",
            entries.len()
        ));
    }
    let texts = entries.iter().filter_map(|entry| serde_json::from_str::<String>(entry.get()).ok());
    Ok(texts.filter_map(|text| Pattern::new(text).ok()).collect())
}

fn filter(written: &str) -> Result<Option<Filter>, String> {
    let fields: Option<Map<String, Value>> = serde_json::from_str(written)
        .map_err(|_| "filters is not an object; write it like {\"source\": \"shop\"}".to_owned())?;
    match fields {
        Some(fields) if !fields.is_empty() => Filter::from_fields(&fields, UnknownFields::Ignore)
            .map(Some)
            .map_err(|error| format!("filters: {error}")),
        _ => Ok(None),
    }
}

fn session_id(fields: &Fields<'_>) -> Result<Option<String>, String> {
    let Some(written) = fields.get("session_id") else { return Ok(None) };
    serde_json::from_str(written.get()).map_err(|_| {
        "session_id is not a string; write it like \"session_456\" or leave it out".to_owned()
    })
}

fn unsubscribe<'a>(fields: &Fields<'a>) -> Result<Request<'a>, String> {
    let written = fields.get("subscription_id").map_or("null", |written| written.get());
    if written.starts_with(['[', '{']) {
        return Err("subscription_id is not a string; send the one of subscription_created".into());
    }
    Ok(Request::Unsubscribe { written, id: serde_json::from_str(written).ok() })
}

pub(crate) fn connection_established(client_id: &str, now: OffsetDateTime) -> String {
    let timestamp = iso_format(now);
    format!(
        r#"{{"type":"connection_established","client_id":"{client_id}","timestamp":"{timestamp}","capabilities":["event_streaming","real_time_updates","filtered_subscriptions","wildcards","filters_by_any_field","session_id"]}}"#
    )
}

pub(crate) fn subscription_created(id: &str, event_types: &str, filters: &str) -> String {
    format!(
        r#"{{"type":"subscription_created","subscription_id":"{id}","event_types":{event_types},"filters":{filters}}}"#
    )
}

pub(crate) fn unsubscribed(written: &str, success: bool) -> String {
    format!(r#"{{"type":"unsubscribed","subscription_id":{written},"success":{success}}}"#)
}

pub(crate) fn stats(stats: &StreamStats) -> String {
    #[derive(Serialize)]
    struct Reply<'a> {
        r#type: &'static str,
        stats: &'a StreamStats,
    }
    serde_json::to_string(&Reply { r#type: "stats", stats }).expect("numbers and texts are JSON")
}

pub(crate) fn error(message: &str) -> String {
    format!(r#"{{"type":"error","message":{}}}"#, Value::from(message))
}

/// What stands before the event in the messages of one subscription. The id is in it.
pub(crate) struct EventPrefix(Box<str>);

impl EventPrefix {
    const BEFORE_ID: &str = r#"{"type":"event","subscription_id":""#;
    const AFTER_ID: &str = r#"","event":"#;

    pub(crate) fn new(id: &str) -> Self {
        Self([Self::BEFORE_ID, id, Self::AFTER_ID].concat().into())
    }

    pub(crate) fn id(&self) -> &str {
        &self.0[Self::BEFORE_ID.len()..self.0.len() - Self::AFTER_ID.len()]
    }

    /// The length of the message about this event.
    pub(crate) fn message_bytes(&self, event: &Encoded) -> usize {
        self.0.len() + event.as_str().len() + 1
    }

    /// The message about this event.
    pub(crate) fn message(&self, event: &Encoded) -> String {
        let mut message = String::with_capacity(self.message_bytes(event));
        message.push_str(&self.0);
        message.push_str(event.as_str());
        message.push('}');
        message
    }
}

/// As Python's `isoformat` writes UTC: microseconds only when there are any, `+00:00`.
fn iso_format(time: OffsetDateTime) -> String {
    let time = time.to_offset(UtcOffset::UTC);
    let (hour, minute, second) = time.to_hms();
    let mut text = format!("{}T{hour:02}:{minute:02}:{second:02}", time.date());
    if time.microsecond() != 0 {
        let _ = write!(text, ".{:06}", time.microsecond());
    }
    text + "+00:00"
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn times_are_as_python_writes_them() {
        for (time, text) in [
            (datetime!(2026-11-22 03:48:23.433602 UTC), "2026-11-22T03:48:23.433602+00:00"),
            (datetime!(2026-11-22 03:48:23.000000999 UTC), "2026-11-22T03:48:23+00:00"),
            (datetime!(2026-01-02 03:04:05.5 +2), "2026-01-02T01:04:05.500000+00:00"),
            (datetime!(0900-01-02 03:04:05 UTC), "0900-01-02T03:04:05+00:00"),
        ] {
            assert_eq!(iso_format(time), text);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("", "Invalid JSON message"),
            ("{", "Invalid JSON message"),
            ("{} {}", "Invalid JSON message"),
            ("NaN", "Invalid JSON message"),
            ("[1]", "not a JSON object"),
            ("\"subscribe\"", "not a JSON object"),
            ("null", "not a JSON object"),
            (r#"{"type":"subscribe","event_types":"a.b"}"#, "event_types is not a list"),
            (r#"{"type":"subscribe","event_types":null}"#, "event_types is not a list"),
            (r#"{"type":"subscribe","event_types":{"a":1}}"#, "event_types is not a list"),
            (r#"{"type":"subscribe","event_types":["a","b","c"]}"#, "3 entries, the most is 2"),
            (r#"{"type":"subscribe","filters":["a"]}"#, "filters is not an object"),
            (r#"{"type":"subscribe","filters":{"source":{"near":1}}}"#, "filters: "),
            (r#"{"type":"subscribe","session_id":5}"#, "session_id is not a string"),
            (r#"{"type":"unsubscribe","subscription_id":["a"]}"#, "subscription_id is not"),
        ] {
            let message = parse(text, 2).unwrap_err();
            assert!(message.contains(named), "{text}: {message}");
        }
    }

    #[test]
    fn what_the_seed_takes_is_taken() {
        for (text, patterns) in [
            (r#"{"type":"subscribe"}"#, 0),
            (r#"{"type":"subscribe","event_types":[],"filters":null,"session_id":null}"#, 0),
            (r#"{"type":"subscribe","event_types":["a.b",7,null,["c"],"no such","**.**"]}"#, 1),
            (r#"{"type":"subscribe","event_types":["a","a"],"color":{"red":1e999}}"#, 2),
        ] {
            let Ok(Request::Subscribe(request)) = parse(text, 64) else { panic!("{text}") };
            assert_eq!(request.patterns.len(), patterns, "{text}");
        }
        for text in ["{}", r#"{"type":5}"#, r#"{"type":"ping"}"#, r#"{"type":["subscribe"]}"#] {
            assert!(matches!(parse(text, 64), Ok(Request::Unknown)), "{text}");
        }
        assert!(matches!(parse(" {\"type\" : \"get_stats\"}\n", 64), Ok(Request::GetStats)));
        let Ok(Request::Unsubscribe { written, id }) = parse(r#"{"type":"unsubscribe"}"#, 1) else {
            panic!()
        };
        assert_eq!((written, id), ("null", None));
    }

    #[test]
    fn what_is_echoed_is_echoed_as_written() {
        let text = r#"{"type":"subscribe","event_types":["b","a"],"filters":{"user_id":1.50,"source":"x"}}"#;
        let Ok(Request::Subscribe(request)) = parse(text, 64) else { panic!() };
        assert_eq!(
            subscription_created("sub_1", request.event_types, request.filters),
            r#"{"type":"subscription_created","subscription_id":"sub_1","event_types":["b","a"],"filters":{"user_id":1.50,"source":"x"}}"#
        );
    }

    #[test]
    fn an_error_may_quote_anything() {
        let reply: Value = serde_json::from_str(&error("\"\\\n\u{1}")).unwrap();
        assert_eq!(reply["message"], "\"\\\n\u{1}");
    }
}
