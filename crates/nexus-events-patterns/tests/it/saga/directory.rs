//! Looking at all sagas of a program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nexus_events_model::Event;
use nexus_events_patterns::ErrorKind;
use nexus_events_patterns::saga::{
    Compensation, Saga, SagaContext, SagaFilter, SagaHandle, Sagas, StepContext, StepError,
    StepSaga,
};

use super::{Program, of};

fn simple(program: &Program, name: &'static str) -> SagaHandle {
    let saga = Saga::<u32>::named(name)
        .starts("start", "id", |_: &mut u32, _: &Event, _: &mut SagaContext| {})
        .on("end", "id", |_: &mut u32, _: &Event, saga: &mut SagaContext| saga.complete());
    saga.build().unwrap().attach(&program.bus).unwrap()
}

async fn last_place(sagas: &Sagas) -> String {
    let first = sagas.list(&SagaFilter::new().limit(1)).await.unwrap();
    assert_eq!((first[0].saga.as_str(), first[0].key.as_str()), ("a", "0"));
    first[0].place()
}

#[tokio::test(start_paused = true)]
async fn sagas_of_all_definitions_are_listed_page_by_page() {
    let program = Program::new().await;
    let sagas = Sagas::new(&program.bus);
    sagas.add(simple(&program, "a"));
    simple(&program, "a-b");
    program.publish_all((0..300).map(|key| of("start", key))).await;
    program.publish_all([of("end", 7)]).await;

    let mut filter = SagaFilter::new().limit(100);
    let mut seen = Vec::new();
    loop {
        let page = sagas.list(&filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter = filter.after(last);
        seen.extend(page.iter().map(|saga| (saga.saga.to_string(), saga.key.to_string())));
    }
    assert_eq!(seen.len(), 598);
    assert!(seen.is_sorted() && seen.iter().all(|(_, key)| key != "7"));

    let place = SagaFilter::new().limit(1).after_place(&last_place(&sagas).await).unwrap();
    assert_eq!(sagas.list(&place).await.unwrap()[0].key, "1");
    for wrong in ["x", "0", "zz", "é"] {
        assert!(SagaFilter::new().after_place(wrong).is_err());
    }

    let only_b = sagas.list(&SagaFilter::new().saga("a-b").limit(1_000)).await.unwrap();
    assert!(only_b.len() == 299 && only_b.iter().all(|saga| saga.saga == "a-b"));
    let ended = sagas.list(&SagaFilter::new().ended()).await.unwrap();
    assert_eq!(ended.iter().map(|saga| &*saga.key).collect::<Vec<_>>(), ["7", "7"]);
    assert!(sagas.list(&SagaFilter::new().status("parked")).await.unwrap().is_empty());

    assert_eq!(sagas.get("a", "7").await.unwrap().unwrap().status.as_str(), "completed");
    assert_eq!(sagas.get("a", "8").await.unwrap().unwrap().status.as_str(), "running");
    assert!(sagas.get("a", "none").await.unwrap().is_none());
    // Of a definition that is known by its rows alone.
    assert_eq!(sagas.handle("a-b").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(sagas.stats()[0].1.started, 300);
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_taken_back_is_resumed_by_its_key() {
    let program = Program::new().await;
    let sagas = Sagas::new(&program.bus);
    let is_up = Arc::<AtomicBool>::default();
    let up = is_up.clone();
    let back = move |_: Compensation<(), ()>| {
        let is_up = up.load(Ordering::SeqCst);
        async move { if is_up { Ok(()) } else { Err(StepError::permanent("down")) } }
    };
    let saga = StepSaga::<()>::named("s")
        .step("a", async |_: StepContext<()>| Ok::<_, StepError>(()))
        .compensate(back)
        .step("b", async |_: StepContext<()>| Err::<(), _>(StepError::permanent("no")))
        .build();
    let handle = saga.unwrap().attach(&program.bus).unwrap();
    sagas.add(handle.clone());
    handle.start("1", &()).await.unwrap();
    program.bus.idle().await;
    assert_eq!(handle.stats().compensated_with_failures, 1);
    is_up.store(true, Ordering::SeqCst);
    assert_eq!(sagas.resume("s", "1").await.unwrap(), 0);
    program.bus.idle().await;
    assert_eq!(sagas.get("s", "1").await.unwrap().unwrap().status.as_str(), "compensated");
    for key in ["1", "none"] {
        assert_eq!(sagas.resume("s", key).await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn a_saga_of_states_that_was_halted_has_nothing_to_resume() {
    let program = Program::new().await;
    let halts = |_: &mut u32, _: &Event, saga: &mut SagaContext| saga.halt("look at it");
    let saga = Saga::<u32>::named("s").starts("start", "id", halts).build().unwrap();
    let handle = saga.attach(&program.bus).unwrap();
    program.publish_all([of("start", 1)]).await;
    let halted = handle.ended(time::OffsetDateTime::UNIX_EPOCH).await.unwrap().remove(0);
    let error = handle.resume_compensation(&halted.id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(handle.get("1").await.unwrap().is_none());
    assert_eq!(handle.stats().halted, 1);
}
