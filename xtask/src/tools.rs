//! What tests need beside Rust: a Chromium for the console, a Python with `websockets` as an
//! independent client of the wire protocol.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{repo, shell};

/// Runs on every Python since 3.9.
const WEBSOCKETS: &str = "15.0.1";

const CHROMIUM: [&str; 3] = ["chromium", "chromium-headless-shell", "google-chrome"];

/// Where the tools are.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) chromium: PathBuf,
    pub(crate) python: PathBuf,
}

/// Finds the tools; as root on Debian, installs those that are missing.
pub(crate) fn ensure() -> Result<Tools> {
    let installer = Installer::detect()?;
    Ok(Tools {
        chromium: chromium(&installer)?,
        python: python(&installer, &repo::target_dir()?.join("tools"))?,
    })
}

fn chromium(installer: &Installer) -> Result<PathBuf> {
    if let Some(chosen) =
        std::env::var_os("NEXUS_TEST_CHROMIUM").filter(|chosen| !chosen.is_empty())
    {
        let chosen = PathBuf::from(chosen);
        if !chosen.is_file() {
            bail!("NEXUS_TEST_CHROMIUM names {}, which is not a file", chosen.display());
        }
        return Ok(chosen);
    }
    if let Some(found) = find_chromium() {
        return Ok(found);
    }
    installer.install(
        "chromium",
        "Chromium (one of chromium, chromium-headless-shell, google-chrome in PATH)",
    )?;
    find_chromium().context("the package chromium is installed but no chromium is in PATH")
}

fn find_chromium() -> Option<PathBuf> {
    CHROMIUM.iter().find_map(|name| find(name))
}

/// The Python of a virtual environment that has `websockets`, made when it is not there yet.
fn python(installer: &Installer, folder: &Path) -> Result<PathBuf> {
    let python = folder.join("python/bin/python");
    if has_websockets(&python) {
        return Ok(python);
    }
    if find("python3").is_none() {
        installer.install("python3", "Python 3.9 or later (python3 in PATH)")?;
    }
    if !succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        installer.install("python3-venv", "Python's modules venv and ensurepip")?;
    }
    println!("xtask: making {} with websockets {WEBSOCKETS}", folder.join("python").display());
    shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder.join("python")))?;
    let package = format!("websockets=={WEBSOCKETS}");
    shell::run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        &package,
    ]))?;
    if !has_websockets(&python) {
        bail!("{} has no websockets {WEBSOCKETS} although it was installed", python.display());
    }
    Ok(python)
}

fn has_websockets(python: &Path) -> bool {
    let check =
        format!("import websockets, sys; sys.exit(websockets.__version__ != '{WEBSOCKETS}')");
    python.is_file() && succeeds(Command::new(python).args(["-c", &check]))
}

/// Installs Debian packages when it may.
struct Installer {
    allowed: bool,
}

impl Installer {
    fn detect() -> Result<Self> {
        let root =
            find("id").is_some() && shell::capture(Command::new("id").arg("-u"))?.trim() == "0";
        Ok(Self { allowed: root && find("apt-get").is_some() })
    }

    fn install(&self, package: &str, what: &str) -> Result<()> {
        if !self.allowed {
            bail!(
                "the tests need {what}. Install it (Debian, Ubuntu: sudo apt-get install {package}) and repeat, \
                 or skip the tests that need it: cargo xtask test --quick"
            );
        }
        println!("xtask: installing the package {package}");
        let install =
            || shell::run(apt_get().args(["install", "--yes", "--no-install-recommends", package]));
        // Package lists are missing or old on a fresh machine; where they are good, time is saved.
        install().or_else(|_| {
            shell::run(apt_get().arg("update"))?;
            install()
        })
    }
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("--quiet=2");
    command
}

fn succeeds(command: &mut Command) -> bool {
    shell::capture(command).is_ok()
}

/// The program of this name in `PATH`.
fn find(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_right_to_install_the_error_says_what_to_install() {
        let error =
            Installer { allowed: false }.install("chromium", "Chromium").unwrap_err().to_string();
        assert!(error.contains("apt-get install chromium") && error.contains("--quick"), "{error}");
    }

    #[test]
    fn programs_are_found_in_the_path() {
        assert!(find("sh").is_some());
        assert!(find("no-such-program").is_none());
    }

    #[test]
    fn a_python_that_is_not_there_has_no_websockets() {
        assert!(!has_websockets(Path::new("no/such/python")));
    }
}
