//! How far long work is: a bar on a terminal, a line now and then elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::output::{self, grouped};

/// How often it is shown.
const EVERY_ON_TERMINAL: Duration = Duration::from_millis(100);
const EVERY_ELSEWHERE: Duration = Duration::from_secs(5);

/// How long the bar is, in columns.
const WIDTH: usize = 24;

/// Work that is on its way.
#[derive(Debug)]
pub(crate) struct Bar {
    what: String,
    began: Instant,
    shown: Instant,
    terminal: bool,
}

impl Bar {
    /// Shows nothing yet: quick work is done before.
    pub(crate) fn new(what: impl Into<String>) -> Self {
        let (now, terminal) = (Instant::now(), std::io::stderr().is_terminal());
        Self { what: what.into(), began: now, shown: now, terminal }
    }

    pub(crate) fn show(&mut self, done: u64, total: u64) {
        let every = if self.terminal { EVERY_ON_TERMINAL } else { EVERY_ELSEWHERE };
        if self.shown.elapsed() < every {
            return;
        }
        self.shown = Instant::now();
        let line = line(&self.what, done, total, self.began.elapsed(), self.terminal);
        if self.terminal { output::status(&line) } else { output::note(&line) }
    }
}

impl Drop for Bar {
    /// Makes room for what follows.
    fn drop(&mut self) {
        if self.terminal {
            output::status("");
        }
    }
}

fn line(what: &str, done: u64, total: u64, elapsed: Duration, bar: bool) -> String {
    let rate = grouped((done as f64 / elapsed.as_secs_f64().max(0.001)) as u64);
    let part = if total == 0 { 1.0 } else { (done as f64 / total as f64).min(1.0) };
    let bar = match bar {
        true => {
            let full = (part * WIDTH as f64) as usize;
            format!("[{}{}] ", "#".repeat(full), " ".repeat(WIDTH - full))
        }
        false => String::new(),
    };
    let (done, total) = (grouped(done), grouped(total));
    format!("{what} {bar}{:.0} %  {done} of {total}  {rate}/s", (part * 100.0).floor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_much_of_how_much() {
        let second = Duration::from_secs(1);
        let cases = [
            ((0, 4_000, false), "verify 0 %  0 of 4,000  0/s"),
            (
                (1_000, 4_000, true),
                "verify [######                  ] 25 %  1,000 of 4,000  1,000/s",
            ),
            ((4_000, 4_000, false), "verify 100 %  4,000 of 4,000  4,000/s"),
            ((0, 0, false), "verify 100 %  0 of 0  0/s"),
            ((9, 4, false), "verify 100 %  9 of 4  9/s"),
        ];
        for ((done, total, bar), expected) in cases {
            assert_eq!(line("verify", done, total, second, bar), expected);
        }
    }
}
