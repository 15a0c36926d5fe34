//! How far the replay is: one line that changes on a terminal, now and then a line elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use time::OffsetDateTime;
use time::macros::format_description;

use crate::demo::check::Row;
use crate::output::{self, grouped};

const EVERY_ON_TERMINAL: Duration = Duration::from_millis(100);
const EVERY_ELSEWHERE: Duration = Duration::from_secs(5);

/// The status line.
#[derive(Debug)]
pub(super) struct Status {
    total: usize,
    /// Whether the data says when things happened.
    timed: bool,
    terminal: bool,
    began: Instant,
    shown: Instant,
}

impl Status {
    pub(super) fn new(total: usize, timed: bool) -> Self {
        let now = Instant::now();
        Self { total, timed, terminal: std::io::stderr().is_terminal(), began: now, shown: now }
    }

    /// Shows how far it is, when it is time to; numbers are asked for only then.
    pub(super) fn tick(&mut self, at: OffsetDateTime, numbers: impl FnOnce() -> (Row, u64)) {
        let every = if self.terminal { EVERY_ON_TERMINAL } else { EVERY_ELSEWHERE };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let (row, alerts) = numbers();
        let line = self.line(at, &row, alerts, self.began.elapsed());
        if self.terminal { output::status(&line) } else { output::note(&line) }
    }

    /// Makes room for what follows.
    pub(super) fn end(&self) {
        if self.terminal {
            output::status("");
        }
    }

    fn line(&self, at: OffsetDateTime, row: &Row, alerts: u64, elapsed: Duration) -> String {
        let format =
            format_description!("[weekday repr:short] [day] [month repr:short] [hour]:[minute]  ");
        let when = if self.timed { at.format(format).unwrap_or_default() } else { String::new() };
        let rate = row.published as f64 / elapsed.as_secs_f64().max(0.001);
        format!(
            "{when}{} of {} events  {}/s  cancelled {}  alerts {}",
            grouped(row.published),
            grouped(self.total as u64),
            grouped(rate as u64),
            grouped(row.cancelled),
            grouped(alerts)
        )
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn the_line_says_when_how_many_and_how_fast() {
        let status = Status::new(12_023, true);
        let row =
            Row { published: 6_000, handled: 5_900, cancelled: 98, filtered: 2, ..Row::default() };
        let line = status.line(datetime!(2013-02-08 14:22 -5), &row, 7, Duration::from_secs(30));
        let expected = "Fri 08 Feb 14:22  6,000 of 12,023 events  200/s  cancelled 98  alerts 7";
        assert_eq!(line, expected);
    }

    #[test]
    fn a_whole_week_at_full_speed_fits_80_columns() {
        let status = Status::new(12_023, true);
        let row = Row { published: 12_023, handled: 11_900, cancelled: 119, ..Row::default() };
        let at = datetime!(2013-02-11 23:59 -5);
        let line = status.line(at, &row, 186, Duration::from_millis(100));
        assert!(line.len() < 80, "{} columns: {line}", line.len());
    }
}
