//! What everything has done so far.

use axum::Json;
use axum::extract::State;
use nexus_events_dispatch::layers::DeadLetterStats;
use nexus_events_dispatch::{BusStats, ScheduledStats};
use nexus_events_model::IsoFormat;
use serde::Serialize;
use serde_json::{Value, json};

use crate::limits;
use crate::wire::App;

/// The statistics of the bus, with those of the streamer and the server beside them.
#[derive(Serialize)]
pub(crate) struct Stats {
    #[serde(flatten)]
    bus: BusStats,
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letters: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled: Option<Value>,
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
    Json(Stats {
        bus: app.bus().stats(),
        dead_letters: app.bus().dead_letters().map(|letters| letters_of(letters.stats())),
        scheduled: app.bus().store().map(|_| scheduled_of(app.bus().scheduled_stats())),
        streaming: json!(app.streamer().stats()),
        server,
    })
}

fn letters_of(stats: DeadLetterStats) -> Value {
    json!({
        "letters": stats.letters, "letters_max": stats.letters_max,
        "bytes": stats.bytes, "bytes_max": stats.bytes_max,
        "parked": stats.parked, "refused": stats.refused, "replayed": stats.replayed,
        "discarded": stats.discarded, "expired": stats.expired, "dropped": stats.dropped,
    })
}

fn scheduled_of(stats: ScheduledStats) -> Value {
    json!({
        "waiting": stats.waiting, "waiting_max": stats.waiting_max,
        "next_due": stats.next_due.map(|due| IsoFormat(due).to_string()),
        "fired": stats.fired, "skipped": stats.skipped, "cancelled": stats.cancelled,
        "clock_jumps": stats.clock_jumps,
    })
}
