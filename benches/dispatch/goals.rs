//! The ratios that Nexus events sets itself, and whether a run meets them.

use crate::cell::{Cell, Group, HANDLERS, PRODUCERS, Series};

/// At most so many times the other's median.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) cell: Cell,
    /// Compared with.
    pub(crate) other: Cell,
    pub(crate) most: f64,
}

/// Peer and the most for 1, 10 and 100 handlers.
type Line = (&'static str, &'static str, [f64; 3]);

/// Where nothing else is asked for, ours must be ahead.
const AHEAD: [f64; 3] = [1.0; 3];

/// Compared with one handler that runs.
const NOTHING: &str = "ours, nothing matches";

const INLINE: [Line; 10] = [
    ("ours", "bare loop, our event", [1.6; 3]),
    ("ours", "bare loop, lean event", [1.6; 3]),
    ("ours", "bevy_ecs observers, our event", [0.6; 3]),
    ("ours", "bevy_ecs observers", [0.6; 3]),
    ("ours", "agent-event-bus", [0.25; 3]),
    ("ours", "jaeb, our event", AHEAD),
    ("ours", "jaeb", AHEAD),
    ("ours, history on", "bare loop, our event", [3.0; 3]),
    ("ours, history on", "bare loop, lean event", [3.0; 3]),
    (NOTHING, "ours", [0.8; 3]),
];

const QUEUED: [Line; 14] = [
    ("ours", "tokio broadcast, our event", [0.5, 0.4, 0.25]),
    ("ours", "tokio broadcast", [0.5, 0.4, 0.25]),
    ("ours", "tokio mpsc", AHEAD),
    ("ours", "tokio mpsc, recv_many", AHEAD),
    ("ours", "async-broadcast", AHEAD),
    ("ours", "flume", AHEAD),
    ("ours", "kanal", AHEAD),
    ("ours", "disruptor, our event", [1.5; 3]),
    ("ours", "disruptor", [1.5; 3]),
    ("ours", "kameo pubsub", [0.1; 3]),
    ("ours", "kameo pubsub actor", [0.1; 3]),
    ("ours", "tokio-events", AHEAD),
    ("ours", "event_bus_rs", AHEAD),
    ("ours", "actix-broker", AHEAD),
];

/// Two producers against one.
const TWO_PRODUCERS: f64 = 1.6;
const WITH_TWO_PRODUCERS: [(Group, &str); 5] = [
    (Group::Inline, "ours"),
    (Group::Inline, "ours, history on"),
    (Group::Inline, "ours, two with a filter"),
    (Group::Queued, "ours"),
    (Group::Queued, "ours, async handlers"),
];

/// All of a group: against others, then two producers against one.
pub(crate) fn of(group: Group) -> Vec<Goal> {
    let lines: &[Line] = match group {
        Group::Inline => &INLINE,
        Group::Queued => &QUEUED,
    };
    let cell = |peer: &str, handlers, producers| Cell {
        group,
        peer: peer.to_owned(),
        handlers,
        producers,
    };
    let mut goals = Vec::new();
    for (ours, other, most) in lines {
        for producers in PRODUCERS {
            goals.extend(HANDLERS.into_iter().zip(most).map(|(handlers, most)| Goal {
                cell: cell(ours, handlers, producers),
                other: cell(other, if *ours == NOTHING { 1 } else { handlers }, producers),
                most: *most,
            }));
        }
    }
    for (_, ours) in WITH_TWO_PRODUCERS.iter().filter(|(of, _)| *of == group) {
        goals.extend(HANDLERS.map(|handlers| Goal {
            cell: cell(ours, handlers, 2),
            other: cell(ours, handlers, 1),
            most: TWO_PRODUCERS,
        }));
    }
    goals
}

impl Goal {
    /// The ratio that was reached, if both were measured.
    pub(crate) fn ratio(&self, series: &[Series]) -> Option<f64> {
        let median =
            |cell: &Cell| series.iter().find(|series| series.cell == *cell).map(Series::median);
        Some(median(&self.cell)? / median(&self.other)?)
    }

    /// Being ahead is less than 1; the others may be reached.
    pub(crate) fn is_met(&self, ratio: f64) -> bool {
        if self.most == 1.0 { ratio < 1.0 } else { ratio <= self.most }
    }

    /// For tables: `0.45 of 0.50, met`.
    pub(crate) fn verdict(&self, series: &[Series]) -> String {
        let Some(ratio) = self.ratio(series) else { return "–".to_owned() };
        let word = if self.is_met(ratio) { "met" } else { "**missed**" };
        format!("{ratio:.2} of {}, {word}", self.most)
    }
}
