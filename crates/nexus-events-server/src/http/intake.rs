//! What a request to publish holds: its text, its events.

use axum::http::StatusCode;
use nexus_events_model::EventBuilder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::http::incoming::Incoming;
use crate::limits::{JSON_BODY_BYTES_MAX, REFUSED_BODY_BYTES_MAX};

/// The whole request as text, when it is not too large.
pub(crate) async fn whole(mut body: Incoming) -> Result<String, ApiError> {
    let mut all = Vec::new();
    while let Some(bytes) = body.next().await? {
        if all.len() + bytes.len() > JSON_BODY_BYTES_MAX {
            discard(body, all.len() + bytes.len()).await;
            return Err(too_large());
        }
        all.extend_from_slice(&bytes);
    }
    String::from_utf8(all).map_err(|error| {
        let message =
            format!("the request is not UTF-8 at byte {}", error.utf8_error().valid_up_to());
        ApiError::bad_request("invalid_event", message, "JSON is UTF-8 text")
    })
}

/// Reads what is left of a refused request, so that its client gets to read the answer.
pub(crate) async fn discard(mut body: Incoming, mut read: usize) {
    while let Ok(Some(bytes)) = body.next().await {
        read += bytes.len();
        if read > REFUSED_BODY_BYTES_MAX {
            return;
        }
    }
}

fn too_large() -> ApiError {
    let message = format!("the request is larger than {JSON_BODY_BYTES_MAX} bytes");
    let help = "one event has at most 1 MiB; send many as application/x-ndjson, one a line, which has no bound in total";
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message, help)
}

/// What a JSON text holds.
#[derive(Debug)]
pub(crate) enum Content<'a> {
    One(&'a str),
    Many(Vec<&'a RawValue>),
    /// One a line.
    Lines,
}

/// Only whether there is a list of events.
#[derive(Deserialize)]
struct Peek<'a> {
    #[serde(borrow, default)]
    events: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wrapped<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

/// Tells one event, an array of events, and `{"events":[..]}` apart; one event a line too, when
/// the request does not say what it is.
pub(crate) fn content(text: &str, form: Form) -> Result<Content<'_>, ApiError> {
    let text = text.trim_start_matches('\u{feff}').trim();
    let help =
        r#"send {"event_type":"order.created","payload":{}}, an array of such, or {"events":[..]}"#;
    if text.is_empty() {
        return Err(ApiError::bad_request("invalid_event", "the request is empty", help));
    }
    let not_json = |error: serde_json::Error| {
        ApiError::bad_request(
            "invalid_event",
            format!("the list of events is not valid JSON: {error}"),
            help,
        )
    };
    if form == Form::Unsaid && has_lines(text) {
        return Ok(Content::Lines);
    }
    if text.starts_with('[') {
        return serde_json::from_str(text).map(Content::Many).map_err(not_json);
    }
    match serde_json::from_str::<Peek<'_>>(text) {
        Ok(Peek { events: Some(_) }) => serde_json::from_str::<Wrapped<'_>>(text)
            .map(|wrapped| Content::Many(wrapped.events))
            .map_err(not_json),
        // Where it is not JSON at all, reading the event says so best.
        _ => Ok(Content::One(text)),
    }
}

/// Whether the first line is JSON by itself, and there is more.
fn has_lines(text: &str) -> bool {
    let first = text.split_once('\n').map(|(first, _)| first);
    first.is_some_and(|first| serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok())
}

/// Reads one event; an unknown field is an error unless told otherwise.
pub(crate) fn event(text: &str, lenient: bool) -> Result<EventBuilder, ApiError> {
    let read =
        if lenient { EventBuilder::from_json_lenient(text) } else { EventBuilder::from_json(text) };
    Ok(read?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let found = match content(text, Form::Unsaid) {
            Ok(Content::One(_)) => "one".to_owned(),
            Ok(Content::Many(events)) => format!("many {}", events.len()),
            Ok(Content::Lines) => "lines".to_owned(),
            Err(error) => error.to_json()["code"].to_string(),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn the_form_is_seen_from_the_text() {
        check(r#"{"event_type":"a"}"#, "one");
        check("{\n\"event_type\": \"a\"\n}", "one");
        check(r#" [{"event_type":"a"},{}] "#, "many 2");
        check(r#"{"events":[{},{},{}]}"#, "many 3");
        check("{\"event_type\":\"a\"}\n{\"event_type\":\"b\"}\n", "lines");
        check("{\"event_type\":", "one");
        check("[{]", r#""invalid_event""#);
        check(r#"{"events":[],"color":1}"#, r#""invalid_event""#);
        check("  ", r#""invalid_event""#);
    }
}
