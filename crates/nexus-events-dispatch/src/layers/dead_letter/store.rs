//! The port for keeping dead letters longer than the program runs.

use super::record::DeadLetter;
use crate::error::Result;
use crate::handler::BoxFuture;

/// Keeps dead letters where a crash does not reach them. [`DeadLetters`](super::DeadLetters) holds
/// them all in memory as well and writes through, so a store is never searched.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use nexus_events_dispatch::{BoxFuture, Result};
/// use nexus_events_dispatch::layers::{DeadLetter, DeadLetterStore};
///
/// #[derive(Default)]
/// struct Disk(Mutex<std::collections::BTreeMap<u64, String>>);
///
/// impl DeadLetterStore for Disk {
///     fn load(&self) -> BoxFuture<'_, Result<Vec<DeadLetter>>> {
///         let read = |json: &String| DeadLetter::from_json(&serde_json::from_str(json).unwrap());
///         let letters = self.0.lock().unwrap().values().map(read).collect();
///         Box::pin(async { letters })
///     }
///     fn put(&self, letter: DeadLetter) -> BoxFuture<'_, Result<()>> {
///         self.0.lock().unwrap().insert(letter.id, letter.to_json().to_string());
///         Box::pin(async { Ok(()) })
///     }
///     fn remove(&self, id: u64) -> BoxFuture<'_, Result<()>> {
///         self.0.lock().unwrap().remove(&id);
///         Box::pin(async { Ok(()) })
///     }
/// }
/// ```
pub trait DeadLetterStore: Send + Sync + 'static {
    /// Reads all dead letters, once, at the start.
    ///
    /// # Errors
    /// [`Error::store`](crate::Error::store).
    fn load(&self) -> BoxFuture<'_, Result<Vec<DeadLetter>>>;

    /// Writes a dead letter, or the new state of one with the same id. It is kept when the future
    /// is done.
    ///
    /// # Errors
    /// [`Error::store`](crate::Error::store); the handler's outcome then shows both errors.
    fn put(&self, letter: DeadLetter) -> BoxFuture<'_, Result<()>>;

    /// Removes a dead letter; one that is not there is no error.
    ///
    /// # Errors
    /// [`Error::store`](crate::Error::store); the dead letter then stays.
    fn remove(&self, id: u64) -> BoxFuture<'_, Result<()>>;
}
