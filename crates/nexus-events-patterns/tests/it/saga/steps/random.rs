//! Random sagas in a random world, against what a page of plain code says of them.

use std::sync::Arc;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, ManualClock};
use nexus_events_patterns::saga::{
    Instance, OnFailure, Parallel, SagaDefinition, SagaHandle, StepRetry, StepSaga, StepStatus,
};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use time::macros::datetime;
use tokio::runtime::Builder;

use super::{Act, SECOND, World, ended};

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const ATTEMPTS: u32 = 3;
const BACK_ATTEMPTS: u32 = 2;

#[derive(Debug, Clone)]
struct Script {
    acts: Vec<Act>,
    back: Option<Vec<Act>>,
    /// Whether it runs beside the one before.
    beside: bool,
}

#[derive(Debug, Clone)]
struct Scene {
    steps: Vec<Script>,
    pivot: Option<usize>,
    halts: bool,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => Just(Act::Well),
        3 => Just(Act::Fails),
        1 => Just(Act::FailsForGood),
        1 => Just(Act::Hangs),
        1 => Just(Act::WorksAndHangs),
        1 => Just(Act::Panics),
    ]
}

fn scene(groups: bool) -> impl Strategy<Value = Scene> {
    let back = proptest::option::weighted(0.7, vec(act(), 0..3));
    let script = (vec(act(), 0..4), back, any::<bool>());
    let script = script.prop_map(move |(acts, back, beside)| Script {
        acts,
        back,
        beside: beside && groups,
    });
    let pivot = proptest::option::weighted(0.3, 0..6usize);
    (vec(script, 1..=6), pivot, any::<bool>()).prop_map(|(mut steps, pivot, halts)| {
        let pivot = pivot.filter(|at| *at < steps.len());
        if let Some(pivot) = pivot {
            steps[pivot..].iter_mut().for_each(|script| script.back = None);
            steps[pivot].beside = false;
            if let Some(next) = steps.get_mut(pivot + 1) {
                next.beside = false;
            }
        }
        steps[0].beside = false;
        Scene { steps, pivot, halts }
    })
}

impl Scene {
    fn world(&self) -> World {
        let world = World::default();
        for (name, script) in NAMES.iter().zip(&self.steps) {
            world.will(name, script.acts.clone());
            world.will(&format!("-{name}"), script.back.clone().unwrap_or_default());
        }
        world
    }

    /// Which steps run at the same time.
    fn stages(&self) -> Vec<Vec<usize>> {
        let mut stages: Vec<Vec<usize>> = Vec::new();
        for (at, script) in self.steps.iter().enumerate() {
            match stages.last_mut().filter(|_| script.beside) {
                Some(stage) => stage.push(at),
                None => stages.push(vec![at]),
            }
        }
        stages
    }

    fn saga(&self, world: &World) -> SagaDefinition {
        let on_failure = if self.halts { OnFailure::Halt } else { OnFailure::ContinueAndReport };
        let saga = StepSaga::<Value>::named("s").on_compensation_failure(on_failure);
        self.with(saga, &self.stages(), world)
    }

    fn with<R: 'static>(
        &self,
        saga: StepSaga<Value, R>,
        stages: &[Vec<usize>],
        world: &World,
    ) -> SagaDefinition {
        let Some((stage, rest)) = stages.split_first() else { return saga.build().unwrap() };
        let name = NAMES[stage[0]];
        if self.pivot == Some(stage[0]) {
            let saga = saga.pivot(name, world.step(name)).timeout(SECOND);
            return self.with(saga.retry(StepRetry::immediate(ATTEMPTS)), rest, world);
        }
        let saga = saga.parallel(format!("with-{name}"), |group| {
            let group = self.step(group.step(name, world.step(name)), stage[0], world);
            stage[1..].iter().fold(group, |group, at| {
                self.step(group.step(NAMES[*at], world.step(NAMES[*at])), *at, world)
            })
        });
        self.with(saga, rest, world)
    }

    fn step(&self, step: Group, at: usize, world: &World) -> Group {
        let step = step.timeout(SECOND).retry(StepRetry::immediate(ATTEMPTS));
        if self.steps[at].back.is_none() {
            return step;
        }
        let step = step.compensate(world.back(NAMES[at])).compensation_timeout(SECOND);
        step.compensation_retry(StepRetry::immediate(BACK_ATTEMPTS))
    }
}

type Group = Parallel<Value, String>;

/// How a step ends that is called by the book.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Well,
    Badly,
    Unsure,
}

/// Calls something until it is over; what it says of each call.
fn call(acts: &[Act], attempts: u32, mut says: impl FnMut(u32)) -> End {
    let (mut unsure, mut panics) = (false, 0);
    for attempt in 1..=attempts {
        says(attempt);
        match acts.get(attempt as usize - 1).copied().unwrap_or(Act::Well) {
            Act::Well => return End::Well,
            Act::FailsForGood => break,
            Act::Hangs | Act::WorksAndHangs => unsure = true,
            Act::Panics => (unsure, panics) = (true, panics + 1),
            _ => {}
        }
        if panics == 2 {
            break;
        }
    }
    if unsure { End::Unsure } else { End::Badly }
}

