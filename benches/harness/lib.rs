//! A small harness for comparisons: peers take turns, so that a machine that slows down slows all
//! of them; each cell is the median of several rounds, beside the lowest and the highest.

pub mod machine;
mod report;

use std::hint::black_box;
use std::time::{Duration, Instant};

pub use self::report::Report;

/// Turns that each peer takes.
pub const ROUNDS: usize = 15;

/// How long one turn lasts at least. It is short, so that on a busy machine most turns pass
/// without an interruption and the median is one of those.
const TURN: Duration = Duration::from_millis(4);

/// Nanoseconds per call, over several rounds.
#[derive(Debug, Clone, Copy)]
pub struct Cell {
    /// Half of the rounds took less.
    pub median: f64,
    /// The fastest round.
    pub lowest: f64,
    /// The slowest round.
    pub highest: f64,
}

impl Cell {
    fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_by(f64::total_cmp);
        Self {
            median: rounds[rounds.len() / 2],
            lowest: rounds[0],
            highest: rounds[rounds.len() - 1],
        }
    }
}

/// One way to do the work; `turn` runs it for a while and says what a call took.
pub struct Peer<'a> {
    name: String,
    turn: Box<dyn FnMut() -> f64 + 'a>,
}

impl std::fmt::Debug for Peer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peer").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Peer<'a> {
    /// `call` is given the numbers 0, 1, 2, …, and does a piece of work for each.
    pub fn new<R>(name: impl Into<String>, mut call: impl FnMut(usize) -> R + 'a) -> Self {
        let mut next = 0;
        let turn = move || {
            let (start, mut calls, mut batch) = (Instant::now(), 0_usize, 1_usize);
            loop {
                for _ in 0..batch {
                    black_box(call(next));
                    next += 1;
                }
                calls += batch;
                let taken = start.elapsed();
                if taken >= TURN {
                    return nanoseconds(taken) / calls as f64;
                }
                batch = batch.saturating_mul(2).min(1 << 14);
            }
        };
        Self { name: name.into(), turn: Box::new(turn) }
    }

    /// The peer measures itself.
    pub fn timed(name: impl Into<String>, turn: impl FnMut() -> f64 + 'a) -> Self {
        Self { name: name.into(), turn: Box::new(turn) }
    }
}

/// The same in nanoseconds.
#[must_use]
pub fn nanoseconds(taken: Duration) -> f64 {
    taken.as_secs_f64() * 1e9
}

/// Lets the peers take turns, after one that does not count.
pub fn compare(mut peers: Vec<Peer<'_>>) -> Vec<(String, Cell)> {
    let mut rounds = vec![Vec::with_capacity(ROUNDS); peers.len()];
    for round in 0..=ROUNDS {
        for (peer, rounds) in peers.iter_mut().zip(&mut rounds) {
            let taken = (peer.turn)();
            if round > 0 {
                rounds.push(taken);
            }
        }
    }
    peers.into_iter().map(|peer| peer.name).zip(rounds.into_iter().map(Cell::of)).collect()
}

/// Numbers that look random and are the same in every run (`SplitMix64`).
#[derive(Debug, Clone)]
pub struct Numbers(/** Where they start. */ pub u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below the end.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap_or(0)
    }
}
