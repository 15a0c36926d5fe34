//! Sagas of steps with compensation.

mod cancelling;
mod crashes;
mod definition;
mod lasting;
mod parallel;
mod pivot;
mod random;
mod retrying;
mod scenarios;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::BoxFuture;
use nexus_events_patterns::saga::{
    Compensation, Instance, SagaHandle, SagaStatus, StepContext, StepError, StepOutcome, StepSaga,
};
use parking_lot::Mutex;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{MILLISECOND, Program, SECOND};

/// How a call of the outside world goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Well,
    Fails,
    FailsForGood,
    /// It never answers.
    Hangs,
    /// It does what it does, and never answers.
    WorksAndHangs,
    Panics,
    /// It answers when it is cancelled, with an error.
    GivesUp,
}

/// What the steps call: it remembers what it has done, by idempotency key.
#[derive(Clone, Default)]
struct World(Arc<Inner>);

#[derive(Default)]
struct Inner {
    calls: Mutex<Vec<String>>,
    script: Mutex<HashMap<String, VecDeque<Act>>>,
    done: Mutex<BTreeMap<String, u32>>,
}

impl World {
    /// The next calls of a step, or of a compensation (`-a`), go like this; the rest goes well.
    fn will(&self, what: &str, acts: impl IntoIterator<Item = Act>) {
        self.0.script.lock().entry(what.to_owned()).or_default().extend(acts);
    }

    /// The calls so far: `a#1` for the first attempt of a, `-a#1 log of a` for its compensation.
    fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.0.calls.lock())
    }

    /// How many times something was done under each key.
    fn done(&self) -> BTreeMap<String, u32> {
        self.0.done.lock().clone()
    }

    fn act(&self, what: &str) -> Act {
        let mut script = self.0.script.lock();
        script.get_mut(what).and_then(VecDeque::pop_front).unwrap_or(Act::Well)
    }

    fn does(&self, key: &str) {
        self.0.done.lock().entry(key.to_owned()).or_insert(1);
    }

    async fn call(
        &self,
        what: String,
        said: String,
        on: &StepContext<Value>,
    ) -> Result<(), StepError> {
        self.0.calls.lock().push(said);
        let act = self.act(&what);
        if matches!(act, Act::Well | Act::WorksAndHangs) {
            self.does(on.idempotency_key());
        }
        match act {
            Act::Well => Ok(()),
            Act::Fails => Err("not now".into()),
            Act::FailsForGood => Err(StepError::permanent("never")),
            Act::Hangs | Act::WorksAndHangs => std::future::pending().await,
            Act::Panics => panic!("oops"),
            Act::GivesUp => {
                on.cancelled().await;
                assert!(on.is_cancelled());
                Err("gave up".into())
            }
        }
    }

    fn step(
        &self,
        name: &'static str,
    ) -> impl Fn(StepContext<Value>) -> BoxFuture<'static, Result<String, StepError>> + use<> {
        let world = self.clone();
        move |step| {
            let world = world.clone();
            Box::pin(async move {
                let said = format!("{name}#{}", step.attempt());
                world.call(name.to_owned(), said, &step).await?;
                Ok(format!("log of {name}"))
            })
        }
    }

    fn back(
        &self,
        name: &'static str,
    ) -> impl Fn(Compensation<Value, String>) -> BoxFuture<'static, Result<(), StepError>> + use<>
    {
        let world = self.clone();
        move |back| {
            let world = world.clone();
            Box::pin(async move {
                let outcome = match &back.outcome {
                    StepOutcome::Completed(log) => log.clone(),
                    _ => "unknown".to_owned(),
                };
                let said = format!("-{name}#{} {outcome}", back.attempt());
                world.call(format!("-{name}"), said, &back).await
            })
        }
    }

    /// Steps a, b and c; the first two have compensations.
    fn abc(&self) -> StepSaga<Value, String> {
        StepSaga::<Value>::named("abc")
            .step("a", self.step("a"))
            .compensate(self.back("a"))
            .step("b", self.step("b"))
            .compensate(self.back("b"))
            .step("c", self.step("c"))
    }
}

/// The only saga that has ended.
async fn ended(sagas: &SagaHandle) -> Instance {
    let mut ended = sagas.ended(OffsetDateTime::UNIX_EPOCH).await.unwrap();
    assert_eq!(ended.len(), 1, "{ended:?}");
    ended.remove(0)
}

async fn start(program: &Program, sagas: &SagaHandle) -> Instance {
    let instance = sagas.start("1", &json!({"total": 7})).await.unwrap();
    program.bus.idle().await;
    instance
}

/// Lets everybody get as far as he can, without any timer.
async fn settle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn statuses(instance: &Instance) -> Vec<String> {
    let steps = instance.steps.iter();
    steps.map(|step| format!("{} {}", step.name, step.status.as_str())).collect()
}

fn is_compensated(status: &SagaStatus) -> bool {
    matches!(status, SagaStatus::Compensated { .. })
}

const MINUTE: Duration = Duration::from_secs(60);
