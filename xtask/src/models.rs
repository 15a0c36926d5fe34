//! `models`: the dispatch core on threads whose every step a model checker chooses.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::{repo, shell};

/// Each checker has a build of its own, in which it stands in for locks, atomics and tasks.
const CHECKERS: [(&str, &str); 2] = [("nexus_shuttle", "models"), ("nexus_loom", "loom")];

/// Arguments go to the test programs: the names of models to run.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let start = Instant::now();
    let (mut schedules, mut models) = (0, 0);
    for (flag, test) in CHECKERS {
        let mut cargo = cargo(flag, test, args)?;
        println!("$ {}", shell::line(&cargo));
        for explored in explored(&mut cargo)? {
            (schedules, models) = (schedules + explored, models + 1);
        }
    }
    let took = start.elapsed().as_secs_f64();
    println!("models: {schedules} schedules of {models} models, {took:.1} s with their build");
    Ok(())
}

fn cargo(flag: &str, test: &str, args: &[String]) -> Result<Command> {
    let mut cargo = shell::cargo();
    // Other flags than those of every other build: not in the same folder.
    cargo.env("CARGO_TARGET_DIR", repo::target_dir()?.join("models"));
    cargo.env("RUSTFLAGS", format!("--cfg {flag} -D warnings"));
    cargo.args(["test", "--quiet", "--package", "nexus-events-dispatch", "--profile", "models"]);
    cargo.args(["--test", test, "--", "--nocapture"]).args(args);
    Ok(cargo)
}

/// Runs it with our output; gives back what each model explored.
fn explored(command: &mut Command) -> Result<Vec<u64>> {
    let line = shell::line(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let output = child.stdout.take().context("it has no output")?;
    let mut explored = Vec::new();
    for said in BufReader::new(output).lines() {
        let said = said.context("it printed something that is not UTF-8")?;
        println!("{said}");
        explored.extend(schedules(&said));
    }
    let status = child.wait()?;
    if !status.success() {
        bail!(
            "`{line}` failed ({status}); what to do with a schedule that fails is in docs/design/0008-models.md"
        );
    }
    Ok(explored)
}

/// What a model says when it is done: `registry::subscribes: 20000 schedules in 1.2 s`.
fn schedules(line: &str) -> Option<u64> {
    let (_, said) = line.split_once(": ")?;
    said.split_once(" schedules in ")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_models_explored_is_read_from_their_lines() {
        assert_eq!(schedules(".queue::order: 20000 schedules in 3.2 s"), Some(20_000));
        assert_eq!(schedules("test result: ok. 3 passed"), None);
        assert_eq!(schedules("queue::order: many schedules in 3.2 s"), None);
    }

    #[test]
    fn a_failure_is_one_of_the_command() {
        let mut sh = Command::new("sh");
        let said = "echo 'a: 3 schedules in 1 s'; echo 'b: 4 schedules in 1 s'";
        assert_eq!(explored(sh.args(["-c", said])).unwrap(), [3, 4]);
        let error = explored(&mut Command::new("false")).unwrap_err().to_string();
        assert!(error.contains("`false` failed"), "{error}");
    }

    #[test]
    fn each_checker_has_its_flag_and_all_a_folder_apart() {
        let line = shell::line(&cargo("nexus_loom", "loom", &["pass".to_owned()]).unwrap());
        assert!(line.contains("RUSTFLAGS='--cfg nexus_loom -D warnings'"), "{line}");
        assert!(
            line.contains("/models ") && line.ends_with("--test loom -- --nocapture pass"),
            "{line}"
        );
    }
}
