//! Refusals over HTTP: a status, and JSON with a stable code, what is wrong, and the way out.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use nexus_events_dispatch as dispatch;
use nexus_events_model as model;
use serde_json::{Value, json};

/// Why a request or one of its events is refused.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    help: &'static str,
}

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        help: &'static str,
    ) -> Self {
        Self { status, code, message: message.into(), help }
    }

    pub(crate) fn bad_request(
        code: &'static str,
        message: impl Into<String>,
        help: &'static str,
    ) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message, help)
    }

    pub(crate) fn unavailable(
        code: &'static str,
        message: impl Into<String>,
        help: &'static str,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message, help)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// With where in the request it was found.
    pub(crate) fn at(mut self, place: &str) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({"code": self.code, "message": self.message, "help": self.help})
    }
}

impl From<model::Error> for ApiError {
    fn from(error: model::Error) -> Self {
        Self::of_model(error.kind(), error.to_string())
    }
}

impl From<dispatch::Error> for ApiError {
    fn from(error: dispatch::Error) -> Self {
        use dispatch::ErrorKind;
        let (status, help) = match error.kind() {
            ErrorKind::Invalid(kind) => return Self::of_model(kind, error.to_string()),
            ErrorKind::Closed => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is stopping; publish again when it is back",
            ),
            ErrorKind::Overloaded | ErrorKind::TimedOut => {
                (StatusCode::SERVICE_UNAVAILABLE, "publish again a little later")
            }
            ErrorKind::UnknownDeadLetter => (
                StatusCode::NOT_FOUND,
                "GET /dead-letters, or `nexus dead-letters list`, has those that there are",
            ),
            ErrorKind::UnknownScheduled => (
                StatusCode::NOT_FOUND,
                "GET /scheduled, or `nexus scheduled list`, has those that there are",
            ),
            ErrorKind::UnknownHandler => {
                (StatusCode::NOT_FOUND, "GET /stats lists the handlers that are registered")
            }
            ErrorKind::Conflict | ErrorKind::InUse => {
                (StatusCode::CONFLICT, "look again, then decide again")
            }
            ErrorKind::Refused | ErrorKind::InvalidOption => {
                (StatusCode::UNPROCESSABLE_ENTITY, "the message says what would be right")
            }
            ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "send less at a time"),
            ErrorKind::Trimmed => (
                StatusCode::GONE,
                "begin with `first`, which GET /log has; what is older is no longer kept",
            ),
            ErrorKind::Unsupported => (StatusCode::NOT_IMPLEMENTED, "this store cannot do that"),
            ErrorKind::StoreFull => (
                StatusCode::INSUFFICIENT_STORAGE,
                "make room on the disk, or keep less (--keep-bytes); it goes on by itself then",
            ),
            ErrorKind::Store => (StatusCode::SERVICE_UNAVAILABLE, "see to the server's disk"),
            ErrorKind::Poisoned => (
                StatusCode::SERVICE_UNAVAILABLE,
                "start the server again: opening the store finds out what the disk holds",
            ),
            ErrorKind::Corrupt => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "stop the server; `nexus store verify` says where, `nexus store repair` saves the rest",
            ),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "the server's own output (-v) says more"),
        };
        let mut message = error.to_string();
        if status == StatusCode::NOT_FOUND
            && let Some((what, _)) = message.split_once("; ")
        {
            // What to call in a program; here it is what to ask for.
            message = what.to_owned();
        }
        Self::new(status, error.kind().as_str(), message, help)
    }
}

impl ApiError {
    fn of_model(kind: model::ErrorKind, message: String) -> Self {
        use model::ErrorKind;
        let (status, help) = match kind {
            ErrorKind::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "one event has at most 1 MiB of JSON; keep large things elsewhere and publish where they are",
            ),
            ErrorKind::UnknownField => (
                StatusCode::BAD_REQUEST,
                "correct the name, or publish with ?lenient=true to ignore unknown fields",
            ),
            ErrorKind::InvalidEventType => (
                StatusCode::BAD_REQUEST,
                "an event type is 1 to 16 segments of A-Z, a-z, 0-9, _ and -, joined by dots, such as order.created",
            ),
            ErrorKind::InvalidPattern => (
                StatusCode::BAD_REQUEST,
                "a pattern is an event type in which * stands for one segment and ** for one or more, such as order.*",
            ),
            ErrorKind::InvalidFilter => (
                StatusCode::BAD_REQUEST,
                "a filter looks like payload.amount > 100 && priority == 'high'",
            ),
            _ => (
                StatusCode::BAD_REQUEST,
                r#"an event is a JSON object such as {"event_type":"order.created","payload":{"amount":12}}"#,
            ),
        };
        Self::new(status, kind.as_str(), message, help)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(json!({"error": self.to_json()}))).into_response()
    }
}
