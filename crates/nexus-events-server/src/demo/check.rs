//! The self-check: each event that the data has was published once, and what was published was
//! handled, cancelled or filtered, by the word of two witnesses.
//!
//! One is the report of each publish; the other a handler below all others, which must have seen
//! exactly the events that were not cancelled.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use nexus_events_dispatch::store::StoreStats;
use nexus_events_dispatch::{Bus, Result};
use nexus_events_model::{EventId, HandlerOutcome, OutcomeStatus, PublishReport};

use crate::demo::data::FOLLOW_UP_ROW;
use crate::demo::judge::Judge;

/// Why a handler is skipped that did not want the event.
const UNWANTED: &str = "the filter does not hold";

/// What became of an event, by its report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Handled,
    Cancelled,
    Filtered,
    Failed,
}

/// The numbers of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) expected: Option<u64>,
    pub(super) published: u64,
    pub(super) handled: u64,
    pub(super) cancelled: u64,
    pub(super) filtered: u64,
    pub(super) failed: u64,
    /// Seen by the last handler.
    pub(super) arrived: u64,
}

impl Row {
    /// Whether the numbers fit; whether all came is asked of a complete replay only.
    pub(super) fn holds(&self, complete: bool) -> bool {
        let all_came = !complete || self.expected.is_none_or(|expected| expected == self.published);
        all_came
            && self.published == self.handled + self.cancelled + self.filtered
            && self.arrived == self.handled + self.filtered
    }

    fn note(&mut self, fate: Fate, arrived: bool) {
        self.published += 1;
        self.arrived += u64::from(arrived);
        *match fate {
            Fate::Handled => &mut self.handled,
            Fate::Cancelled => &mut self.cancelled,
            Fate::Filtered => &mut self.filtered,
            Fate::Failed => &mut self.failed,
        } += 1;
    }

    fn add(&mut self, other: &Self) {
        self.expected = Some(self.expected.unwrap_or(0) + other.expected.unwrap_or(0));
        self.published += other.published;
        self.handled += other.handled;
        self.cancelled += other.cancelled;
        self.filtered += other.filtered;
        self.failed += other.failed;
    }
}

/// Counts what becomes of the replayed events.
#[derive(Debug)]
pub(super) struct Ledger {
    rows: BTreeMap<Cow<'static, str>, Row>,
    /// The handlers of the demo; whoever only watches handles nothing.
    handlers: HashSet<String>,
    judge: Judge,
    /// How many times a handler could not take a replayed event.
    skipped: u64,
    /// What handlers published because of a replayed event: the cause, and the event.
    follow_ups: Vec<(EventId, EventId)>,
}

impl Ledger {
    /// Made when all handlers are registered, and nothing else is.
    pub(super) fn new(
        bus: &Bus,
        expected: &BTreeMap<Cow<'static, str>, u64>,
        told: Vec<(String, u64)>,
    ) -> Result<Self> {
        let handlers = bus.stats().handlers.into_iter().map(|handler| handler.handler_id).collect();
        let counts = expected.iter().map(|(row, count)| (row.clone(), *count));
        let told = told.into_iter().map(|(row, count)| (row.into(), count));
        let row = |count| Row { expected: Some(count), ..Row::default() };
        let rows = counts.chain(told).map(|(name, count)| (name, row(count))).collect();
        Ok(Self {
            rows,
            handlers,
            judge: Judge::register(bus)?,
            skipped: 0,
            follow_ups: Vec::new(),
        })
    }

    /// Announces the event that is published next.
    pub(super) fn expect(&self, id: &EventId) {
        self.judge.expect(id);
    }

    /// Counts what became of it.
    pub(super) fn note(&mut self, row: Cow<'static, str>, report: &PublishReport) {
        let arrived = self.judge.arrived(&report.event_id);
        self.skipped += self.skipped(report);
        let fate = self.fate(report);
        self.rows.entry(row).or_default().note(fate, arrived);
        let published =
            report.outcome("enrich").and_then(|outcome| outcome.value["published"].as_str());
        let published = published.and_then(|id| EventId::new(id.to_owned()).ok());
        self.follow_ups.extend(published.map(|id| (report.event_id.clone(), id)));
    }

