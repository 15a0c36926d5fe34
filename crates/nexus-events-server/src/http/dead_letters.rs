//! `/dead-letters`: what handlers gave up, to look at, mend, give again and give up for good.

use std::collections::BTreeMap;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{Method, StatusCode, Uri};
use nexus_events_dispatch::layers::{
    DeadLetter, DeadLetterFilter, DeadLetters, ReplayReport, Replayed,
};
use nexus_events_model::{Event, EventBuilder};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::http::incoming::Incoming;
use crate::http::{intake, query, store};
use crate::limits::JSON_BODY_WAIT_MAX;
use crate::wire::App;

const LIST_HELP: &str = "GET /dead-letters takes handler, type, key, filter, after and limit";
const SOME_HELP: &str = "this takes handler, type, key and filter; all=true means every one";

/// Which are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    handler: Option<String>,
    r#type: Option<String>,
    key: Option<String>,
    filter: Option<String>,
    after: Option<u64>,
    limit: Option<usize>,
}

/// Which are replayed or discarded.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SomeQuery {
    handler: Option<String>,
    r#type: Option<String>,
    key: Option<String>,
    filter: Option<String>,
    #[serde(default)]
    all: bool,
}

/// The dead letters of durable handlers.
fn of(app: &App) -> Result<&DeadLetters, ApiError> {
    store::of(app)?;
    app.bus().dead_letters().ok_or_else(|| unknown("any"))
}

fn unknown(id: &str) -> ApiError {
    let message = format!("there is no dead letter {id}");
    let help = "GET /dead-letters lists those that there are";
    ApiError::new(StatusCode::NOT_FOUND, "unknown_dead_letter", message, help)
}

fn id(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| unknown(text))
}

fn filter_of(
    handler: Option<&str>,
    r#type: Option<&str>,
    key: Option<&str>,
    filter: Option<&str>,
) -> Result<DeadLetterFilter, ApiError> {
    let mut wanted = DeadLetterFilter::new();
    if let Some(handler) = handler {
        wanted = wanted.handler(handler);
    }
    if let Some(pattern) = query::patterns(r#type)?.into_iter().next() {
        wanted = wanted.pattern(pattern);
    }
    if let Some(key) = key {
        wanted = wanted.key(key);
    }
    if let Some(filter) = query::filter(filter)? {
        wanted = wanted.filter(filter);
    }
    Ok(wanted)
}

