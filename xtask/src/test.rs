//! `test`: models, doc tests, then every test of the workspace.
//!
//! The runner comes last, so that the output ends with its closing lines.

use std::process::Command;

use anyhow::Result;

use crate::tools::{self, Tools};
use crate::{models, shell, unknown_argument};

#[derive(Debug, PartialEq, Eq)]
struct Options {
    quick: bool,
    runner: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    if !options.quick {
        models::run(&[])?;
    }
    test(&options)
}

/// As [`run`], for those who have run the models already.
pub(crate) fn without_models(args: &[String]) -> Result<()> {
    test(&Options::parse(args)?)
}

fn test(options: &Options) -> Result<()> {
    let mut runner = runner(has_nextest(), &options.runner);
    if !options.quick {
        let tools = tools::ensure()?;
        let mut doc = shell::cargo();
        announce_and_run(require(doc.args(["test", "--workspace", "--doc"]), &tools))?;
        require(&mut runner, &tools);
    }
    announce_and_run(&mut runner)
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self { quick: false, runner: Vec::new() };
        for (index, argument) in args.iter().enumerate() {
            match argument.as_str() {
                "--quick" => options.quick = true,
                "--" => {
                    options.runner = args[index + 1..].to_vec();
                    break;
                }
                _ => return Err(unknown_argument(argument)),
            }
        }
        Ok(options)
    }
}

/// Makes a test that misses a tool fail where it would otherwise skip.
fn require<'a>(command: &'a mut Command, tools: &Tools) -> &'a mut Command {
    command
        .env("NEXUS_TEST_CHROMIUM", &tools.chromium)
        .env("NEXUS_TEST_PYTHON", &tools.python)
        .env("NEXUS_TEST_REQUIRE", "1")
}

fn runner(nextest: bool, args: &[String]) -> Command {
    let mut cargo = shell::cargo();
    if nextest {
        cargo.args(["nextest", "run", "--workspace"]);
    } else {
        println!("cargo-nextest is not installed; using cargo test");
        cargo.args(["test", "--workspace", "--tests", "--lib", "--bins"]);
    }
    cargo.args(args);
    cargo
}

fn has_nextest() -> bool {
    shell::capture(shell::cargo().args(["nextest", "--version"])).is_ok()
}

fn announce_and_run(command: &mut Command) -> Result<()> {
    println!("$ {}", shell::line(command));
    shell::run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn what_follows_two_dashes_goes_to_the_runner() {
        let options = parse(&["--quick", "--", "-E", "test(d1)", "--quick"]).unwrap();
        assert_eq!(
            options,
            Options {
                quick: true,
                runner: ["-E", "test(d1)", "--quick"].map(String::from).to_vec()
            }
        );
        assert!(!parse(&["--", "--quick"]).unwrap().quick);
    }

    #[test]
    fn an_unknown_argument_is_a_usage_error() {
        let error = parse(&["--fast"]).unwrap_err();
        assert!(error.is::<crate::Usage>() && error.to_string().contains("--fast"), "{error}");
    }

    #[test]
    fn both_runners_see_the_whole_workspace_and_the_arguments() {
        let args = ["d1".to_owned()];
        assert_eq!(shell::line(&runner(true, &args)), "cargo nextest run --workspace d1");
        assert_eq!(
            shell::line(&runner(false, &args)),
            "cargo test --workspace --tests --lib --bins d1"
        );
    }

    #[test]
    fn tools_reach_the_tests_and_become_required() {
        let tools = Tools { chromium: "/opt/chromium".into(), python: "/opt/python".into() };
        let line = shell::line(require(&mut runner(true, &[]), &tools));
        for part in [
            "NEXUS_TEST_CHROMIUM=/opt/chromium",
            "NEXUS_TEST_PYTHON=/opt/python",
            "NEXUS_TEST_REQUIRE=1",
        ] {
            assert!(line.contains(part), "{line}");
        }
    }
}
