//! Whether the server is up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::wire::App;

/// 200 while events are accepted, 503 when the server is stopping or its store has failed.
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, Json<Value>) {
    if app.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "stopping"})));
    }
    if app.bus().store().is_some_and(|store| store.stats().poisoned) {
        let help = "the disk failed and what it holds is not known; see to the disk, then start the server again: opening finds out";
        let content = json!({"status": "store_failed", "help": help});
        return (StatusCode::SERVICE_UNAVAILABLE, Json(content));
    }
    (StatusCode::OK, Json(json!({"status": "ok"})))
}
