//! Publishes the data, event by event, when each is due.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::join_all;
use nexus_events_dispatch::Bus;
use tokio::time::Instant;

use crate::demo::check::Ledger;
use crate::demo::data::Replayed;
use crate::demo::handlers::Board;
use crate::demo::pace::{Metronome, Pace};
use crate::demo::status::Status;
use crate::signals::Signals;

/// Most events that are published together when they are due.
const TOGETHER_MAX: usize = 256;

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything was published.
    Complete,
    /// Its time was up.
    TimeUp,
    /// Somebody stopped it.
    Interrupted,
}

/// A replay and what it shows of itself.
#[derive(Debug)]
pub(super) struct Replay<'a> {
    pub(super) bus: &'a Bus,
    pub(super) board: &'a Board,
    pub(super) pace: Pace,
    pub(super) status: Status,
}

impl Replay<'_> {
    pub(super) async fn run(
        &mut self,
        events: Vec<Replayed>,
        ledger: &mut Ledger,
        limit: Option<Duration>,
        signals: &mut Signals,
    ) -> Result<Ended> {
        let Some(first) = events.first() else { return Ok(Ended::Complete) };
        let metronome = Metronome::new(self.pace, first.at);
        let end = limit.map(|limit| Instant::now() + limit);
        let mut events = events.into_iter().peekable();
        while let Some(next) = events.next() {
            let at = next.at;
            tokio::select! {
                biased;
                () = signals.next() => return Ok(Ended::Interrupted),
                () = time_up(end) => return Ok(Ended::TimeUp),
                () = metronome.until(at) => {}
            }
            let mut due = vec![next];
            while due.len() < TOGETHER_MAX
                && let Some(event) = events.next_if(|event| metronome.is_due(event.at))
            {
                due.push(event);
            }
            self.publish(due, ledger).await?;
            self.status.tick(at, || (ledger.total(), self.board.alerts()));
        }
        Ok(Ended::Complete)
    }

    /// Publishes what is due together, so that it shares what it waits for: the store's disk.
    async fn publish(&self, due: Vec<Replayed>, ledger: &mut Ledger) -> Result<()> {
        let mut rows = Vec::with_capacity(due.len());
        let mut reports = Vec::with_capacity(due.len());
        for Replayed { row, event, .. } in due {
            let event = self.bus.stamp(event)?;
            ledger.expect(event.id());
            rows.push(row);
            reports.push(self.bus.publish_and_wait(event));
        }
        for (row, report) in rows.into_iter().zip(join_all(reports).await) {
            ledger.note(row, &report?);
        }
        Ok(())
    }
}

async fn time_up(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
