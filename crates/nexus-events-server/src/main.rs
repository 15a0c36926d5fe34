//! `nexus`: the command line of Nexus events.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use nexus_events_server::limits::WORKERS_MAX;
use nexus_events_server::{Cli, Exit};
use tracing::Level;

/// Threads beside those of blocking handlers: names are looked up on them, files are read.
const OTHER_BLOCKING_THREADS: usize = 64;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| match is_of_damage(panic) {
        true => tracing::debug!("damage in a store: {panic}"),
        false => usual(panic),
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(WORKERS_MAX + OTHER_BLOCKING_THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(Exit::Failed, &format!("cannot start: {error}")),
    };
    let ended = runtime.block_on(cli.run());
    // A handler that blocks for ever must not keep the program from ending.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => fail(failure.exit(), &failure.to_string()),
    }
}

/// Damage in a file may make the database below panic. The store makes an error of that, which says
/// it in one line.
fn is_of_damage(panic: &std::panic::PanicHookInfo<'_>) -> bool {
    panic.location().is_some_and(|place| place.file().contains("redb-"))
}

fn fail(exit: Exit, message: &str) -> ExitCode {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "nexus: {message}");
    exit.into()
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => Level::WARN,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    let colours = nexus_events_server::colours(&std::io::stderr());
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(colours)
        .with_writer(std::io::stderr)
        .init();
}
