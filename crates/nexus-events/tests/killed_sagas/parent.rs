//! The process that kills it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_events::Bus;
use nexus_events::store::Store;
use nexus_events_patterns::saga::{Instance, SagaFilter, Sagas};

use crate::killed::{END, FIRST, FOLDER};
use crate::world::{World, id, is_taken_back, keys};

const SAGAS: u64 = 200;
const SECONDS: u64 = 5;
/// For `cargo xtask prove`.
const SAGAS_PROVED: u64 = 2_000;
const SECONDS_PROVED: u64 = 30;

const LIFE: Duration = Duration::from_millis(100);

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// How far a process got.
struct Life {
    /// All up to here were started.
    started: u64,
    is_done: bool,
    said: String,
}

/// Starts the process, and kills it this long after it began, if at all.
fn live(folder: &Path, first: u64, end: u64, after: Option<Duration>) -> Life {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed::killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .env(END, end.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut stderr = child.stderr.take().unwrap();
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        let _ = stderr.read_to_string(&mut said);
        said
    });
    let child = Arc::new(parking_lot::Mutex::new(child));
    let (mut started, mut is_done) = (BTreeSet::new(), false);
    let (ends, has_ended) = std::sync::mpsc::channel::<()>();
    let mut has_ended = Some(has_ended);
    for line in lines.map_while(Result::ok) {
        match line.split_once(' ') {
            None if line == "ready" => {
                if let (Some(after), Some(has_ended)) = (after, has_ended.take()) {
                    let child = child.clone();
                    std::thread::spawn(move || {
                        let _ = has_ended.recv_timeout(after);
                        let _ = child.lock().kill();
                    });
                }
            }
            None => is_done |= line == "done",
            Some(("started", number)) => started.extend(number.parse::<u64>()),
            Some(_) => {}
        }
    }
    drop(ends);
    let _ = child.lock().wait();
    // Several publish at a time: there may be gaps before the last one.
    let started = (first..end).find(|number| !started.contains(number)).unwrap_or(end);
    Life { started, is_done, said: said.join().unwrap() }
}

#[test]
fn every_saga_ends_and_every_effect_is_there_once() {
    let set = |variable: &str| std::env::var_os(variable).is_some();
    let is_proved = set("NEXUS_PROVE_TIMES") || set("NEXUS_PROVE_SECONDS");
    let (sagas, seconds) = match is_proved {
        true => (SAGAS_PROVED, SECONDS_PROVED),
        false => (SAGAS, SECONDS),
    };
    let folder = std::env::temp_dir().join(format!("nexus-killed-sagas-{}", std::process::id()));
    let folder = Folder(folder);
    std::fs::create_dir_all(&folder.0).unwrap();
    let (began, time) = (Instant::now(), Duration::from_secs(seconds));
    let (mut kills, mut started) = (0u64, 0);
    while began.elapsed() < time {
        // Some at a time, so that there is always something to kill.
        let part = began.elapsed().as_secs_f64() / time.as_secs_f64();
        let end = ((sagas as f64 * part) as u64 + 8).clamp(started, sagas);
        let life = live(&folder.0, started, end, Some(LIFE));
        assert!(!life.said.contains("panicked"), "{}", life.said);
        started = life.started;
        kills += 1;
    }
    let last = live(&folder.0, started, sagas, None);
    assert!(last.is_done, "{}", last.said);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let restarts = runtime.block_on(check(&folder.0, sagas));
    println!("proved sagas: {sagas} sagas, {kills} kills, {restarts} steps interrupted");
}

/// Whether all have ended as they should; how often a step was interrupted.
async fn check(folder: &Path, sagas: u64) -> u64 {
    let store = Arc::new(Store::open(folder.join("events")).unwrap());
    let bus = Bus::builder().store(store).open().await.unwrap();
    let all = Sagas::new(&bus);
    assert!(all.list(&SagaFilter::new()).await.unwrap().is_empty());
    let ended = all.list(&SagaFilter::new().ended().limit(usize::MAX)).await.unwrap();
    let by_key: BTreeMap<_, &Instance> =
        ended.iter().map(|saga| (saga.key.to_string(), saga)).collect();
    let missing: Vec<_> = (0..sagas).filter(|number| !by_key.contains_key(&id(*number))).collect();
    assert_eq!((ended.len() as u64, missing), (sagas, vec![]));
    for number in 0..sagas {
        let saga = by_key[&id(number)];
        let wanted = if is_taken_back(number) { "compensated" } else { "completed" };
        assert_eq!(saga.status.as_str(), wanted, "{saga:?}");
    }
    let letters = bus.dead_letters().unwrap().stats();
    assert_eq!(letters.letters, 0);
    let done = World::open(&folder.join("world")).done().await;
    assert_eq!(done, (0..sagas).flat_map(keys).collect());
    let steps = ended.iter().flat_map(|saga| &saga.steps);
    steps.map(|step| u64::from(step.restarts)).sum()
}
