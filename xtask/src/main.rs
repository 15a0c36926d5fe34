//! `cargo xtask <command>`: everything about this repository that is not plain `cargo build`.
//!
//! One command, one file; `tidy` is a folder with one file per check.

// A command line talks on standard output.
#![allow(clippy::print_stdout)]

mod bench;
mod ci;
mod nearest;
mod readme;
mod repo;
mod shell;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "\
Usage: cargo xtask <command>

  ci                             everything that must hold before a merge, in order
  test [--quick] [-- ARGS]       doc tests, then all tests; ARGS go to cargo nextest
                                 --quick: only the tests, those that need a browser or Python skip
  tidy                           what compilers do not check: layers, words, dead files
  bench [BENCH] [--save NAME]    benchmarks; keep the medians in docs/benchmarks/NAME.json,
        [--compare NAME]         print the ratio to medians kept before
  readme                         run the commands of README.md in a clean clone
";

type Command = fn(&[String]) -> Result<()>;

const COMMANDS: [(&str, Command); 5] = [
    ("ci", ci::run),
    ("test", test::run),
    ("tidy", tidy::run),
    ("bench", bench::run),
    ("readme", readme::run),
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((name, args)) = args.split_first() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let Some((_, command)) = COMMANDS.iter().find(|(known, _)| known == name) else {
        let nearest = nearest::nearest(name, COMMANDS.map(|(known, _)| known));
        eprintln!("xtask: unknown command `{name}`, did you mean `{nearest}`?\n\n{USAGE}");
        return ExitCode::from(2);
    };
    match command(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Usage>() => {
            eprintln!("xtask {name}: {error}\n\n{USAGE}");
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("xtask {name}: {error:#}");
            ExitCode::FAILURE
        }
    }
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
