//! An edge points only to a lower layer, and siblings do not know each other.

use super::Problem;
use super::packages::{Dependency, Package};

/// Where each package stands; the same table opens `docs/architecture.md`.
const LAYERS: [(&str, u8); 15] = [
    ("nexus-events-model", 0),
    ("nexus-events-dispatch", 1),
    ("nexus-events-patterns", 2),
    ("nexus-events-stream", 2),
    ("nexus-events-store", 2),
    ("nexus-events-transport", 2),
    ("nexus-events-security", 2),
    ("nexus-events-notify", 2),
    ("nexus-events-test", 2),
    ("nexus-events-trigger", 3),
    ("nexus-events-macros", 3),
    ("nexus-events", 4),
    ("nexus-events-server", 5),
    ("nexus-events-benches", 5),
    ("xtask", 5),
];

/// Every manifest: its place, its edges, its lints.
pub(super) fn check(packages: &[Package]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in packages {
        let Some(layer) = layer(&package.name) else {
            let what =
                format!("{} has no layer: give it one in xtask/src/tidy/layers.rs", package.name);
            problems.push(Problem::new(&package.manifest, package.line_of("name"), what));
            continue;
        };
        for dependency in &package.dependencies {
            let known = packages.iter().any(|package| package.name == dependency.name);
            if known && let Some(why) = refusal(&package.name, layer, dependency) {
                problems.push(Problem::new(
                    &package.manifest,
                    package.line_of(&dependency.name),
                    why,
                ));
            }
        }
        if !inherits_lints(&package.manifest_text) {
            let what = "lints are not inherited: add `[lints]` with `workspace = true`";
            problems.push(Problem::new(
                &package.manifest,
                package.manifest_text.lines().count(),
                what,
            ));
        }
    }
    problems
}

fn refusal(package: &str, layer: u8, dependency: &Dependency) -> Option<String> {
    let name = &dependency.name;
    let below = self::layer(name)?;
    if dependency.dev {
        let allowed = below <= layer || name == "nexus-events-test";
        return (!allowed).then(|| {
            format!("tests of layer {layer} may not use {name} of layer {below}: move the test up")
        });
    }
    if below >= layer {
        return Some(format!(
            "layer {layer} may not depend on {name} of layer {below}: turn the edge round, or put a port in a lower layer"
        ));
    }
    let sibling_of_trigger =
        below == 2 && !matches!(name.as_str(), "nexus-events-patterns" | "nexus-events-notify");
    if package == "nexus-events-trigger" && sibling_of_trigger {
        return Some(format!(
            "trigger uses only patterns and notify of layer 2, not {name}: put a port in a lower layer"
        ));
    }
    if package == "nexus-events-macros" {
        return Some(format!("macros know only paths, not {name}: let the expansion name it"));
    }
    None
}

fn layer(package: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == package).map(|(_, layer)| *layer)
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.find(|line| !line.is_empty() && !line.starts_with('#')) == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINTS: &str = "\n[lints]\nworkspace = true\n";

    fn package(name: &str, normal: &[&str], dev: &[&str]) -> Package {
        let dependency = |name: &&str, dev| Dependency {
            name: (*name).to_owned(),
            code_name: name.replace('-', "_"),
            dev,
        };
        let dependencies = normal
            .iter()
            .map(|n| dependency(n, false))
            .chain(dev.iter().map(|n| dependency(n, true)));
        let manifest_text = format!("[package]\nname = \"{name}\"\n{}{LINTS}", normal.join("\n"));
        let manifest = format!("crates/{name}/Cargo.toml");
        Package {
            name: name.to_owned(),
            manifest,
            manifest_text,
            dependencies: dependencies.collect(),
            roots: Vec::new(),
        }
    }

    /// The problems of one package in a workspace with every other.
    fn problems(name: &str, normal: &[&str], dev: &[&str]) -> Vec<Problem> {
        let others = LAYERS
            .iter()
            .filter(|(other, _)| *other != name)
            .map(|(other, _)| package(other, &[], &[]));
        check(&[package(name, normal, dev)].into_iter().chain(others).collect::<Vec<_>>())
    }

    #[test]
    fn edges_point_down() {
        assert_eq!(
            problems(
                "nexus-events-stream",
                &["nexus-events-dispatch", "nexus-events-model", "axum"],
                &[]
            ),
            []
        );
        assert_eq!(
            problems("nexus-events", &["nexus-events-macros", "nexus-events-trigger"], &[]),
            []
        );
        for (from, to) in [
            ("nexus-events-model", "nexus-events-dispatch"),
            ("nexus-events-stream", "nexus-events-store"),
            ("nexus-events-trigger", "nexus-events-stream"),
            ("nexus-events-macros", "nexus-events-model"),
            ("nexus-events", "nexus-events-server"),
        ] {
            let problems = problems(from, &[to], &[]);
            assert_eq!(problems.len(), 1, "{from} → {to}");
            assert_eq!(
                (problems[0].line, problems[0].what.contains(to)),
                (3, true),
                "{}",
                problems[0]
            );
        }
    }

    #[test]
    fn tests_may_use_the_same_layer_and_the_test_crate() {
        assert_eq!(problems("nexus-events-model", &[], &["nexus-events-test"]), []);
        assert_eq!(problems("nexus-events-stream", &[], &["nexus-events-store"]), []);
        assert_eq!(problems("nexus-events-dispatch", &[], &["nexus-events-stream"]).len(), 1);
    }

    #[test]
    fn a_new_package_needs_a_layer() {
        assert!(problems("nexus-events-extra", &[], &[])[0].what.contains("layers.rs"));
    }

    #[test]
    fn lints_come_from_the_workspace() {
        assert!(inherits_lints("[lints]\n# ours\nworkspace = true"));
        assert!(!inherits_lints("[package]\n[lints.rust]\nunsafe_code = \"allow\""));
        assert!(!inherits_lints("[lints]\nworkspace = false"));
        let mut bare = package("xtask", &[], &[]);
        bare.manifest_text = "[package]".to_owned();
        assert_eq!(check(&[bare]).len(), 1);
    }
}
