//! Where things are in this repository.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::shell;

/// The root of the repository that the current directory is in.
pub(crate) fn root() -> Result<PathBuf> {
    let here = std::env::current_dir().context("there is no current directory")?;
    let root = here.ancestors().find(|folder| folder.join("xtask/Cargo.toml").is_file());
    root.map(PathBuf::from).context("run this inside a clone of the repository")
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let root = root()?;
    Ok(std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), |folder| root.join(folder)))
}

/// `git` in the root of the repository.
pub(crate) fn git(args: &[&str]) -> Result<String> {
    shell::capture(Command::new("git").current_dir(root()?).args(args))
}

/// Every file that is or could be committed, relative to the root.
pub(crate) fn files() -> Result<Vec<String>> {
    let root = root()?;
    let listed = git(&["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let mut files: Vec<String> = listed.split_terminator('\0').map(str::to_owned).collect();
    // A file that was deleted but not yet committed is still listed.
    files.retain(|file| root.join(file).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}
