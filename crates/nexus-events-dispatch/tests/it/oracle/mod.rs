//! The bus against one that is slow and obvious, over random scripts.

mod naive;
mod script;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Task, Waker};

use nexus_events_dispatch::{Bus, BusStats, Context, HandlerExt, Mode, Subscription};
use nexus_events_model::{Event, OutcomeStatus, PublishReport};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use naive::{BusCounts, HandlerCounts, Line, Naive};
use script::{Does, Kind, Published, Spec, Step, script};

/// The bus under test with all it was given.
#[derive(Clone)]
struct Real {
    bus: Bus,
    subscriptions: Arc<Mutex<Vec<Subscription>>>,
    log: Arc<Mutex<Vec<(String, String)>>>,
}

impl Real {
    fn new() -> Self {
        let bus = Bus::builder().history(0).build().unwrap();
        Self { bus, subscriptions: Arc::default(), log: Arc::default() }
    }

    fn subscribe(&self, spec: Spec) {
        let mut subscriptions = self.subscriptions.lock();
        let name = format!("h{}", subscriptions.len());
        let number = subscriptions.len();
        let (real, does, own) = (self.clone(), spec.does, name.clone());
        let mode = if spec.inline { Mode::Inline } else { Mode::Queued };
        let run =
            move |event: &Event, context: &Context| real.run(&does, number, &own, event, context);
        let handler = match spec.later {
            Some(waits) if !spec.inline => {
                let (turns, run) = (AtomicUsize::new(0), Arc::new(run));
                let later = move |event: Event, context: Context| {
                    let (run, turn) = (run.clone(), turns.fetch_add(1, Ordering::Relaxed));
                    async move {
                        if waits.in_turn(turn) {
                            tokio::task::yield_now().await;
                        }
                        run(&event, &context)
                    }
                };
                later.named(name)
            }
            _ => run.named(name),
        };
        let mut handler = handler.priority(spec.priority).mode(mode);
        if let Some(filter) = spec.filter {
            handler = handler.filter(filter);
        }
        subscriptions.push(self.bus.on(spec.pattern, handler).unwrap());
    }

    /// Ends a handler without waiting for its running call, which may be this very one.
    fn unsubscribe(&self, number: usize) {
        let subscription = self.subscriptions.lock().get(number).cloned();
        if let Some(subscription) = subscription {
            let ending = pin!(subscription.unsubscribe());
            let _ = ending.poll(&mut Task::from_waker(Waker::noop()));
        }
    }

