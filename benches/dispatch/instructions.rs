//! Instructions per publish, counted by valgrind: this binary runs itself for a number of events
//! and for twice as many; the difference is what they cost. Unlike time, that number is the same
//! on a busy machine. Handlers on tasks run on the producer's thread here.

use std::process::Command;

use crate::args::{Args, Part};
use crate::cell::{Cell, Group, HANDLERS};
use crate::queued::Run;
use crate::{inline, peers};

const EVENTS: u64 = 2_000;

/// Publishes so many events and ends.
pub(crate) fn exactly(cell: &Cell, events: u64) {
    match cell.group {
        Group::Inline => {
            let found = peers::inline().into_iter().find(|peer| peer.name == cell.peer);
            let peer = found.expect("a peer of this name");
            let started = (peer.start)(cell.handlers);
            inline::exactly(&*started, events);
        }
        Group::Queued => {
            let found = peers::queued().into_iter().find(|peer| peer.name == cell.peer);
            let peer = found.expect("a peer of this name");
            Run::start_on_one_thread(&peer, cell.handlers).run(events);
        }
    }
}

pub(crate) fn report(args: &Args) {
    let mut cells = Vec::new();
    let mut add = |group, peer: &str| {
        if !args.wants(peer) {
            return;
        }
        let peer = peer.to_owned();
        cells.extend(HANDLERS.map(|handlers| Cell {
            group,
            peer: peer.clone(),
            handlers,
            producers: 1,
        }));
    };
    if args.runs(Part::Inline) {
        peers::inline().iter().for_each(|peer| add(Group::Inline, peer.name));
    }
    if args.runs(Part::Queued) {
        let peers = peers::queued();
        peers.iter().filter(|peer| peer.one_thread).for_each(|peer| add(Group::Queued, peer.name));
    }
    println!("instructions per publish");
    for cell in cells {
        let name = cell.to_string();
        match (count(&cell, EVENTS), count(&cell, 2 * EVENTS)) {
            (Ok(once), Ok(twice)) => {
                println!("{name:<48} {:>10}", twice.saturating_sub(once) / EVENTS);
            }
            (Err(error), _) | (_, Err(error)) => {
                println!("{name:<48} {error}");
                return;
            }
        }
    }
}

/// All instructions of a run, from valgrind's last line, `Collected : 123`.
fn count(cell: &Cell, events: u64) -> Result<u64, String> {
    let binary = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(binary)
        .args(["--exactly", &cell.to_string(), &events.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected :"));
    let number = collected.and_then(|(_, number)| number.trim().parse().ok());
    number.ok_or_else(|| format!("valgrind counted nothing: {text}"))
}
