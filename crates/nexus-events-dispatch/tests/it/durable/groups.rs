use std::sync::Arc;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{HandlerExt, Mode};
use nexus_events_model::Event;

use super::{SECOND, number, open, publish};
use crate::Log;

#[tokio::test(start_paused = true)]
async fn one_consumer_of_a_group_gets_each_event() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    for round in 0..2 {
        let bus = open(&store).await;
        for member in 0..3 {
            let log = log.clone();
            let handler = move |event: Event| {
                let log = log.clone();
                async move {
                    tokio::time::sleep(SECOND).await;
                    log.add(format!("{} {member}", number(&event)));
                }
            };
            let handler = handler.durable("billing").named(format!("billing-{member}"));
            bus.on("order.*", handler.with(|options| options.group("workers"))).unwrap();
        }
        publish(&bus, round * 30..round * 30 + 30).await;
        bus.idle().await;
        let mut lines = log.take();
        let members: std::collections::HashSet<_> =
            lines.iter().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
        assert_eq!(members.len(), 3);
        lines.sort_by_key(|line| line.split(' ').next().unwrap().parse::<usize>().unwrap());
        assert_eq!(lines.len(), 30);
        assert_eq!(bus.consumers().len(), 1);
        bus.shutdown(SECOND).await;
    }
}

#[tokio::test]
async fn a_handler_that_blocks_is_durable_too() {
    let (store, log) = (Arc::new(MemoryStore::new()), Log::default());
    let bus = open(&store).await;
    bus.on("order.*", log.writes("blocked").mode(Mode::Blocking).durable("billing")).unwrap();
    publish(&bus, 0..3).await;
    bus.idle().await;
    assert_eq!(log.take(), ["blocked"; 3]);
}
