//! One cell of a table: who, with how many handlers and producers.

use std::fmt;

pub(crate) const HANDLERS: [usize; 3] = [1, 10, 100];
pub(crate) const PRODUCERS: [usize; 2] = [1, 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    Inline,
    Queued,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) group: Group,
    pub(crate) peer: String,
    pub(crate) handlers: usize,
    pub(crate) producers: usize,
}

impl Cell {
    /// The opposite of its display, `inline/ours/10/1`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let group = match parts.next()? {
            "inline" => Group::Inline,
            "queued" => Group::Queued,
            _ => return None,
        };
        let peer = parts.next()?.to_owned();
        let handlers = parts.next()?.parse().ok()?;
        let producers = parts.next()?.parse().ok()?;
        Some(Self { group, peer, handlers, producers })
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = match self.group {
            Group::Inline => "inline",
            Group::Queued => "queued",
        };
        write!(f, "{group}/{}/{}/{}", self.peer, self.handlers, self.producers)
    }
}

/// A cell and what its rounds gave, in nanoseconds per event.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) cell: Cell,
    rounds: Vec<f64>,
}

impl Series {
    pub(crate) fn new(cell: Cell, mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self { cell, rounds }
    }

    pub(crate) fn rounds(&self) -> usize {
        self.rounds.len()
    }

    pub(crate) fn median(&self) -> f64 {
        let middle = self.rounds.len() / 2;
        if self.rounds.len() % 2 == 1 {
            self.rounds[middle]
        } else {
            f64::midpoint(self.rounds[middle - 1], self.rounds[middle])
        }
    }

    pub(crate) fn min(&self) -> f64 {
        self.rounds[0]
    }

    pub(crate) fn max(&self) -> f64 {
        self.rounds[self.rounds.len() - 1]
    }
}
