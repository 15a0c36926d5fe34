//! The command line.

use anyhow::{Result, bail};

pub(crate) struct Options {
    /// How long each policy is under load.
    pub(crate) seconds: u64,
    /// Whether the figures are kept.
    pub(crate) save: bool,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { seconds: 60, save: false };
        for arg in args {
            match (arg.as_str(), arg.parse()) {
                ("--quick", _) => options.seconds = 3,
                ("--save", _) => options.save = true,
                // cargo adds it.
                ("--bench", _) => {}
                (_, Ok(seconds)) if seconds > 0 => options.seconds = seconds,
                _ => bail!("`{arg}` is not known; give a number of seconds, --quick or --save"),
            }
        }
        Ok(options)
    }
}
