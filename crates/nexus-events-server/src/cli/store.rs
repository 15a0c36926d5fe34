//! The options of `nexus store`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Output;
use crate::keep::DATA_DEFAULT;

/// How to look after a store.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    pub(crate) action: StoreAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreAction {
    /// Read everything and compare it with its checksums; ends with 10 when something is damaged
    Verify(Source),
    /// Copy the store into a new file, which is read through before it counts
    Backup {
        /// The new file
        #[arg(required_unless_present = "url", conflicts_with = "url")]
        file: Option<PathBuf>,
        /// Let the running server here make the copy, in `backups` below its own directory
        #[arg(long)]
        url: Option<String>,
        /// What the server calls it [default: the time]
        #[arg(long, requires = "url")]
        name: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Make a store of a backup, where none is
    Restore {
        /// The backup
        file: PathBuf,
        #[command(flatten)]
        place: Place,
    },
    /// Give the room of what was removed back to the disk
    Compact(Place),
    /// Show what is in the store: events, consumers, bytes
    Stats(Source),
    /// Save what can be read of a damaged store; the damaged file is kept beside
    Repair {
        /// Go on although what is damaged will be lost; without this it is only listed
        #[arg(long)]
        accept_loss: bool,
        #[command(flatten)]
        place: Place,
    },
}

/// A store, by itself or behind a server.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Ask the running server here, which has its store open
    #[arg(long)]
    pub(crate) url: Option<String>,
    #[command(flatten)]
    pub(crate) place: Place,
}

/// Which store, and how the answer is written.
#[derive(Debug, Args)]
pub(crate) struct Place {
    /// Directory the store is in
    #[arg(long, env = "NEXUS_DATA", default_value = DATA_DEFAULT, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// How the answer is written
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}
