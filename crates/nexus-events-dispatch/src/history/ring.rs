//! The events that have been filed.

use std::collections::VecDeque;

use nexus_events_model::Event;

use super::leaving::Leaving;
use super::stage::{Accepted, StageMax};
use crate::sync::Tick;

pub(super) struct Ring {
    /// In the order in which they came in.
    events: VecDeque<Accepted>,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
    stage_max: StageMax,
    /// When the last one came in that was pushed out. What is older is not kept, however late it
    /// is filed.
    pushed_out: Option<Tick>,
    /// What publishers drop.
    pub(super) leaving: Leaving,
    /// Taken from stages, to be filed; empty otherwise.
    pub(super) taken: Vec<Accepted>,
    /// Stages filed so far.
    pub(super) filings: usize,
}

impl Ring {
    pub(super) fn new(events_max: usize, bytes_max: usize, stage_max: StageMax) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            events_max,
            bytes_max,
            stage_max,
            pushed_out: None,
            leaving: Leaving::default(),
            taken: Vec::new(),
            filings: 0,
        }
    }

    /// Files what was taken; gives back what is to be dropped without any lock, because a
    /// payload's drop is the program's own code.
    #[must_use]
    pub(super) fn file(&mut self) -> Vec<Event> {
        // Each stage is in order; where the clock shows no difference, this does not change it.
        self.taken.sort_by_key(|taken| taken.at);
        let late = self.taken.partition_point(|taken| taken.at < self.pushed_out);
        let mut out: Vec<Event> = self.taken.drain(..late).map(|taken| taken.event).collect();
        self.merge();
        while self.events.len() > self.events_max || self.bytes > self.bytes_max {
            let Some(oldest) = self.events.pop_front() else { break };
            self.bytes -= oldest.bytes;
            self.pushed_out = oldest.at;
            out.extend(self.let_go(oldest));
        }
        out
    }

    /// Puts what was taken among those that other threads have filed before.
    fn merge(&mut self) {
        let Some(first) = self.taken.first().map(|taken| taken.at) else { return };
        self.taken.iter_mut().for_each(Accepted::look_again);
        self.bytes += self.taken.iter().map(|taken| taken.bytes).sum::<usize>();
        let later = self.events.iter().rev().take_while(|filed| filed.at > first).count();
        if later == 0 {
            return self.events.extend(self.taken.drain(..));
        }
        let later = self.events.split_off(self.events.len() - later);
        let mut later = later.into_iter().peekable();
        for taken in self.taken.drain(..) {
            while let Some(filed) = later.next_if(|filed| filed.at <= taken.at) {
                self.events.push_back(filed);
            }
            self.events.push_back(taken);
        }
        self.events.extend(later);
    }

    fn let_go(&mut self, oldest: Accepted) -> Option<Event> {
        let Accepted { event, bytes, stage, .. } = oldest;
        match stage {
            0 => Some(event),
            _ => self.leaving.of(stage).add(event, bytes, self.stage_max),
        }
    }

    /// Newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().rev().map(|filed| &filed.event)
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }
}

impl Accepted {
    /// Handlers may have made the event bigger, by writing or reading its payload as JSON.
    fn look_again(&mut self) {
        self.bytes = self.event.size();
        if self.event.payload().may_run_code_when_dropped() {
            self.stage = 0;
        }
    }
}
