//! What everything has done so far.

use axum::Json;
use axum::extract::State;
use nexus_events_dispatch::BusStats;
use serde::Serialize;
use serde_json::{Value, json};

use crate::limits;
use crate::wire::App;

/// The statistics of the bus, with those of the streamer and the server beside them.
#[derive(Serialize)]
pub(crate) struct Stats {
    #[serde(flatten)]
    bus: BusStats,
    streaming: Value,
    server: Value,
}

pub(crate) async fn stats(State(app): State<App>) -> Json<Stats> {
    let server = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": app.uptime().as_secs(),
        "limits": {
            "connections": limits::CONNECTIONS_MAX,
            "json_body_bytes": limits::JSON_BODY_BYTES_MAX,
            "ndjson_lines": limits::NDJSON_LINES_MAX,
        },
    });
    Json(Stats { bus: app.bus().stats(), streaming: json!(app.streamer().stats()), server })
}
