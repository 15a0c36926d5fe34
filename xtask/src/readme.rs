//! `readme`: what README.md tells a newcomer to type works, in a clean clone.
//!
//! Blocks of shell commands run; Rust blocks are doc tests of the facade, which must include the
//! README for that; other blocks are output or prose.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{repo, shell};

/// Commands that are not run here, and why.
const SKIPPED: [(&str, &str); 4] = [
    ("cargo xtask test", "it is a step of its own"),
    ("cargo xtask ci", "it is what runs this"),
    ("cargo xtask readme", "it is this"),
    ("cargo add", "it is for a project of the reader's"),
];

/// What is added to a command without arguments of its own, so that it is quick and needs no
/// particular port.
const ADDED: [(&str, &str); 1] = [("cargo run --release -- demo", "--max --port 0")];

#[derive(Debug, PartialEq, Eq)]
struct Block {
    line: usize,
    language: String,
    text: String,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    crate::no_arguments(args)?;
    if !repo::git(&["status", "--porcelain"])?.is_empty() {
        println!("readme: the last commit is checked; there are changes that are not committed");
    }
    let clone = Checkout::new()?;
    let readme =
        std::fs::read_to_string(clone.0.join("README.md")).context("there is no README.md")?;
    let blocks = blocks(&readme)?;
    for block in &blocks {
        match block.language.as_str() {
            "sh" | "bash" | "console" => run_block(block, &clone.0)?,
            "rust" => check_included()?,
            _ => {}
        }
    }
    println!("readme: {} blocks hold", blocks.len());
    Ok(())
}

fn run_block(block: &Block, folder: &Path) -> Result<()> {
    let mut script = Vec::new();
    for command in commands(block) {
        match SKIPPED.iter().find(|(skipped, _)| command.starts_with(skipped)) {
            Some((_, why)) => {
                println!("readme: README.md:{}: `{command}` is not run, {why}", block.line);
            }
            None => script.push(with_added(&command)),
        }
    }
    if script.is_empty() {
        return Ok(());
    }
    let script = script.join("\n");
    println!("readme: README.md:{}:\n{script}", block.line);
    let mut shell = Command::new("bash");
    shell
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", repo::target_dir()?);
    shell::run(&mut shell).with_context(|| format!("README.md:{}", block.line))
}

/// The commands of a block: all of it, or what follows `$ ` where output is shown too.
fn commands(block: &Block) -> Vec<String> {
    let lines = block
        .text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    match block.language.as_str() {
        "console" => lines.filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect(),
        _ => lines.map(str::to_owned).collect(),
    }
}

fn with_added(command: &str) -> String {
    let bare = command.split(" #").next().unwrap_or(command).trim_end();
    match ADDED.iter().find(|(known, _)| *known == bare) {
        Some((known, added)) => format!("{known} {added}"),
        None => command.to_owned(),
    }
}

/// Every fenced block, with the line of its first fence.
fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let Some(language) = line.trim_start().strip_prefix("```") else { continue };
        let language = language.split([',', ' ', '{']).next().unwrap_or_default().to_owned();
        let mut block = Block { line: index + 1, language, text: String::new() };
        loop {
            let Some((_, line)) = lines.next() else {
                bail!("README.md:{}: the block is never closed", block.line)
            };
            if line.trim() == "```" {
                break;
            }
            block.text.push_str(line);
            block.text.push('\n');
        }
        blocks.push(block);
    }
    Ok(blocks)
}

/// The facade shows the README, so its Rust blocks run as doc tests.
fn check_included() -> Result<()> {
    let root = repo::root()?;
    let facade = repo::files()?
        .into_iter()
        .filter(|file| file.starts_with("crates/nexus-events/") && file.ends_with(".rs"));
    for file in facade {
        if includes_readme(&std::fs::read_to_string(root.join(&file))?) {
            return Ok(());
        }
    }
    bail!(
        "no file of crates/nexus-events has `#[doc = include_str!(\"../../../README.md\")]`, so the README's Rust blocks never run"
    )
}

fn includes_readme(code: &str) -> bool {
    code.lines().any(|line| {
        line.contains("include_str!(")
            && line.contains("README.md\")")
            && line.trim_start().starts_with('#')
    })
}

/// A clone of the last commit, deleted in the end. Always at the same place, so that cargo finds
/// what it built last time.
struct Checkout(PathBuf);

impl Checkout {
    fn new() -> Result<Self> {
        let root = repo::root()?;
        let mut hasher = DefaultHasher::new();
        root.hash(&mut hasher);
        let clone =
            Self(std::env::temp_dir().join(format!("nexus-events-readme-{:x}", hasher.finish())));
        clone.remove()?;
        let mut git = Command::new("git");
        shell::run(git.args(["clone", "--quiet", "--no-local"]).args([&root, &clone.0]))?;
        Ok(clone)
    }

    fn remove(&self) -> Result<()> {
        match std::fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot delete {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("xtask readme: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(language: &str, text: &str) -> Block {
        Block { line: 1, language: language.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn blocks_know_their_language_and_line() {
        let found =
            blocks("a\n```sh\nls\n```\n\n```rust,no_run\nfn main() {}\n```\n```\nx\n```").unwrap();
        let found: Vec<_> =
            found.iter().map(|b| (b.line, b.language.as_str(), b.text.as_str())).collect();
        assert_eq!(found, [(2, "sh", "ls\n"), (6, "rust", "fn main() {}\n"), (9, "", "x\n")]);
        assert!(blocks("```sh\nls").unwrap_err().to_string().contains("README.md:1"));
    }

    #[test]
    fn console_blocks_show_output_too() {
        assert_eq!(commands(&block("console", "$ ls\na b\n$ pwd\n")), ["ls", "pwd"]);
        assert_eq!(commands(&block("sh", "# look\nls\n\npwd\n")), ["ls", "pwd"]);
    }

    #[test]
    fn the_demo_runs_at_full_speed_unless_told_otherwise() {
        assert_eq!(
            with_added("cargo run --release -- demo"),
            "cargo run --release -- demo --max --port 0"
        );
        assert_eq!(
            with_added("cargo run --release -- demo   # a minute"),
            "cargo run --release -- demo --max --port 0"
        );
        assert_eq!(
            with_added("cargo run --release -- demo --max"),
            "cargo run --release -- demo --max"
        );
    }

    #[test]
    fn a_command_that_fails_fails_the_block() {
        let folder = std::env::temp_dir();
        assert!(run_block(&block("sh", "true\nfalse\ntrue\n"), &folder).is_err());
        assert!(run_block(&block("sh", "true\ncargo xtask test\n"), &folder).is_ok());
    }

    #[test]
    fn the_readme_is_included_by_an_attribute() {
        assert!(includes_readme("#![doc = include_str!(\"../../../README.md\")]"));
        assert!(!includes_readme("// include_str!(\"../../../README.md\")"));
    }
}
