//! Looking at all sagas of a program.

use nexus_events_model::Event;
use nexus_events_patterns::ErrorKind;
use nexus_events_patterns::saga::{Saga, SagaContext, SagaFilter, SagaHandle, Sagas};

use super::{Program, of};

fn simple(program: &Program, name: &'static str) -> SagaHandle {
    let saga = Saga::<u32>::named(name)
        .starts("start", "id", |_: &mut u32, _: &Event, _: &mut SagaContext| {})
        .on("end", "id", |_: &mut u32, _: &Event, saga: &mut SagaContext| saga.complete());
    saga.build().unwrap().attach(&program.bus).unwrap()
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
