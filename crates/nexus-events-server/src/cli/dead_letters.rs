//! The options of `nexus dead-letters`.

use clap::{Args, Subcommand};

use super::Remote;

/// What to do with dead letters.
#[derive(Debug, Args)]
pub(crate) struct DeadLettersArgs {
    #[command(subcommand)]
    pub(crate) action: DeadLettersAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeadLettersAction {
    /// Show which there are, one a line
    List {
        #[command(flatten)]
        choice: Choice,
        /// At most so many, the oldest first
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show everything about one, as JSON
    Show {
        /// Its number, from `list`
        id: u64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Change the event of one, so that a replay gives the new one
    Edit {
        /// Its number, from `list`
        id: u64,
        /// The fields that change: JSON such as {"payload":{"amount":12}}, @FILE, or `-` for
        /// standard input
        fields: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Give events to their handlers again; those that succeed are gone
    Replay {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: Remote,
    },
    /// Give events up for good
    Discard {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        remote: Remote,
    },
    /// Write them all down, one JSON object a line
    Export {
        #[command(flatten)]
        choice: Choice,
        #[command(flatten)]
        remote: Remote,
    },
}

/// Which are meant; everything that is set must hold.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Choice {
    /// Of this handler
    #[arg(long, value_name = "NAME")]
    pub(crate) handler: Option<String>,
    /// Of event types that match, such as order.*
    #[arg(long = "type", value_name = "PATTERN")]
    pub(crate) pattern: Option<String>,
    /// Of this key
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Of events for which this holds, such as `payload.amount > 100`
    #[arg(long)]
    pub(crate) filter: Option<String>,
}

/// Some by number, or all that match, or every one.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["ids", "all", "handler", "pattern", "key", "filter"]))]
pub(crate) struct Which {
    /// Their numbers, from `list`
    #[arg(value_name = "ID", conflicts_with_all = ["all", "handler", "pattern", "key", "filter"])]
    pub(crate) ids: Vec<u64>,
    /// Every one there is
    #[arg(long, conflicts_with_all = ["handler", "pattern", "key", "filter"])]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) choice: Choice,
}
