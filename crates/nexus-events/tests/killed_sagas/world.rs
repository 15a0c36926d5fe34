//! What the sagas act on: a service that remembers what it has done by idempotency key, and is not
//! killed with them, as far as they can tell.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use nexus_events::store::Store;
use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::{Append, EventStore, Expected, Scan, StateStore};
use nexus_events_patterns::saga::{
    Compensation, SagaDefinition, StepContext, StepError, StepOutcome, StepRetry, StepSaga,
};
use std::time::Duration;

const DONE: &str = "done";

#[derive(Clone)]
pub(crate) struct World(Arc<Store>);

impl World {
    pub(crate) fn open(path: &Path) -> Self {
        Self(Arc::new(Store::open(path).unwrap()))
    }

    /// Does something, unless it was done under this key.
    async fn does(&self, key: &str) -> Result<(), StepError> {
        let append = Append::new().put_if(Expected::Absent, DONE, key, "");
        match self.0.append(append).await {
            Err(error) if error.kind() != ErrorKind::Conflict => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The keys of all that was done.
    pub(crate) async fn done(&self) -> BTreeSet<String> {
        let (mut done, mut scan) = (BTreeSet::new(), Scan::of(DONE));
        loop {
            let page = self.0.scan(scan.clone()).await.unwrap();
            let Some(last) = page.last() else { return done };
            scan.after = Some(last.key.clone());
            done.extend(page.iter().map(|entry| String::from_utf8(entry.key.clone()).unwrap()));
        }
    }

    fn step(
        &self,
        fails: fn(&StepContext<u64>) -> Option<StepError>,
    ) -> impl Fn(StepContext<u64>) -> Step<u64> + use<> {
        let world = self.clone();
        move |step| {
            let world = world.clone();
            Box::pin(async move {
                if let Some(error) = fails(&step) {
                    return Err(error);
                }
                world.does(step.idempotency_key()).await?;
                Ok(*step.data())
            })
        }
    }

    fn back(&self) -> impl Fn(Compensation<u64, u64>) -> Step<()> + use<> {
        let world = self.clone();
        move |back| {
            let world = world.clone();
            Box::pin(async move {
                if let StepOutcome::Completed(number) = back.outcome {
                    assert_eq!(number, *back.data());
                }
                world.does(back.idempotency_key()).await
            })
        }
    }

    /// Pays, reserves two things at a time, ships; every fourth cannot be shipped, and every third
    /// payment fails once.
    pub(crate) fn saga(&self) -> SagaDefinition {
        let pays = |step: &StepContext<u64>| {
            let fails = step.data().is_multiple_of(3) && step.attempt() == 1;
            fails.then(|| StepError::from("not now"))
        };
        let ships = |step: &StepContext<u64>| {
            is_taken_back(*step.data()).then(|| StepError::permanent("sold out"))
        };
        let number = |event: &nexus_events::Event| event.payload().decode::<u64>().map(|it| *it);
        StepSaga::<u64>::named(SAGA)
            .starts(
                START,
                nexus_events_patterns::saga::SagaKey::of("the id", |event| {
                    Some(event.id().to_string().into())
                }),
                number,
            )
            .step("pay", self.step(pays))
            .retry(StepRetry::attempts(3).base(Duration::from_millis(5)))
            .compensate(self.back())
            .parallel("reserve", |group| {
                let group = group.step("seat", self.step(|_| None)).compensate(self.back());
                group.step("room", self.step(|_| None)).compensate(self.back())
            })
            .step("ship", self.step(ships))
            .build()
            .unwrap()
    }
}

type Step<T> = nexus_events_dispatch::BoxFuture<'static, Result<T, StepError>>;

pub(crate) const SAGA: &str = "order";
pub(crate) const START: &str = "order.created";

pub(crate) fn is_taken_back(number: u64) -> bool {
    number.is_multiple_of(4)
}

/// The keys under which a saga does things, if it ends as it should.
pub(crate) fn keys(number: u64) -> Vec<String> {
    let key = |step: &str| format!("{SAGA}/{}/{step}", id(number));
    let mut keys: Vec<String> = ["pay", "seat", "room"].map(key).into();
    match is_taken_back(number) {
        true => keys.extend(keys.clone().into_iter().map(|key| format!("{key}/compensation"))),
        false => keys.push(key("ship")),
    }
    keys
}

/// The id of the event that starts a saga, and its key.
pub(crate) fn id(number: u64) -> String {
    format!("order-{number}")
}
