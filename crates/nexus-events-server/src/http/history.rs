//! `GET /events`: what was published lately.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use nexus_events_model::{Encoded, Event, Filter, Pattern};
use serde::Deserialize;

use crate::http::error::ApiError;
use crate::limits::{HISTORY_ANSWER_BYTES_MAX, HISTORY_ANSWER_DEFAULT};
use crate::wire::App;

/// What of the history is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HistoryQuery {
    limit: Option<usize>,
    r#type: Option<String>,
    filter: Option<String>,
}

/// The newest events for which pattern and filter hold, newest last.
pub(crate) async fn query(
    State(app): State<App>,
    query: Result<Query<HistoryQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let Query(query) = query.map_err(|error| bad_query(&error))?;
    let limit = query.limit.unwrap_or(HISTORY_ANSWER_DEFAULT);
    let pattern = query.r#type.map(Pattern::new).transpose()?;
    let filter = query.filter.as_deref().map(Filter::parse).transpose()?;
    let events = match filter {
        None => app.bus().history(limit, pattern.as_ref()),
        Some(filter) => newest(app.bus().history(usize::MAX, pattern.as_ref()), &filter, limit),
    };
    Ok(answer(events.len(), within(&events, HISTORY_ANSWER_BYTES_MAX)))
}

fn newest(mut events: Vec<Event>, filter: &Filter, limit: usize) -> Vec<Event> {
    events.retain(|event| filter.matches(event));
    events.split_off(events.len().saturating_sub(limit))
}

/// As many of the newest as have no more bytes than this; one that cannot be written is left out.
fn within(events: &[Event], bytes_max: usize) -> Vec<Encoded> {
    let mut bytes = 0;
    let encoded = events.iter().rev().filter_map(|event| event.encoded().ok().cloned());
    let mut kept: Vec<_> = encoded
        .take_while(|encoded| {
            bytes += encoded.as_str().len();
            bytes <= bytes_max
        })
        .collect();
    kept.reverse();
    kept
}

/// Written while it is read, each event as it was encoded once.
fn answer(found: usize, events: Vec<Encoded>) -> Response {
    let (count, omitted) = (events.len(), found - events.len());
    let start = format!(r#"{{"count":{count},"omitted":{omitted},"events":["#);
    let events = events.into_iter().enumerate().map(|(index, event)| {
        let comma = if index == 0 { "" } else { "," };
        format!("{comma}{}", event.as_str())
    });
    let pieces = std::iter::once(start).chain(events).chain(std::iter::once("]}".to_owned()));
    let pieces = futures_util::stream::iter(pieces.map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

pub(crate) fn bad_query(error: &QueryRejection) -> ApiError {
    let help = "GET /events takes limit, type and filter; POST /events takes lenient and wait";
    ApiError::bad_request("invalid_query", error.body_text(), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_when_there_are_too_many_bytes() {
        let events: Vec<_> = ["1", "2", "3"]
            .map(|id| {
                Event::builder("a").id(id).timestamp_text("2026-01-02T03:04:05Z").build().unwrap()
            })
            .into();
        let size = events[0].encoded().unwrap().as_str().len();
        for (bytes_max, expected) in [(3 * size, 3), (3 * size - 1, 2), (size, 1), (0, 0)] {
            let kept = within(&events, bytes_max);
            assert_eq!(kept.len(), expected);
            let newest = &events[3 - expected..];
            assert!(kept.iter().zip(newest).all(|(kept, event)| kept == event.encoded().unwrap()));
        }
    }
}
