//! `POST /events`: the way in for programs elsewhere.
//!
//! One event is answered when its handlers are done, with the report of the publish; with
//! `?wait=false` when it is accepted. Of many events each is accepted or refused by itself, and
//! the answer, given when all are accepted, names the place of every one.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use nexus_events_dispatch::{Bus, Receipt};
use nexus_events_model::{Event, EventId};
use serde::Deserialize;
use serde_json::json;

use crate::http::error::ApiError;
use crate::http::form::Form;
use crate::http::history::bad_query;
use crate::http::incoming::Incoming;
use crate::http::intake::{self, Content};
use crate::http::lines::{Line, Lines};
use crate::http::together::{Together, place};
use crate::limits::{
    JSON_BODY_BYTES_MAX, JSON_BODY_WAIT_MAX, NDJSON_BODY_WAIT_MAX, NDJSON_LINES_MAX,
    REPORT_WAIT_MAX,
};
use crate::wire::App;

/// How to publish.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishQuery {
    /// Ignore fields that no event has.
    #[serde(default)]
    lenient: bool,
    /// Wait for the handlers of one event.
    #[serde(default = "yes")]
    wait: bool,
}

fn yes() -> bool {
    true
}

pub(crate) async fn publish(
    State(app): State<App>,
    query: Result<Query<PublishQuery>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let bus = app.bus();
    let form = Form::of(&headers);
    let wait_max = match form {
        Ok(Form::Lines) => NDJSON_BODY_WAIT_MAX,
        _ => JSON_BODY_WAIT_MAX,
    };
    let body = Incoming::new(body, wait_max, app.stopping());
    let (query, form) = match (query, form) {
        (Ok(Query(query)), Ok(form)) => (query, form),
        (query, form) => {
            intake::discard(body, 0).await;
            query.map_err(|error| bad_query(&error))?;
            return Err(form.err().unwrap_or_else(|| unreachable!("one of both is an error")));
        }
    };
    if form == Form::Lines {
        return by_line(bus, query, body).await;
    }
    let text = intake::whole(body).await?;
    match intake::content(&text, form)? {
        Content::One(text) => one(bus, query, text).await,
        Content::Many(events) => {
            let mut together = Together::new(bus);
            for event in events {
                together.add(None, stamped(bus, query, event.get())).await;
            }
            Ok(together.answer().await.into_response())
        }
        Content::Lines => {
            let body = Incoming::new(Body::from(text.clone()), wait_max, app.stopping());
            by_line(bus, query, body).await
        }
    }
}

/// Publishes one event and answers with its report, or with what is known when handlers take
/// too long.
async fn one(bus: &Bus, query: PublishQuery, text: &str) -> Result<Response, ApiError> {
    let event = bus.stamp(intake::event(text, query.lenient)?)?;
    let id = event.id().clone();
    if !query.wait {
        let receipt = bus.publish(event).await?;
        let notified = receipt.matched - receipt.rejected;
        return Ok(accepted(&id, notified, Some(&receipt)));
    }
    let publish = tokio::spawn({
        // A client that goes away must not stop a publish half-way.
        let bus = bus.clone();
        async move { bus.publish_and_wait(event).await }
    });
    match tokio::time::timeout(REPORT_WAIT_MAX, publish).await {
        Ok(Ok(report)) => Ok((StatusCode::CREATED, Json(report?)).into_response()),
        Ok(Err(_)) => Err(ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "the publish was cut off",
            "publish again",
        )),
        Err(_) => Ok(accepted(&id, 0, None)),
    }
}

/// The seed's shape without results: they come later, or were not asked for.
fn accepted(id: &EventId, notified: usize, receipt: Option<&Receipt>) -> Response {
    let mut body = json!({"event_id": id, "handlers_notified": notified, "results": []});
    if let Some(receipt) = receipt {
        place(&mut body, receipt);
    }
    (StatusCode::ACCEPTED, Json(body)).into_response()
}

/// Publishes one event a line, while they arrive.
async fn by_line(bus: &Bus, query: PublishQuery, body: Incoming) -> Result<Response, ApiError> {
    let mut lines = Lines::new(body, JSON_BODY_BYTES_MAX);
    let mut together = Together::new(bus);
    loop {
        let next = match lines.next().now_or_never() {
            Some(next) => next,
            None => {
                // A slow source is not held up by what is to come.
                together.publish().await;
                lines.next().await
            }
        };
        match next {
            Ok(None) => return Ok(together.answer().await.into_response()),
            Ok(Some(_)) if together.count() == NDJSON_LINES_MAX => {
                intake::discard(lines.into_body(), 0).await;
                return Ok(together.answer().await.ended(&too_many()));
            }
            Ok(Some(line)) => {
                together.add(Some(line.number), stamped_line(bus, query, line)).await;
            }
            Err(error) => return Ok(together.answer().await.ended(&error)),
        }
    }
}

fn stamped_line(bus: &Bus, query: PublishQuery, line: Line) -> Result<Event, ApiError> {
    let place = format!("line {}", line.number);
    let read = match line.bytes.map(String::from_utf8) {
        Some(Ok(text)) => stamped(bus, query, text.trim()),
        Some(Err(_)) => Err(ApiError::bad_request(
            "invalid_event",
            "the line is not UTF-8",
            "JSON is UTF-8 text",
        )),
        None => {
            let message = format!("the line is longer than {JSON_BODY_BYTES_MAX} bytes");
            Err(ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                message,
                "one event has at most 1 MiB of JSON",
            ))
        }
    };
    read.map_err(|error| error.at(&place))
}

fn too_many() -> ApiError {
    let message =
        format!("more than {NDJSON_LINES_MAX} lines; those after that were not published");
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_many_lines",
        message,
        "send the rest in another request",
    )
}

fn stamped(bus: &Bus, query: PublishQuery, text: &str) -> Result<Event, ApiError> {
    Ok(bus.stamp(intake::event(text, query.lenient)?)?)
}
