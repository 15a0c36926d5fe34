//! How long it takes to open a log, one that was closed and one whose process was killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nexus_events_dispatch::store::Ack;
use tokio::runtime::Runtime;

use crate::peers::{Kind, Peer};
use crate::place::{self, Place};
use crate::read::{events, fill, weakest};
use crate::results::{Open, Part, Series, Watch};
use crate::rounds;
use crate::row::Row;

/// What a process says that is about to append until it is killed.
const READY: &str = "ready";

/// How long it may append.
const BEFORE_THE_END: Duration = Duration::from_millis(200);

pub(crate) fn measure(runtime: &Runtime, kinds: &[Kind], quick: bool) -> Part<Vec<Open>> {
    let mut watch = Watch::begin();
    watch.look_at_the_disk();
    let kinds: Vec<&Kind> =
        kinds.iter().filter(|kind| !kind.appends_only && kind.embedded).collect();
    let places: Vec<Place> = kinds.iter().map(|kind| Place::new(kind.name)).collect();
    let mut all: Vec<Open> = Vec::new();
    for (kind, place) in kinds.iter().zip(&places) {
        eprintln!("open: {} is filled", kind.name);
        let mut child = start(kind, place.path(), events(quick), false);
        child.wait().expect("an end");
        all.push(Open {
            peer: kind.name.to_owned(),
            events: events(quick),
            bytes: place::size(place.path()),
            clean_ms: Series::default(),
            killed_ms: Series::default(),
        });
    }
    for round in 0..rounds::of(quick) {
        for at in rounds::order(kinds.len(), round) {
            eprintln!("open: round {round}, {}", kinds[at].name);
            let path = places[at].path();
            all[at].clean_ms.0.push(time(runtime, kinds[at], path));
            kill(start(kinds[at], path, 0, true));
            all[at].killed_ms.0.push(time(runtime, kinds[at], path));
        }
    }
    watch.end(all)
}

/// Milliseconds until it is open; it is closed again.
fn time(runtime: &Runtime, kind: &Kind, path: &Path) -> f64 {
    let began = Instant::now();
    let peer = (kind.open)(path, Ack::Synced, runtime.handle());
    let taken = began.elapsed();
    drop(peer);
    taken.as_secs_f64() * 1e3
}

fn start(kind: &Kind, folder: &Path, events: u64, until_killed: bool) -> Child {
    let program = std::env::current_exe().expect("the path of this program");
    Command::new(program)
        .arg("--child")
        .arg(kind.name)
        .arg(folder)
        .arg(events.to_string())
        .arg(until_killed.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a process")
}

fn kill(mut child: Child) {
    let said = child.stdout.take().expect("its output");
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).expect("a line");
    assert_eq!(line.trim(), READY, "it appends");
    std::thread::sleep(BEFORE_THE_END);
    child.kill().expect("a process to kill");
    child.wait().expect("an end");
}

/// The process that is started above.
pub(crate) fn child(runtime: &Runtime, kind: &Kind, folder: &Path, events: u64, killed: bool) {
    let ack = if killed { Ack::Synced } else { weakest(kind) };
    let peer: Box<dyn Peer> = (kind.open)(folder, ack, runtime.handle());
    fill(&*peer, events);
    if !killed {
        return;
    }
    println!("{READY}");
    for number in 0.. {
        peer.commit(&[Arc::new(Row::new(number))]);
    }
}
