//! Results for programs. `median_ns` has the shape that `cargo xtask bench` compares.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Results;
use crate::cell::Series;
use crate::machine::Machine;

pub(super) fn json(results: &Results, machine: &Machine) -> String {
    let cells = || results.inline.iter().chain(&results.queued);
    let map = |value: fn(&Series) -> Value| -> BTreeMap<String, Value> {
        cells().map(|series| (series.cell.to_string(), value(series))).collect()
    };
    let latency: Vec<Value> = results
        .latencies
        .iter()
        .map(|latency| {
            json!({
                "peer": latency.peer,
                "handlers": latency.handlers,
                "p50_ns": latency.p50,
                "p99_ns": latency.p99,
                "max_ns": latency.max,
            })
        })
        .collect();
    let allocations: BTreeMap<String, f64> =
        results.allocations.iter().map(|(cell, number)| (cell.to_string(), *number)).collect();
    let all = json!({
        "machine": {"cpu": machine.cpu, "cores": machine.cores},
        "commit": machine.commit,
        "rustc": machine.rustc,
        "versions": machine.versions,
        "median_ns": map(|series| series.median().into()),
        "min_ns": map(|series| series.min().into()),
        "max_ns": map(|series| series.max().into()),
        "latency": latency,
        "allocations_per_publish": allocations,
    });
    format!("{all:#}\n")
}
