//! Publishes the data, event by event, when each is due.

use std::time::Duration;

use anyhow::Result;
use nexus_events_dispatch::Bus;
use tokio::time::Instant;

use crate::demo::check::Ledger;
use crate::demo::data::Replayed;
use crate::demo::handlers::Board;
use crate::demo::pace::{Metronome, Pace};
use crate::demo::status::Status;
use crate::signals::Signals;

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
        for Replayed { at, row, event } in events {
            tokio::select! {
                biased;
                () = signals.next() => return Ok(Ended::Interrupted),
                () = time_up(end) => return Ok(Ended::TimeUp),
                () = metronome.until(at) => {}
            }
            let event = self.bus.stamp(event)?;
            ledger.expect(event.id());
            let report = self.bus.publish_and_wait(event).await?;
            ledger.note(row, &report);
            self.status.tick(at, || (ledger.total(), self.board.alerts()));
        }
        Ok(Ended::Complete)
    }
}

async fn time_up(end: Option<Instant>) {
    match end {
        Some(end) => tokio::time::sleep_until(end).await,
        None => std::future::pending().await,
    }
}
