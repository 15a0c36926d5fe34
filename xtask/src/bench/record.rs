//! What is kept of a run: the medians, and what they depend on.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::criterion::Medians;
use crate::{repo, shell};

/// A run of the benchmarks.
#[derive(Debug, PartialEq)]
pub(super) struct Record {
    pub(super) medians: Medians,
    machine: Machine,
    commit: String,
    rustc: String,
    /// The crates measured, peers among them.
    versions: BTreeMap<String, String>,
}

#[derive(Debug, PartialEq, Eq)]
struct Machine {
    cpu: String,
    cores: usize,
}

impl Record {
    /// These medians, taken here and now.
    pub(super) fn take(medians: Medians) -> Result<Self> {
        Ok(Self {
            medians,
            machine: Machine::here()?,
            commit: commit()?,
            rustc: shell::capture(Command::new("rustc").arg("--version"))?.trim().to_owned(),
            versions: versions()?,
        })
    }

    pub(super) fn save(&self, path: &Path) -> Result<()> {
        let folder = path.parent().context("a record has a folder")?;
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        let text = format!("{:#}\n", self.to_json());
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(super) fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| {
            format!("cannot read {}; keep medians there with --save", path.display())
        })?;
        let json = serde_json::from_str(&text)
            .with_context(|| format!("{} is not JSON", path.display()))?;
        Self::from_json(&json)
            .with_context(|| format!("{} is not a record of benchmarks", path.display()))
    }

    fn to_json(&self) -> Value {
        json!({
            "machine": {"cpu": self.machine.cpu, "cores": self.machine.cores},
            "commit": self.commit,
            "rustc": self.rustc,
            "versions": self.versions,
            "median_ns": self.medians,
        })
    }

    fn from_json(json: &Value) -> Result<Self> {
        let text = |value: &Value, name: &str| {
            value.as_str().map(str::to_owned).with_context(|| format!("{name} is missing"))
        };
        let map = |name: &str| -> Result<&Map<String, Value>> {
            json[name].as_object().with_context(|| format!("{name} is missing"))
        };
        let cores = json["machine"]["cores"].as_u64().context("machine.cores is missing")?;
        let machine = Machine {
            cpu: text(&json["machine"]["cpu"], "machine.cpu")?,
            cores: usize::try_from(cores)?,
        };
        let medians = map("median_ns")?.iter().map(|(name, value)| {
            Ok((
                name.clone(),
                value.as_f64().with_context(|| format!("the median of {name} is no number"))?,
            ))
        });
        let versions =
            map("versions")?.iter().map(|(name, value)| Ok((name.clone(), text(value, name)?)));
        Ok(Self {
            medians: medians.collect::<Result<_>>()?,
            machine,
            commit: text(&json["commit"], "commit")?,
            rustc: text(&json["rustc"], "rustc")?,
            versions: versions.collect::<Result<_>>()?,
        })
    }

    /// One line per benchmark: before, now, and the ratio; below 1 is faster.
    pub(super) fn compared_with(&self, before: &Self) -> String {
        let mut table = format!("\nbefore: {} on {}\n", before.commit, before.machine.cpu);
        if self.machine != before.machine {
            table += "another machine then: the ratios say little\n";
        }
        let width = self.medians.keys().map(String::len).max().unwrap_or(0);
        let _ = writeln!(
            table,
            "{:width$}  {:>12}  {:>12}  {:>6}",
            "benchmark", "before", "now", "ratio"
        );
        for (name, now) in &self.medians {
            let _ = match before.medians.get(name) {
                Some(then) => writeln!(
                    table,
                    "{name:width$}  {:>12}  {:>12}  {:>6.2}",
                    time(*then),
                    time(*now),
                    now / then
                ),
                None => {
                    writeln!(table, "{name:width$}  {:>12}  {:>12}  {:>6}", "-", time(*now), "new")
                }
            };
        }
        table
    }
}

impl Machine {
    fn here() -> Result<Self> {
        let cores =
            std::thread::available_parallelism().context("the number of cores is unknown")?.get();
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Ok(Self { cpu: cpu_model(&info).unwrap_or(std::env::consts::ARCH).to_owned(), cores })
    }
}

