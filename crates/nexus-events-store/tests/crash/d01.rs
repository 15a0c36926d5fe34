//! A process that is killed while many publish, again and again on one file.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read as _, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_events_dispatch::store::{Append, EventStore, Read};
use nexus_events_model::Event;
use nexus_events_store::Store;
use parking_lot::Mutex;
use serde_json::json;

use crate::random::Random;
use crate::tally::prove;
use crate::view::events;

const KILLS: u64 = 300;
/// Kills on one file, which grows meanwhile.
const KILLS_OF_A_FILE: u64 = 30;
const PUBLISHERS: u64 = 64;

/// A process that is being started has, for a moment, all files of this one, and their locks.
static STARTS_OR_HAS_A_FILE: Mutex<()> = Mutex::new(());

/// Tells the process to publish into this file.
const FILE: &str = "NEXUS_TEST_KILLED";
const FIRST: &str = "NEXUS_TEST_FIRST";

/// What runs in the process that is killed: it says each number when it is answered.
#[test]
fn d01_killed() {
    let Some(path) = std::env::var_os(FILE) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let store = Arc::new(Store::open(path).unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let publishers: Vec<_> =
            (0..PUBLISHERS).map(|at| tokio::spawn(publish(store.clone(), first + at))).collect();
        for publisher in publishers {
            publisher.await.unwrap();
        }
    });
}

async fn publish(store: Arc<Store>, first: u64) {
    for round in 0.. {
        let number = first + round * PUBLISHERS;
        let appended = store.append(Append::of(event(number))).await.unwrap();
        let offset = appended.first.number();
        // One write, so that no line is cut in two.
        std::io::stdout().write_all(format!("\nanswered {number} {offset}\n").as_bytes()).unwrap();
    }
}

fn event(number: u64) -> Event {
    Event::builder("order.created")
        .id(format!("{number:016}"))
        .timestamp_text("2026-01-02T03:04:05.678Z")
        .payload(json!({ "number": number, "text": "x".repeat((number % 400) as usize) }))
        .build()
        .unwrap()
}

/// Starts the process, kills it this long after its first answer, and gives all of its answers.
fn killed(path: &Path, first: u64, after: Duration) -> Result<HashMap<u64, u64>, String> {
    let starts = STARTS_OR_HAS_A_FILE.lock();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "d01::d01_killed", "--nocapture"])
        .env(FILE, path)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(starts);
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut answers, mut until) = (HashMap::new(), None);
    // A line that was not written to its end was not said.
    for line in lines.map_while(Result::ok) {
        let mut words = line.split(' ');
        if words.next() != Some("answered") {
            continue;
        }
        let mut number = || words.next().and_then(|word| word.parse().ok());
        let (Some(number), Some(offset)) = (number(), number()) else { continue };
        answers.insert(number, offset);
        let until = *until.get_or_insert_with(|| Instant::now() + after);
        if Instant::now() >= until {
            let _ = child.kill();
        }
    }
    let mut said = String::new();
    let _ = child.stderr.take().unwrap().read_to_string(&mut said);
    let _ = child.wait();
    match answers.is_empty() {
        true => Err(format!("it answered nobody: {said}")),
        false => Ok(answers),
    }
}

struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Kills it some times on one file, which grows.
fn kills(seed: u64, counts: &mut crate::tally::Counts) -> Result<(), String> {
    let mut random = Random::new(seed);
    let name = format!("nexus-killed-{}-{seed}", std::process::id());
    let file = File(std::env::temp_dir().join(name));
    let (mut all, mut tried) = (HashMap::new(), 0);
    for _ in 0..KILLS_OF_A_FILE {
        let after = Duration::from_micros(5_000 + random.below(45_000) as u64);
        let answers = killed(&file.0, tried, after)?;
        // The last ones may have been tried without an answer.
        tried = answers.keys().max().unwrap_or(&tried) + 2 * PUBLISHERS;
        all.extend(answers);
        let _has_a_file = STARTS_OR_HAS_A_FILE.lock();
        let began = Instant::now();
        let store = Store::open(&file.0).map_err(|error| format!("it does not open: {error}"))?;
        let took = began.elapsed();
        check(&store, &all, tried)?;
        *counts.entry("kills").or_default() += 1;
        *counts.entry("openings that took more than 500 ms").or_default() +=
            u64::from(took > Duration::from_millis(500));
    }
    *counts.entry("answered appends").or_default() += all.len() as u64;
    Ok(())
}

/// Whether what was answered is there, at its offset and as it was, and nothing that nobody tried.
fn check(store: &Store, answers: &HashMap<u64, u64>, tried: u64) -> Result<(), String> {
    let there = events(store, Read::all()).map_err(|error| error.to_string())?;
    let mut found = HashMap::new();
    for (stored, offset) in there.iter().zip(1..) {
        if stored.offset.number() != offset {
            return Err(format!("offset {} is where {offset} should be", stored.offset));
        }
        let number: u64 = stored.event.id().to_string().parse().unwrap_or(u64::MAX);
        if number >= tried || stored.event != event(number) {
            return Err(format!("nobody published {:?}", stored.event));
        }
        if found.insert(number, offset).is_some() {
            return Err(format!("{number} is there twice"));
        }
    }
    match answers.iter().find(|(number, offset)| found.get(number) != Some(offset)) {
        Some((number, offset)) => {
            let is = found.get(number);
            Err(format!("{number} was answered at offset {offset}, and is at {is:?}"))
        }
        None => Ok(()),
    }
}

#[test]
fn d01_a_killed_process_has_lost_nothing_that_was_answered() {
    prove("kill", KILLS / KILLS_OF_A_FILE, kills);
}

#[test]
fn d01_an_answer_that_is_not_there_is_noticed() {
    let file = File(std::env::temp_dir().join(format!("nexus-unkilled-{}", std::process::id())));
    let store = Store::open(&file.0).unwrap();
    crate::wait::wait(store.append(Append::of(event(7)))).unwrap();
    assert!(check(&store, &HashMap::from([(7, 1)]), 8).is_ok());
    for (answers, tried) in [(vec![(7, 2)], 8), (vec![(7, 1), (6, 2)], 8), (vec![], 7)] {
        assert!(check(&store, &answers.into_iter().collect(), tried).is_err());
    }
}
