//! What was measured, as lines of a Markdown table, against the bounds, and where criterion
//! would leave it, so that `cargo xtask bench` keeps and compares it like any other benchmark.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;

use crate::run::{Measured, Stalled};
use crate::server::FLAT_OUT;

const P99_RATIO_MAX: f64 = 1.2;
const RSS_GROWTH_MIB_MAX: f64 = 8.0;
const CLOSE_SECONDS_MAX: f64 = 1.0;
const CLOSE_CODE: u16 = 1013;

pub(crate) const HEAD: &str = "\
| run | events/s | held back s | delivered | p50 ms | p99 ms | p99.9 ms | max ms | p99 of the first 5,000 ms | RSS before MiB | after | peak | server CPU s | µs per delivery | stalled: queue full s | closed s | code | it had read |
|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// A rate in words.
pub(crate) fn pace(rate: u64) -> String {
    match rate {
        FLAT_OUT => "as fast as the readers take them".to_owned(),
        rate => format!("{rate} a second"),
    }
}

/// Events in a second, as reached.
fn rate(measured: &Measured) -> f64 {
    measured.plan.events as f64 / measured.seconds
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

fn growth(measured: &Measured) -> f64 {
    mib(measured.rss_kib.peak.saturating_sub(measured.rss_kib.before))
}

/// One run as a line of the table.
pub(crate) fn row(measured: &Measured) -> String {
    let rss = &measured.rss_kib;
    format!(
        "| {} | {:.0} | {:.1} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {:.1} | {:.2} | {} |",
        if measured.plan.is_stalled { "stalled" } else { "plain" },
        rate(measured),
        measured.held_seconds,
        delivered(measured),
        ms(measured.p50),
        ms(measured.p99),
        ms(measured.p999),
        ms(measured.max),
        ms(measured.first_p99),
        mib(rss.before),
        mib(rss.after),
        mib(rss.peak),
        measured.cpu.as_secs_f64(),
        measured.cpu.as_secs_f64() * 1e6 / measured.delivered as f64,
        measured.stalled.as_ref().map_or_else(|| "- | - | - | -".to_owned(), end_of_stalled),
    )
}

fn delivered(measured: &Measured) -> String {
    let wanted = measured.plan.events * measured.plan.readers as u64;
    match measured.delivered {
        all if all == wanted => format!("all {all}"),
        some => format!("{some} of {wanted}"),
    }
}

fn end_of_stalled(stalled: &Stalled) -> String {
    let (code, read) = match &stalled.found {
        Ok((events, code)) => (code.to_string(), events.to_string()),
        Err(error) => (format!("none: {error:#}"), "-".to_owned()),
    };
    let Stalled { full_seconds, gone_seconds, dropped, reason, .. } = stalled;
    let closed = format!("{gone_seconds:.3} {reason}, {dropped} dropped");
    format!("{full_seconds:.3} | {closed} | {code} | {read}")
}

type Column = fn(&Measured) -> f64;

/// The medians of both kinds of runs, and the bounds.
pub(crate) fn summary(all: &[Measured]) -> String {
    let mut text = String::new();
    let columns: [(&str, Column); 4] = [
        ("p50 ms", p50),
        ("p99 ms", p99),
        ("p99 of the first 5,000 ms", first_p99),
        ("server CPU s", cpu),
    ];
    for (name, of) in columns {
        let (plain, stalled) = (median(all, false, of), median(all, true, of));
        let ratio = stalled / plain;
        let _ = write!(text, "{name}: plain {plain:.2}, stalled {stalled:.2}, ratio {ratio:.3}");
        let bound = if name.starts_with("p99") { held(ratio <= P99_RATIO_MAX) } else { "" };
        let _ = writeln!(text, "{bound}");
    }
    let (plain, stalled) = (most(all, false, growth), most(all, true, growth));
    let bound = held(stalled <= RSS_GROWTH_MIB_MAX);
    let _ = writeln!(text, "RSS growth: plain {plain:.1} MiB, stalled {stalled:.1} MiB{bound}");
    let ends = || all.iter().filter_map(|measured| measured.stalled.as_ref());
    let late = ends().map(|end| end.gone_seconds - end.full_seconds).fold(0.0, f64::max);
    let stalled = all.iter().filter(|measured| measured.plan.is_stalled).count();
    let told = ends().filter(|end| matches!(end.found, Ok((_, CLOSE_CODE)))).count();
    let bound = held(told == stalled && late <= CLOSE_SECONDS_MAX);
    let _ = writeln!(
        text,
        "closed with {CLOSE_CODE}: {told} of {stalled}, at most {late:.3} s after the queue was full{bound}"
    );
    text
}

fn held(is_held: bool) -> &'static str {
    if is_held { " (bound held)" } else { " (BOUND MISSED)" }
}

fn p50(measured: &Measured) -> f64 {
    ms(measured.p50)
}

fn p99(measured: &Measured) -> f64 {
    ms(measured.p99)
}

fn first_p99(measured: &Measured) -> f64 {
    ms(measured.first_p99)
}

fn cpu(measured: &Measured) -> f64 {
    measured.cpu.as_secs_f64()
}

fn values(all: &[Measured], is_stalled: bool, of: Column) -> Vec<f64> {
    all.iter().filter(|measured| measured.plan.is_stalled == is_stalled).map(of).collect()
}

fn most(all: &[Measured], is_stalled: bool, of: Column) -> f64 {
    values(all, is_stalled, of).into_iter().fold(0.0, f64::max)
}

fn median(all: &[Measured], is_stalled: bool, of: Column) -> f64 {
    let mut values = values(all, is_stalled, of);
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    f64::midpoint(low, high)
}

/// Leaves the p99 of both kinds of runs where criterion leaves its medians.
pub(crate) fn keep(rate: u64, all: &[Measured]) -> Result<()> {
    for (kind, is_stalled) in [("plain", false), ("stalled", true)] {
        let pace = if rate == FLAT_OUT { "flat-out".to_owned() } else { rate.to_string() };
        let name = format!("stalled-reader/p99-{kind}/{pace}");
        let folder = target()?.join("criterion").join(&name).join("new");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("benchmark.json"), json!({"full_id": name}).to_string())?;
        let p99 = json!({"median": {"point_estimate": median(all, is_stalled, p99) * 1e6}});
        fs::write(folder.join("estimates.json"), p99.to_string())?;
    }
    Ok(())
}

/// The folder this program was built in, `target/release/deps/stalled_reader-…`.
fn target() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(3).context("built outside a target folder")?;
    Ok(target.to_owned())
}
