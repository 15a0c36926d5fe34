//! What a publish costs beside what others do with the same event, in one run: hand-written loops,
//! other buses, and the queues that programs build their own bus from.
//!
//! `cargo bench -p nexus-events-benches --bench dispatch -- [--quick] [--only inline|queued|latency|alloc] [--peer NAME] [--save]`
//! prints tables; `--save` keeps them in `docs/benchmarks`. `--instructions` counts instructions
//! instead, with valgrind. Without any argument, as `cargo test --benches` calls it, every peer has to
//! show that all its handlers run, and nothing is measured.

// A command line talks on standard output.
#![allow(clippy::print_stdout)]

mod allocations;
mod args;
mod carried;
mod cell;
mod event;
mod goals;
mod histogram;
mod inline;
mod instructions;
mod latency;
mod machine;
mod peers;
mod queued;
mod report;
mod rounds;
mod sink;
mod source;

use crate::args::{Args, Mode, Part};
use crate::report::Results;

fn main() {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(complaint) => {
            println!("{complaint}\n{}", args::USAGE);
            std::process::exit(2);
        }
    };
    match args.mode.clone() {
        Mode::Check => rounds::check(),
        Mode::Measure => measure(&args),
        Mode::Instructions => instructions::report(&args),
        Mode::Exactly { cell, events } => instructions::exactly(&cell, events),
        Mode::CountAllocations => allocations::print(args.quick),
    }
}

fn measure(args: &Args) {
    let mut results = Results::default();
    if args.runs(Part::Inline) {
        results.inline = rounds::inline(args);
    }
    if args.runs(Part::Queued) {
        results.queued = rounds::queued(args);
    }
    if args.runs(Part::Latency) {
        results.latencies = latency::all(args);
    }
    if args.runs(Part::Alloc) {
        results.allocations = allocations::count(args.quick);
    }
    let machine = machine::Machine::here();
    println!("{}", report::markdown(&results, &machine));
    if args.save {
        report::save(&results, &machine);
    }
}
