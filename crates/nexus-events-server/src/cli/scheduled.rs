//! The options of `nexus scheduled`.

use clap::{Args, Subcommand};

use super::Remote;

/// What to do with scheduled events.
#[derive(Debug, Args)]
pub(crate) struct ScheduledArgs {
    #[command(subcommand)]
    pub(crate) action: ScheduledAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ScheduledAction {
    /// Show which there are, in the order in which they are due
    List {
        /// Of event types that match, such as invoice.*
        #[arg(long = "type", value_name = "PATTERN")]
        pattern: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Take some back, so that they are never published
    Cancel {
        /// Their ids, from `list`
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        #[command(flatten)]
        remote: Remote,
    },
    /// Move one to another time
    Move {
        /// Its id, from `list`
        id: String,
        /// When it is due: 2027-01-01T00:00:00Z, or 10m for ten minutes from now
        #[arg(value_name = "TIME")]
        to: String,
        #[command(flatten)]
        remote: Remote,
    },
}
