//! `cargo xtask <command>`: everything about this repository that is not plain `cargo build`.
//!
//! One command, one file; `tidy` is a folder with one file per check.

// A command line talks on standard output.
#![allow(clippy::print_stdout)]

mod bench;
mod ci;
mod models;
mod nearest;
mod prove;
mod readme;
mod repo;
mod shell;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use anyhow::Result;

/// A command: its name, how to use it, what it does.
type Command = (&'static str, &'static str, fn(&[String]) -> Result<()>);

const COMMANDS: [Command; 7] = [
    (
        "ci",
        "  ci                             everything that must hold before a merge, in order\n",
        ci::run,
    ),
    (
        "test",
        "  test [--quick] [-- ARGS]       models, doc tests, then all tests; ARGS go to cargo nextest
                                 --quick: only the tests, those that need a browser or Python skip
",
        test::run,
    ),
    (
        "models",
        "  models [NAME]                  model checks of the dispatch core; only those with NAME in it
",
        models::run,
    ),
    (
        "tidy",
        "  tidy                           what compilers do not check: layers, words, dead files\n",
        tidy::run,
    ),
    (
        "bench",
        "  bench [BENCH] [--save NAME]    benchmarks; keep the medians in docs/benchmarks/NAME.json,
        [--compare NAME]         print the ratio to medians kept before;
        [-- ARGS]                ARGS go to BENCH: those beside peers write their page with --save
",
        bench::run,
    ),
    (
        "prove",
        "  prove [--times N | --minutes M]  crashes, damage and failing disks, N times as many as in the tests
        [--replay SCENARIO:SEED]   (default 20, about an hour) or for M minutes; or one that failed
",
        prove::run,
    ),
    (
        "readme",
        "  readme                         run the commands of README.md in a clean clone\n",
        readme::run,
    ),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, args)) = args.split_first() else {
        eprint!("{}", usage());
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some((_, usage_of, command)) = COMMANDS.iter().find(|(known, ..)| known == name) else {
        let nearest = nearest::nearest(name, COMMANDS.map(|(known, ..)| known));
        eprintln!("xtask: unknown command `{name}`, did you mean `{nearest}`?\n\n{}", usage());
        return ExitCode::from(2);
    };
    if asks_for_help(args) {
        print!("Usage: cargo xtask <command>\n\n{usage_of}");
        return ExitCode::SUCCESS;
    }
    match command(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Usage>() => {
            eprintln!("xtask {name}: {error}\n\n{}", usage());
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// How to use every command.
fn usage() -> String {
    let commands: String = COMMANDS.map(|(_, usage, _)| usage).concat();
    format!("Usage: cargo xtask <command>\n\n{commands}")
}

/// What follows `--` belongs to another program.
fn asks_for_help(args: &[String]) -> bool {
    let mut own = args.iter().take_while(|argument| *argument != "--");
    own.any(|argument| matches!(argument.as_str(), "--help" | "-h"))
}

/// Arguments that make no sense; answered with the usage text and exit code 2.
#[derive(Debug)]
struct Usage(String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// For commands without arguments.
fn no_arguments(args: &[String]) -> Result<()> {
    match args.first() {
        None => Ok(()),
        Some(argument) => Err(unknown_argument(argument)),
    }
}

fn unknown_argument(argument: &str) -> anyhow::Error {
    Usage(format!("unknown argument `{argument}`")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_is_asked_for_before_the_dashes() {
        let asks = |args: &[&str]| {
            asks_for_help(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert!(asks(&["--help"]) && asks(&["--quick", "-h"]));
        assert!(!asks(&[]) && !asks(&["--", "--help"]));
    }

    #[test]
    fn each_usage_starts_with_its_command() {
        for (name, usage, _) in COMMANDS {
            assert!(usage.starts_with(&format!("  {name} ")) && usage.ends_with('\n'), "{usage}");
        }
    }
}
