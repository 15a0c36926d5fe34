//! `GET /log`: what the store has, page by page in either direction.

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use nexus_events_dispatch::store::{Bounds, EventStore, Offset, Read, Select, StoredEvent};
use nexus_events_model::{IsoFormat, Priority};
use serde::Deserialize;
use serde_json::json;

use crate::http::error::ApiError;
use crate::http::{query, store};
use crate::limits::{LOG_ANSWER_BYTES_MAX, LOG_ANSWER_PAGES_MAX};
use crate::wire::App;

const HELP: &str = "GET /log takes after, until, limit, order, type, source, correlation_id, session_id, user_id, key, priority, since, before and filter";

/// What of the log is asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogQuery {
    after: Option<u64>,
    until: Option<u64>,
    limit: Option<usize>,
    order: Option<Order>,
    r#type: Option<String>,
    source: Option<String>,
    correlation_id: Option<String>,
    session_id: Option<String>,
    user_id: Option<String>,
    key: Option<String>,
    priority: Option<String>,
    since: Option<String>,
    before: Option<String>,
    filter: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Order {
    Asc,
    Desc,
}

impl LogQuery {
    fn read(&self) -> Result<Read, ApiError> {
        let mut read = Read::after(Offset::new(self.after.unwrap_or(0))).select(self.select()?);
        read.until = self.until.map(Offset::new);
        Ok(if self.order == Some(Order::Desc) { read.backward() } else { read })
    }

    fn select(&self) -> Result<Select, ApiError> {
        let text = |field: &Option<String>| field.as_deref().map(Into::into);
        let mut select = Select::new();
        select.patterns = query::patterns(self.r#type.as_deref())?;
        select.source = text(&self.source);
        select.correlation_id = text(&self.correlation_id);
        select.session_id = text(&self.session_id);
        select.user_id = text(&self.user_id);
        select.key = text(&self.key);
        select.priority_min = self.priority.as_deref().map(str::parse::<Priority>).transpose()?;
        select.since = query::time("since", self.since.as_deref())?;
        select.before = query::time("before", self.before.as_deref())?;
        select.filter = query::filter(self.filter.as_deref())?;
        Ok(select)
    }
}

/// A part of the log: events with their offsets, and the address of what follows.
pub(crate) async fn list(
    State(app): State<App>,
    uri: Uri,
    asked: Result<Query<LogQuery>, QueryRejection>,
) -> Result<Response, ApiError> {
    let asked = query::read(asked, HELP)?;
    let (store, limit) = (store::of(&app)?, query::limit(asked.limit)?);
    let (events, next) = page(&**store, asked.read()?, limit).await?;
    let next = next.map(|next| match asked.order {
        Some(Order::Desc) => query::with(&uri, "until", next.until.map_or(0, Offset::number)),
        _ => query::with(&uri, "after", next.after.number()),
    });
    Ok(answer(&store.bounds(), &events, next.as_deref()))
}

/// Events until there are enough of them, and how to go on. A store may end a page early.
async fn page(
    store: &dyn EventStore,
    read: Read,
    limit: usize,
) -> Result<(Vec<StoredEvent>, Option<Read>), ApiError> {
    let (mut events, mut next, mut bytes) = (Vec::new(), Some(read), 0);
    for _ in 0..LOG_ANSWER_PAGES_MAX {
        let Some(read) = next.take() else { break };
        let page = store.read(read.events(limit - events.len())).await?;
        bytes += page.events.iter().map(|stored| stored.event.size()).sum::<usize>();
        events.extend(page.events);
        next = page.next;
        if events.len() >= limit || bytes >= LOG_ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok((events, next))
}

/// Written while it is read, each event as it is stored.
fn answer(bounds: &Bounds, events: &[StoredEvent], next: Option<&str>) -> Response {
    let (epoch, first, last) = (bounds.epoch, bounds.first, bounds.last);
    let (count, next) = (events.len(), json!(next));
    let start = format!(
        r#"{{"epoch":"{epoch}","first":{first},"last":{last},"count":{count},"next":{next},"events":["#
    );
    let comma = |index| if index == 0 { "" } else { "," };
    let events: Vec<String> = events
        .iter()
        .enumerate()
        .map(|(index, stored)| format!("{}{}", comma(index), json_of(stored)))
        .collect();
    let pieces = std::iter::once(start).chain(events).chain(std::iter::once("]}".to_owned()));
    let pieces = futures_util::stream::iter(pieces.map(Ok::<_, std::convert::Infallible>));
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

/// `{"offset", "recorded", "key", "event"}`.
fn json_of(stored: &StoredEvent) -> String {
    let (offset, recorded, key) = (stored.offset, IsoFormat(stored.recorded), json!(stored.key));
    // What is in a store was JSON when it went in.
    let event = stored.event.encoded().map_or("null", |encoded| encoded.as_str());
    format!(r#"{{"offset":{offset},"recorded":"{recorded}","key":{key},"event":{event}}}"#)
}

/// One event.
pub(crate) async fn show(
    State(app): State<App>,
    Path(offset): Path<String>,
) -> Result<Response, ApiError> {
    let store = store::of(&app)?;
    let number: u64 = offset.parse().map_err(|_| {
        let message = format!("`{offset}` is no offset");
        ApiError::bad_request("invalid_query", message, "an offset is a number from 1 on")
    })?;
    let offset = Offset::new(number);
    let bounds = store.bounds();
    if !(bounds.first..=bounds.last).contains(&offset) {
        return Err(absent(offset, &bounds));
    }
    let page = store.read(Read::after(offset.before()).until(offset)).await?;
    let stored = page.events.first().ok_or_else(|| absent(offset, &bounds))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], json_of(stored)).into_response())
}

fn absent(offset: Offset, bounds: &Bounds) -> ApiError {
    let message = match bounds.is_empty() {
        true => format!("the log has no event at offset {offset}; it is empty"),
        false => format!(
            "the log has no event at offset {offset}; it has {} to {}",
            bounds.first, bounds.last
        ),
    };
    let help = "GET /log lists what there is; older events may have been trimmed";
    ApiError::new(StatusCode::NOT_FOUND, "unknown_offset", message, help)
}
