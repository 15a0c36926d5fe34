//! The HTTP routes.
//!
//! | route | does |
//! |---|---|
//! | `POST /events` | publishes one event, an array of them, or one a line |
//! | `GET /events` | the history, newest last |
//! | `GET /stats` | what the bus, its handlers and the streamer have done |
//! | `GET /healthz` | whether events are accepted |
//! | `GET /ws` | the WebSocket of the streamer |
//! | `GET /` | the console |

pub(crate) mod guard;

mod console;
mod error;
mod events;
mod health;
mod history;
mod intake;
mod lines;
mod stats;

use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{from_fn, map_response};
use axum::routing::get;

use crate::http::error::ApiError;
use crate::wire::App;

pub(crate) fn router(app: &App) -> Router {
    let api = Router::new()
        .route("/events", get(history::query).post(events::publish))
        .route("/stats", get(stats::stats))
        .route("/healthz", get(health::health))
        .with_state(app.clone());
    api.merge(console::router())
        .layer(from_fn(guard::same_origin))
        // The streamer looks at origins itself.
        .merge(app.streamer().router())
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(map_response(guard::with_security_headers))
}

async fn not_found(uri: Uri) -> ApiError {
    let message = format!("there is no {}", uri.path());
    ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        message,
        "there are /, /events, /stats, /healthz and /ws",
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
        "read with GET, publish with POST /events",
    )
}
