//! What the patterns are to reach, and whether they do.

use nexus_events_benches::Report;

/// Goals whose figures were taken in this run.
#[derive(Default)]
pub(crate) struct Goals(Vec<Goal>);

struct Goal {
    what: String,
    goal: f64,
    is: f64,
    at_least: bool,
}

impl Goals {
    pub(crate) fn most(&mut self, what: &str, goal: f64, is: f64) {
        self.0.push(Goal { what: what.to_owned(), goal, is, at_least: false });
    }

    pub(crate) fn least(&mut self, what: &str, goal: f64, is: f64) {
        self.0.push(Goal { what: what.to_owned(), goal, is, at_least: true });
    }

    pub(crate) fn report(&self, report: &mut Report) {
        report.line("\n## Goals\n\n| | goal | is | |\n|---|---:|---:|---|");
        for goal in &self.0 {
            report.line(&goal.row());
        }
    }
}

impl Goal {
    fn row(&self) -> String {
        let Self { what, goal, is, at_least } = self;
        let (side, is_met) = match at_least {
            true => ("at least", is >= goal),
            false => ("at most", is <= goal),
        };
        let met = if is_met { "met" } else { "**missed**" };
        let digits = if *goal < 10.0 { 3 } else { 0 };
        format!("| {what} | {side} {goal} | {is:.digits$} | {met} |")
    }
}
