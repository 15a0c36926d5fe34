//! A program ends like a killed process wherever it is; another one goes on.

use std::sync::Arc;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, ManualClock};
use nexus_events_patterns::saga::{SagaHandle, SagaStatus, StepSaga};
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::runtime::Builder;

use super::super::{Program, SECOND};
use super::{Act, World, ended, settle, statuses};

/// A store with a clock, that programs come and go on.
struct Machine {
    store: Arc<MemoryStore>,
    clock: ManualClock,
    world: World,
}

impl Machine {
    fn new() -> Self {
        let clock = ManualClock::new(datetime!(2026-01-02 12:00:00 UTC));
        Self { store: Arc::new(MemoryStore::new()), clock, world: World::default() }
    }

    /// A program, which ends like a killed process when this is over.
    fn run<T>(
        &self,
        saga: impl Fn(&World) -> StepSaga<Value, String>,
        work: impl AsyncFnOnce(&Program, &SagaHandle) -> T,
    ) -> T {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.unwrap().block_on(async {
            let builder = Bus::builder().store(self.store.clone()).clock(self.clock.clone());
            let bus = builder.open().await.unwrap();
            let program = Program { store: self.store.clone(), clock: self.clock.clone(), bus };
            let sagas = saga(&self.world).build().unwrap().attach(&program.bus).unwrap();
            work(&program, &sagas).await
        })
    }
}

fn abc(world: &World) -> StepSaga<Value, String> {
    world.abc()
}

#[test]
fn a_step_that_a_crash_interrupts_runs_again_with_its_key() {
    let machine = Machine::new();
    machine.world.will("b", [Act::WorksAndHangs]);
    machine.run(abc, async |_, sagas| {
        sagas.start("1", &json!(1)).await.unwrap();
        settle().await;
    });
    let saga = machine.run(abc, async |program, sagas| {
        program.bus.idle().await;
        ended(sagas).await
    });
    assert_eq!(machine.world.calls(), ["a#1", "b#1", "b#2", "c#1"]);
    assert_eq!(machine.world.done().len(), 3);
    assert_eq!((saga.status, saga.steps[1].restarts), (SagaStatus::Completed, 1));
}

#[test]
fn a_compensation_that_a_crash_interrupts_runs_again_with_its_key() {
    let machine = Machine::new();
    machine.world.will("c", [Act::FailsForGood]);
    machine.world.will("-b", [Act::WorksAndHangs]);
    machine.run(abc, async |_, sagas| {
        sagas.start("1", &json!(1)).await.unwrap();
        settle().await;
    });
    let saga = machine.run(abc, async |program, sagas| {
        program.bus.idle().await;
        ended(sagas).await
    });
    assert_eq!(machine.world.calls()[3..], ["-b#1 log of b", "-b#2 log of b", "-a#1 log of a"]);
    assert_eq!(machine.world.done().len(), 4);
    assert_eq!(statuses(&saga), ["a compensated", "b compensated", "c failed"]);
}

#[test]
fn a_step_that_a_crash_interrupted_and_that_is_cancelled_then_is_taken_back_unknown() {
    let machine = Machine::new();
    machine.world.will("b", [Act::WorksAndHangs]);
    machine.run(abc, async |_, sagas| {
        sagas.start("1", &json!(1)).await.unwrap();
        settle().await;
        sagas.cancel("1", "enough").await.unwrap();
        settle().await;
    });
    let saga = machine.run(abc, async |program, sagas| {
        program.bus.idle().await;
        ended(sagas).await
    });
    let calls = ["a#1", "b#1", "-b#1 unknown", "-a#1 log of a"];
    assert_eq!(machine.world.calls(), calls);
    assert_eq!(saga.status.as_str(), "cancelled");
}

#[test]
fn an_error_after_a_crash_is_no_proof_that_nothing_was_done() {
    let machine = Machine::new();
    machine.world.will("b", [Act::WorksAndHangs, Act::FailsForGood]);
    machine.run(abc, async |_, sagas| {
        sagas.start("1", &json!(1)).await.unwrap();
        settle().await;
    });
    machine.run(abc, async |program, sagas| {
        program.bus.idle().await;
        assert_eq!(ended(sagas).await.status.as_str(), "compensated");
    });
    let calls = ["a#1", "b#1", "b#2", "-b#1 unknown", "-a#1 log of a"];
    assert_eq!(machine.world.calls(), calls);
}

/// A crash after each number of steps of the scheduler, until a whole run fits in one life.
#[test]
fn wherever_it_crashes_every_effect_is_there_once() {
    for (fails, calls) in [(false, 3), (true, 4)] {
        for turns in 0..400 {
            let machine = Machine::new();
            if fails {
                machine.world.will("c", [Act::FailsForGood; 1_000]);
            }
            let mut is_started = false;
            for _ in 0..100 {
                let has_ended = machine.run(abc, async |_, sagas| {
                    if !is_started {
                        is_started = sagas.start("1", &json!(1)).await.is_ok();
                    }
                    for _ in 0..turns {
                        tokio::task::yield_now().await;
                    }
                    sagas.get("1").await.unwrap().is_none()
                });
                if has_ended {
                    break;
                }
            }
            let saga = machine.run(abc, async |program, sagas| {
                program.bus.idle().await;
                assert!(program.dead_letters().is_empty(), "{:?}", program.dead_letters());
                match sagas.get("1").await.unwrap() {
                    None => ended(sagas).await,
                    // So few turns that no step ever began: it was parked.
                    Some(saga) => saga,
                }
            });
            let parked = saga.status.as_str() == "parked";
            let wanted = if fails { "compensated" } else { "completed" };
            assert!(parked || saga.status.as_str() == wanted, "{turns}: {saga:?}");
            let done = machine.world.done();
            assert!(parked || done.len() == calls, "{turns}: {done:?}");
        }
    }
}

#[test]
fn after_a_hundred_restarts_it_is_parked_and_can_be_resumed() {
    let machine = Machine::new();
    machine.world.will("a", [Act::Hangs; 101]);
    machine.run(abc, async |_, sagas| {
        sagas.start("1", &json!(1)).await.unwrap();
        settle().await;
    });
    for restart in 1..=100 {
        machine.run(abc, async |_, sagas| {
            settle().await;
            let saga = sagas.get("1").await.unwrap().unwrap();
            assert_eq!((saga.status, saga.steps[0].restarts), (SagaStatus::Running, restart));
        });
    }
    assert_eq!(machine.world.calls().len(), 101);
    machine.run(abc, async |program, sagas| {
        program.bus.idle().await;
        let saga = sagas.get("1").await.unwrap().unwrap();
        let reason = saga.status.reason().unwrap();
        assert!(reason.starts_with("the program ended 100 times while the step `a`"), "{reason}");
        assert_eq!(saga.status.as_str(), "parked");
        sagas.resume("1").await.unwrap();
        program.bus.idle().await;
        assert_eq!(ended(sagas).await.status, SagaStatus::Completed);
    });
    assert_eq!(machine.world.calls(), ["a#1", "b#1", "c#1"]);
}

#[test]
fn one_that_hangs_holds_up_nobody_after_a_crash() {
    let machine = Machine::new();
    machine.world.will("a", [Act::Hangs; 4]);
    machine.run(abc, async |_, sagas| {
        for key in ["1", "2"] {
            sagas.start(key, &json!(1)).await.unwrap();
        }
        settle().await;
    });
    machine.run(abc, async |_, _| settle().await);
    machine.run(abc, async |program, sagas| {
        program.bus.idle().await;
        assert_eq!(sagas.stats().completed, 2);
        tokio::time::sleep(SECOND).await;
    });
}
