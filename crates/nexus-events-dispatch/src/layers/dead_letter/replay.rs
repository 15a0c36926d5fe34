//! Giving dead letters to their handler again.

use std::pin::pin;

use nexus_events_model::{OutcomeStatus, Text};

use super::claim::Begun;
use super::filter::DeadLetterFilter;
use super::letters::DeadLetters;
use super::record::DeadLetter;
use super::together::{lines, several_at_once};
use crate::bus::Bus;
use crate::error::{ErrorKind, Result};
use crate::limits::{DEAD_LETTER_CLAIM, DEAD_LETTER_REPLAYS};
use crate::sync::{Instant, Mutex, Ordering};
use crate::timer::in_time;

/// What a replay came to.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt, layers::{DeadLetters, Replayed}};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let (bus, letters) = (Bus::new(), DeadLetters::new());
/// let fails = |_: &Event| Err::<(), _>("connection lost");
/// bus.on("a", fails.named("billing").layer(letters.layer()))?;
/// bus.publish(Event::builder("a")).await?;
/// assert_eq!(letters.replay(&bus, 1).await?, Replayed::Failed("connection lost".into()));
/// assert_eq!(letters.get(1).unwrap().replays, 1);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Replayed {
    /// The handler succeeded, and the dead letter is gone.
    Succeeded,
    /// The handler failed again, and the dead letter says how.
    Failed(Text),
    /// The handler did not run, for this reason; the dead letter is as it was.
    Skipped(Text),
    /// Another replay of it is on its way, in this program or another; nothing was done.
    Pending,
}

/// What several replays came to, in numbers.
///
/// ```
/// use nexus_events_dispatch::layers::ReplayReport;
/// assert_eq!(ReplayReport::default().succeeded, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ReplayReport {
    /// Those that are gone.
    pub succeeded: usize,
    /// Those that failed again.
    pub failed: usize,
    /// Those whose handler did not run.
    pub skipped: usize,
}

impl ReplayReport {
    fn count(&mut self, replayed: &Replayed) {
        match replayed {
            Replayed::Succeeded => self.succeeded += 1,
            Replayed::Failed(_) => self.failed += 1,
            Replayed::Skipped(_) | Replayed::Pending => self.skipped += 1,
        }
    }
}

impl DeadLetters {
    /// Gives one to its handler again, with the same event id and attempts from 1, and returns
    /// when all its attempts are over. No other handler sees it.
    ///
    /// One that is behind another of its key is skipped. Where several programs use one event
    /// store, one of them replays it; if that one ends half way, others can after 30 seconds. When
    /// the future is dropped half way, the event goes on, and a later replay gives it again.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownDeadLetter`](crate::ErrorKind::UnknownDeadLetter); those of
    /// [`Bus::redeliver`]; those of the store when the letter could not be removed.
    pub async fn replay(&self, bus: &Bus, id: u64) -> Result<Replayed> {
        if self.is_behind(id) {
            return Ok(Replayed::Skipped("an event of its key is parked before it".into()));
        }
        let Begun::Yes(letter) = self.begin(bus, id).await? else { return Ok(Replayed::Pending) };
        let replaying = Replaying { letters: self, id };
        let replayed = self.give(bus, *letter).await;
        if replayed.as_ref().is_ok_and(|replayed| *replayed == Replayed::Succeeded) {
            self.remove(id).await?;
            self.counts().replayed.fetch_add(1, Ordering::Relaxed);
        } else {
            if !matches!(replayed, Ok(Replayed::Failed(_))) {
                self.state(|state| state.take_back_replay(id));
            }
            self.release(id).await;
        }
        drop(replaying);
        replayed
    }

    /// Gives it to its handler, and tells others meanwhile that it is on its way.
    async fn give(&self, bus: &Bus, letter: DeadLetter) -> Result<Replayed> {
        let id = letter.id;
        let mut report = pin!(bus.redeliver(&letter.handler, letter.event));
        let report = loop {
            let until = Instant::now() + DEAD_LETTER_CLAIM / 3;
            match in_time([], until, report.as_mut()).await {
                Some(report) => break report?,
                None => self.claim_again(bus, id).await,
            }
        };
        let outcome = report.outcomes.into_iter().next();
        let why = |error: Option<Text>| error.unwrap_or_default();
        Ok(match outcome.map(|outcome| (outcome.status, outcome.error)) {
            Some((OutcomeStatus::Success, _)) => Replayed::Succeeded,
            Some((status, error)) if status.is_failure() => Replayed::Failed(why(error)),
            outcome => Replayed::Skipped(why(outcome.and_then(|(_, error)| error))),
        })
    }

    /// Replays all that match: those of a key in order, several keys and those without one at the
    /// same time, up to 8. One whose handler is not registered is skipped.
    ///
    /// # Errors
    /// As [`replay`](Self::replay), at the first one, after those that are on their way; one that
    /// is gone meanwhile is no error.
    pub async fn replay_all(&self, bus: &Bus, filter: &DeadLetterFilter) -> Result<ReplayReport> {
        self.refresh().await?;
        let report = Mutex::new(ReplayReport::default());
        let line = |ids: Vec<u64>| async {
            for id in ids {
                match self.replay(bus, id).await {
                    Err(error) if error.kind() == ErrorKind::UnknownDeadLetter => {}
                    Err(error) if error.kind() == ErrorKind::UnknownHandler => {
                        report.lock().skipped += 1;
                    }
                    replayed => report.lock().count(&replayed?),
                }
            }
            Ok(())
        };
        let lines = lines(self.list(filter, usize::MAX)).into_iter().map(line);
        several_at_once(lines, DEAD_LETTER_REPLAYS).await?;
        Ok(report.into_inner())
    }

    /// Replays all of one key in order, those parked meanwhile too, until none is left or one
    /// does not succeed.
    ///
    /// # Errors
    /// As [`replay`](Self::replay).
    pub async fn replay_key(
        &self,
        bus: &Bus,
        handler: impl Into<Text>,
        key: impl Into<Text>,
    ) -> Result<ReplayReport> {
        let (handler, key) = (handler.into(), key.into());
        self.refresh().await?;
        let mut report = ReplayReport::default();
        while let Some(id) = self.state(|state| state.first_of(&handler, &key)) {
            let replayed = match self.replay(bus, id).await {
                Err(error) if error.kind() == ErrorKind::UnknownDeadLetter => continue,
                replayed => replayed?,
            };
            report.count(&replayed);
            if replayed != Replayed::Succeeded {
                break;
            }
        }
        Ok(report)
    }

    fn is_behind(&self, id: u64) -> bool {
        self.state(|state| {
            let letter = state.get(id)?;
            let first = state.first_of(&letter.handler, letter.key.as_ref()?)?;
            Some(first != id)
        })
        .unwrap_or(false)
    }
}

/// A replay on its way, until dropped.
struct Replaying<'a> {
    letters: &'a DeadLetters,
    id: u64,
}

impl Drop for Replaying<'_> {
    fn drop(&mut self) {
        self.letters.state(|state| state.end_replay(self.id));
    }
}
