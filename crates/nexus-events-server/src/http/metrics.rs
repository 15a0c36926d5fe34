//! What the bus and its handlers have done, as text for Prometheus.

use axum::extract::State;
use axum::http::{HeaderName, header};

use crate::wire::App;

/// The text format's own media type.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn metrics(State(app): State<App>) -> ([(HeaderName, &'static str); 1], String) {
    ([(header::CONTENT_TYPE, TEXT)], app.bus().stats().to_prometheus())
}