fn cpu_model(info: &str) -> Option<&str> {
    info.lines()
        .find(|line| line.starts_with("model name"))?
        .split_once(':')
        .map(|(_, model)| model.trim())
}

/// The commit, and whether what was measured is more than that.
fn commit() -> Result<String> {
    let commit =
        repo::git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|_| "none".to_owned());
    let dirty = !repo::git(&["status", "--porcelain"])?.is_empty();
    Ok(format!("{}{}", commit.trim(), if dirty { " with changes" } else { "" }))
}

fn versions() -> Result<BTreeMap<String, String>> {
    let mut tree = shell::cargo();
    tree.current_dir(repo::root()?).args([
        "tree",
        "--package",
        "nexus-events-benches",
        "--edges",
        "normal,dev",
        "--depth",
        "1",
        "--prefix",
        "none",
    ]);
    Ok(parse_versions(&shell::capture(&mut tree)?))
}

/// `name v1.2.3 …` per line; the first line is the package itself.
fn parse_versions(tree: &str) -> BTreeMap<String, String> {
    let words = tree.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    words
        .filter_map(|words| {
            Some(((*words.first()?).to_owned(), words.get(1)?.trim_start_matches('v').to_owned()))
        })
        .collect()
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        ns if ns < 1e3 => format!("{ns:.1} ns"),
        ns if ns < 1e6 => format!("{:.2} µs", ns / 1e3),
        ns => format!("{:.2} ms", ns / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(medians: &[(&str, f64)]) -> Record {
        Record {
            medians: medians.iter().map(|(name, ns)| ((*name).to_owned(), *ns)).collect(),
            machine: Machine { cpu: "A".to_owned(), cores: 2 },
            commit: "abc".to_owned(),
            rustc: "rustc 1".to_owned(),
            versions: BTreeMap::from([("serde".to_owned(), "1.0.0".to_owned())]),
        }
    }

    #[test]
    fn a_record_is_read_back_as_it_was_kept() {
        let record = record(&[("a/b", 12.5)]);
        assert_eq!(Record::from_json(&record.to_json()).unwrap(), record);
    }

    #[test]
    fn a_damaged_record_names_what_is_missing() {
        let mut json = record(&[]).to_json();
        json["median_ns"] = json!({"a": "fast"});
        assert!(Record::from_json(&json).unwrap_err().to_string().contains("median of a"));
        json["commit"] = Value::Null;
        json["median_ns"] = json!({});
        assert!(Record::from_json(&json).unwrap_err().to_string().contains("commit"));
    }

    #[test]
    fn the_comparison_has_a_ratio_per_benchmark() {
        let table = record(&[("a", 50.0), ("b", 2_000.0), ("c", 3e6)])
            .compared_with(&record(&[("a", 100.0), ("b", 1_000.0)]));
        let lines: Vec<Vec<&str>> =
            table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert!(lines.contains(&vec!["a", "100.0", "ns", "50.0", "ns", "0.50"]), "{table}");
        assert!(lines.contains(&vec!["b", "1.00", "µs", "2.00", "µs", "2.00"]), "{table}");
        assert!(lines.contains(&vec!["c", "-", "3.00", "ms", "new"]), "{table}");
        assert!(!table.contains("another machine"));
    }

    #[test]
    fn another_machine_is_pointed_out() {
        let mut before = record(&[]);
        before.machine.cores = 64;
        assert!(record(&[]).compared_with(&before).contains("another machine"));
    }

    #[test]
    fn versions_and_cpu_are_read_from_text() {
        let tree = "nexus-events-benches v0.1.0 (/x)\ncriterion v0.8.2\n";
        assert_eq!(
            parse_versions(tree),
            BTreeMap::from([("criterion".to_owned(), "0.8.2".to_owned())])
        );
        assert_eq!(cpu_model("processor : 0\nmodel name\t: Fast 9000\n"), Some("Fast 9000"));
    }
}
