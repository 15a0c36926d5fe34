//! `GET /events`: what was published lately.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use nexus_events_model::{Event, Filter, Pattern};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::limits::HISTORY_ANSWER_DEFAULT;
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
) -> Result<Json<Value>, ApiError> {
    let Query(query) = query.map_err(|error| bad_query(&error))?;
    let limit = query.limit.unwrap_or(HISTORY_ANSWER_DEFAULT);
    let pattern = query.r#type.map(Pattern::new).transpose()?;
    let filter = query.filter.as_deref().map(Filter::parse).transpose()?;
    let events = match filter {
        None => app.bus().history(limit, pattern.as_ref()),
        Some(filter) => newest(app.bus().history(usize::MAX, pattern.as_ref()), &filter, limit),
    };
    Ok(Json(json!({"count": events.len(), "events": events})))
}

fn newest(mut events: Vec<Event>, filter: &Filter, limit: usize) -> Vec<Event> {
    events.retain(|event| filter.matches(event));
    events.split_off(events.len().saturating_sub(limit))
}

pub(crate) fn bad_query(error: &QueryRejection) -> ApiError {
    let help = "GET /events takes limit, type and filter; POST /events takes lenient and wait";
    ApiError::bad_request("invalid_query", error.body_text(), help)
}
