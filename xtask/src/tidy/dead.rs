//! Files that nothing leads to: Rust no target includes, test data no test names.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::packages::Package;
use super::source::Source;

/// Every Rust file and every file of a `testdata` folder.
pub(super) fn check(sources: &[Source], packages: &[Package]) -> Vec<Problem> {
    let files: BTreeMap<&str, &Source> =
        sources.iter().map(|source| (source.path.as_str(), source)).collect();
    let mut reached = BTreeSet::new();
    for root in packages.iter().flat_map(|package| &package.roots) {
        reach(root, true, &files, &mut reached);
    }
    let mut problems = Vec::new();
    for source in sources {
        let name = source.path.rsplit('/').next().unwrap_or(&source.path);
        if source.is_rust()
            && !reached.contains(&source.path)
            && !source.path.contains("/tests/ui/")
        {
            problems.push(Problem::new(
                &source.path,
                1,
                "no target includes this file: add a `mod` line, or delete it",
            ));
        }
        if is_test_data(&source.path) && !is_named(name, &source.path, sources) {
            problems.push(Problem::new(
                &source.path,
                1,
                format!("nothing names {name}: use it in a test, or delete it"),
            ));
        }
    }
    problems
}

/// Follows the `mod` lines from a file.
fn reach(
    path: &str,
    is_root: bool,
    files: &BTreeMap<&str, &Source>,
    reached: &mut BTreeSet<String>,
) {
    let Some(source) = files.get(path) else { return };
    if !reached.insert(path.to_owned()) {
        return;
    }
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let inside = if is_root || name == "mod.rs" {
        folder.to_owned()
    } else {
        path.trim_end_matches(".rs").to_owned()
    };
    let raw: Vec<&str> = source.text.lines().collect();
    for (line, code) in source.lines() {
        let Some(module) = module(code) else { continue };
        if let Some(file) = line.checked_sub(2).and_then(|before| path_attribute(raw[before])) {
            reach(&format!("{folder}/{file}"), false, files, reached);
        }
        reach(&format!("{inside}/{module}.rs"), false, files, reached);
        reach(&format!("{inside}/{module}/mod.rs"), false, files, reached);
    }
}

/// `a` in `pub(crate) mod a;`.
fn module(code: &str) -> Option<&str> {
    let (before, name) = code.trim().strip_suffix(';')?.split_once("mod ")?;
    let visibility = before.is_empty() || (before.starts_with("pub") && before.ends_with(' '));
    visibility.then_some(name.trim())
}

/// `a.rs` in `#[path = "a.rs"]`.
fn path_attribute(line: &str) -> Option<&str> {
    line.trim().strip_prefix("#[path = \"")?.strip_suffix("\"]")
}

/// Where data comes from and how it may be used stands beside it, for people.
fn is_test_data(path: &str) -> bool {
    path.contains("/testdata/") && !["LICENSE", "README"].iter().any(|name| path.contains(name))
}

fn is_named(name: &str, path: &str, sources: &[Source]) -> bool {
    sources.iter().any(|source| source.path != path && source.text.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_dead(files: &[(&str, &str)], dead: &[&str]) {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::new(path, *text)).collect();
        let roots = ["a/src/lib.rs", "a/tests/it/main.rs"].map(str::to_owned).to_vec();
        let found = check(&sources, &[Package { roots, ..Package::default() }]);
        assert_eq!(found.iter().map(|problem| problem.path.as_str()).collect::<Vec<_>>(), dead);
    }

    #[test]
    fn files_are_reached_by_mod_lines() {
        check_dead(
            &[
                (
                    "a/src/lib.rs",
                    "mod b;\npub(crate) mod c;\n#[cfg(test)]\nmod tests;\n// mod old;",
                ),
                ("a/src/b.rs", "mod inner;"),
                ("a/src/b/inner.rs", ""),
                ("a/src/c/mod.rs", "#[path = \"other.rs\"]\nmod d;\nmod e;"),
                ("a/src/c/other.rs", ""),
                ("a/src/c/e.rs", ""),
                ("a/src/inner.rs", ""),
                ("a/src/old.rs", ""),
                ("a/src/tests.rs", ""),
                ("a/tests/it/main.rs", "mod one;"),
                ("a/tests/it/one.rs", ""),
                ("a/tests/ui/fail/x.rs", ""),
            ],
            &["a/src/inner.rs", "a/src/old.rs"],
        );
    }

    #[test]
    fn test_data_is_named_by_somebody() {
        check_dead(
            &[
                ("a/src/lib.rs", "const A: &str = include_str!(\"../testdata/used.toml\");"),
                ("a/testdata/used.toml", ""),
                ("a/testdata/unused.toml", "unused.toml"),
                ("a/testdata/used.LICENSE.txt", ""),
            ],
            &["a/testdata/unused.toml"],
        );
    }
}
