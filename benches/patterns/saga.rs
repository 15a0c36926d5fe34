//! Steps of sagas in the store: each is run, and committed with what follows, before the next one
//! begins. Some run at a time; when one has ended the next one starts in its place.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nexus_events_benches::{Cell, ROUNDS, Report};
use nexus_events_dispatch::Bus;
use nexus_events_model::Event;
use nexus_events_patterns::saga::{SagaHandle, StepContext, StepError, StepSaga};
use nexus_events_store::Store;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::goals::Goals;

const CONCURRENT: [usize; 3] = [1, 16, 256];
const STEPS: usize = 5;
/// How long one turn lasts about.
const TURN: Duration = Duration::from_secs(1);

pub(crate) fn run(report: &mut Report, goals: &mut Goals) {
    let cells = CONCURRENT.map(|sagas| Some(measure(sagas)));
    let columns = CONCURRENT.map(|sagas| format!("{sagas} at a time"));
    report.table("One step of a saga in the store", &columns, &[("ours".to_owned(), cells.into())]);
    for (sagas, cell) in CONCURRENT.iter().zip(cells) {
        let per_second = cell.map_or(0.0, |cell| 1e9 / cell.median);
        report.line(&format!("\n{sagas} sagas at a time: {per_second:.0} steps per second."));
        if *sagas == 256 {
            goals.least("steps of durable sagas per second, 256 at a time", 5_000.0, per_second);
        }
    }
}

fn measure(sagas: usize) -> Cell {
    let place = Place::new(sagas);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let store = Store::open(place.0.join("events")).expect("a store");
        let bus = Bus::builder().store(Arc::new(store)).open().await.expect("a bus");
        let ends = Ends::default();
        let all = ends.clone();
        bus.on("saga.completed", move |event: &Event| all.ended(event)).expect("a handler");
        let names = (0..STEPS).map(|number| format!("step-{number}"));
        let saga = names.fold(
            StepSaga::<u64>::named("bench").parallel("begin", |group| group.step("begin", nothing)),
            |saga, name| saga.parallel(name.clone(), |group| group.step(name, nothing)),
        );
        let saga = saga.keep_ended(1_000).build().expect("a saga");
        let handle = saga.attach(&bus).expect("a handler");
        let number = Arc::new(AtomicU64::new(0));
        turn(&handle, &ends, &number, sagas).await;
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(turn(&handle, &ends, &number, sagas).await);
        }
        bus.shutdown(Duration::from_secs(10)).await;
        rounds.sort_by(f64::total_cmp);
        Cell { median: rounds[ROUNDS / 2], lowest: rounds[0], highest: rounds[ROUNDS - 1] }
    })
}

async fn nothing(step: StepContext<u64>) -> Result<u64, StepError> {
    Ok(*step.data())
}

/// Nanoseconds for a step.
async fn turn(handle: &SagaHandle, ends: &Ends, number: &Arc<AtomicU64>, sagas: usize) -> f64 {
    let began = Instant::now();
    let drivers: Vec<_> = (0..sagas)
        .map(|_| {
            let (handle, ends, number) = (handle.clone(), ends.clone(), number.clone());
            tokio::spawn(async move {
                let mut done = 0;
                while began.elapsed() < TURN {
                    let number = number.fetch_add(1, Ordering::Relaxed);
                    let ended = ends.of(number);
                    handle.start(number.to_string(), &number).await.expect("a saga");
                    ended.await.expect("an end");
                    done += STEPS + 1;
                }
                done
            })
        })
        .collect();
    let mut steps = 0;
    for driver in drivers {
        steps += driver.await.expect("a driver");
    }
    began.elapsed().as_nanos() as f64 / steps as f64
}

/// Who waits for which saga.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<HashMap<String, oneshot::Sender<()>>>>);

impl Ends {
    fn of(&self, number: u64) -> oneshot::Receiver<()> {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().insert(number.to_string(), sender);
        receiver
    }

    fn ended(&self, event: &Event) {
        let key = event.payload().get("key").and_then(Value::as_str).unwrap_or_default();
        if let Some(sender) = self.0.lock().remove(key) {
            let _ = sender.send(());
        }
    }
}

/// A folder beside this program, because temporary folders are often in memory.
struct Place(PathBuf);

impl Place {
    fn new(sagas: usize) -> Self {
        let program = std::env::current_exe().expect("the path of this program");
        let target = program.ancestors().nth(3).expect("a target folder");
        let folder = target.join(format!("bench-saga-{}-{sagas}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self(folder)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
