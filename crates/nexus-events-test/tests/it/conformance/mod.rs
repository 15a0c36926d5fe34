//! The conformance tests of stores, on the store in memory.

mod door;
mod liar;

use std::sync::Arc;

use nexus_events_dispatch::ManualClock;
use nexus_events_dispatch::store::MemoryStore;
use nexus_events_test::TestEventBus;
use nexus_events_test::conformance::store::{self, Candidate, follows_model, same_script, script};
use proptest::prelude::*;

use self::door::Door;

fn clock() -> ManualClock {
    ManualClock::new(TestEventBus::START)
}

async fn plain() -> Candidate {
    Candidate::new(Arc::new(MemoryStore::new()))
}

/// With a clock, and with a door that closes in front of it: everything that a case may need.
async fn behind_a_door() -> Candidate {
    let clock = clock();
    let store = Arc::new(MemoryStore::new().clock(clock.clone()));
    Candidate::new(Arc::new(Door::to(store.clone()))).clock(clock).reopen(move || {
        let door = Door::to(store.clone());
        async { Ok(Arc::new(door) as _) }
    })
}

mod memory {
    use super::plain;

    nexus_events_test::store_conformance!(plain);
}

mod memory_behind_a_door {
    use super::behind_a_door;

    nexus_events_test::store_conformance!(behind_a_door);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_apply_is_said() {
    let outcomes = store::run(plain).await;
    assert_eq!(outcomes.failed, [], "{outcomes}");
    let skipped =
        |need: &str| outcomes.skipped.iter().filter(|(_, why)| why.contains(need)).count();
    let needs = ["opened again", "clock", "compaction", "at most 100000 keys"].map(skipped);
    assert_eq!(needs.iter().sum::<usize>(), outcomes.skipped.len(), "{outcomes}");
    assert!(needs.iter().all(|count| *count > 0), "{outcomes}");

    let all = store::run(behind_a_door).await;
    let skipped: Vec<_> = all.skipped.iter().map(|(name, _)| *name).collect();
    let expected =
        ["idempotency::as_many_are_remembered_as_promised", "upkeep::a_compact_loses_nothing"];
    assert_eq!((all.failed.len(), skipped), (0, expected.to_vec()), "{all}");
    assert_eq!(all.passed.len() + 2, outcomes.passed.len() + outcomes.skipped.len());
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn random_scripts_follow_the_model(steps in script(60)) {
        let done = block_on(async { follows_model(behind_a_door().await, &steps).await });
        prop_assert_eq!(done, Ok(()));
    }

    #[test]
    fn two_stores_in_memory_answer_the_same(steps in script(40)) {
        let done = block_on(async {
            same_script(plain().await, behind_a_door().await, &steps).await
        });
        prop_assert_eq!(done, Ok(()));
    }
}