    fn run(
        &self,
        does: &Does,
        number: usize,
        name: &str,
        event: &Event,
        context: &Context,
    ) -> Result<(), String> {
        let event = Published::of(event);
        self.log.lock().push((event.path.clone(), name.to_owned()));
        match does {
            Does::Nothing => {}
            Does::Fail => return Err("scripted".to_owned()),
            Does::Panic => resume_unwind(Box::new("scripted")),
            Does::Cancel => context.cancel("scripted"),
            Does::Subscribe(spec, _) => self.subscribe(*spec.clone()),
            Does::EndItself => self.unsubscribe(number),
            Does::End(other) => self.unsubscribe(*other),
            Does::FollowUp(_) | Does::Chain => {}
        }
        if let Some(next) = event.follow_up(does, name) {
            context.publish(next.builder()).map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn lines(report: &PublishReport) -> Vec<Line> {
    let line = |outcome: &nexus_events_model::HandlerOutcome| {
        let error = outcome.error.as_ref().map(ToString::to_string);
        (outcome.handler.to_string(), outcome.status, error)
    };
    report.outcomes.iter().map(line).collect()
}

/// The text of a chain that is too deep is a sentence around what the naive bus says. Which of
/// several tasks was the first to cancel is open.
fn same_lines(kind: Kind, real: &[Line], naive: &[Line]) -> bool {
    let same_error = |real: &Line, naive: &Line| match (naive.1, &real.2, &naive.2) {
        (OutcomeStatus::Error, Some(text), Some(part)) => text.contains(part.as_str()),
        (OutcomeStatus::Cancelled, Some(text), _) if kind != Kind::Inline => {
            text.starts_with("cancelled by h")
        }
        _ => real.2 == naive.2,
    };
    let same = |(real, naive): (&Line, &Line)| {
        (&real.0, real.1) == (&naive.0, naive.1) && same_error(real, naive)
    };
    real.len() == naive.len() && real.iter().zip(naive).all(same)
}

fn bus_counts(stats: &BusStats) -> BusCounts {
    let events = &stats.events;
    BusCounts {
        published: events.total_events,
        succeeded: events.processed_events,
        failed: events.failed_events,
        handled: events.handled_events,
        cancelled: events.cancelled_events,
        filtered: events.filtered_events,
        unmatched: events.unmatched_events,
        skipped: events.skipped_events,
        unsubscribed: events.unsubscribed,
    }
}

fn handler_counts(stats: &BusStats) -> Vec<(String, HandlerCounts)> {
    let counts = |handler: &nexus_events_dispatch::HandlerStats| {
        let counts = HandlerCounts {
            runs: handler.execution_count,
            errors: handler.error_count,
            panics: handler.panic_count,
            filtered: handler.filtered_count,
            cancelled: handler.cancelled_count,
        };
        (handler.handler_id.clone(), counts)
    };
    stats.handlers.iter().map(counts).collect()
}

/// Handlers on the stack in the order they ran, and all with their priorities.
type Runs = (Vec<String>, Vec<(i32, String)>);

/// The runs of each event: those on the stack in order, and all by wave.
fn by_event(log: &[(String, String)], naive: &Naive) -> BTreeMap<String, Runs> {
    let mut events = BTreeMap::<_, Runs>::new();
    for (path, name) in log {
        let known = naive.handlers.iter().find(|known| known.name == *name).unwrap();
        let (inline, all) = events.entry(path.clone()).or_default();
        if known.spec.inline {
            inline.push(name.clone());
        }
        // Out of order across waves stays out of order.
        let from = all.partition_point(|(priority, _)| *priority != known.spec.priority);
        let at =
            all[from..].partition_point(|other| other.0 == known.spec.priority && other.1 < *name);
        all.insert(from + at, (known.spec.priority, name.clone()));
    }
    events
}

struct Pair {
    kind: Kind,
    real: Real,
    naive: Naive,
    published: usize,
}

impl Pair {
    fn next(&mut self, event_type: &nexus_events_model::EventType) -> Published {
        self.published += 1;
        let number = self.published as i64 % 3;
        Published::new(event_type.clone(), format!("{:03}", self.published), number)
    }

    async fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Subscribe(spec) => {
                self.real.subscribe(spec.clone());
                self.naive.subscribe(spec.clone());
            }
            Step::Unsubscribe(number) => {
                self.real.unsubscribe(*number);
                self.naive.unsubscribe(*number);
            }
            Step::Publish(event_type) => {
                let event = self.next(event_type);
                let receipt = self.real.bus.publish(event.builder()).await.unwrap();
                prop_assert_eq!(receipt.matched, self.naive.publish(event).0);
            }
            Step::TryPublish(event_type) => {
                let event = self.next(event_type);
                let receipt = self.real.bus.try_publish(event.builder()).unwrap();
                prop_assert_eq!(receipt.matched, self.naive.publish(event).0);
            }
            Step::PublishAndWait(event_type) => {
                let event = self.next(event_type);
                let report = self.real.bus.publish_and_wait(event.builder()).await.unwrap();
                let (real, naive) = (lines(&report), self.naive.publish(event).1);
                prop_assert!(same_lines(self.kind, &real, &naive), "{real:?}\n{naive:?}");
            }
            Step::Batch(types) => {
                let events: Vec<_> = types.iter().map(|name| self.next(name)).collect();
                let builders: Vec<_> = events.iter().map(Published::builder).collect();
                let receipts = self.real.bus.publish_batch(builders).await.unwrap();
                let matched: Vec<_> = receipts.iter().map(|receipt| receipt.matched).collect();
                let naive: Vec<_> =
                    events.into_iter().map(|event| self.naive.publish(event).0).collect();
                prop_assert_eq!(matched, naive);
            }
        }
        self.real.bus.idle().await;
        self.compare()
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let real = std::mem::take(&mut *self.real.log.lock());
        let naive = std::mem::take(&mut self.naive.log);
        if self.kind == Kind::Inline {
            prop_assert_eq!(&real, &naive);
        }
        let (real, naive) = (by_event(&real, &self.naive), by_event(&naive, &self.naive));
        prop_assert_eq!(real, naive);
        let stats = self.real.bus.stats();
        prop_assert_eq!(bus_counts(&stats), self.naive.counts);
        prop_assert_eq!(stats.events.in_flight, 0);
        let known = self.naive.handlers.iter().filter(|known| !known.ended);
        let expected: Vec<_> = known.map(|known| (known.name.clone(), known.counts)).collect();
        prop_assert_eq!(handler_counts(&stats), expected);
        Ok(())
    }
}

fn check(kind: Kind, steps: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut pair = Pair { kind, real: Real::new(), naive: Naive::default(), published: 0 };
    runtime.block_on(async {
        for step in steps {
            pair.step(step).await?;
        }
        Ok(())
    })
}

fn config() -> ProptestConfig {
    let seed = RngSeed::Fixed(0x6e65_7875_7300_0006);
    ProptestConfig { cases: 1_500, rng_seed: seed, failure_persistence: None, ..Default::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn as_the_slow_one_on_stacks(steps in script(Kind::Inline)) {
        check(Kind::Inline, &steps)?;
    }

    #[test]
    fn as_the_slow_one_on_tasks_with_follow_ups(steps in script(Kind::TasksAndFollowUps)) {
        check(Kind::TasksAndFollowUps, &steps)?;
    }

    #[test]
    fn as_the_slow_one_on_tasks_with_changes(steps in script(Kind::TasksAndChanges)) {
        check(Kind::TasksAndChanges, &steps)?;
    }
}
