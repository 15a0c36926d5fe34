//! The figures as a table, and kept.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use crate::process::{first_line, machine};
use crate::run::{Measured, Plan};

const HEAD: &str = "| policy | published | handled | dropped | rejected | accounted for | oldest waited at most | memory grew by |\n|---|---:|---:|---:|---:|---|---:|---:|";

pub(crate) fn head(plan: &Plan) -> String {
    format!(
        "{} events/s for a handler that takes {}/s, {} s each\n\n{HEAD}",
        plan.events_per_second, plan.handled_per_second, plan.seconds
    )
}

pub(crate) fn row(measured: &Measured) -> String {
    let accounted = measured.handled + measured.dropped + measured.rejected;
    let exact = if measured.published == accounted { "all" } else { "NOT ALL" };
    format!(
        "| {} | {} | {} | {} | {} | {exact} | {} ms | {} KiB |",
        measured.policy,
        measured.published,
        measured.handled,
        measured.dropped,
        measured.rejected,
        measured.wait_max.as_millis(),
        measured.growth_kib,
    )
}

/// Writes `docs/benchmarks/overload.md`.
pub(crate) fn keep(plan: &Plan, rows: &[Measured]) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut text = String::from("# Overload\n\nTen times as many events as one handler can take. ");
    text.push_str("The queue holds 1,024 events or 8 MiB. Every event is handled, dropped by the policy, or rejected; memory may grow by 64 MiB at most, or the benchmark fails. ");
    text.push_str(
        "A policy that blocks slows the publisher down, so fewer events are published.\n\n",
    );
    writeln!(text, "{}", head(plan))?;
    rows.iter().try_for_each(|measured| writeln!(text, "{}", row(measured)))?;
    writeln!(text, "\n- machine: {}", machine())?;
    writeln!(text, "- compiler: {}", first_line("rustc", &["--version"]))?;
    let commit = first_line("git", &["rev-parse", "--short=12", "HEAD"]);
    let changed = !first_line("git", &["status", "--porcelain"]).is_empty();
    writeln!(text, "- commit: {commit}{}", if changed { " with changes" } else { "" })?;
    text.push_str("- again: `cargo bench -p nexus-events-benches --bench overload -- --save`\n");
    let folder = root.join("docs/benchmarks");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("overload.md"), text)?;
    Ok(())
}
