//! The options of `nexus saga`.

use clap::{Args, Subcommand};

use super::Remote;

/// What to do with sagas.
#[derive(Debug, Args)]
pub(crate) struct SagaArgs {
    #[command(subcommand)]
    pub(crate) action: SagaAction,
}

#[derive(Debug, Subcommand)]
pub(crate) enum SagaAction {
    /// Show which there are, one a line: name, key, status, last change
    List {
        /// Of this name
        #[arg(long, value_name = "NAME")]
        saga: Option<String>,
        /// With this status, such as running, parked or compensated
        #[arg(long)]
        status: Option<String>,
        /// Those that have ended, the oldest first
        #[arg(long)]
        ended: bool,
        /// At most so many
        #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: u64,
        #[command(flatten)]
        remote: Remote,
    },
    /// Show everything about one: its state, its steps, what it has done
    Show {
        /// Its name
        saga: String,
        /// Its key
        key: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Let one go on that stands still: parked, with dead letters, or with compensations that failed
    Resume {
        /// Its name
        saga: String,
        /// Its key
        key: String,
        #[command(flatten)]
        remote: Remote,
    },
    /// Cancel one: what its steps have done is taken back
    Cancel {
        /// Its name
        saga: String,
        /// Its key
        key: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        remote: Remote,
    },
}
