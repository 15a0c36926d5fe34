//! `ci`: everything that must hold before a merge; stops at the first step that fails.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{models, readme, repo, shell, test, tidy};

/// What runs, and how to run just that again.
enum Step {
    Cargo(Command),
    Own(&'static str, fn(&[String]) -> Result<()>),
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    crate::no_arguments(args)?;
    let mut done = Vec::new();
    for (name, mut step) in steps(&repo::root()?)? {
        println!("== {name}");
        let start = Instant::now();
        let repeat = step.repeat();
        step.run().with_context(|| format!("step {name} failed; to repeat it: {repeat}"))?;
        println!("== {name}: {}", seconds(start.elapsed()));
        done.push((name, start.elapsed()));
    }
    println!("\nEverything holds:");
    for (name, took) in done {
        println!("{:>9}  {name}", seconds(took));
    }
    Ok(())
}

fn steps(root: &Path) -> Result<Vec<(String, Step)>> {
    let mut doc = cargo("doc --workspace --no-deps");
    doc.env("RUSTDOCFLAGS", "-D warnings");
    let mut steps = vec![
        ("fmt".to_owned(), Step::Cargo(cargo("fmt --all --check"))),
        (
            "clippy".to_owned(),
            Step::Cargo(cargo("clippy --workspace --all-targets -- -D warnings")),
        ),
        ("tidy".to_owned(), Step::Own("tidy", tidy::run)),
        ("models".to_owned(), Step::Own("models", models::run)),
        ("test".to_owned(), Step::Own("test", test::without_models)),
        ("doc".to_owned(), Step::Cargo(doc)),
    ];
    let examples = examples(root)?;
    if !examples.is_empty() {
        let build = cargo("build --package nexus-events --all-features --examples");
        steps.push(("examples build".to_owned(), Step::Cargo(build)));
    }
    for example in examples {
        let run = cargo(&format!(
            "run --quiet --package nexus-events --all-features --example {example}"
        ));
        steps.push((format!("example {example}"), Step::Cargo(run)));
    }
    steps.push(("readme".to_owned(), Step::Own("readme", readme::run)));
    Ok(steps)
}

/// The facade's examples that finish by themselves.
fn examples(root: &Path) -> Result<Vec<String>> {
    let mut examples = Vec::new();
    for file in repo::files()? {
        let name = file
            .strip_prefix("crates/nexus-events/examples/")
            .and_then(|name| name.strip_suffix(".rs"));
        let Some(name) = name.filter(|name| !name.contains('/')) else { continue };
        let text = std::fs::read_to_string(root.join(&file))
            .with_context(|| format!("cannot read {file}"))?;
        if finishes(&text) {
            examples.push(name.to_owned());
        }
    }
    Ok(examples)
}

/// An example that runs until it is stopped says so in a line of its module comment.
fn finishes(example: &str) -> bool {
    !example.lines().any(|line| line.trim() == "//! run: no")
}

impl Step {
    fn repeat(&self) -> String {
        match self {
            Self::Cargo(command) => shell::line(command),
            Self::Own(name, _) => format!("cargo xtask {name}"),
        }
    }

    fn run(&mut self) -> Result<()> {
        match self {
            Self::Cargo(command) => shell::run(command),
            Self::Own(_, run) => run(&[]),
        }
    }
}

fn cargo(args: &str) -> Command {
    let mut cargo = shell::cargo();
    cargo.args(args.split(' '));
    cargo
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marker_line_keeps_an_example_from_running() {
        assert!(finishes("//! Says hello.\nfn main() {}"));
        assert!(!finishes("//! Serves.\n//! run: no\nfn main() {}"));
        assert!(finishes("//! One cannot run: no way.\nfn main() {}"));
    }

    #[test]
    fn steps_are_in_order_and_name_the_command_that_repeats_them() {
        let steps = steps(&repo::root().unwrap()).unwrap();
        let names: Vec<&str> = steps.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names[..6], ["fmt", "clippy", "tidy", "models", "test", "doc"]);
        assert_eq!(names.last(), Some(&"readme"));
        assert_eq!(steps[2].1.repeat(), "cargo xtask tidy");
        assert_eq!(
            steps[5].1.repeat(),
            "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps"
        );
    }
}
