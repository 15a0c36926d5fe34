//! What is asked for after `cargo bench --bench stalled_reader --`.

use anyhow::{Context, Result, bail, ensure};

pub(crate) struct Options {
    pub(crate) readers: usize,
    pub(crate) events: u64,
    /// How often each kind of run is measured.
    pub(crate) rounds: usize,
    /// Events in a second, a series of runs for each.
    pub(crate) rates: Vec<u64>,
}

const RATE_DEFAULT: u64 = 5_000;
const USAGE: &str =
    "--readers N, --events N, --rounds N, --rate N (may be repeated; 0: as the readers take them)";

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        // Without it this is a test of whether the benchmark runs at all.
        let mut options = if args.iter().any(|arg| arg == "--bench") {
            Self { readers: 200, events: 50_000, rounds: 3, rates: Vec::new() }
        } else {
            Self { readers: 10, events: 5_000, rounds: 1, rates: Vec::new() }
        };
        let mut args = args.iter().filter(|arg| *arg != "--bench");
        while let Some(arg) = args.next() {
            let number: u64 = args
                .next()
                .and_then(|number| number.parse().ok())
                .with_context(|| format!("{arg} needs a number; there are {USAGE}"))?;
            match arg.as_str() {
                "--readers" => options.readers = usize::try_from(number)?,
                "--events" => options.events = number,
                "--rounds" => options.rounds = usize::try_from(number)?,
                "--rate" => options.rates.push(number),
                _ => bail!("unknown argument {arg}; there are {USAGE}"),
            }
        }
        if options.rates.is_empty() {
            options.rates.push(RATE_DEFAULT);
        }
        ensure!(options.readers * options.rounds > 0, "at least one reader and one round");
        // The numbers of the events have seven digits.
        let events = 1..9_000_000;
        ensure!(events.contains(&options.events), "events are to be in {events:?}");
        Ok(options)
    }
}
