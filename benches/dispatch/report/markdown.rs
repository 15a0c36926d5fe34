//! Results for people: what was measured, who is ahead, which goals are met.

use std::fmt::Write;

use super::{Results, short};
use crate::cell::{Cell, Group, HANDLERS, PRODUCERS, Series};
use crate::goals::{self, Goal};
use crate::latency;
use crate::machine::Machine;

const INTRODUCTION: &str = "\
# Dispatch, beside others

What a publish costs, in nanoseconds. Every peer carries the same event: a 16-byte id, the type
`workflow.completed`, a source and 200 bytes of payload behind an `Arc`. Every handler reads the id
and one byte of the payload. Cells are the median of all rounds, with the fastest and the slowest;
the peers of a column took turns. Made by `cargo bench -p nexus-events-benches --bench dispatch --
--save`; how each peer is used stands in its file in `benches/dispatch/peers`.

![Nanoseconds per publish, one producer](dispatch.svg)
";

const INLINE: &str = "\
Handlers run on the producer's stack. A cell is the time one publish takes its producer, event
included; two producers publish at the same time from two threads. *Our event* is stamped by a bus,
with id and time of day, and has fifteen fields; the *lean event* has an id from a counter, no time,
and no more than what is read. A peer whose name says nothing of it carries the lean one. Which
ratios that leaves within reach is in [design 0012](../design/0012-what-dispatch-is-compared-with.md).
`bevy_ecs` has one owner, so two producers share it behind a mutex. `agent-event-bus` carries JSON
values only.
";

const QUEUED: &str = "\
Handlers run elsewhere. A cell is the time from the first publish to the end of the last handler,
divided by the events of all producers, on two tokio workers. Queues hold 1,024 events and a
producer waits for room, so nothing is lost: `tokio::sync::broadcast` cannot wait, so its producer
looks at the backlog every 64 events and yields while it is near the capacity; `event_bus_rs`
refuses, so its producer tries again; `actix-broker` has no bound. `disruptor` has a thread that
spins, and its producers are threads, too. `kameo pubsub` lies in each producer's own task, the
`actor` is one for all.
";

const LATENCY: &str = "\
Microseconds from publish to handler, one producer on a thread of its own that sleeps between
events.
";

const ALLOCATIONS: &str = "\
Allocations and reallocations per publish by all threads, one producer, counted in a build of its
own.
";

