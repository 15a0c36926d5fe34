//! Trying many seeds, on the processors there are.
//!
//! `cargo xtask prove` sets these variables and reads the lines that are printed:
//!
//! - `NEXUS_PROVE_TIMES`: so many times as many seeds as in every run of the tests;
//! - `NEXUS_PROVE_SECONDS`: seeds for so long, however many that are;
//! - `NEXUS_PROVE_SEED`: this seed alone, as in `power:112`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

const THREADS: usize = 2;

/// What was counted, by its name.
pub(crate) type Counts = BTreeMap<&'static str, u64>;

fn number(variable: &str) -> Option<u64> {
    Some(std::env::var(variable).ok()?.parse().unwrap())
}

/// How many seeds are tried where the tests try this many, unless they are tried for some time.
pub(crate) fn times(seeds: u64) -> Option<u64> {
    match number("NEXUS_PROVE_SECONDS") {
        Some(_) => None,
        None => Some(seeds * number("NEXUS_PROVE_TIMES").unwrap_or(1)),
    }
}

/// The seed that is to be tried alone, if one of this scenario.
fn alone(scenario: &str) -> Option<u64> {
    let seed = std::env::var("NEXUS_PROVE_SEED").ok()?;
    seed.strip_prefix(scenario)?.strip_prefix(':')?.parse().ok()
}

/// Tries seeds of a scenario, and prints what was counted.
pub(crate) fn prove(
    scenario: &str,
    seeds: u64,
    try_one: impl Fn(u64, &mut Counts) -> Result<(), String> + Sync,
) -> Counts {
    let seeds = match alone(scenario) {
        Some(seed) => seed..seed + 1,
        None => 0..times(seeds).unwrap_or(u64::MAX),
    };
    let start = Instant::now();
    let until = number("NEXUS_PROVE_SECONDS").map(|most| start + Duration::from_secs(most));
    let all = AtomicU64::new(0);
    let (counts, failed) = tried_until(seeds, until, |seed, counts| {
        all.fetch_add(1, Ordering::Relaxed);
        try_one(seed, counts)
    });
    let all = all.into_inner();
    let counted: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
    let (took, counted) = (start.elapsed().as_secs_f64(), counted.join(", "));
    if let Some((seed, what)) = failed {
        panic!("{what}\nto repeat it: cargo xtask prove --replay {scenario}:{seed}");
    }
    println!("proved {scenario}: {all} seeds, {counted} in {took:.1} s");
    counts
}

/// The first seed that fails, of those tried; they are counted up to it.
pub(crate) fn tried(
    seeds: Range<u64>,
    try_one: impl Fn(u64, &mut Counts) -> Result<(), String> + Sync,
) -> (Counts, Option<(u64, String)>) {
    tried_until(seeds, None, try_one)
}

fn tried_until(
    seeds: Range<u64>,
    until: Option<Instant>,
    try_one: impl Fn(u64, &mut Counts) -> Result<(), String> + Sync,
) -> (Counts, Option<(u64, String)>) {
    let next = AtomicU64::new(seeds.start);
    let (all, failed) = (Mutex::new(Counts::new()), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut counts = Counts::new();
                while failed.lock().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || until.is_some_and(|until| Instant::now() > until) {
                        break;
                    }
                    let tried = catch_unwind(AssertUnwindSafe(|| try_one(seed, &mut counts)));
                    if let Err(what) = tried.unwrap_or_else(|panic| Err(said(&*panic))) {
                        failed.lock().get_or_insert((seed, what));
                    }
                }
                let mut all = all.lock();
                counts.into_iter().for_each(|(what, count)| *all.entry(what).or_default() += count);
            });
        }
    });
    (all.into_inner(), failed.into_inner())
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let said = panic.downcast_ref::<String>().map(String::as_str);
    said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}
