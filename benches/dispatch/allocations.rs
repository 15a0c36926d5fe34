//! Allocations per publish. Counting disturbs what it counts, so it is done in another build of
//! this binary, with the feature `count-allocations`, which prints `cell TAB number` lines.

use std::path::Path;
use std::process::Command;

use crate::cell::Cell;

/// A cell with one producer and its allocations and reallocations per publish.
pub(crate) type Counted = (Cell, f64);

/// None when the other build fails; then it has said why.
pub(crate) fn count(quick: bool) -> Vec<Counted> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    command.args(["bench", "--quiet", "--bench", "dispatch", "--features", "count-allocations"]);
    command.args(["--", "--count-allocations"]).args(quick.then_some("--quick"));
    eprintln!("allocations: building the binary that counts");
    match command.output() {
        Ok(output) if output.status.success() => {
            String::from_utf8_lossy(&output.stdout).lines().filter_map(parse).collect()
        }
        Ok(output) => {
            println!("no allocations: {}", String::from_utf8_lossy(&output.stderr));
            Vec::new()
        }
        Err(error) => {
            println!("no allocations, cargo does not start: {error}");
            Vec::new()
        }
    }
}

fn parse(line: &str) -> Option<Counted> {
    let (cell, number) = line.split_once('\t')?;
    Some((Cell::parse(cell)?, number.parse().ok()?))
}

#[cfg(not(feature = "count-allocations"))]
pub(crate) fn print(_: bool) {
    println!("this build does not count: add --features count-allocations");
    std::process::exit(2);
}

#[cfg(feature = "count-allocations")]
pub(crate) use counting::print;

#[cfg(feature = "count-allocations")]
mod counting {
    use std::alloc::System;

    use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

    use crate::cell::{Cell, Group, HANDLERS};
    use crate::queued::Run;
    use crate::{inline, peers};

    #[global_allocator]
    static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

    pub(crate) fn print(quick: bool) {
        let events = if quick { 2_048 } else { 8_192 };
        for handlers in HANDLERS {
            for peer in peers::inline() {
                let started = (peer.start)(handlers);
                let run = |events| inline::exactly(&*started, events);
                line(Group::Inline, peer.name, handlers, per_publish(events, run));
            }
            for peer in peers::queued() {
                let mut started = Run::start(&peer, handlers, 1, false);
                let run = |events| {
                    started.run(events);
                };
                line(Group::Queued, peer.name, handlers, per_publish(events, run));
            }
        }
    }

    fn line(group: Group, peer: &str, handlers: usize, number: f64) {
        let cell = Cell { group, peer: peer.to_owned(), handlers, producers: 1 };
        println!("{cell}\t{number}");
    }

    /// What a run costs whatever its length is left out.
    fn per_publish(events: u64, mut run: impl FnMut(u64)) -> f64 {
        let mut count = |events| {
            let before = ALLOCATOR.stats();
            run(events);
            let made = ALLOCATOR.stats() - before;
            (made.allocations + made.reallocations) as f64
        };
        count(events);
        let (once, twice) = (count(events), count(2 * events));
        ((twice - once) / events as f64).max(0.0)
    }
}
