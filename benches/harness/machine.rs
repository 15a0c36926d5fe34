//! What results depend on: machine, commit, versions of the peers.

use std::path::Path;
use std::process::Command;

/// The name of the processor.
#[must_use]
pub fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim());
    model.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// The commit, and whether what was measured is more than that.
#[must_use]
pub fn commit() -> String {
    let commit = output("git", &["rev-parse", "--short=12", "HEAD"]);
    let dirty = !output("git", &["status", "--porcelain"]).is_empty();
    format!("{commit}{}", if dirty { " with changes" } else { "" })
}

/// What a program prints.
#[must_use]
pub fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_else(|_| format!("{program} is not here"))
}

/// As the lock file says.
#[must_use]
pub fn versions(peers: &[&str]) -> String {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let lock = std::fs::read_to_string(lock).unwrap_or_default();
    let version = |peer: &&str| {
        let (_, rest) = lock.split_once(&format!("name = \"{peer}\"\nversion = \""))?;
        Some(format!("{peer} {}", rest.split('"').next()?))
    };
    peers.iter().filter_map(version).collect::<Vec<_>>().join(", ")
}
