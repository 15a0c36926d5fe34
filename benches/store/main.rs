//! What the durable store costs beside others that keep events on a disk, in one run: redb with a
//! row per event, SQLite, fjall, and a JetStream server where one is installed.
//!
//! `cargo xtask bench store -- [--quick] [--only append|written|read|open] [--peer NAME] [--save]`
//! prints tables; `--save` keeps them in `docs/benchmarks`. `--volume EVENTS` appends that many,
//! opens the store again and reads all of them back. Without any argument, as `cargo test
//! --benches` calls it, every peer has to show that it keeps what it is given, and nothing is
//! measured.

// A command line talks on standard output.
#![allow(clippy::print_stdout)]

mod append;
mod args;
mod disk;
mod goals;
mod open;
mod peers;
mod place;
mod process;
mod read;
mod report;
mod results;
mod rounds;
mod row;
mod volume;
mod written;

use std::path::Path;

use nexus_events_dispatch::store::Ack;
use tokio::runtime::{Builder, Runtime};

use crate::args::{Args, Mode, Part};
use crate::peers::Kind;
use crate::place::Place;
use crate::results::Results;
use crate::row::Pool;

/// Threads that publishers run on.
const WORKERS: usize = 2;

fn main() {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(complaint) => {
            println!("{complaint}\n{}", args::USAGE);
            std::process::exit(2);
        }
    };
    let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let (mut kinds, missing) = peers::all();
    kinds.retain(|kind| args.wants(kind.name));
    if let Some(missing) = missing {
        eprintln!("{missing}");
    }
    match &args.mode {
        Mode::Check => kinds.iter().for_each(|kind| check(&runtime, kind)),
        Mode::Measure => finish(measure(&runtime, &kinds, &args), args.save),
        Mode::Volume(events) => {
            let volume = Some(volume::measure(&runtime, *events));
            finish(Results { volume, ..Results::default() }, args.save);
        }
        Mode::Child { peer, folder, events, until_killed } => {
            let kind = kinds.iter().find(|kind| kind.name == peer).expect("a peer of this name");
            open::child(&runtime, kind, Path::new(folder), *events, *until_killed);
        }
    }
}

fn measure(runtime: &Runtime, kinds: &[Kind], args: &Args) -> Results {
    let (runs, quick) = (|part| args.runs(part), args.quick);
    Results {
        append: runs(Part::Append).then(|| append::measure(runtime, kinds, quick)),
        written: runs(Part::Written).then(|| written::measure(runtime, kinds, quick)),
        read: runs(Part::Read).then(|| read::measure(runtime, kinds, quick)),
        open: runs(Part::Open).then(|| open::measure(runtime, kinds, quick)),
        volume: None,
    }
}

fn finish(results: Results, save: bool) {
    println!("{}", report::markdown(&results));
    if save {
        report::save(results);
    }
}

/// A benchmark of something that is not kept is worth nothing.
fn check(runtime: &Runtime, kind: &Kind) {
    const ROWS: usize = 100;
    for (ack, mode) in kind.acks {
        let place = Place::new(kind.name);
        let peer = (kind.open)(place.path(), *ack, runtime.handle());
        let pool = Pool::new(0, ROWS);
        peer.commit(&pool.all()[..ROWS / 2]);
        for row in &pool.all()[ROWS / 2..] {
            runtime.block_on(peer.append(row.clone()));
        }
        // What was answered from memory may be shown later.
        if *ack != Ack::Memory {
            assert_eq!(peer.read(), ROWS as u64, "{}, {mode}", kind.name);
        }
        drop(peer);
        let keeps_all = *ack != Ack::Memory || kind.name == peers::OURS;
        if kind.embedded && keeps_all {
            let peer = (kind.open)(place.path(), *ack, runtime.handle());
            assert_eq!(peer.read(), ROWS as u64, "{}, {mode}, opened again", kind.name);
        }
    }
}
