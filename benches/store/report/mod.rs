//! What runs found, as Markdown, JSON and a plot.

mod markdown;
mod svg;

use std::fs;
use std::path::PathBuf;

pub(crate) use self::markdown::markdown;
use crate::place::root;
use crate::results::Results;

fn file(name: &str) -> PathBuf {
    root().join("docs/benchmarks").join(name)
}

/// What was kept before.
pub(crate) fn kept() -> Results {
    let text = fs::read_to_string(file("store.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// Keeps them in `docs/benchmarks`, beside the parts that are there from other runs.
pub(crate) fn save(results: Results) {
    let before = kept();
    let all = Results {
        append: results.append.or(before.append),
        written: results.written.or(before.written),
        read: results.read.or(before.read),
        open: results.open.or(before.open),
        volume: results.volume.or(before.volume),
    };
    let json = serde_json::to_string_pretty(&all).expect("results that are JSON");
    let write = |name: &str, text: &str| {
        fs::write(file(name), text).expect("a file that can be written");
    };
    write("store.json", &format!("{json}\n"));
    write("store.md", &markdown(&all));
    write("store.svg", &svg::svg(&all));
    println!("saved docs/benchmarks/store.md, store.json and store.svg");
}

/// Three digits that say something.
fn short(number: f64) -> String {
    match number {
        number if number.is_nan() => "–".to_owned(),
        number if number < 10.0 => format!("{number:.2}"),
        number if number < 100.0 => format!("{number:.1}"),
        number if number < 10_000.0 => format!("{number:.0}"),
        number if number < 1e6 => format!("{:.1} k", number / 1e3),
        number => format!("{:.2} M", number / 1e6),
    }
}
