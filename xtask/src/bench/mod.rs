//! `bench`: runs the benchmarks, keeps their medians, compares them with medians kept before.

mod criterion;
mod record;

use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::{Result, bail};

use self::record::Record;
use crate::{Usage, repo, shell, unknown_argument};

#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    bench: Option<String>,
    save: Option<String>,
    compare: Option<String>,
    /// For the benchmark itself.
    rest: Vec<String>,
}

pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    // A name that does not exist must not be noticed after ten minutes.
    let before =
        options.compare.as_deref().map(|name| Record::load(&record_path(name)?)).transpose()?;
    let start = SystemTime::now();
    let target = repo::target_dir()?;
    let mut cargo = shell::cargo();
    cargo.args(["bench", "--package", "nexus-events-benches"]).env("CARGO_TARGET_DIR", &target);
    if let Some(bench) = &options.bench {
        cargo.args(["--bench", bench]);
    }
    if !options.rest.is_empty() {
        cargo.arg("--").args(&options.rest);
    }
    shell::run(&mut cargo)?;
    let medians = criterion::medians(&target.join("criterion"), start)?;
    if medians.is_empty() {
        if options.save.is_some() || before.is_some() {
            bail!(
                "this benchmark keeps no medians to save or compare; it writes its own page with `cargo xtask bench NAME -- --save`"
            );
        }
        return Ok(());
    }
    let record = Record::take(medians)?;
    if let Some(before) = before {
        print!("{}", record.compared_with(&before));
    }
    if let Some(name) = &options.save {
        let path = record_path(name)?;
        record.save(&path)?;
        println!("bench: {} medians kept in {}", record.medians.len(), path.display());
    }
    Ok(())
}

fn record_path(name: &str) -> Result<PathBuf> {
    Ok(repo::root()?.join("docs/benchmarks").join(format!("{name}.json")))
}

impl Options {
    fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(argument) = args.next() {
            let slot = match argument.as_str() {
                "--save" => &mut options.save,
                "--compare" => &mut options.compare,
                "--" => {
                    options.rest = args.cloned().collect();
                    break;
                }
                bench if !bench.starts_with('-') && options.bench.is_none() => {
                    options.bench = Some(bench.to_owned());
                    continue;
                }
                _ => return Err(unknown_argument(argument)),
            };
            let name = args.next().filter(|name| is_name(name));
            let complaint =
                || Usage(format!("{argument} needs a name of letters, digits and dashes"));
            *slot = Some(name.ok_or_else(complaint)?.clone());
        }
        Ok(options)
    }
}

/// It becomes a file name.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(&args.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_may_come_in_any_order() {
        let expected = Options {
            bench: Some("model".into()),
            save: Some("now".into()),
            compare: Some("base-1.2".into()),
            rest: Vec::new(),
        };
        assert_eq!(parse(&["model", "--save", "now", "--compare", "base-1.2"]).unwrap(), expected);
        assert_eq!(parse(&["--compare", "base-1.2", "--save", "now", "model"]).unwrap(), expected);
        assert_eq!(parse(&[]).unwrap(), Options::default());
        let passed_on = parse(&["index", "--", "--save", "quick"]).unwrap();
        assert_eq!((passed_on.save, passed_on.rest.len()), (None, 2));
    }

    #[test]
    fn bad_arguments_are_usage_errors() {
        for args in [
            &["--save"][..],
            &["--save", "../x"],
            &["--save", "--compare"],
            &["a", "b"],
            &["--fast"],
        ] {
            assert!(parse(args).unwrap_err().is::<Usage>(), "{args:?}");
        }
    }
}
