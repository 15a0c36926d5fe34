//! Whether the server is up.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::wire::App;

/// 200 while events are accepted, 503 when the server is stopping.
pub(crate) async fn health(State(app): State<App>) -> (StatusCode, Json<Value>) {
    if app.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "stopping"})));
    }
    (StatusCode::OK, Json(json!({"status": "ok"})))
}
