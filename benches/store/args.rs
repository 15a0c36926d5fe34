//! The command line.

pub(crate) const USAGE: &str = "\
usage: store [--quick] [--only append|written|read|open] [--peer NAME] [--save] [--volume EVENTS]
  --quick          fewer rounds, fewer events
  --only PART      only this part; may be given several times
  --peer NAME      only this peer, such as \"ours\"; may be given several times, not with --save
  --save           keep what was measured in docs/benchmarks/store.{md,json,svg}; parts that were
                   not measured stay as they are there
  --volume EVENTS  instead: append so many, open again, read all of them back and compare";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Append,
    Written,
    Read,
    Open,
}

#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// Only see that every peer does its work.
    Check,
    Measure,
    Volume(u64),
    /// For the part `open`: a process that stores, and then goes on until it is killed.
    Child {
        peer: String,
        folder: String,
        events: u64,
        until_killed: bool,
    },
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
        let (only, peers) = (Vec::new(), Vec::new());
        let mut parsed = Self { mode: Mode::Check, quick: false, save: false, only, peers };
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
                "--volume" => parsed.mode = Mode::Volume(number(args.next())?),
                "--child" => parsed.mode = child(&mut args)?,
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
        Some("append") => Ok(Part::Append),
        Some("written") => Ok(Part::Written),
        Some("read") => Ok(Part::Read),
        Some("open") => Ok(Part::Open),
        _ => Err("--only needs append, written, read or open".to_owned()),
    }
}

fn number(text: Option<String>) -> Result<u64, String> {
    let number = text.and_then(|text| text.parse().ok());
    number.ok_or_else(|| "a number of events is needed".to_owned())
}

fn child(args: &mut impl Iterator<Item = String>) -> Result<Mode, String> {
    let complaint =
        || "--child needs a peer, a folder, a number and whether it is killed".to_owned();
    let (peer, folder) = (args.next().ok_or_else(complaint)?, args.next().ok_or_else(complaint)?);
    let events = number(args.next())?;
    let until_killed = args.next().ok_or_else(complaint)? == "true";
    Ok(Mode::Child { peer, folder, events, until_killed })
}
