//! The events of a batcher, in the order in which they came: a state machine without a clock.

use std::collections::VecDeque;

use nexus_events_model::Event;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::Result;

/// An event that waits to be sent.
pub(super) struct Waiting {
    pub(super) event: Event,
    pub(super) bytes: usize,
    pub(super) came: Instant,
    pub(super) done: oneshot::Sender<Result<()>>,
}

/// Those that wait; the first ones may be in hand.
#[derive(Default)]
pub(super) struct Line {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    in_hand: usize,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether one more fits; the first one always does.
    pub(super) fn has_room(&self, bytes: usize, (events, most): (usize, usize)) -> bool {
        self.is_empty() || (self.len() < events && self.bytes.saturating_add(bytes) <= most)
    }

    pub(super) fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes;
        self.waiting.push_back(waiting);
    }

    /// Takes the oldest out that is not in hand.
    pub(super) fn drop_oldest(&mut self) -> Option<Waiting> {
        let dropped = self.waiting.remove(self.in_hand)?;
        self.bytes -= dropped.bytes;
        Some(dropped)
    }

    /// When the oldest one came.
    pub(super) fn first_came(&self) -> Option<Instant> {
        self.waiting.front().map(|first| first.came)
    }

    /// Takes the next batch in hand; its events stay until they are [done](Self::done).
    pub(super) fn next_batch(&mut self, events: usize, bytes: usize) -> Vec<Event> {
        let mut total = 0;
        let fits = |waiting: &&Waiting| {
            let is_first = total == 0;
            total += waiting.bytes.max(1);
            is_first || total <= bytes
        };
        let batch: Vec<Event> =
            self.waiting.iter().take(events).take_while(fits).map(|it| it.event.clone()).collect();
        self.in_hand = batch.len();
        batch
    }

    /// How many are in hand.
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand
    }

    /// Takes those out that are in hand.
    pub(super) fn done(&mut self) -> Vec<Waiting> {
        let done: Vec<Waiting> = self.waiting.drain(..self.in_hand).collect();
        self.bytes -= done.iter().map(|it| it.bytes).sum::<usize>();
        self.in_hand = 0;
        done
    }

    /// Takes all out.
    pub(super) fn take_all(&mut self) -> Vec<Waiting> {
        (self.bytes, self.in_hand) = (0, 0);
        self.waiting.drain(..).collect()
    }
}
