//! `tidy`: what no compiler checks. Every file is read once, every problem reported.
//!
//! Each check is a function from what was read to the problems it found, in a file of its own.

mod allowed;
mod dead;
mod foreign;
mod items;
mod layers;
mod mask;
mod members;
mod packages;
mod prose;
mod rules;
mod source;
mod weight;
mod words;

use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, Result, bail};

use self::allowed::Allowed;
use self::packages::Package;
use self::source::Source;
use crate::repo;

/// Something to change, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    path: String,
    /// Counted from 1.
    line: usize,
    what: String,
}

impl Problem {
    fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    crate::no_arguments(args)?;
    let sources = read()?;
    let packages = packages::read()?;
    let problems = check(&sources, &packages)?;
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!(
            "{} {} in {} files",
            problems.len(),
            if problems.len() == 1 { "problem" } else { "problems" },
            sources.len()
        );
    }
    println!("tidy: {} files, nothing to change", sources.len());
    Ok(())
}

fn check(sources: &[Source], packages: &[Package]) -> Result<BTreeSet<Problem>> {
    let mut problems = BTreeSet::new();
    for source in sources {
        problems.extend(rules::check(source));
        problems.extend(prose::check(source));
    }
    problems.extend(layers::check(packages));
    problems.extend(dead::check(sources, packages));
    let mut allowed = Allowed::of(sources);
    problems.extend(words::check(sources, &mut allowed));
    problems.extend(foreign::check(sources, packages, &mut allowed));
    problems.extend(allowed.problems());
    problems.extend(weight::check(packages)?);
    Ok(problems)
}

/// Every text file of the repository.
fn read() -> Result<Vec<Source>> {
    let root = repo::root()?;
    let mut sources = Vec::new();
    for path in repo::files()? {
        let bytes =
            std::fs::read(root.join(&path)).with_context(|| format!("cannot read {path}"))?;
        // Binary files are listed with no text: they can still be dead.
        let text =
            String::from_utf8(bytes).ok().filter(|text| !text.contains('\0')).unwrap_or_default();
        sources.push(Source::new(&path, text));
    }
    Ok(sources)
}
