//! The table at the end.

use crate::demo::check::{Row, Verdict};
use crate::output::{grouped, plain};

/// More types than that are counted in the total only.
const ROWS_MAX: usize = 40;

pub(super) fn render(verdict: &Verdict, findings: &[String]) -> String {
    let mut text = heading();
    for (name, row) in verdict.rows.iter().take(ROWS_MAX) {
        text += &line(&plain(name), row, if row.holds(verdict.complete) { "ok" } else { "WRONG" });
    }
    if let Some(more @ 1..) = verdict.rows.len().checked_sub(ROWS_MAX) {
        text += &format!("and {more} more types\n");
    }
    text += &line("total without follow-ups", &verdict.total, "");
    text.push('\n');
    for finding in findings {
        text += &format!("{finding}\n");
    }
    let extent =
        if verdict.complete { "" } else { " for what was published; the replay was stopped early" };
    text += &match verdict.reasons().as_slice() {
        [] => format!("\nself-check holds{extent}: published = handled + cancelled + filtered\n"),
        reasons => format!("\nself-check FAILED\n  {}\n", reasons.join("\n  ")),
    };
    text
}

fn heading() -> String {
    format!(
        "{:<28}{:>12}{:>11}{:>10}{:>11}{:>10}\n",
        "event type", "in the data", "published", "handled", "cancelled", "filtered"
    )
}

fn line(name: &str, row: &Row, mark: &str) -> String {
    let expected = row.expected.map_or_else(|| "-".to_owned(), grouped);
    let [published, handled, cancelled, filtered] =
        [row.published, row.handled, row.cancelled, row.filtered].map(grouped);
    let line = format!(
        "{name:<28}{expected:>12}{published:>11}{handled:>10}{cancelled:>11}{filtered:>10}  {mark}"
    );
    format!("{}\n", line.trim_end())
}
