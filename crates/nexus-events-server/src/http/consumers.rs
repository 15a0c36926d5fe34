//! `GET /consumers`: how far durable handlers are.

use axum::Json;
use axum::extract::State;
use nexus_events_dispatch::Error;
use nexus_events_dispatch::store::{Cursor, CursorInfo, Offset};
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::http::store;
use crate::wire::App;

/// Those that run, and those whose cursors alone are there: their handlers are not registered now.
pub(crate) async fn list(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let store = store::of(&app)?;
    let running = app.bus().consumers();
    let last = store.bounds().last;
    let mut consumers: Vec<Value> = Vec::new();
    for consumer in &running {
        let mut entry = json!(consumer);
        entry["registered"] = true.into();
        consumers.push(entry);
    }
    // What cannot be read is told: those that run are looked for just then.
    let (stored, unreadable) = match CursorInfo::each(&**store).await {
        Ok(stored) => (stored, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let is_running = |name: &str| running.iter().any(|consumer| *consumer.name == *name);
    consumers.extend(
        stored
            .into_iter()
            .filter(|(name, _)| !is_running(name))
            .map(|(name, cursor)| of_cursor(&name, cursor, last)),
    );
    let (epoch, count) = (store.bounds().epoch.to_string(), consumers.len());
    Ok(Json(json!({
        "epoch": epoch, "last": last, "count": count, "consumers": consumers,
        "unreadable": unreadable,
    })))
}

/// One whose handler is not registered.
fn of_cursor(name: &str, cursor: Result<Cursor, Error>, last: Offset) -> Value {
    match cursor {
        Ok(cursor) => json!({
            "name": name, "registered": false, "acked": cursor.acked, "seen": cursor.seen,
            "lag": last.number().saturating_sub(cursor.acked.number()),
            "pending": cursor.pending.len(), "failing": null,
        }),
        Err(error) => json!({"name": name, "registered": false, "failing": error.to_string()}),
    }
}
