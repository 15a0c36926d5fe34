//! Dead letters as text, one on each line, to be kept elsewhere or taken to another program.

use super::filter::DeadLetterFilter;
use super::letters::DeadLetters;
use super::record::DeadLetter;
use crate::error::{Error, ErrorKind, Result};

/// What an import came to.
///
/// ```
/// use nexus_events_dispatch::layers::Imported;
/// assert_eq!(Imported::default().parked, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Imported {
    /// Those that are dead letters here now.
    pub parked: usize,
    /// Those whose handler and event had a dead letter here before, which is as it was.
    pub known: usize,
}

impl DeadLetters {
    /// Those that match as JSON lines: each is a [`DeadLetter::to_json`].
    ///
    /// ```
    /// use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters};
    /// assert_eq!(DeadLetters::new().export_lines(&DeadLetterFilter::new()), "");
    /// ```
    #[must_use]
    pub fn export_lines(&self, filter: &DeadLetterFilter) -> String {
        let letters = self.list(filter, usize::MAX);
        letters.iter().map(|letter| format!("{}\n", letter.to_json())).collect()
    }

    /// Parks what [`export_lines`](Self::export_lines) gave, here or elsewhere. All lines are read
    /// first. They get ids of their own; everything else is as it was.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, HandlerExt};
    /// use nexus_events_dispatch::layers::{DeadLetterFilter, DeadLetters};
    /// use nexus_events_model::Event;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let (bus, letters, elsewhere) = (Bus::new(), DeadLetters::new(), DeadLetters::new());
    /// bus.on("a", (|_: &Event| Err::<(), _>("no")).layer(letters.layer()))?;
    /// bus.publish(Event::builder("a")).await?;
    /// let lines = letters.export_lines(&DeadLetterFilter::new());
    /// assert_eq!(elsewhere.import_lines(&lines).await?.parked, 1);
    /// assert_eq!(elsewhere.import_lines(&lines).await?.known, 1);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], naming the line that cannot be read; nothing is parked then.
    /// [`ErrorKind::Overloaded`] when there is no room for all; those before are parked then. Those
    /// of the store.
    pub async fn import_lines(&self, lines: &str) -> Result<Imported> {
        let numbered = lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let read = numbered.map(|(at, line)| read(line).map_err(|error| malformed(at + 1, &error)));
        let letters = read.collect::<Result<Vec<_>>>()?;
        let mut imported = Imported::default();
        for letter in letters {
            if self.has(&letter.handler, letter.event.id()) {
                imported.known += 1;
            } else {
                self.park(DeadLetter { id: 0, claim: None, ..letter }).await?;
                imported.parked += 1;
            }
        }
        Ok(imported)
    }
}

fn read(line: &str) -> Result<DeadLetter> {
    let json = serde_json::from_str(line);
    DeadLetter::from_json(&json.map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()))?)
}

fn malformed(line: usize, error: &Error) -> Error {
    let message =
        format!("line {line} is no dead letter: {error}; import what `export_lines` gave");
    Error::new(ErrorKind::Corrupt, message)
}
