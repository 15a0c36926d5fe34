//! A bus that is slow and obvious: one list of handlers, one loop, no thread.

use std::collections::VecDeque;

use nexus_events_dispatch::limits::PUBLISH_DEPTH_MAX;
use nexus_events_model::OutcomeStatus;

use super::script::{Does, Published, Spec};

pub(super) struct Known {
    pub(super) name: String,
    pub(super) spec: Spec,
    pub(super) ended: bool,
    pub(super) counts: HandlerCounts,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct HandlerCounts {
    pub(super) runs: u64,
    pub(super) errors: u64,
    pub(super) panics: u64,
    pub(super) filtered: u64,
    pub(super) cancelled: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct BusCounts {
    pub(super) published: u64,
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) handled: u64,
    pub(super) cancelled: u64,
    pub(super) filtered: u64,
    pub(super) unmatched: u64,
    pub(super) skipped: u64,
    pub(super) unsubscribed: u64,
}

/// An event on its way to the handlers that were there when it was published.
struct Flying {
    event: Published,
    /// The types of the events that led to it.
    chain: Vec<String>,
    /// Handlers in the order of their turns.
    route: Vec<usize>,
}

/// One line of a report: handler, status, error.
pub(super) type Line = (String, OutcomeStatus, Option<String>);

#[derive(Default)]
pub(super) struct Naive {
    pub(super) handlers: Vec<Known>,
    pub(super) log: Vec<(String, String)>,
    pub(super) counts: BusCounts,
}

impl Naive {
    pub(super) fn subscribe(&mut self, spec: Spec) {
        let name = format!("h{}", self.handlers.len());
        let counts = HandlerCounts::default();
        self.handlers.push(Known { name, spec, ended: false, counts });
    }

    pub(super) fn unsubscribe(&mut self, number: usize) {
        if let Some(known) = self.handlers.get_mut(number) {
            known.ended = true;
        }
    }

    /// Handles the event and all that follows; gives back how many it matched, and its report.
    pub(super) fn publish(&mut self, event: Published) -> (usize, Vec<Line>) {
        let first = self.fly(event, Vec::new());
        let matched = first.route.iter().filter(|at| self.accepts(**at, &first.event)).count();
        let mut waiting = VecDeque::from([first]);
        let mut report = None;
        while let Some(next) = waiting.pop_front() {
            let lines = self.handle(next, &mut waiting);
            report.get_or_insert(lines);
        }
        (matched, report.unwrap())
    }

    fn fly(&mut self, event: Published, chain: Vec<String>) -> Flying {
        self.counts.published += 1;
        let matches = |at: &usize| {
            let known = &self.handlers[*at];
            !known.ended && known.spec.pattern.matches(&event.event_type)
        };
        let mut route: Vec<usize> = (0..self.handlers.len()).filter(matches).collect();
        route.sort_by_key(|at| std::cmp::Reverse(self.handlers[*at].spec.priority));
        Flying { event, chain, route }
    }

    fn accepts(&self, at: usize, event: &Published) -> bool {
        self.handlers[at].spec.accepts(event)
    }

