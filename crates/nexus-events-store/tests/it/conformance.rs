//! The cases that every store passes, on a file.

use std::sync::Arc;

use nexus_events_dispatch::ManualClock;
use nexus_events_dispatch::store::{EventStore, MemoryStore};
use nexus_events_store::Store;
use nexus_events_test::TestEventBus;
use nexus_events_test::conformance::store::{Candidate, follows_model, same_script, script};
use proptest::prelude::*;

use crate::support::Folder;

async fn on_a_file() -> Candidate {
    let (folder, clock) = (Folder::new(), ManualClock::new(TestEventBus::START));
    let (path, at) = (folder.file(), clock.clone());
    let open = move || -> Result<Arc<dyn EventStore>, _> {
        Ok(Arc::new(Store::builder().clock(at.clone()).cache_bytes(1 << 20).open(&path)?))
    };
    Candidate::new(open().unwrap())
        .clock(clock)
        .reopen(move || std::future::ready(open()))
        .holding(folder)
}

nexus_events_test::store_conformance!(on_a_file);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_scripts_follow_the_model(steps in script(60)) {
        let done = block_on(async { follows_model(on_a_file().await, &steps).await });
        prop_assert_eq!(done, Ok(()));
    }

    #[test]
    fn the_store_in_memory_answers_the_same(steps in script(60)) {
        let done = block_on(async {
            let clock = ManualClock::new(TestEventBus::START);
            let memory = Arc::new(MemoryStore::new().clock(clock.clone()));
            same_script(on_a_file().await, Candidate::new(memory).clock(clock), &steps).await
        });
        prop_assert_eq!(done, Ok(()));
    }
}
