//! What the command line says of where and how long events are kept.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use nexus_events_dispatch::store::{Ack, Held, Retention};

use super::{DATA_DEFAULT, units};

/// Where events are kept, and how long.
#[derive(Debug, Args)]
pub(crate) struct KeepArgs {
    /// Directory the events are kept in, made when it is not there
    #[arg(long, env = "NEXUS_DATA", default_value = DATA_DEFAULT, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Keep events in memory only: none survives the server
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// What a publish waits for
    #[arg(long, env = "NEXUS_ACK", value_enum, default_value_t = AckArg::Synced)]
    pub(crate) ack: AckArg,
    /// Keep at most so many events [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keep_events: Option<u64>,
    /// Keep at most so many bytes of events, such as 10GiB [default: all]
    #[arg(long, value_name = "SIZE", value_parser = units::bytes)]
    pub(crate) keep_bytes: Option<u64>,
    /// Keep events at most so long, such as 30d or 12h [default: for ever]
    #[arg(long, value_name = "AGE", value_parser = units::age)]
    pub(crate) keep_age: Option<Duration>,
    /// What happens to events beyond these bounds that a durable handler has not passed
    #[arg(long, value_enum, default_value_t = HeldArg::Keep)]
    pub(crate) keep_held: HeldArg,
}

/// What a publish waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AckArg {
    /// The event has its offset; a crash of the server loses it
    Memory,
    /// The operating system has it; a crash of the machine may lose it
    Buffered,
    /// The disk has it; it survives a loss of power
    Synced,
}

/// What happens to events that a durable handler has not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeldArg {
    /// They stay until it has
    Keep,
    /// They go, and it counts them
    Remove,
}

impl From<AckArg> for Ack {
    fn from(ack: AckArg) -> Self {
        match ack {
            AckArg::Memory => Self::Memory,
            AckArg::Buffered => Self::Buffered,
            AckArg::Synced => Self::Synced,
        }
    }
}

impl KeepArgs {
    pub(crate) fn retention(&self) -> Retention {
        let mut retention = Retention::new();
        retention.events_max = self.keep_events;
        retention.bytes_max = self.keep_bytes;
        retention.age_max = self.keep_age;
        retention.held(match self.keep_held {
            HeldArg::Keep => Held::Keep,
            HeldArg::Remove => Held::Remove,
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        keep: KeepArgs,
    }

    #[test]
    fn the_bounds_are_what_the_options_say() {
        let read = |arguments: &[&str]| {
            Program::parse_from([&["nexus"], arguments].concat()).keep.retention()
        };
        assert_eq!(read(&[]), Retention::new());
        let options = [
            "--keep-events",
            "7",
            "--keep-bytes",
            "1KiB",
            "--keep-age",
            "2h",
            "--keep-held",
            "remove",
        ];
        let expected = Retention::new()
            .events(7)
            .bytes(1024)
            .age(Duration::from_secs(7_200))
            .held(Held::Remove);
        assert_eq!(read(&options), expected);
        for wrong in [["--keep-events", "0"], ["--keep-age", "long"], ["--ack", "maybe"]] {
            assert!(Program::try_parse_from(["nexus"].iter().chain(&wrong)).is_err(), "{wrong:?}");
        }
    }
}
