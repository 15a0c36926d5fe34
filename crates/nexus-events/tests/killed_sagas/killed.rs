//! The process that is killed.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nexus_events::store::Store;
use nexus_events::{Bus, Event};

use crate::world::{START, World, id};

/// The folder of its stores.
pub(crate) const FOLDER: &str = "NEXUS_TEST_FOLDER";
/// The number of the first saga that it starts, and of the one after the last.
pub(crate) const FIRST: &str = "NEXUS_TEST_FIRST";
pub(crate) const END: &str = "NEXUS_TEST_END";

/// What runs in that process: it says when it begins, what it has started, and that it is done.
#[test]
fn killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let number = |variable: &str| std::env::var(variable).unwrap().parse::<u64>().unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(run(Path::new(&folder), number(FIRST), number(END)));
}

async fn run(folder: &Path, first: u64, end: u64) {
    let store = Arc::new(Store::open(folder.join("events")).unwrap());
    let bus = Bus::builder().store(store).open().await.unwrap();
    let sagas = World::open(&folder.join("world")).saga().attach(&bus).unwrap();
    say("ready");
    let publishers = (0..8).map(|at| {
        let bus = bus.clone();
        tokio::spawn(async move {
            for number in (first + at..end).step_by(8) {
                let event = Event::builder(START).id(id(number)).payload(serde_json::json!(number));
                bus.publish(event).await.unwrap();
                say(&format!("started {number}"));
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.unwrap();
    }
    bus.idle().await;
    assert!(sagas.list(None).await.unwrap().is_empty());
    bus.shutdown(Duration::from_secs(10)).await;
    say("done");
}

fn say(what: &str) {
    // One write, so that no line is cut in two.
    std::io::stdout().write_all(format!("\n{what}\n").as_bytes()).unwrap();
}
