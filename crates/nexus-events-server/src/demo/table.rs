//! The table at the end.

use nexus_events_dispatch::store::StoreStats;

use crate::demo::check::{Row, Verdict};
use crate::keep::units::shown_bytes;
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
    if let Some(stored) = &verdict.stored {
        text += &line_of_store(stored);
    }
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

fn line_of_store(stored: &StoreStats) -> String {
    format!(
        "in the store: {} events, {}, in {} commits that waited for the disk {} times\n",
        grouped(stored.events),
        shown_bytes(stored.disk_bytes),
        grouped(stored.commits),
        grouped(stored.syncs)
    )
}

fn heading() -> String {
    format!(
        "{:<26} {:>7} {:>9} {:>7} {:>9} {:>8}\n",
        "event type", "in data", "published", "handled", "cancelled", "filtered"
    )
}

fn line(name: &str, row: &Row, mark: &str) -> String {
    let expected = row.expected.map_or_else(|| "-".to_owned(), grouped);
    let [published, handled, cancelled, filtered] =
        [row.published, row.handled, row.cancelled, row.filtered].map(grouped);
    let line = format!(
        "{name:<26} {expected:>7} {published:>9} {handled:>7} {cancelled:>9} {filtered:>8}  {mark}"
    );
    format!("{}\n", line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_80_columns_under_their_heading() {
        let row =
            Row { expected: Some(12_023), published: 12_023, handled: 11_900, ..Row::default() };
        let name = crate::demo::data::FOLLOW_UP_ROW;
        for line in [heading(), line(name, &row, "WRONG")] {
            assert!(line.trim_end().len() < 80, "{line}");
        }
        let (heading, line) = (heading(), line(name, &row, ""));
        assert_eq!(heading.find("filtered").unwrap() + "filtered".len(), line.trim_end().len());
    }
}