impl SomeQuery {
    fn filter(&self) -> Result<DeadLetterFilter, ApiError> {
        let [handler, r#type, key, filter] =
            [&self.handler, &self.r#type, &self.key, &self.filter].map(Option::as_deref);
        let chosen = [handler, r#type, key, filter].iter().any(Option::is_some);
        if chosen == self.all {
            let message = match chosen {
                true => "all=true and a choice do not go together",
                false => "nothing says which dead letters are meant",
            };
            return Err(ApiError::bad_request("invalid_query", message, SOME_HELP));
        }
        filter_of(handler, r#type, key, filter)
    }
}

pub(crate) async fn list(
    State(app): State<App>,
    uri: Uri,
    asked: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = query::read(asked, LIST_HELP)?;
    let (letters, limit) = (of(&app)?, query::limit(asked.limit)?);
    let wanted = filter_of(
        asked.handler.as_deref(),
        asked.r#type.as_deref(),
        asked.key.as_deref(),
        asked.filter.as_deref(),
    )?;
    let mut found = letters.list(&wanted.after(asked.after.unwrap_or(0)), limit + 1);
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| query::with(&uri, "after", last.id));
    let shown: Vec<Value> = found.iter().map(DeadLetter::to_json).collect();
    let total = letters.stats().letters;
    Ok(Json(json!({"count": shown.len(), "total": total, "next": next, "dead_letters": shown})))
}

pub(crate) async fn show(
    State(app): State<App>,
    Path(text): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let letter = of(&app)?.get(id(&text)?).ok_or_else(|| unknown(&text))?;
    Ok(Json(letter.to_json()))
}

/// PATCH changes the fields that are sent, PUT the whole event; its id stays.
pub(crate) async fn edit(
    State(app): State<App>,
    Path(text): Path<String>,
    method: Method,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let (letters, id) = (of(&app)?, id(&text)?);
    let body = Incoming::new(body, JSON_BODY_WAIT_MAX, app.stopping());
    let sent = intake::whole(body).await?;
    let letter = letters.get(id).ok_or_else(|| unknown(&text))?;
    let event = merged(&letter.event, &sent, method == Method::PUT)?;
    Ok(Json(letters.edit(app.bus(), id, |_| event).await?.to_json()))
}

type Fields = BTreeMap<String, Box<RawValue>>;

/// The event with the fields that were sent, each as it was written.
fn merged(event: &Event, sent: &str, whole: bool) -> Result<EventBuilder, ApiError> {
    let sent: Fields = serde_json::from_str(sent).map_err(|error| {
        let message = format!("an edit is a JSON object of event fields: {error}");
        let help = r#"send the fields that change, such as {"payload":{"amount":12}}"#;
        ApiError::bad_request("invalid_event", message, help)
    })?;
    let mut fields: Fields = serde_json::from_str(event.encoded()?.as_str()).unwrap_or_default();
    if whole {
        fields.retain(|name, _| matches!(&**name, "event_id" | "timestamp"));
    }
    if sent.contains_key("data") {
        // Another name for it.
        fields.remove("payload");
    }
    fields.extend(sent);
    let text = serde_json::to_string(&fields).unwrap_or_default();
    intake::event(&text, false)
}

pub(crate) async fn replay(
    State(app): State<App>,
    Path(text): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let (letters, id) = (of(&app)?.clone(), id(&text)?);
    let bus = app.bus().clone();
    // A client that goes away must not leave it between its handler and its removal.
    let replayed = tokio::spawn(async move { letters.replay(&bus, id).await });
    let (outcome, error) = match replayed.await.map_err(|_| store::cut_off())?? {
        Replayed::Succeeded => ("succeeded", None),
        Replayed::Failed(error) => ("failed", Some(error)),
        Replayed::Skipped(error) => ("skipped", Some(error)),
        _ => ("pending", Some("another replay of it is on its way".into())),
    };
    Ok(Json(json!({"id": id, "outcome": outcome, "error": error})))
}

/// Those that match; of one key of one handler in order, until one does not succeed.
pub(crate) async fn replay_some(
    State(app): State<App>,
    asked: Result<Query<SomeQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let asked = query::read(asked, SOME_HELP)?;
    let (letters, wanted) = (of(&app)?.clone(), asked.filter()?);
    let bus = app.bus().clone();
    let replays = tokio::spawn(async move {
        match asked {
            SomeQuery {
                handler: Some(handler),
                key: Some(key),
                r#type: None,
                filter: None,
                ..
            } => letters.replay_key(&bus, handler, key).await,
            _ => letters.replay_all(&bus, &wanted).await,
        }
    });
    let report = replays.await.map_err(|_| store::cut_off())??;
    let ReplayReport { succeeded, failed, skipped, .. } = report;
    Ok(Json(json!({"succeeded": succeeded, "failed": failed, "skipped": skipped})))
}

pub(crate) async fn discard(
    State(app): State<App>,
    Path(text): Path<String>,
) -> Result<Json<Value>, ApiError> {
    Ok(Json(of(&app)?.discard(id(&text)?).await?.to_json()))
}

pub(crate) async fn discard_some(
    State(app): State<App>,
    asked: Result<Query<SomeQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    let wanted = query::read(asked, SOME_HELP)?.filter()?;
    let discarded = of(&app)?.discard_all(&wanted).await?;
    Ok(Json(json!({"discarded": discarded})))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let event =
            Event::builder("order.created").id("e-1").timestamp_text("2026-01-02T03:04:05Z");
        event.source("shop").payload(json!({"amount": 1})).build().unwrap()
    }

    #[track_caller]
    fn check(sent: &str, whole: bool, source: &str, payload: &str) {
        let event = merged(&event(), sent, whole).unwrap().build().unwrap();
        assert_eq!((&event.id().to_string(), event.source()), (&"e-1".to_owned(), source));
        assert_eq!(event.payload().json().unwrap(), payload);
    }

    #[test]
    fn an_edit_changes_what_was_sent() {
        check(r#"{"payload":{"amount": 1.50}}"#, false, "shop", r#"{"amount": 1.50}"#);
        check(r#"{"data":[]}"#, false, "shop", "[]");
        check(r#"{"source":"till"}"#, false, "till", r#"{"amount":1}"#);
        check(r#"{"event_type":"order.created","payload":2}"#, true, "", "2");
        for (wrong, code) in
            [("[]", "invalid_event"), ("", "invalid_event"), (r#"{"colour":1}"#, "unknown_field")]
        {
            let refused = merged(&event(), wrong, false).unwrap_err();
            assert_eq!(refused.to_json()["code"], code, "{wrong}");
        }
    }
}
