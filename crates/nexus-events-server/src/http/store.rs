//! The store behind the routes: what it has, whether that is sound, and copies of it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use nexus_events_dispatch::store::{EventStore, Integrity, Progress};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::http::incoming::Incoming;
use crate::http::{intake, query};
use crate::limits::{BACKUP_NAME_BYTES_MAX, JSON_BODY_WAIT_MAX};
use crate::wire::App;

/// Where backups go, beside the file of the store.
const FOLDER: &str = "backups";

/// The store of the bus.
pub(crate) fn of(app: &App) -> Result<&Arc<dyn EventStore>, ApiError> {
    app.bus().store().ok_or_else(|| {
        ApiError::new(
            StatusCode::NOT_FOUND,
            "no_store",
            "this server keeps no events",
            "start it with --data DIR and without --ephemeral",
        )
    })
}

const BACKUP_HELP: &str =
    r#"POST /store/backup takes name: in the query, or as {"name":"monday"} in the body"#;

/// Under which name.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    name: Option<String>,
}

impl Backup {
    /// Of the query and the body, one of which has it.
    fn read(asked: Self, body: &str) -> Result<Self, ApiError> {
        let wrong = |message: String| ApiError::bad_request("invalid_backup", message, BACKUP_HELP);
        if body.trim().is_empty() {
            return Ok(asked);
        }
        let sent: Self = serde_json::from_str(body).map_err(|error| wrong(error.to_string()))?;
        match (asked.name, sent.name) {
            (Some(_), Some(_)) => Err(wrong("`name` is in the query and in the body".to_owned())),
            (asked, sent) => Ok(Self { name: asked.or(sent) }),
        }
    }
}

/// What is in the store.
pub(crate) async fn show(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let store = of(&app)?;
    let (bounds, stats) = (store.bounds(), store.stats());
    let letters = app.bus().dead_letters().map_or(0, |letters| letters.stats().letters);
    Ok(Json(json!({
        "epoch": bounds.epoch.to_string(), "first": bounds.first, "last": bounds.last,
        "events": stats.events, "bytes": stats.bytes, "disk_bytes": stats.disk_bytes,
        "dead_letters": letters,
    })))
}

/// Reads everything, while it is in use, and compares it with its checksums.
pub(crate) async fn verify(State(app): State<App>) -> Result<Json<Value>, ApiError> {
    let store = of(&app)?.clone();
    // It cannot be broken off, and its client may go away.
    let verifying = tokio::spawn(async move { store.verify(Progress::none()).await });
    let found = verifying.await.map_err(|_| cut_off())??;
    Ok(Json(json_of(&found)))
}

/// What was read, and what of it is damaged.
pub(crate) fn json_of(found: &Integrity) -> Value {
    let damage = found.damage.iter().map(|damage| {
        let (first, last) = damage.offsets.unzip();
        json!({"first": first, "last": last, "what": damage.what})
    });
    let damage: Vec<Value> = damage.collect();
    json!({"events": found.events, "states": found.states, "sound": found.is_sound(), "damage": damage})
}

/// Copies the store, while it is in use, into a file below its own directory and nowhere else.
pub(crate) async fn backup(
    State(app): State<App>,
    asked: Result<Query<Backup>, QueryRejection>,
    body: Body,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    of(&app)?;
    let body = intake::whole(Incoming::new(body, JSON_BODY_WAIT_MAX, app.stopping())).await?;
    let asked = Backup::read(query::read(asked, BACKUP_HELP)?, &body)?;
    let store = app.file().cloned().ok_or_else(|| {
        let message = "this server does not know the file of its store";
        let help = "build it with `App::with_store`, or call `Store::backup` in the program";
        ApiError::new(StatusCode::NOT_IMPLEMENTED, "unsupported", message, help)
    })?;
    let name = match asked.name {
        Some(name) => checked(name)?,
        None => app.bus().now().unix_timestamp().to_string(),
    };
    let folder = std::path::absolute(store.path()).unwrap_or_else(|_| store.path().to_owned());
    let folder = folder.with_file_name(FOLDER);
    let path = folder.join(format!("{name}.nexus"));
    if path.exists() {
        let message = format!("there is a backup at {} already", path.display());
        let help = "give another name with ?name=";
        return Err(ApiError::new(StatusCode::CONFLICT, "conflict", message, help));
    }
    std::fs::create_dir_all(&folder).map_err(|error| {
        let message = format!("{} cannot be made: {error}", folder.display());
        let help = "let the server's user write there";
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "store", message, help)
    })?;
    // It goes on when its client goes away: half a backup is none.
    let copied = tokio::spawn({
        let path = path.clone();
        async move { store.backup(path, Progress::none()).await }
    });
    let copied = copied.await.map_err(|_| cut_off())??;
    let bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
    let (path, events, states) = (path.display().to_string(), copied.events, copied.states);
    let content = json!({"path": path, "events": events, "states": states, "bytes": bytes});
    Ok((StatusCode::CREATED, Json(content)))
}

fn checked(name: String) -> Result<String, ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if (1..=BACKUP_NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(plain) {
        return Ok(name);
    }
    let message = format!("`{name}` is no name of a backup");
    let help = "use 1 to 64 of A-Z, a-z, 0-9, _ and -";
    Err(ApiError::bad_request("invalid_query", message, help))
}

pub(crate) fn cut_off() -> ApiError {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    ApiError::new(status, "internal", "the work was cut off", "try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_from_the_query_or_the_body() {
        let named = |name: &str| Backup { name: Some(name.to_owned()) };
        let read = |asked, body| Backup::read(asked, body).map(|backup| backup.name);
        assert_eq!(read(named("a"), " ").unwrap().as_deref(), Some("a"));
        assert_eq!(read(named("a"), "{}").unwrap().as_deref(), Some("a"));
        assert_eq!(read(Backup::default(), r#"{"name":"b"}"#).unwrap().as_deref(), Some("b"));
        assert_eq!(read(Backup::default(), "").unwrap(), None);
        for (body, says) in [
            (r#"{"nam":"b"}"#, "unknown field `nam`"),
            (r#"{"name":7}"#, "expected a string"),
            (r#"{"name":"b"}"#, "in the query and in the body"),
            ("name=b", "expected"),
        ] {
            let error = read(named("a"), body).unwrap_err().to_json();
            assert_eq!(error["code"], "invalid_backup");
            assert!(error["message"].as_str().unwrap().contains(says), "{error}");
        }
    }

    #[test]
    fn a_name_is_no_way_out_of_the_directory() {
        assert!(checked("monday_1".to_owned()).is_ok());
        let long = "x".repeat(BACKUP_NAME_BYTES_MAX + 1);
        for wrong in ["", "..", "../x", "a/b", "a\\b", "a.b", "é", "a\0", &long] {
            assert!(checked(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
