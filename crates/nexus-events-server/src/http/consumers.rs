//! `GET /consumers`: how far durable handlers are.

use axum::Json;
use axum::extract::State;
use nexus_events_dispatch::store::CursorInfo;
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
    let stored = CursorInfo::list(&**store).await?;
    let is_running = |name: &str| running.iter().any(|consumer| *consumer.name == *name);
    for CursorInfo { consumer, cursor, .. } in stored {
        if !is_running(&consumer) {
            let lag = last.number().saturating_sub(cursor.acked.number());
            consumers.push(json!({
                "name": consumer, "registered": false, "acked": cursor.acked,
                "seen": cursor.seen, "lag": lag, "pending": cursor.pending.len(),
            }));
        }
    }
    let (epoch, count) = (store.bounds().epoch.to_string(), consumers.len());
    Ok(Json(json!({"epoch": epoch, "last": last, "count": count, "consumers": consumers})))
}
