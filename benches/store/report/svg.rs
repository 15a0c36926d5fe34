//! The plot: synced events per second as horizontal bars on a logarithmic scale, one panel per
//! number of publishers.

use std::fmt::Write;

use nexus_events_dispatch::store::Ack;

use super::short;
use crate::append::PUBLISHERS;
use crate::peers::OURS;
use crate::results::{Append, Results};

const WIDTH: f64 = 760.0;
const NAMES: f64 = 190.0;
const NUMBERS: f64 = 70.0;
const ROW: f64 = 17.0;
const HEAD: f64 = 44.0;

pub(super) fn svg(results: &Results) -> String {
    let rows = results.append.as_ref().map_or(&[][..], |part| &part.results);
    let (mut body, mut top) = (String::new(), 0.0);
    for publishers in PUBLISHERS {
        top = panel(&mut body, publishers, &of(rows, publishers), top);
    }
    let height = top + 10.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// The fastest first.
fn of(rows: &[Append], publishers: usize) -> Vec<&Append> {
    let wanted = |row: &&Append| row.ack == Ack::Synced.as_str() && row.publishers == publishers;
    let mut found: Vec<&Append> = rows.iter().filter(wanted).collect();
    found.sort_by(|a, b| b.events_per_second.median().total_cmp(&a.events_per_second.median()));
    found
}

/// Draws one and returns where it ends.
fn panel(body: &mut String, publishers: usize, rows: &[&Append], top: f64) -> f64 {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return top };
    let from = last.events_per_second.median().log10().floor();
    let to = first.events_per_second.median().log10().ceil().max(from + 1.0);
    let room = WIDTH - NAMES - NUMBERS;
    let x = |value: f64| NAMES + room * (value.log10() - from) / (to - from);
    let end = top + HEAD + ROW * rows.len() as f64;
    let plural = if publishers == 1 { "" } else { "s" };
    let title = format!("synced events per second, {publishers} publisher{plural}");
    text(body, (10.0, top + 20.0), "start", "bold", &title);
    for power in from as i32..=to as i32 {
        let at = x(10_f64.powi(power));
        let _ = writeln!(
            body,
            "<line x1=\"{at:.1}\" y1=\"{:.1}\" x2=\"{at:.1}\" y2=\"{end:.1}\" stroke=\"#ddd\"/>",
            top + HEAD - 4.0
        );
        text(
            body,
            (at, top + HEAD - 8.0),
            "middle",
            "normal",
            &format!("{:.0}", 10_f64.powi(power)),
        );
    }
    for (index, row) in rows.iter().enumerate() {
        let (y, value) = (top + HEAD + ROW * index as f64, row.events_per_second.median());
        let (color, weight) =
            if row.peer == OURS { ("#d9480f", "bold") } else { ("#4c6ef5", "normal") };
        // A bar at the very start of a logarithmic scale has no length.
        let width = (x(value) - NAMES).max(1.0);
        text(body, (NAMES - 6.0, y + 11.5), "end", weight, &row.peer);
        let _ = writeln!(
            body,
            "<rect x=\"{NAMES:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{color}\"/>",
            y + 1.5,
            ROW - 4.0
        );
        text(body, (NAMES + width + 5.0, y + 11.5), "start", weight, &short(value));
    }
    end
}

fn text(body: &mut String, (x, y): (f64, f64), anchor: &str, weight: &str, content: &str) {
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{content}</text>"
    );
}
