//! The plot: horizontal bars on a logarithmic scale, one panel per number of handlers, inline on
//! the left, queued on the right, one producer.

use std::fmt::Write;

use super::{Results, short};
use crate::cell::{HANDLERS, Series};

const WIDTH: f64 = 1_320.0;
const PANEL: f64 = WIDTH / 2.0;
const NAMES: f64 = 250.0;
const NUMBERS: f64 = 70.0;
const ROW: f64 = 17.0;
const HEAD: f64 = 44.0;

pub(super) fn svg(results: &Results) -> String {
    let mut body = String::new();
    let mut height: f64 = 0.0;
    for (title, series, left) in
        [("inline", &results.inline, 0.0), ("queued", &results.queued, PANEL)]
    {
        let mut top = 0.0;
        for handlers in HANDLERS {
            let title = format!("{title}, K = {handlers}");
            top = panel(&mut body, &title, &of(series, handlers), left, top);
        }
        height = height.max(top + 10.0);
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// The fastest first.
fn of(series: &[Series], handlers: usize) -> Vec<&Series> {
    let wanted = |series: &&Series| series.cell.handlers == handlers && series.cell.producers == 1;
    let mut found: Vec<&Series> = series.iter().filter(wanted).collect();
    found.sort_by(|a, b| a.median().total_cmp(&b.median()));
    found
}

/// Draws one and returns where it ends.
fn panel(body: &mut String, title: &str, series: &[&Series], left: f64, top: f64) -> f64 {
    let (Some(first), Some(last)) = (series.first(), series.last()) else { return top };
    let from = first.median().log10().floor();
    let to = last.median().log10().ceil().max(from + 1.0);
    let start = left + NAMES;
    let room = PANEL - NAMES - NUMBERS;
    let x = |value: f64| start + room * (value.log10() - from) / (to - from);
    let end = top + HEAD + ROW * series.len() as f64;
    text(body, (left + 10.0, top + 20.0), "start", "bold", &format!("{title}, ns per publish"));
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
    for (row, series) in series.iter().enumerate() {
        let y = top + HEAD + ROW * row as f64;
        bar(body, series, start, x(series.median()), y);
    }
    end
}

fn bar(body: &mut String, series: &Series, start: f64, end: f64, y: f64) {
    let ours = series.cell.peer.starts_with("ours");
    let bare = series.cell.peer.ends_with(" event");
    let color = if ours {
        "#d9480f"
    } else if bare {
        "#adb5bd"
    } else {
        "#4c6ef5"
    };
    // A bar at the very start of a logarithmic scale has no length.
    let width = (end - start).max(1.0);
    let weight = if ours { "bold" } else { "normal" };
    text(body, (start - 6.0, y + 11.5), "end", weight, &series.cell.peer);
    let _ = writeln!(
        body,
        "<rect x=\"{start:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{:.1}\" fill=\"{color}\"/>",
        y + 1.5,
        ROW - 4.0
    );
    text(body, (start + width + 5.0, y + 11.5), "start", weight, &short(series.median()));
}

fn text(body: &mut String, (x, y): (f64, f64), anchor: &str, weight: &str, content: &str) {
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{content}</text>"
    );
}
