//! How many crates of other people each of ours pulls in.

use std::collections::BTreeSet;

use anyhow::Result;

use super::Problem;
use super::packages::Package;
use crate::{repo, shell};

/// Package, features beside the default ones, the most crates of others in its tree.
const MOST: [(&str, &str, usize); 16] = [
    ("nexus-events-model", "", 28),
    ("nexus-events-dispatch", "", 40),
    ("nexus-events-patterns", "", 40),
    ("nexus-events-trigger", "", 45),
    ("nexus-events-trigger", "cron", 60),
    ("nexus-events-stream", "", 90),
    ("nexus-events-store", "", 43),
    ("nexus-events-transport", "nats", 110),
    ("nexus-events-security", "encryption", 55),
    ("nexus-events-security", "schema", 80),
    ("nexus-events-notify", "", 95),
    ("nexus-events-test", "", 50),
    ("nexus-events-macros", "", 5),
    ("nexus-events", "", 40),
    ("nexus-events-server", "", 199),
    ("xtask", "", 15),
];

/// Every package that has a bound.
pub(super) fn check(packages: &[Package]) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (name, features, most) in MOST {
        let Some(package) = packages.iter().find(|package| package.name == name) else { continue };
        let mut tree = shell::cargo();
        tree.current_dir(repo::root()?).args([
            "tree",
            "--package",
            name,
            "--edges",
            "normal",
            "--prefix",
            "none",
        ]);
        let tree = shell::capture(tree.args(["--features", features]))?;
        problems.extend(too_heavy(package, &tree, most));
    }
    Ok(problems)
}

fn too_heavy(package: &Package, tree: &str, most: usize) -> Option<Problem> {
    let count = foreign(tree).len();
    let what = format!(
        "{count} crates of others in its tree, the most is {most}: drop a dependency or a feature"
    );
    (count > most).then(|| Problem::new(&package.manifest, package.line_of("[dependencies]"), what))
}

/// The crates of others, each version once.
fn foreign(tree: &str) -> BTreeSet<&str> {
    let lines = tree.lines().map(|line| line.trim().trim_end_matches(" (proc-macro)"));
    // Ours are printed with the folder they are in, and what was printed before with a star.
    lines.filter(|line| !line.is_empty() && !line.ends_with(')')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "\
ours v0.1.0 (/somewhere/ours)
serde v1.0.0
serde_derive v1.0.0 (proc-macro)
syn v3.0.0

syn v2.0.0
serde v1.0.0 (*)
serde_derive v1.0.0 (proc-macro) (*)
";

    #[test]
    fn each_version_of_others_counts_once() {
        assert_eq!(
            foreign(TREE).into_iter().collect::<Vec<_>>(),
            ["serde v1.0.0", "serde_derive v1.0.0", "syn v2.0.0", "syn v3.0.0"]
        );
    }

    #[test]
    fn one_too_many_is_reported() {
        let package =
            Package { manifest_text: "[package]\n[dependencies]".to_owned(), ..Package::default() };
        assert_eq!(too_heavy(&package, TREE, 4), None);
        let problem = too_heavy(&package, TREE, 3).unwrap();
        assert_eq!((problem.line, problem.what.starts_with("4 crates")), (2, true));
    }
}