pub(crate) fn markdown(results: &Results, machine: &Machine) -> String {
    let mut page = INTRODUCTION.to_owned();
    head(&mut page, results, machine);
    group(&mut page, "Inline", INLINE, Group::Inline, &results.inline);
    group(&mut page, "Queued", QUEUED, Group::Queued, &results.queued);
    latencies(&mut page, results);
    allocations(&mut page, results);
    page
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

fn head(page: &mut String, results: &Results, machine: &Machine) {
    let rounds = results.inline.iter().chain(&results.queued).map(Series::rounds).min();
    let versions: Vec<String> =
        machine.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let _ = write!(
        page,
        "\n- Machine: {}, {} cores\n- {}, commit {}\n- Rounds: {}\n- Peers: {}\n",
        machine.cpu,
        machine.cores,
        machine.rustc,
        machine.commit,
        rounds.unwrap_or(0),
        versions.join(", "),
    );
}

fn group(page: &mut String, title: &str, text: &str, group: Group, series: &[Series]) {
    if series.is_empty() {
        return;
    }
    let _ = write!(page, "\n## {title}\n\n{text}");
    for producers in PRODUCERS {
        let plural = if producers == 1 { "One producer" } else { "Two producers" };
        let _ = write!(page, "\n### {title}: {}\n\n", plural.to_lowercase());
        table(page, series, producers);
    }
    let _ = write!(page, "\n### {title}: goals\n\n");
    goal_table(page, &goals::of(group), series);
}

fn columns(page: &mut String, first: &str) {
    let heads: Vec<String> = HANDLERS.iter().map(|handlers| format!("K = {handlers}")).collect();
    line(page, &format!("| {first} | {} |", heads.join(" | ")));
    line(page, &format!("|---{}|", "|---:".repeat(heads.len())));
}

fn table(page: &mut String, series: &[Series], producers: usize) {
    columns(page, "ns per publish");
    for peer in peers(series) {
        let cells: Vec<String> = HANDLERS
            .into_iter()
            .map(|handlers| {
                let wanted = |cell: &Cell| {
                    cell.peer == peer && cell.handlers == handlers && cell.producers == producers
                };
                series
                    .iter()
                    .find(|series| wanted(&series.cell))
                    .map_or_else(|| "–".to_owned(), figure)
            })
            .collect();
        line(page, &format!("| {} | {} |", emphasized(peer), cells.join(" | ")));
    }
}

fn figure(series: &Series) -> String {
    format!("{} ({}–{})", short(series.median()), short(series.min()), short(series.max()))
}

fn emphasized(peer: &str) -> String {
    if peer.starts_with("ours") { format!("**{peer}**") } else { peer.to_owned() }
}

/// In the order in which they were measured.
fn peers(series: &[Series]) -> Vec<&str> {
    let mut peers: Vec<&str> = Vec::new();
    for series in series {
        if !peers.contains(&series.cell.peer.as_str()) {
            peers.push(&series.cell.peer);
        }
    }
    peers
}

/// Goals come in threes, one per number of handlers.
fn goal_table(page: &mut String, goals: &[Goal], series: &[Series]) {
    columns(page, "ratio of medians, goal");
    for row in goals.chunks(HANDLERS.len()) {
        let [first, ..] = row else { continue };
        let (cell, other) = (&first.cell, &first.other);
        let title = if cell.peer == other.peer {
            format!("{}: two producers / one", cell.peer)
        } else {
            let count = if cell.producers == 1 { "one producer" } else { "two producers" };
            format!("{} / {}, {count}", cell.peer, other.peer)
        };
        let verdicts: Vec<String> = row.iter().map(|goal| goal.verdict(series)).collect();
        line(page, &format!("| {title} | {} |", verdicts.join(" | ")));
    }
    let ratios = goals.iter().filter_map(|goal| Some((goal, goal.ratio(series)?)));
    let (met, missed): (Vec<_>, Vec<_>) = ratios.partition(|(goal, ratio)| goal.is_met(*ratio));
    line(page, &format!("\n{} goals met, {} missed.", met.len(), missed.len()));
}

fn latencies(page: &mut String, results: &Results) {
    if results.latencies.is_empty() {
        return;
    }
    let _ = write!(page, "\n## Latency at {} events/s\n\n{LATENCY}\n", latency::PER_SECOND);
    line(page, "| µs | K | p50 | p99 | max |");
    line(page, "|---|---:|---:|---:|---:|");
    let micros = |nanoseconds: u64| format!("{:.1}", nanoseconds as f64 / 1e3);
    for latency in &results.latencies {
        let peer = emphasized(latency.peer);
        let times = [latency.p50, latency.p99, latency.max].map(micros).join(" | ");
        line(page, &format!("| {peer} | {} | {times} |", latency.handlers));
    }
}

fn allocations(page: &mut String, results: &Results) {
    if results.allocations.is_empty() {
        return;
    }
    let _ = write!(page, "\n## Allocations\n\n{ALLOCATIONS}");
    for (title, group) in [("inline", Group::Inline), ("queued", Group::Queued)] {
        line(page, "");
        columns(page, title);
        let of_group = || results.allocations.iter().filter(|(cell, _)| cell.group == group);
        for (first, _) in of_group().filter(|(cell, _)| cell.handlers == HANDLERS[0]) {
            let numbers: Vec<String> = of_group()
                .filter(|(cell, _)| cell.peer == first.peer)
                .map(|(_, number)| format!("{number:.2}"))
                .collect();
            line(page, &format!("| {} | {} |", emphasized(&first.peer), numbers.join(" | ")));
        }
    }
}
