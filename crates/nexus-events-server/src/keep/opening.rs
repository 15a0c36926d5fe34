//! Opening the store of a directory, with something to look at when it takes long.

use std::io::{ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::store::Retention;
use nexus_events_store::Store;
use tokio::time::Instant;

use super::units::shown_bytes;
use crate::exit::{Exit, Failure, Outcome};
use crate::output;

/// The file of a store in its directory.
const FILE: &str = "events.nexus";

/// After so long somebody wants to know why nothing happens.
const SAID_AFTER: Duration = Duration::from_millis(500);

/// The file of the store in this directory.
pub(crate) fn file_in(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// Opens the store in this directory; both are made where they are not there.
pub(crate) async fn open(directory: &Path, retention: Retention) -> Outcome<Arc<Store>> {
    std::fs::create_dir_all(directory).map_err(|error| no_directory(directory, &error))?;
    let path = file_in(directory);
    let shown = path.display().to_string();
    let bytes = std::fs::metadata(&path).map_or(0, |file| file.len());
    let opening =
        tokio::task::spawn_blocking(move || Store::builder().retention(retention).open(path));
    let store = meanwhile(opening, &format!("opening {shown}, {}", shown_bytes(bytes))).await?;
    store.map(Arc::new).map_err(|error| match Failure::of_store(error) {
        failure if failure.exit() == Exit::Conflict => {
            let message = format!(
                "`{shown}` is open already, most likely by another server; stop that one, or name another directory with --data"
            );
            Failure::new(Exit::Conflict, message)
        }
        failure => failure,
    })
}

/// Waits, and says what for when it takes long: again and again on a terminal, once elsewhere.
pub(crate) async fn meanwhile<T>(
    work: tokio::task::JoinHandle<T>,
    what: &str,
) -> Result<T, tokio::task::JoinError> {
    let (mut work, began) = (work, Instant::now());
    let terminal = std::io::stderr().is_terminal();
    let mut said = false;
    loop {
        if let Ok(done) = tokio::time::timeout(SAID_AFTER, &mut work).await {
            if terminal && said {
                output::status("");
            }
            return done;
        }
        match terminal {
            true => output::status(&format!("{what}: {} s", began.elapsed().as_secs())),
            false if !said => output::note(&format!("{what}; this takes a while")),
            false => {}
        }
        said = true;
    }
}

fn no_directory(directory: &Path, error: &std::io::Error) -> Failure {
    let shown = directory.display();
    let message = match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            format!(
                "`{shown}` is no directory, or a part of its path is a file; name another one with --data"
            )
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => format!(
            "the directory `{shown}` cannot be made: {error}; name one with --data where this user may write, or keep nothing with --ephemeral"
        ),
        _ => {
            format!("the directory `{shown}` cannot be made: {error}; name another one with --data")
        }
    };
    Failure::new(Exit::Failed, message)
}

#[cfg(test)]
mod tests {
    use super::super::Temporary;
    use super::*;

    #[tokio::test]
    async fn a_store_is_made_where_there_is_none_and_opened_where_there_is() {
        let directory = Temporary::new().unwrap();
        let inner = directory.path().join("a/b");
        drop(open(&inner, Retention::new()).await.unwrap());
        assert!(file_in(&inner).is_file());
        let store = open(&inner, Retention::new()).await.unwrap();
        let again = open(&inner, Retention::new()).await.unwrap_err();
        assert_eq!(again.exit(), Exit::Conflict);
        assert!(again.to_string().contains("events.nexus"), "{again}");
        drop(store);
    }

    #[tokio::test]
    async fn what_is_in_the_way_is_named() {
        let directory = Temporary::new().unwrap();
        let file = directory.path().join("file");
        std::fs::write(&file, "x").unwrap();
        for place in [file.clone(), file.join("below")] {
            let failure = open(&place, Retention::new()).await.unwrap_err();
            assert!(failure.to_string().contains("--data"), "{failure}");
        }
        std::fs::create_dir_all(directory.path().join("taken/events.nexus")).unwrap();
        let failure = open(&directory.path().join("taken"), Retention::new()).await.unwrap_err();
        assert!(failure.to_string().contains("is a folder"), "{failure}");
        std::fs::create_dir(directory.path().join("foreign")).unwrap();
        std::fs::write(directory.path().join("foreign/events.nexus"), "not a store").unwrap();
        let failure = open(&directory.path().join("foreign"), Retention::new()).await.unwrap_err();
        assert!(failure.to_string().contains("events.nexus"), "{failure}");
    }

    #[tokio::test(start_paused = true)]
    async fn long_work_ends_with_what_it_gave() {
        let work = tokio::spawn(async {
            tokio::time::sleep(SAID_AFTER * 3).await;
            7
        });
        assert_eq!(meanwhile(work, "working").await.unwrap(), 7);
    }
}
