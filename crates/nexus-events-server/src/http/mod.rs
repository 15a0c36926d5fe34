//! The HTTP routes.
//!
//! | route | does |
//! |---|---|
//! | `POST /events` | publishes one event, an array of them, or one a line |
//! | `GET /events` | the history, newest last |
//! | `GET /log`, `GET /log/{offset}` | what the store has |
//! | `GET /consumers` | how far durable handlers are |
//! | `/dead-letters`, `/dead-letters/{id}` | what they gave up: list, edit, replay, discard |
//! | `/scheduled`, `/scheduled/{id}` | events that wait for their time: list, schedule, move, cancel |
//! | `/sagas`, `/sagas/{saga}/{key}` | sagas: list, show, cancel, resume |
//! | `POST /replay` | a part of the log to handlers again |
//! | `GET /store`, `POST /store/verify` | what the store has, and whether that is sound |
//! | `POST /store/backup` | a copy of the store, below its own directory |
//! | `GET /stats` | what the bus, its handlers and the streamer have done |
//! | `GET /metrics` | the same as text for Prometheus |
//! | `GET /healthz` | whether events are accepted |
//! | `GET /ws` | the WebSocket of the streamer |
//! | `GET /` | the console; the WebSocket when asked for one |

pub(crate) mod error;
pub(crate) mod guard;

mod console;
mod consumers;
mod dead_letters;
mod events;
mod form;
mod health;
mod history;
mod incoming;
mod intake;
mod lines;
mod log;
mod metrics;
mod query;
mod replay;
mod sagas;
mod scheduled;
mod stats;
pub(crate) mod store;
mod together;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state, map_response};
use axum::response::Response;
use axum::routing::{get, patch, post};
use tower::ServiceExt;

use crate::http::error::ApiError;
use crate::wire::App;

pub(crate) fn router(app: &App) -> Router {
    let api = Router::new()
        .route("/events", get(history::query).post(events::publish))
        .route("/log", get(log::list))
        .route("/log/{offset}", get(log::show))
        .route("/consumers", get(consumers::list))
        .route("/dead-letters", get(dead_letters::list).delete(dead_letters::discard_some))
        .route("/dead-letters/replay", post(dead_letters::replay_some))
        .route(
            "/dead-letters/{id}",
            get(dead_letters::show)
                .patch(dead_letters::edit)
                .put(dead_letters::edit)
                .delete(dead_letters::discard),
        )
        .route("/dead-letters/{id}/replay", post(dead_letters::replay))
        .route("/scheduled", get(scheduled::list).post(scheduled::schedule))
        .route("/scheduled/{id}", patch(scheduled::reschedule).delete(scheduled::cancel))
        .route("/sagas", get(sagas::list))
        .route("/sagas/{saga}/{key}", get(sagas::show))
        .route("/sagas/{saga}/{key}/cancel", post(sagas::cancel))
        .route("/sagas/{saga}/{key}/resume", post(sagas::resume))
        .route("/replay", post(replay::replay))
        .route("/store", get(store::show))
        .route("/store/verify", post(store::verify))
        .route("/store/backup", post(store::backup))
        .route("/stats", get(stats::stats))
        .route("/metrics", get(metrics::metrics))
        .route("/healthz", get(health::health))
        .with_state(app.clone());
    api.merge(console::router())
        .layer(from_fn(guard::same_origin))
        .layer(from_fn_with_state(app.streamer().router(), console_or_socket))
        // The streamer looks at origins itself.
        .merge(app.streamer().router())
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(map_response(guard::with_security_headers))
}

/// Clients that were told no path ask for a WebSocket where the console is; `sockets` is the
/// streamer's own router.
async fn console_or_socket(
    State(sockets): State<Router>,
    mut request: Request,
    next: Next,
) -> Response {
    let upgrade = request.headers().get(header::UPGRADE);
    let wants_socket = upgrade.is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !wants_socket || request.uri().path() != "/" {
        return next.run(request).await;
    }
    *request.uri_mut() = Uri::from_static("/ws");
    match sockets.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn not_found(uri: Uri) -> ApiError {
    let message = format!("there is no {}", uri.path());
    ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        message,
        "there are /, /events, /log, /consumers, /dead-letters, /scheduled, /sagas, /replay, /store, /store/verify, /store/backup, /stats, /metrics, /healthz and /ws",
    )
}

async fn method_not_allowed(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} does not take {method}", uri.path());
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
        "read with GET, publish with POST /events; docs/http.md has the other routes",
    )
}
