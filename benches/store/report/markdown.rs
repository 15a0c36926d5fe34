//! Results for people: what was measured, who is ahead, which goals are met.

use std::fmt::Write;

use nexus_events_dispatch::store::Ack;

use super::short;
use crate::append::PUBLISHERS;
use crate::goals;
use crate::peers::OURS;
use crate::results::{Append, Circumstances, Results, Series, Volume};
use crate::written::BATCHES;

const INTRODUCTION: &str = "\
# The store, beside others

Durable appends, reading, opening and what is written, on one disk in turn. Every event has 400
bytes of payload. Ours is a whole event beside that, with its id, type, source, conversation, key
and times; the others store the payload alone, and look it up by type, key and conversation in three
indexes of their own, JetStream in none. *Grouped* peers have a queue and one thread that commits
together whatever waits; *each its own commit* is what one writes first. JetStream is a server
beside the benchmark and also pays for the way over the loopback interface. How each peer is used
stands in its file in `benches/store/peers`. Made by `cargo xtask bench store -- --save`, and parts
of it by `--only`, so each part says where it was made.

![Synced events per second](store.svg)
";

const APPEND: &str = "\
So many publishers, each of which waits for its answer before its next event. Events per second, the
median of all rounds, with the slowest and the fastest; peers take turns, every second round
backwards. *Events a commit* is how many share one on average. The last two columns are known where
syncs are counted: how long each took, and how many events there would be each second if each took
two milliseconds, as on a disk that syncs 500 times a second.
";

const WRITTEN: &str = "\
Bytes per event that are handed to the system, after the first 20,000 events, by commits of 1, 16 and
256 events; in brackets those that the system counts towards the disk, which are whole pages. What a
peer writes later, when it merges or checkpoints, is in it as far as it happens meanwhile. A server's
bytes also have those that it sends over its sockets.
";

const READ: &str = "\
From the oldest event to the newest; ours as events with all their fields, others as offset and
bytes. The file is in the memory of the system.
";

const OPEN: &str = "\
Milliseconds until a log is open that was closed before, and one whose process was killed while it
appended.
";

pub(crate) fn markdown(results: &Results) -> String {
    let mut page = INTRODUCTION.to_owned();
    goal_table(&mut page, results);
    if let Some(part) = &results.append {
        head(&mut page, "Append", APPEND, &part.circumstances);
        for ack in [Ack::Synced, Ack::Buffered, Ack::Memory] {
            appends(&mut page, ack, &part.results);
        }
    }
    if let Some(part) = &results.written {
        head(&mut page, "Bytes written per event", WRITTEN, &part.circumstances);
        let columns: Vec<String> = BATCHES.iter().map(ToString::to_string).collect();
        table(&mut page, "events a commit", &columns);
        for first in part.results.iter().filter(|row| row.batch == BATCHES[0]) {
            let of_peer = part.results.iter().filter(|row| row.peer == first.peer);
            let cells = of_peer.map(|row| format!("{:.0} ({:.0})", row.written, row.to_disk));
            row(&mut page, &first.peer, &cells.collect::<Vec<_>>());
        }
    }
    if let Some(part) = &results.read {
        head(&mut page, "Read", READ, &part.circumstances);
        let events = part.results.first().map_or(0, |row| row.events);
        table(&mut page, &format!("{events} events"), &["events/s".to_owned()]);
        for one in &part.results {
            row(&mut page, &one.peer, &[figure(&one.events_per_second)]);
        }
    }
    if let Some(part) = &results.open {
        head(&mut page, "Open", OPEN, &part.circumstances);
        let events = part.results.first().map_or(0, |row| row.events);
        let columns = ["closed before, ms", "killed before, ms", "file, MB"].map(str::to_owned);
        table(&mut page, &format!("{events} events"), &columns);
        for one in &part.results {
            let size = format!("{:.0}", one.bytes as f64 / 1e6);
            row(&mut page, &one.peer, &[figure(&one.clean_ms), figure(&one.killed_ms), size]);
        }
    }
    if let Some(part) = &results.volume {
        head(&mut page, "Volume", "", &part.circumstances);
        page.push_str(&volume(&part.results));
    }
    page
}