    /// Counted here and not by the bus, whose count has the events of others, too.
    fn skipped(&self, report: &PublishReport) -> u64 {
        let lost = |outcome: &&HandlerOutcome| {
            self.handlers.contains(&*outcome.handler)
                && outcome.status == OutcomeStatus::Skipped
                && outcome.error.as_deref() != Some(UNWANTED)
        };
        report.outcomes.iter().filter(lost).count() as u64
    }

    fn fate(&self, report: &PublishReport) -> Fate {
        let of_ours =
            || report.outcomes.iter().filter(|outcome| self.handlers.contains(&*outcome.handler));
        if of_ours().any(|outcome| outcome.status.is_failure()) {
            Fate::Failed
        } else if of_ours().any(|outcome| outcome.status == OutcomeStatus::Cancelled) {
            Fate::Cancelled
        } else if of_ours().any(|outcome| outcome.status == OutcomeStatus::Success) {
            Fate::Handled
        } else {
            Fate::Filtered
        }
    }

    /// All rows together, so far.
    pub(super) fn total(&self) -> Row {
        let mut total = Row::default();
        self.rows
            .iter()
            .filter(|(name, _)| **name != FOLLOW_UP_ROW)
            .for_each(|(_, row)| total.add(row));
        total
    }

    /// What the numbers say in the end.
    pub(super) fn verdict(
        mut self,
        complete: bool,
        settled: bool,
        stored: Option<StoreStats>,
    ) -> Verdict {
        let total = self.total();
        for (cause, id) in std::mem::take(&mut self.follow_ups) {
            let arrived = self.judge.followed(&cause, &id);
            let fate = if arrived { Fate::Handled } else { Fate::Failed };
            self.rows.entry(FOLLOW_UP_ROW.into()).or_default().note(fate, arrived);
        }
        Verdict { rows: self.rows, total, complete, settled, skipped: self.skipped, stored }
    }
}

/// What the self-check found.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) rows: BTreeMap<Cow<'static, str>, Row>,
    pub(super) total: Row,
    /// Whether the replay came to its end.
    pub(super) complete: bool,
    settled: bool,
    skipped: u64,
    /// What the store says, where there is one.
    pub(super) stored: Option<StoreStats>,
}

impl Verdict {
    pub(super) fn holds(&self) -> bool {
        self.reasons().is_empty()
    }

    /// Why it does not hold.
    pub(super) fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        for (name, row) in self.rows.iter().filter(|(_, row)| !row.holds(self.complete)) {
            let Row { published, handled, cancelled, filtered, failed, arrived, .. } = row;
            let expected = row.expected.unwrap_or(0);
            let name = crate::output::plain(name);
            reasons.push(format!("{name}: {expected} in the data, {published} published = {handled} handled + {cancelled} cancelled + {filtered} filtered + {failed} failed; {arrived} seen by the last handler"));
        }
        if self.skipped > 0 {
            reasons.push(format!("{} times a handler could not take an event", self.skipped));
        }
        // A third witness. Others may publish, too, so there may be more.
        let published: u64 = self.rows.values().map(|row| row.published).sum();
        if let Some(stored) = self.stored.as_ref().filter(|stored| stored.events < published) {
            let events = stored.events;
            reasons.push(format!("the store has {events} events of {published} published"));
        }
        // Others may publish without end: what they wait for is nothing that is wrong here.
        if !self.settled && !reasons.is_empty() {
            reasons.push("events are still on their way".to_owned());
        }
        reasons
    }
}

#[cfg(test)]
mod tests {
    use nexus_events_dispatch::{Context, HandlerExt};
    use nexus_events_model::{Event, Filter};
    use serde_json::json;

    use super::*;

    /// A bus that cancels what has no x, fails on `a.broken`, and wants no more than `a.*`.
    fn bus() -> Bus {
        let bus = Bus::new();
        let validate = |event: &Event, context: &Context| {
            if event.payload().get("x").is_none() {
                context.cancel("no x");
            }
        };
        bus.on("a.*", validate.named("validate").priority(100)).unwrap();
        let work =
            |event: &Event| if event.event_type() == "a.broken" { Err("broken") } else { Ok(()) };
        bus.on("a.*", work.named("work")).unwrap();
        let never = Filter::parse("source == 'nobody'").unwrap();
        bus.on("**", (|_: &Event| {}).named("choosy").filter(never)).unwrap();
        bus
    }

