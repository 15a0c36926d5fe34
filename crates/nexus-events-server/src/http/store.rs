//! The store behind the routes, and copies of it.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use nexus_events_dispatch::store::{EventStore, Progress};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::error::ApiError;
use crate::http::query;
use crate::limits::BACKUP_NAME_BYTES_MAX;
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

/// Under which name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupQuery {
    name: Option<String>,
}

/// Copies the store, while it is in use, into a file below its own directory and nowhere else.
pub(crate) async fn backup(
    State(app): State<App>,
    asked: Result<Query<BackupQuery>, QueryRejection>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    of(&app)?;
    let asked = query::read(asked, "POST /store/backup takes name")?;
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
    fn a_name_is_no_way_out_of_the_directory() {
        assert!(checked("monday_1".to_owned()).is_ok());
        let long = "x".repeat(BACKUP_NAME_BYTES_MAX + 1);
        for wrong in ["", "..", "../x", "a/b", "a\\b", "a.b", "é", "a\0", &long] {
            assert!(checked(wrong.to_owned()).is_err(), "{wrong}");
        }
    }
}