fn head(page: &mut String, title: &str, text: &str, at: &Circumstances) {
    let _ = write!(page, "\n## {title}\n\n{text}");
    let syncs = at
        .syncs_per_second
        .iter()
        .map(|(bytes, rate)| format!("{} of {} KiB", figure(rate), bytes / 1024));
    let _ = write!(
        page,
        "\n- Machine: {}, {} cores; others used {:.1} of them meanwhile\n\
         - Writes with `fdatasync` per second: {}\n- {}, commit {}\n- {}\n\n",
        at.cpu,
        at.cores,
        at.others_cores,
        syncs.collect::<Vec<_>>().join(", "),
        at.rustc,
        at.commit,
        at.versions,
    );
}

fn table(page: &mut String, first: &str, columns: &[String]) {
    let _ = writeln!(page, "| {first} | {} |", columns.join(" | "));
    let _ = writeln!(page, "|---{}|", "|---:".repeat(columns.len()));
}

fn row(page: &mut String, peer: &str, cells: &[String]) {
    let peer = if peer == OURS { format!("**{peer}**") } else { peer.to_owned() };
    let _ = writeln!(page, "| {peer} | {} |", cells.join(" | "));
}

fn figure(series: &Series) -> String {
    let (lowest, highest) = (short(series.lowest()), short(series.highest()));
    match series.0.len() {
        0 => "–".to_owned(),
        1 => short(series.median()),
        _ => format!("{} ({lowest}–{highest})", short(series.median())),
    }
}

fn appends(page: &mut String, ack: Ack, rows: &[Append]) {
    let _ = write!(page, "\n### Answered when {}\n\n", ack.as_str());
    let mut columns: Vec<String> = PUBLISHERS
        .iter()
        .map(|publishers| {
            format!("{publishers} publisher{}", if *publishers == 1 { "" } else { "s" })
        })
        .collect();
    columns.extend(["events a commit", "ms a sync", "256 at 500 syncs/s"].map(str::to_owned));
    table(page, "events/s", &columns);
    let many = PUBLISHERS[PUBLISHERS.len() - 1];
    for last in rows.iter().filter(|row| row.ack == ack.as_str() && row.publishers == many) {
        let of_peer = rows.iter().filter(|row| row.peer == last.peer && row.ack == last.ack);
        let mut cells: Vec<String> = of_peer.map(|row| figure(&row.events_per_second)).collect();
        let events = last.events_per_second.median() / last.commits_per_second.median();
        cells.push(short(events));
        cells.push(figure(&last.sync_ms));
        cells.push(figure(&last.at_500_syncs));
        let peer = if last.peer == OURS {
            OURS.to_owned()
        } else {
            format!("{}, {}", last.peer, last.mode)
        };
        row(page, &peer, &cells);
    }
}

fn goal_table(page: &mut String, results: &Results) {
    let goals = goals::all(results);
    let _ = write!(page, "\n## Goals\n\n");
    table(page, "ours", &["goal", "is", ""].map(str::to_owned));
    for goal in &goals {
        let bound = if goal.at_least { "at least" } else { "at most" };
        let verdict = if goal.is_met() { "met" } else { "**missed**" };
        let cells = [format!("{bound} {}", short(goal.goal)), short(goal.is), verdict.to_owned()];
        row(page, &goal.what, &cells);
    }
    let met = goals.iter().filter(|goal| goal.is_met()).count();
    let _ = writeln!(page, "\n{met} goals met, {} missed.", goals.len() - met);
}

fn volume(volume: &Volume) -> String {
    let Volume { events, append_seconds, close_seconds, open_seconds, read_seconds, .. } = volume;
    let rate = |seconds: f64| short(*events as f64 / seconds);
    let mega = |bytes: u64| format!("{:.0} MB", bytes as f64 / 1e6);
    format!(
        "{events} events in appends of 1,024, eight of them on their way: appended and synced in \
         {append_seconds:.1} s ({} events/s), closed in {close_seconds:.2} s, opened again in \
         {open_seconds:.2} s, all of them read back and found equal in {read_seconds:.1} s ({} \
         events/s, the comparison with them). The file has {}. Most memory of the process: {} after \
         the appends, {} at the end.\n",
        rate(*append_seconds),
        rate(*read_seconds),
        mega(volume.file_bytes),
        mega(volume.peak_after_append),
        mega(volume.peak_after_read),
    )
}
