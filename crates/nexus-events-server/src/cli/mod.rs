//! The command line.

mod dead_letters;
mod replay;
mod saga;
mod scheduled;
mod store;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::dead_letters::{Choice, DeadLettersAction, DeadLettersArgs, Which};
pub(crate) use self::replay::ReplayArgs;
pub(crate) use self::saga::{SagaAction, SagaArgs};
pub(crate) use self::scheduled::{ScheduledAction, ScheduledArgs};
pub(crate) use self::store::{Place, Source, StoreAction, StoreArgs};
use crate::commands;
use crate::demo;
use crate::exit::{Exit, Failure};
use crate::keep::KeepArgs;

/// Where a server listens unless told otherwise.
pub(crate) const BIND_DEFAULT: &str = "127.0.0.1:7878";
pub(crate) const URL_DEFAULT: &str = "http://127.0.0.1:7878";

/// Nexus events: publish events, run handlers, watch it live.
///
/// ```
/// use clap::Parser;
/// use nexus_events_server::Cli;
/// assert!(Cli::try_parse_from(["nexus", "demo", "--max"]).is_ok());
/// ```
#[derive(Debug, Parser)]
#[command(name = "nexus", version, long_about = None)]
pub struct Cli {
    /// More of what goes on, on stderr (-vv for all)
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Replay a real week of events through handlers, with a live console
    Demo(DemoArgs),
    /// Run a server
    Serve(ServeArgs),
    /// Publish one event, or many from standard input
    Publish(PublishArgs),
    /// Show events as they are published
    Tail(TailArgs),
    /// Look at what handlers gave up; mend it, give it again, or give it up for good
    DeadLetters(DeadLettersArgs),
    /// Look at events that wait for their time; cancel or move them
    Scheduled(ScheduledArgs),
    /// Look at sagas; cancel them, or let them go on
    Saga(SagaArgs),
    /// Give a part of the log to handlers again
    Replay(ReplayArgs),
    /// Verify, back up, restore, compact or repair the store of a server
    Store(StoreArgs),
}

impl Cli {
    /// Runs the command to its end.
    ///
    /// # Errors
    /// What kept it from doing its work.
    pub async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Serve(args) => commands::serve::run(args).await,
            Command::Publish(args) => commands::publish::run(args).await,
            Command::Tail(args) => commands::tail::run(args).await,
            Command::DeadLetters(args) => commands::dead_letters::run(args).await,
            Command::Scheduled(args) => commands::scheduled::run(args).await,
            Command::Saga(args) => commands::saga::run(args).await,
            Command::Replay(args) => commands::replay::run(args).await,
            Command::Store(args) => commands::store::run(args).await,
        }
    }
}

/// How a server is set up.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address to listen on; the port is 7878 unless it is named here or with --port
    #[arg(long, env = "NEXUS_BIND", default_value = BIND_DEFAULT, value_name = "ADDRESS:PORT")]
    pub(crate) bind: String,
    /// Port to listen on, instead of the one in --bind; 0 for any free one
    #[arg(long, env = "NEXUS_PORT")]
    pub(crate) port: Option<u16>,
    /// Recent events kept in memory: 0 to 1000000, also bounded by 16 MiB
    #[arg(long, env = "NEXUS_HISTORY", default_value_t = nexus_events_dispatch::limits::HISTORY_EVENTS_DEFAULT)]
    pub(crate) history: usize,
    /// Blocking handlers that run at the same time: 1 to 1024
    #[arg(long, env = "NEXUS_WORKERS", default_value_t = nexus_events_dispatch::limits::WORKERS_DEFAULT)]
    pub(crate) workers: usize,
    #[command(flatten)]
    pub(crate) keep: KeepArgs,
}

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// How much faster than it happened; 10000 makes the week about a minute
    #[arg(long, default_value_t = 10_000.0, value_parser = speed, value_name = "TIMES")]
    pub(crate) speed: f64,
    /// As fast as the handlers go, then end
    #[arg(long, conflicts_with = "speed")]
    pub(crate) max: bool,
    /// Port of the server; 0 for any free one [default: 7878, or the next free one]
    #[arg(long)]
    pub(crate) port: Option<u16>,
    /// Stop after so many seconds, then check what was published
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: Option<u32>,
    /// Replay these files instead, one JSON event a line, gzipped or not
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub(crate) data: Vec<PathBuf>,
    /// How many events of a type the data must have for the check to hold; may be repeated
    #[arg(long, value_name = "TYPE=N", value_parser = expectation)]
    pub(crate) expect: Vec<(String, u64)>,
    /// Without the store, which is a file among the system's temporary ones until the demo ends
    #[arg(long)]
    pub(crate) ephemeral: bool,
}

