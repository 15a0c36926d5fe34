//! The command line.

use crate::cell::Cell;

pub(crate) const USAGE: &str = "\
usage: dispatch [--quick] [--only inline|queued|latency|alloc] [--peer NAME] [--save] [--instructions]
  --quick         fewer events
  --only PART     only this part; may be given several times
  --peer NAME     only this peer, such as \"ours\"; may be given several times, not with --save
  --save          keep the results in docs/benchmarks/dispatch.{md,json,svg}
  --instructions  count instructions per publish with valgrind, instead of measuring time";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Inline,
    Queued,
    Latency,
    Alloc,
}

#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// Only see that all handlers run.
    Check,
    Measure,
    Instructions,
    /// For `--instructions`: one cell, so many events.
    Exactly {
        cell: Cell,
        events: u64,
    },
    /// For the part `alloc`: print what a binary that counts has counted.
    CountAllocations,
}

#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) mode: Mode,
    pub(crate) quick: bool,
    pub(crate) save: bool,
    only: Vec<Part>,
    peers: Vec<String>,
}

impl Args {
    pub(crate) fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut parsed = Self {
            mode: Mode::Check,
            quick: false,
            save: false,
            only: Vec::new(),
            peers: Vec::new(),
        };
        while let Some(arg) = args.next() {
            if matches!(parsed.mode, Mode::Check) {
                parsed.mode = Mode::Measure;
            }
            match arg.as_str() {
                // Cargo adds it.
                "--bench" => {}
                "--quick" => parsed.quick = true,
                "--save" => parsed.save = true,
                "--only" => parsed.only.push(part(args.next())?),
                "--peer" => parsed.peers.push(args.next().ok_or("--peer needs a name")?),
                "--instructions" => parsed.mode = Mode::Instructions,
                "--count-allocations" => parsed.mode = Mode::CountAllocations,
                "--exactly" => parsed.mode = exactly(args.next(), args.next())?,
                other => return Err(format!("unknown argument {other}")),
            }
        }
        if parsed.save && !parsed.peers.is_empty() {
            return Err("what is saved has all peers; leave --peer out".to_owned());
        }
        Ok(parsed)
    }

    /// Whether this peer is to be measured.
    pub(crate) fn wants(&self, peer: &str) -> bool {
        self.peers.is_empty() || self.peers.iter().any(|wanted| wanted == peer)
    }

    pub(crate) fn runs(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }
}

fn part(name: Option<String>) -> Result<Part, String> {
    match name.as_deref() {
        Some("inline") => Ok(Part::Inline),
        Some("queued") => Ok(Part::Queued),
        Some("latency") => Ok(Part::Latency),
        Some("alloc") => Ok(Part::Alloc),
        _ => Err("--only needs inline, queued, latency or alloc".to_owned()),
    }
}

fn exactly(cell: Option<String>, events: Option<String>) -> Result<Mode, String> {
    let cell = cell.as_deref().and_then(Cell::parse);
    let events = events.and_then(|events| events.parse().ok());
    let (Some(cell), Some(events)) = (cell, events) else {
        return Err("--exactly needs a cell such as inline/ours/10/1 and a number".to_owned());
    };
    Ok(Mode::Exactly { cell, events })
}
