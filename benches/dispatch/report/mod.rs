//! What a run found, as Markdown, JSON and a plot.

mod json;
mod markdown;
mod svg;

use std::fs;
use std::path::Path;

pub(crate) use self::markdown::markdown;
use crate::allocations::Counted;
use crate::cell::Series;
use crate::latency::Latency;
use crate::machine::{self, Machine};

/// A part that was not run is empty.
#[derive(Default)]
pub(crate) struct Results {
    pub(crate) inline: Vec<Series>,
    pub(crate) queued: Vec<Series>,
    pub(crate) latencies: Vec<Latency>,
    pub(crate) allocations: Vec<Counted>,
}

/// Keeps them in `docs/benchmarks`.
pub(crate) fn save(results: &Results, machine: &Machine) {
    let folder = machine::root().join("docs/benchmarks");
    fs::create_dir_all(&folder).expect("a folder for the results");
    let write = |name: &str, text: &str| {
        fs::write(Path::join(&folder, name), text).expect("a file that can be written");
    };
    write("dispatch.md", &markdown(results, machine));
    write("dispatch.json", &json::json(results, machine));
    write("dispatch.svg", &svg::svg(results));
    println!("saved docs/benchmarks/dispatch.md, dispatch.json and dispatch.svg");
}

/// Two or three digits that say something.
fn short(nanoseconds: f64) -> String {
    if nanoseconds < 100.0 { format!("{nanoseconds:.1}") } else { format!("{nanoseconds:.0}") }
}
