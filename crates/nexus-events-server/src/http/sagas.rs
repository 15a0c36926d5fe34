//! `/sagas`: what runs, what has ended, and a hand in it.

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri};
use nexus_events_patterns as patterns;
use nexus_events_patterns::saga::{Instance, SagaFilter};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::http::incoming::Incoming;
use crate::http::{intake, query, store};
use crate::limits::JSON_BODY_WAIT_MAX;
use crate::wire::App;

const HELP: &str = "GET /sagas takes saga, status, ended, after and limit";
const CANCEL_HELP: &str = r#"send {"reason":"the customer called"}, or nothing"#;

/// Which are listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    saga: Option<String>,
    status: Option<String>,
    #[serde(default)]
    ended: bool,
    after: Option<String>,
    limit: Option<usize>,
}

/// Why one is cancelled.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToCancel {
    reason: Option<String>,
}

/// In the order of their names and keys; those that have ended, the oldest of each name first.
pub(crate) async fn list(
    State(app): State<App>,
    uri: Uri,
    asked: Result<Query<ListQuery>, QueryRejection>,
) -> Result<Json<Value>, ApiError> {
    store::of(&app)?;
    let asked = query::read(asked, HELP)?;
    let limit = query::limit(asked.limit)?;
    let mut filter = SagaFilter::new().limit(limit + 1);
    if let Some(saga) = asked.saga {
        filter = filter.saga(saga);
    }
    if let Some(status) = asked.status {
        filter = filter.status(status);
    }
    if asked.ended {
        filter = filter.ended();
    }
    if let Some(place) = asked.after {
        filter = filter.after_place(&place)?;
    }
    let mut found = app.sagas().list(&filter).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| query::with(&uri, "after", last.place()));
    let stats: serde_json::Map<String, Value> = app
        .sagas()
        .stats()
        .into_iter()
        .map(|(name, stats)| (name.to_string(), json!(stats)))
        .collect();
    Ok(Json(json!({"count": found.len(), "next": next, "sagas": found, "stats": stats})))
}

pub(crate) async fn show(
    State(app): State<App>,
    Path((saga, key)): Path<(String, String)>,
) -> Result<Json<Instance>, ApiError> {
    store::of(&app)?;
    let found = app.sagas().get(&saga, &key).await?;
    found.map(Json).ok_or_else(|| {
        let message = format!("there is no saga `{saga}` with the key `{key}`");
        ApiError::new(
            StatusCode::NOT_FOUND,
            "not_found",
            message,
            "GET /sagas lists those there are",
        )
    })
}

pub(crate) async fn cancel(
    State(app): State<App>,
    Path((saga, key)): Path<(String, String)>,
    body: Body,
) -> Result<Json<Instance>, ApiError> {
    store::of(&app)?;
    let text = intake::whole(Incoming::new(body, JSON_BODY_WAIT_MAX, app.stopping())).await?;
    let sent = match text.trim() {
        "" => ToCancel::default(),
        text => serde_json::from_str(text).map_err(|error| {
            ApiError::bad_request("invalid_query", error.to_string(), CANCEL_HELP)
        })?,
    };
    let reason = sent.reason.as_deref().unwrap_or("cancelled by hand");
    Ok(Json(app.sagas().handle(&saga)?.cancel(&key, reason).await?))
}

pub(crate) async fn resume(
    State(app): State<App>,
    Path((saga, key)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    store::of(&app)?;
    let replayed = app.sagas().resume(&saga, &key).await?;
    Ok(Json(json!({"saga": saga, "key": key, "replayed": replayed})))
}

impl From<patterns::Error> for ApiError {
    fn from(error: patterns::Error) -> Self {
        use patterns::ErrorKind;
        let (status, help) = match error.kind() {
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "GET /sagas lists those that there are"),
            ErrorKind::InvalidOption => {
                (StatusCode::BAD_REQUEST, "follow `next` in the answer before")
            }
            ErrorKind::BehindPivot => {
                (StatusCode::CONFLICT, "it can only go forward; resume it when it stands still")
            }
            ErrorKind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "try again a little later"),
            ErrorKind::Bus(_) => (StatusCode::SERVICE_UNAVAILABLE, "the message says why"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "the server's own output (-v) says more"),
        };
        Self::new(status, error.kind().as_str(), error.to_string(), help)
    }
}
