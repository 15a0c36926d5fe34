//! The packages of the workspace as cargo sees them.

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{repo, shell};

/// A package and what the checks ask about it.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) name: String,
    /// Relative to the root.
    pub(super) manifest: String,
    pub(super) manifest_text: String,
    pub(super) dependencies: Vec<Dependency>,
    /// The file each target starts with, relative to the root.
    pub(super) roots: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// What code calls it.
    pub(super) code_name: String,
    /// For tests only.
    pub(super) dev: bool,
}

impl Package {
    /// The line of the manifest that names this.
    pub(super) fn line_of(&self, text: &str) -> usize {
        self.manifest_text
            .lines()
            .position(|line| line.trim_start().starts_with(text))
            .map_or(1, |index| index + 1)
    }
}

/// Every member of the workspace.
pub(super) fn read() -> Result<Vec<Package>> {
    let root = repo::root()?;
    let metadata = shell::capture(
        shell::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(&root),
    )?;
    let metadata: Value =
        serde_json::from_str(&metadata).context("cargo metadata printed no JSON")?;
    let relative = |path: &Value| -> Result<String> {
        let path = std::path::Path::new(text(path)?);
        let inside = path
            .strip_prefix(&root)
            .with_context(|| format!("{} is outside the repository", path.display()))?;
        Ok(inside.to_string_lossy().replace('\\', "/"))
    };
    let mut packages = Vec::new();
    for package in list(&metadata["packages"])? {
        let manifest = relative(&package["manifest_path"])?;
        let manifest_text = std::fs::read_to_string(root.join(&manifest))
            .with_context(|| format!("cannot read {manifest}"))?;
        let mut dependencies = Vec::new();
        for dependency in list(&package["dependencies"])? {
            let dev = dependency["kind"] == "dev";
            let name = text(&dependency["name"])?.to_owned();
            let code_name = dependency["rename"].as_str().unwrap_or(&name).replace('-', "_");
            dependencies.push(Dependency { name, code_name, dev });
        }
        let roots = list(&package["targets"])?
            .iter()
            .map(|target| relative(&target["src_path"]))
            .collect::<Result<_>>()?;
        packages.push(Package {
            name: text(&package["name"])?.to_owned(),
            manifest,
            manifest_text,
            dependencies,
            roots,
        });
    }
    Ok(packages)
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().context("cargo metadata lacks a text where one belongs")
}

fn list(value: &Value) -> Result<&Vec<Value>> {
    value.as_array().context("cargo metadata lacks a list where one belongs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_read() {
        let packages = read().unwrap();
        let xtask = packages.iter().find(|package| package.name == "xtask").unwrap();
        assert_eq!(
            (xtask.manifest.as_str(), &xtask.roots[..]),
            ("xtask/Cargo.toml", &["xtask/src/main.rs".to_owned()][..])
        );
        assert!(
            xtask
                .dependencies
                .iter()
                .any(|dependency| dependency.name == "anyhow" && !dependency.dev)
        );
        assert!(
            xtask
                .manifest_text
                .lines()
                .nth(xtask.line_of("anyhow") - 1)
                .unwrap()
                .starts_with("anyhow")
        );
    }
}