/// What is published, and where.
#[derive(Debug, Args)]
pub(crate) struct PublishArgs {
    /// Event type, such as order.created; `-` or nothing reads events from standard input, one
    /// JSON object a line
    pub(crate) event_type: Option<String>,
    /// Payload: JSON, @FILE, or `-` for standard input [default: {}]
    pub(crate) payload: Option<String>,
    /// Who the event is from
    #[arg(long)]
    pub(crate) source: Option<String>,
    /// How important it is: low, normal, high or critical
    #[arg(long)]
    pub(crate) priority: Option<String>,
    /// The user it is about or from
    #[arg(long)]
    pub(crate) user_id: Option<String>,
    /// The session it belongs to
    #[arg(long)]
    pub(crate) session_id: Option<String>,
    /// The conversation it belongs to
    #[arg(long)]
    pub(crate) correlation_id: Option<String>,
    /// Do not wait for the handlers
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Publish it at this time, such as 2027-01-01T00:00:00Z; the server keeps it until then
    #[arg(long, value_name = "TIME", conflicts_with_all = ["after", "no_wait"])]
    pub(crate) at: Option<String>,
    /// Publish it after so long: 30s, 10m, 12h, 7d or 2w
    #[arg(long, value_name = "DURATION", value_parser = crate::keep::units::age, conflicts_with = "no_wait")]
    pub(crate) after: Option<std::time::Duration>,
    /// Server to publish to
    #[arg(long, env = "NEXUS_URL", default_value = URL_DEFAULT)]
    pub(crate) url: String,
}

/// What is shown, and how.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// Event types to show: * is one segment, ** one or more
    #[arg(default_value = "**")]
    pub(crate) pattern: String,
    /// Only events for which this holds: `payload.amount > 100`, or `source=shop`
    #[arg(long)]
    pub(crate) filter: Option<String>,
    /// How an event is written
    #[arg(short, long, value_enum, default_value_t = Format::Line)]
    pub(crate) output: Format,
    /// End after so many events, at least 1
    #[arg(long, value_name = "N", value_parser = number_of_events)]
    pub(crate) count: Option<u64>,
    /// Server to listen to
    #[arg(long, env = "NEXUS_URL", default_value = URL_DEFAULT)]
    pub(crate) url: String,
}

/// Which server, and how its answer is written.
#[derive(Debug, Args)]
pub(crate) struct Remote {
    /// Server to ask
    #[arg(long, env = "NEXUS_URL", default_value = URL_DEFAULT)]
    pub(crate) url: String,
    /// How the answer is written
    #[arg(short, long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// How `tail` writes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The JSON of the event, one a line
    Json,
    /// Time, type, source and payload
    Line,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.001..=1e9).contains(&speed) => Ok(speed),
        _ => Err("write a number from 0.001 to 1000000000; --max is faster still".to_owned()),
    }
}

fn number_of_events(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number @ 1..) => Ok(number),
        _ => Err("write a number from 1 on; leave it out to go on for ever".to_owned()),
    }
}

fn expectation(text: &str) -> Result<(String, u64), String> {
    let parts = text.split_once('=').and_then(|(name, number)| Some((name, number.parse().ok()?)));
    parts
        .map(|(name, number)| (name.to_owned(), number))
        .ok_or_else(|| "write TYPE=N, for instance order.created=120".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    fn helps(command: &mut clap::Command, texts: &mut Vec<String>) {
        texts.push(command.render_help().to_string());
        texts.push(command.render_long_help().to_string());
        command.get_subcommands_mut().for_each(|command| helps(command, texts));
    }

    #[test]
    fn help_is_for_people() {
        let mut command = Cli::command();
        command.build();
        let mut texts = Vec::new();
        helps(&mut command, &mut texts);
        assert!(texts.len() > 2 * 15, "those of the program, its commands and theirs");
        for text in texts {
            assert!(!text.contains("```") && !text.contains("use clap"), "{text}");
        }
        let serve = command.find_subcommand_mut("serve").unwrap().render_help().to_string();
        assert!(serve.contains(&format!("1 to {}", crate::limits::WORKERS_MAX)), "{serve}");
        assert!(serve.contains(&format!("0 to {}", crate::limits::HISTORY_MAX)), "{serve}");
    }

    #[test]
    fn a_number_of_events_is_at_least_one() {
        assert_eq!(number_of_events("1"), Ok(1));
        for wrong in ["0", "-1", "all", "1.5"] {
            assert!(number_of_events(wrong).unwrap_err().contains("from 1 on"), "{wrong}");
        }
    }

    #[test]
    fn a_speed_is_positive_and_finite() {
        assert_eq!(speed("2.5"), Ok(2.5));
        for wrong in ["0", "-1", "inf", "NaN", "fast"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_expectation_is_a_type_and_a_number() {
        assert_eq!(expectation("a.b=3"), Ok(("a.b".to_owned(), 3)));
        assert!(expectation("a.b").is_err() && expectation("a.b=many").is_err());
    }
}