    fn handle(&mut self, flying: Flying, waiting: &mut VecDeque<Flying>) -> Vec<Line> {
        let mut lines: Vec<Option<Line>> = vec![None; flying.route.len()];
        let mut cancelled: Option<String> = None;
        let (mut stopped, mut ran, mut refused) = (false, false, 0);
        let mut place = 0;
        while place < flying.route.len() {
            let priority = |at: usize| self.handlers[flying.route[at]].spec.priority;
            let same = (place..flying.route.len()).filter(|at| priority(*at) == priority(place));
            let wave: Vec<usize> = same.collect();
            place += wave.len();
            if let Some(why) = &cancelled {
                stopped = true;
                for at in wave {
                    let number = flying.route[at];
                    let accepts = self.accepts(number, &flying.event);
                    let known = &mut self.handlers[number];
                    if !accepts {
                        refused += 1;
                        known.counts.filtered += 1;
                        let why = Some("the filter does not hold".to_owned());
                        lines[at] = Some((known.name.clone(), OutcomeStatus::Skipped, why));
                        continue;
                    }
                    known.counts.cancelled += 1;
                    lines[at] =
                        Some((known.name.clone(), OutcomeStatus::Cancelled, Some(why.to_string())));
                }
                continue;
            }
            // Tasks begin when the publisher's stack is done.
            let (inline, queued): (Vec<usize>, Vec<usize>) =
                wave.into_iter().partition(|at| self.handlers[flying.route[*at]].spec.inline);
            for at in inline.into_iter().chain(queued) {
                let number = flying.route[at];
                let name = self.handlers[number].name.clone();
                lines[at] = Some(if !self.accepts(number, &flying.event) {
                    refused += 1;
                    self.handlers[number].counts.filtered += 1;
                    (name, OutcomeStatus::Skipped, Some("the filter does not hold".to_owned()))
                } else if self.handlers[number].ended {
                    self.counts.unsubscribed += 1;
                    (name, OutcomeStatus::Skipped, Some("unsubscribed".to_owned()))
                } else {
                    ran = true;
                    self.run(number, &flying, waiting, &mut cancelled)
                });
            }
        }
        *match () {
            () if stopped => &mut self.counts.cancelled,
            () if ran => &mut self.counts.handled,
            () if flying.route.is_empty() => &mut self.counts.unmatched,
            () if refused == flying.route.len() => &mut self.counts.filtered,
            () => &mut self.counts.skipped,
        } += 1;
        lines.into_iter().flatten().collect()
    }

    fn run(
        &mut self,
        number: usize,
        flying: &Flying,
        waiting: &mut VecDeque<Flying>,
        cancelled: &mut Option<String>,
    ) -> Line {
        let Known { name, spec, .. } = &self.handlers[number];
        let (name, does) = (name.clone(), spec.does.clone());
        self.log.push((flying.event.path.clone(), name.clone()));
        let (status, error) = match does {
            Does::Nothing => (OutcomeStatus::Success, None),
            Does::Fail => (OutcomeStatus::Error, Some("scripted".to_owned())),
            Does::Panic => (OutcomeStatus::Panicked, Some("panicked: scripted".to_owned())),
            Does::Cancel => {
                cancelled.get_or_insert(format!("cancelled by {name}: scripted"));
                (OutcomeStatus::Success, None)
            }
            Does::EndItself => {
                self.unsubscribe(number);
                (OutcomeStatus::Success, None)
            }
            Does::End(other) => {
                self.unsubscribe(other);
                (OutcomeStatus::Success, None)
            }
            Does::Subscribe(..) | Does::FollowUp(_) | Does::Chain => {
                let next = flying.event.follow_up(&does, &name);
                if let Does::Subscribe(spec, _) = does {
                    self.subscribe(*spec);
                }
                match next {
                    None => (OutcomeStatus::Success, None),
                    Some(next) => self.follow_up(next, flying, waiting),
                }
            }
        };
        let counts = &mut self.handlers[number].counts;
        let failed = status != OutcomeStatus::Success;
        counts.runs += 1;
        counts.errors += u64::from(failed);
        counts.panics += u64::from(status == OutcomeStatus::Panicked);
        *if failed { &mut self.counts.failed } else { &mut self.counts.succeeded } += 1;
        (name, status, error)
    }

    fn follow_up(
        &mut self,
        next: Published,
        flying: &Flying,
        waiting: &mut VecDeque<Flying>,
    ) -> (OutcomeStatus, Option<String>) {
        let mut chain = flying.chain.clone();
        chain.push(flying.event.event_type.to_string());
        if chain.len() > PUBLISH_DEPTH_MAX as usize {
            return (OutcomeStatus::Error, Some(chain.join(" > ")));
        }
        let next = self.fly(next, chain);
        waiting.push_back(next);
        (OutcomeStatus::Success, None)
    }
}
