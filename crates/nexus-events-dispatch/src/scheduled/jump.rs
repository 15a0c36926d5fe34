//! Whether the clock was changed: the time of day is compared with one that only goes on.

use nexus_events_model::{Event, EventBuilder, IsoFormat};
use serde_json::json;
use time::OffsetDateTime;

use crate::bus::Bus;
use crate::limits::CLOCK_JUMP;
use crate::sync::{Instant, StdInstant};

/// Two clocks at one moment.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    wall: OffsetDateTime,
    /// Tokio's, which tests pause, beside a clock of the program's own.
    timer: Instant,
    /// The machine's, beside the machine's.
    machine: StdInstant,
}

/// That the time of day is not what it should be.
#[derive(Debug, PartialEq)]
pub(super) struct Jump {
    expected: OffsetDateTime,
    now: OffsetDateTime,
}

impl Clocks {
    pub(super) fn of(bus: &Bus) -> Self {
        Self { wall: bus.now(), timer: Instant::now(), machine: StdInstant::now() }
    }

    /// What has happened to the clock since; from now on that is how it is.
    pub(super) fn compare(&mut self, bus: &Bus) -> Option<Jump> {
        let (before, now) = (*self, Self::of(bus));
        *self = now;
        let passed = match bus.0.clock.is_own() {
            true => now.timer.saturating_duration_since(before.timer),
            false => now.machine.saturating_duration_since(before.machine),
        };
        let expected = before.wall.checked_add(passed.try_into().ok()?)?;
        let drift = (now.wall - expected).abs();
        (drift > CLOCK_JUMP).then_some(Jump { expected, now: now.wall })
    }
}

impl Jump {
    /// What is published about it.
    pub(super) fn event(&self) -> EventBuilder {
        let payload = json!({
            "expected": IsoFormat(self.expected).to_string(),
            "now": IsoFormat(self.now).to_string(),
            "seconds": (self.now - self.expected).as_seconds_f64(),
        });
        Event::builder("system.clock_jump").source("nexus").payload(payload)
    }
}
