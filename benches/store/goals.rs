//! What Nexus events sets itself for its store, and whether a run meets it.

use nexus_events_dispatch::store::Ack;

use crate::peers::{JETSTREAM, OURS, REDB_GROUPED, SQLITE};
use crate::results::{Append, Results};
use crate::row::PAYLOAD;

/// Publishers, and events of a commit, that the goals are about.
const MANY: usize = 256;

#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) what: String,
    pub(crate) goal: f64,
    pub(crate) is: f64,
    pub(crate) at_least: bool,
}

impl Goal {
    fn least(what: impl Into<String>, goal: f64, is: f64) -> Self {
        Self { what: what.into(), goal, is, at_least: true }
    }

    fn most(what: impl Into<String>, goal: f64, is: f64) -> Self {
        Self { what: what.into(), goal, is, at_least: false }
    }

    pub(crate) fn is_met(&self) -> bool {
        if self.at_least { self.is >= self.goal } else { self.is <= self.goal }
    }
}

/// Those of the parts that were measured.
pub(crate) fn all(results: &Results) -> Vec<Goal> {
    let mut goals = Vec::new();
    if let Some(part) = &results.append {
        appends(&part.results, &mut goals);
    }
    if let Some(part) = &results.written {
        let ours = part.results.iter().find(|row| row.peer == OURS && row.batch == MANY);
        goals.extend(ours.map(|row| {
            let what = format!("bytes written per byte of payload, {MANY} events a commit");
            Goal::most(what, 1.5, row.written / PAYLOAD as f64)
        }));
    }
    if let Some(part) = &results.open {
        for row in part.results.iter().filter(|row| row.peer == OURS) {
            let what = |how| format!("seconds to open {} events, {how}", row.events);
            goals.push(Goal::most(what("closed before"), 2.0, row.clean_ms.median() / 1e3));
            goals.push(Goal::most(what("killed before"), 2.0, row.killed_ms.median() / 1e3));
        }
    }
    if let Some(part) = &results.read {
        let ours = part.results.iter().filter(|row| row.peer == OURS);
        goals.extend(
            ours.map(|row| {
                Goal::least("events read per second", 1e6, row.events_per_second.median())
            }),
        );
    }
    goals
}

fn appends(rows: &[Append], goals: &mut Vec<Goal>) {
    let synced = |peer: &str| rows.iter().find(|row| row.is(peer, Ack::Synced, MANY));
    let Some(ours) = synced(OURS) else { return };
    let what = format!("synced events per second, {MANY} publishers, at 500 syncs per second");
    goals.push(Goal::least(what, 1e5, ours.at_500_syncs.median()));
    for (peer, times) in [(REDB_GROUPED, 4.0), (SQLITE, 3.0), (JETSTREAM, 10.0)] {
        let Some(other) = synced(peer) else { continue };
        let what = format!("times the synced events of {peer}, {MANY} publishers");
        let is = ours.events_per_second.median() / other.events_per_second.median();
        goals.push(Goal::least(what, times, is));
    }
}
