//! What is printed, and kept under `docs/benchmarks` with `--save`.

use std::fmt::Write as _;
use std::path::Path;

use crate::machine::{commit, cpu, output, versions};
use crate::{Cell, ROUNDS};

/// A page of Markdown that is printed as it grows.
#[derive(Debug)]
pub struct Report {
    text: String,
}

impl Report {
    /// A page with this title, which says where the figures come from.
    pub fn new(title: &str, peers: &[&str]) -> Self {
        let mut report = Self { text: String::new() };
        report.line(&format!("# {title}\n"));
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        report.line(&format!("- machine: {}, {cores} cores", cpu()));
        report.line(&format!("- {}", output("rustc", &["--version"])));
        report.line(&format!("- commit: {}", commit()));
        report.line(&format!("- peers: {}", versions(peers)));
        report.line(&format!(
            "- median of {ROUNDS} rounds (lowest to highest), peers take turns; ratios are to the first row"
        ));
        report
    }

    /// Prints a line, and adds it to the page.
    pub fn line(&mut self, line: &str) {
        #[expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
        {
            println!("{line}");
        }
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// One table; a cell that is missing was not measured. The first row is what the others are
    /// compared with.
    pub fn table(&mut self, title: &str, columns: &[String], rows: &[(String, Vec<Option<Cell>>)]) {
        self.line(&format!("\n## {title}\n"));
        self.line(&format!("| | {} |", columns.join(" | ")));
        self.line(&format!("|---{}|", "|---:".repeat(columns.len())));
        for (name, cells) in rows {
            let mut line = format!("| {name} |");
            for (column, cell) in cells.iter().enumerate() {
                let first = rows[0].1.get(column).copied().flatten();
                let _ = write!(line, " {} |", shown(*cell, first));
            }
            self.line(&line);
        }
    }

    /// Keeps the page as `docs/benchmarks/<name>.md`.
    pub fn save(&self, name: &str) -> std::io::Result<()> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/benchmarks");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{name}.md")), &self.text)
    }
}

fn shown(cell: Option<Cell>, first: Option<Cell>) -> String {
    let Some(cell) = cell else { return "–".to_owned() };
    let ratio = first.map_or(1.0, |first| cell.median / first.median);
    let figures = format!("{} ({}–{})", time(cell.median), bare(cell.lowest), bare(cell.highest));
    match ratio {
        1.0 => figures,
        ratio if ratio < 10.0 => format!("{figures} {ratio:.2} ×"),
        ratio => format!("{figures} {ratio:.0} ×"),
    }
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("**{ns:.1} ns**"),
        ns if ns < 1e6 => format!("**{:.2} µs**", ns / 1e3),
        ns => format!("**{:.2} ms**", ns / 1e6),
    }
}

fn bare(nanoseconds: f64) -> String {
    time(nanoseconds).replace('*', "")
}