    async fn verdict(
        events: &[(&'static str, bool)],
        expected: &[(&'static str, u64)],
        complete: bool,
    ) -> Verdict {
        let bus = bus();
        let expected = expected.iter().map(|(name, count)| ((*name).into(), *count)).collect();
        let mut ledger = Ledger::new(&bus, &expected, Vec::new()).unwrap();
        bus.on("**", |_: &Event| {}).unwrap();
        for (event_type, has_x) in events {
            let payload = if *has_x { json!({"x": 1}) } else { json!({}) };
            let event = bus.stamp(Event::builder(*event_type).payload(payload)).unwrap();
            ledger.expect(event.id());
            ledger.note((*event_type).into(), &bus.publish_and_wait(event).await.unwrap());
        }
        ledger.verdict(complete, true, None)
    }

    #[tokio::test]
    async fn numbers_that_fit_hold() {
        let events = [("a.good", true), ("a.good", false), ("b", true)];
        let verdict = verdict(&events, &[("a.good", 2), ("b", 1)], true).await;
        assert!(verdict.holds(), "{:?}", verdict.reasons());
        let row = verdict.rows["a.good"];
        assert_eq!((row.handled, row.cancelled, row.filtered, row.arrived), (1, 1, 0, 1));
        assert_eq!(verdict.rows["b"].filtered, 1);
    }

    #[tokio::test]
    async fn an_event_too_few_does_not_hold_unless_it_was_stopped() {
        assert!(!verdict(&[("a.good", true)], &[("a.good", 2)], true).await.holds());
        assert!(verdict(&[("a.good", true)], &[("a.good", 2)], false).await.holds());
        assert!(!verdict(&[], &[("c", 1)], true).await.holds());
    }

    #[tokio::test]
    async fn a_failure_does_not_hold() {
        let verdict = verdict(&[("a.broken", true)], &[("a.broken", 1)], true).await;
        assert_eq!(verdict.rows["a.broken"].failed, 1);
        assert!(!verdict.holds());
    }

    #[test]
    fn the_last_handler_must_have_seen_what_was_handled() {
        let row = Row { published: 2, handled: 2, arrived: 2, ..Row::default() };
        assert!(row.holds(true));
        assert!(!Row { arrived: 1, ..row }.holds(true));
    }

    #[tokio::test]
    async fn a_skipped_handler_does_not_hold_and_endless_visitors_do() {
        let good = verdict(&[("a.good", true)], &[("a.good", 1)], true).await;
        assert!(!Verdict { skipped: 1, ..good }.holds());
        let good = verdict(&[("a.good", true)], &[("a.good", 1)], true).await;
        assert!(Verdict { settled: false, ..good }.holds());
        let late = verdict(&[("a.good", true)], &[("a.good", 2)], true).await;
        assert_eq!(Verdict { settled: false, ..late }.reasons().len(), 2);
    }

    #[tokio::test]
    async fn a_store_that_lacks_an_event_does_not_hold() {
        for (events, holds) in [(0, false), (1, true), (2, true)] {
            let good = verdict(&[("a.good", true)], &[("a.good", 1)], true).await;
            let mut stored = StoreStats::default();
            stored.events = events;
            let verdict = Verdict { stored: Some(stored), ..good };
            assert_eq!(verdict.holds(), holds, "{events}");
        }
    }

    #[tokio::test]
    async fn only_a_handler_that_wanted_the_event_was_skipped() {
        use time::macros::datetime;
        let bus = bus();
        let ledger = Ledger::new(&bus, &BTreeMap::new(), Vec::new()).unwrap();
        let event = bus.stamp(Event::builder("b")).unwrap();
        let mut report = bus.publish_and_wait(event).await.unwrap();
        assert_eq!(report.outcome("choosy").unwrap().status, OutcomeStatus::Skipped);
        assert_eq!(ledger.skipped(&report), 0);
        let (id, at) = (report.outcomes[0].subscription, datetime!(2026-01-02 03:04:05 UTC));
        for name in ["work", "a visitor's"] {
            let lost = HandlerOutcome::new(name, id, OutcomeStatus::Skipped, at);
            report.outcomes.push(lost.error("the queue is full"));
        }
        assert_eq!(ledger.skipped(&report), 1);
    }
}
