//! `/scheduled`: events that wait for their time.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use nexus_events_dispatch::{Bus, Misfire, Schedule, Scheduled, ScheduledFilter, ScheduledId};
use nexus_events_model::{EventId, IsoFormat};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::http::error::ApiError;
use crate::http::incoming::Incoming;
use crate::http::{intake, query, store};
use crate::limits::JSON_BODY_WAIT_MAX;
use crate::wire::App;

const HELP: &str = "GET /scheduled takes type, after and limit";
const SCHEDULE_HELP: &str = r#"send {"event":{"event_type":"invoice.due"},"due":"2027-01-01T00:00:00Z"}, or "after_ms" instead of "due", and "grace_ms" for one that is not to fire when it is that late"#;
const MOVE_HELP: &str =
    r#"send {"due":"2027-01-01T00:00:00Z"}, or {"after_ms":60000} for a minute from now"#;

/// Which are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    r#type: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// An event and its time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToSchedule<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
    due: Option<String>,
    after_ms: Option<u64>,
    grace_ms: Option<u64>,
}

/// Another time.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToMove {
    due: Option<String>,
    after_ms: Option<u64>,
}

/// In the order in which they are due.
pub(crate) async fn list(
    State(app): State<App>,
    uri: Uri,
    asked: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    store::of(&app)?;
    let asked = query::read(asked, HELP)?;
    let limit = query::limit(asked.limit)?;
    let mut filter = ScheduledFilter::new();
    if let Some(pattern) = query::patterns(asked.r#type.as_deref())?.into_iter().next() {
        filter = filter.pattern(pattern);
    }
    let after = asked.after.as_deref().map(place).transpose()?;
    let mut found = Vec::new();
    while found.len() <= limit {
        let page = app.bus().scheduled(&filter).await?;
        let Some(last) = page.last() else { break };
        filter = filter.after(last);
        let is_later = |one: &Scheduled| {
            after
                .as_ref()
                .is_none_or(|(due, id)| (one.due, one.id.to_string()) > (*due, id.clone()))
        };
        found.extend(page.into_iter().filter(is_later));
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| {
        let place = format!("{}~{}", last.due.unix_timestamp_nanos(), last.id);
        query::with(&uri, "after", &place)
    });
    let shown: Vec<Value> = found.iter().map(json_of).collect();
    let total = app.bus().scheduled_stats().waiting;
    Ok(Json(json!({"count": shown.len(), "total": total, "next": next, "scheduled": shown})))
}

/// Where a page ended: the time and the id of its last event.
fn place(text: &str) -> Result<(OffsetDateTime, String), ApiError> {
    let place = text.split_once('~').and_then(|(due, id)| {
        let due = OffsetDateTime::from_unix_timestamp_nanos(due.parse().ok()?).ok()?;
        Some((due, id.to_owned()))
    });
    place.ok_or_else(|| {
        let message = format!("`after` is no place in the list: `{text}`");
        ApiError::bad_request("invalid_query", message, "follow `next` in the answer before")
    })
}

fn json_of(scheduled: &Scheduled) -> Value {
    let mut json = scheduled.to_json();
    json["id"] = scheduled.id.to_string().into();
    json
}

pub(crate) async fn schedule(
    State(app): State<App>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    store::of(&app)?;
    let text = intake::whole(Incoming::new(body, JSON_BODY_WAIT_MAX, app.stopping())).await?;
    let wrong = |error: serde_json::Error| wrong(error.to_string(), SCHEDULE_HELP);
    let sent: ToSchedule<'_> = serde_json::from_str(&text).map_err(wrong)?;
    let event = app.bus().stamp(intake::event(sent.event.get(), false)?)?;
    let due = due(app.bus(), sent.due.as_deref(), sent.after_ms, SCHEDULE_HELP)?;
    let mut schedule = Schedule::at(due);
    if let Some(grace) = sent.grace_ms.map(Duration::from_millis) {
        schedule = schedule.misfire(Misfire::Skip { grace });
    }
    let id = app.bus().schedule(event, schedule).await?;
    let content = json!({"id": id.to_string(), "due": IsoFormat(due).to_string()});
    Ok((StatusCode::CREATED, Json(content)))
}

pub(crate) async fn reschedule(
    State(app): State<App>,
    Path(text): Path<String>,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    store::of(&app)?;
    let sent = intake::whole(Incoming::new(body, JSON_BODY_WAIT_MAX, app.stopping())).await?;
    let sent: ToMove =
        serde_json::from_str(&sent).map_err(|error| wrong(error.to_string(), MOVE_HELP))?;
    let due = due(app.bus(), sent.due.as_deref(), sent.after_ms, MOVE_HELP)?;
    Ok(Json(json_of(&app.bus().reschedule(&id(text)?, due).await?)))
}

pub(crate) async fn cancel(
    State(app): State<App>,
    Path(text): Path<String>,
) -> Result<Json<Value>, ApiError> {
    store::of(&app)?;
    Ok(Json(json_of(&app.bus().cancel_scheduled(&id(text)?).await?)))
}

fn id(text: String) -> Result<ScheduledId, ApiError> {
    Ok(EventId::new(text)?.into())
}

fn due(
    bus: &Bus,
    due: Option<&str>,
    after_ms: Option<u64>,
    help: &'static str,
) -> Result<OffsetDateTime, ApiError> {
    match (query::time("due", due)?, after_ms) {
        (Some(due), None) => Ok(due),
        (None, Some(after)) => {
            let after = i64::try_from(after).ok().map(time::Duration::milliseconds);
            let due = after.and_then(|after| bus.now().checked_add(after));
            due.ok_or_else(|| wrong("no calendar goes as far as `after_ms`".to_owned(), help))
        }
        _ => Err(wrong("it takes either `due` or `after_ms`".to_owned(), help)),
    }
}

fn wrong(message: String, help: &'static str) -> ApiError {
    ApiError::bad_request("invalid_schedule", message, help)
}
