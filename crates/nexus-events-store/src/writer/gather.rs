//! Appends as they come, until they are worth a commit.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_events_dispatch::store::{Ack, Appended};
use nexus_events_dispatch::{Error, Result};
use parking_lot::Mutex;
use redb::{Database, WriteTransaction};

use super::Writer;
use super::batch::Batch;
use super::states::States;
use crate::backend::Pulse;
use crate::error::Outcome;
use crate::limits::{BATCH_APPENDS_MAX, COMING, COMMIT_SPREAD_MAX, GATHERED_AT_ONCE};
use crate::queue::{Answer, Filled, Waiting};

/// Those who are told when what they wait for has happened.
type Given = Vec<(Answer<Appended>, Appended)>;

/// Those who wait for an answer.
#[derive(Default)]
pub(super) struct Answers {
    /// Nobody has looked at their appends yet.
    line: VecDeque<Waiting>,
    buffered: Arc<Mutex<Given>>,
    synced: Given,
}

impl Answers {
    pub(super) fn to(line: VecDeque<Waiting>) -> Self {
        Self { line, ..Self::default() }
    }

    /// What became of the first in line.
    fn settle(&mut self, verdict: Result<Appended>) {
        let Some(one) = self.line.pop_front() else { return };
        match (verdict, one.append.ack) {
            (Ok(appended), Ack::Memory) => drop(one.answer.send(Ok(appended))),
            (Ok(appended), Ack::Buffered) => self.buffered.lock().push((one.answer, appended)),
            (Ok(appended), _) => self.synced.push((one.answer, appended)),
            (Err(error), _) => drop(one.answer.send(Err(error))),
        }
    }

    /// How many wait for the disk or the operating system.
    pub(super) fn waiting(&self) -> usize {
        self.synced.len() + self.buffered.lock().len()
    }

    /// Tells those who wait for the operating system as soon as it has the commit that follows.
    pub(super) fn tell_when_written(&self, pulse: &Pulse) {
        let buffered = self.buffered.clone();
        pulse.when_written(move || give(&mut buffered.lock()));
    }

    /// Tells everybody else that it has happened.
    pub(super) fn give(mut self) {
        give(&mut self.buffered.lock());
        give(&mut self.synced);
    }

    /// Tells everybody else that it has not.
    pub(super) fn refuse(self, error: &Error) {
        let buffered = std::mem::take(&mut *self.buffered.lock());
        let given = self.synced.into_iter().chain(buffered).map(|(answer, _)| answer);
        for answer in self.line.into_iter().map(|one| one.answer).chain(given) {
            let _ = answer.send(Err(Error::of_store(error.kind(), error.to_string())));
        }
    }
}

fn give(all: &mut Given) {
    for (answer, appended) in all.drain(..) {
        let _ = answer.send(Ok(appended));
    }
}

impl Writer {
    /// Takes those who are in line, and those who come while it is worth waiting for more. Without
    /// a transaction nothing is to be committed.
    pub(super) fn gather(
        &mut self,
        database: &Database,
        mut filled: Filled,
        answers: &mut Answers,
    ) -> Outcome<(Batch, Option<WriteTransaction>)> {
        let began = Instant::now();
        let txn = database.begin_write()?;
        let mut batch = Batch::begin(self, &txn)?;
        let mut states = States::new(&txn);
        let mut is_last = false;
        loop {
            while let Some(one) = answers.line.front() {
                let verdict = batch.take(self, one, &mut states)?;
                answers.settle(verdict);
            }
            if is_last {
                break;
            }
            let (wanted, patience) = self.worth(filled, answers.waiting());
            if wanted == 0 {
                break;
            }
            let until = began + patience;
            is_last = Instant::now() >= until;
            let more = self.shared.queue.more(&mut filled, wanted, until);
            if self.now().abs_diff(batch.recorded) > COMMIT_SPREAD_MAX.as_micros() as u64 {
                // They are recorded at another time.
                self.shared.queue.put_back(more);
                break;
            }
            if more.is_empty() {
                break;
            }
            answers.line = more;
        }
        drop(states);
        if batch.taken == 0 {
            // A seal alone waits for the next commit.
            txn.abort()?;
            return Ok((batch, None));
        }
        batch.write(self, &txn)?;
        Ok((batch, Some(txn)))
    }

    /// How many more are worth waiting for before they are looked at, and since the first one for
    /// how long.
    fn worth(&self, filled: Filled, waiting: usize) -> (usize, Duration) {
        if waiting == 0 {
            // Nobody waits for the disk, and while it syncs nobody is answered.
            return (usize::from(!self.lag.is_zero()), self.lag);
        }
        // Those who were just answered are likely to come again, and then share a sync; it is worth
        // a part of what one costs, and as long as so many take to come. A lone publisher waits for
        // nobody.
        let missing = match self.expected {
            0..=1 => 0,
            expected => expected.saturating_sub(filled.appends),
        };
        let coming = COMING * self.expected.min(BATCH_APPENDS_MAX) as u32;
        let patience = Duration::from_nanos(self.shared.pulse.last_sync_nanos() / 4).max(coming);
        (missing.min(GATHERED_AT_ONCE), patience)
    }
}