/// What a saga without groups does, step by step.
fn by_the_book(scene: &Scene) -> (Vec<String>, &'static str) {
    let (mut calls, mut begun) = (Vec::new(), Vec::new());
    let mut status = "completed";
    for (at, script) in scene.steps.iter().enumerate() {
        let name = NAMES[at];
        let end = call(&script.acts, ATTEMPTS, |attempt| calls.push(format!("{name}#{attempt}")));
        let is_behind = scene.pivot.is_some_and(|pivot| at > pivot);
        let is_lost = scene.pivot == Some(at) && end == End::Unsure;
        if end != End::Well && (is_behind || is_lost) {
            return (calls, "parked");
        }
        let is_over = end != End::Well;
        begun.push((at, end));
        if is_over {
            status = "compensated";
            break;
        }
    }
    if status == "completed" {
        return (calls, status);
    }
    for (at, end) in begun.into_iter().rev() {
        let (name, Some(acts)) = (NAMES[at], &scene.steps[at].back) else { continue };
        let outcome = match end {
            End::Well => format!("log of {name}"),
            End::Unsure => "unknown".to_owned(),
            End::Badly => continue,
        };
        let says = |attempt| calls.push(format!("-{name}#{attempt} {outcome}"));
        if call(acts, BACK_ATTEMPTS, says) != End::Well {
            status = "compensated_with_failures";
            if scene.halts {
                return (calls, "halted");
            }
        }
    }
    (calls, status)
}

/// A program on this store for as long as the work takes, which is killed then.
fn life<T>(
    store: &Arc<MemoryStore>,
    scene: &Scene,
    world: &World,
    work: impl AsyncFnOnce(&Bus, &SagaHandle) -> T,
) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let clock = ManualClock::new(datetime!(2026-01-02 12:00:00 UTC));
        let bus = Bus::builder().store(store.clone()).clock(clock).open().await.unwrap();
        let sagas = scene.saga(world).attach(&bus).unwrap();
        work(&bus, &sagas).await
    })
}

async fn outcome(bus: &Bus, sagas: &SagaHandle) -> Instance {
    bus.idle().await;
    assert_eq!(bus.dead_letters().unwrap().stats().letters, 0);
    match sagas.get("1").await.unwrap() {
        Some(parked) => parked,
        None => ended(sagas).await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_random_saga_does_what_the_book_says(scene in scene(false)) {
        let world = scene.world();
        let saga = life(&Arc::new(MemoryStore::new()), &scene, &world, async |bus, sagas| {
            sagas.start("1", &json!(1)).await.unwrap();
            outcome(bus, sagas).await
        });
        let (calls, status) = by_the_book(&scene);
        prop_assert_eq!(world.calls(), calls);
        prop_assert_eq!(saga.status.as_str(), status);
    }

    /// With groups, crashes and a cancel at any time: what it says of itself is what the world saw.
    #[test]
    fn whatever_happens_nothing_is_half_done(
        scene in scene(true),
        lives in vec(0..60usize, 0..6),
        cancel in proptest::option::of((0..6usize, 0..60usize)),
    ) {
        let (store, world) = (Arc::new(MemoryStore::new()), scene.world());
        life(&store, &scene, &world, async |_, sagas| {
            sagas.start("1", &json!(1)).await.unwrap();
        });
        for (number, turns) in lives.iter().enumerate() {
            life(&store, &scene, &world, async |_, sagas| {
                for turn in 0..*turns {
                    if cancel == Some((number, turn)) {
                        // It may have ended, or be behind the pivot.
                        let _ = sagas.cancel("1", "enough").await;
                    }
                    if turn % 8 == 7 {
                        tokio::time::sleep(SECOND).await;
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
        let saga = life(&store, &scene, &world, outcome);
        check(&scene, &saga, &world)?;
    }
}

/// Whether a saga that stands still is what the world has seen.
fn check(scene: &Scene, saga: &Instance, world: &World) -> Result<(), TestCaseError> {
    let done = world.done();
    let status = saga.status.as_str();
    let key = |name: &str| format!("s/{}/{name}", saga.id);
    for step in &saga.steps {
        let at = NAMES.iter().position(|name| step.name == **name).unwrap();
        let is_done = done.contains_key(&key(&step.name));
        let is_back = done.contains_key(&format!("{}/compensation", key(&step.name)));
        let can_go_back = scene.steps[at].back.is_some();
        match step.status {
            StepStatus::Completed => {
                prop_assert!(is_done);
                prop_assert!(
                    !can_go_back
                        || !matches!(
                            status,
                            "compensated" | "cancelled" | "compensated_with_failures"
                        )
                );
            }
            StepStatus::Failed => prop_assert!(!is_done && !is_back, "{}", step.name),
            StepStatus::Compensated => prop_assert!(is_back),
            StepStatus::CompensationFailed => {
                prop_assert!(matches!(status, "halted" | "compensated_with_failures"));
            }
            StepStatus::Unknown => {
                prop_assert!(!can_go_back || matches!(status, "parked" | "halted"));
            }
            other => prop_assert!(status == "parked", "{} {other:?}", step.name),
        }
    }
    match status {
        "completed" => {
            let names = NAMES.iter().take(scene.steps.len());
            let wanted = names.map(|name| (key(name), 1));
            prop_assert_eq!(done, wanted.collect());
        }
        "parked" => prop_assert!(scene.pivot.is_some()),
        "compensated" | "cancelled" | "compensated_with_failures" | "halted" => {}
        other => prop_assert!(false, "{other}"),
    }
    Ok(())
}
