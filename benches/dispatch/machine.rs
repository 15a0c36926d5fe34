//! What results depend on: machine, compiler, commit, versions of the peers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

const PEERS: [&str; 16] = [
    "actix",
    "actix-broker",
    "agent-event-bus",
    "arc-swap",
    "async-broadcast",
    "bevy_ecs",
    "disruptor",
    "event_bus_rs",
    "flume",
    "jaeb",
    "kameo",
    "kameo_actors",
    "kanal",
    "tokio",
    "tokio-events",
    "uuid",
];

pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) rustc: String,
    pub(crate) commit: String,
    pub(crate) versions: BTreeMap<String, String>,
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

impl Machine {
    pub(crate) fn here() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap_or_default();
        let dirty = !run("git", &["status", "--porcelain"]).is_empty();
        let commit = run("git", &["rev-parse", "--short=12", "HEAD"]);
        Self {
            cpu: cpu(&info).unwrap_or(std::env::consts::ARCH).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            rustc: run("rustc", &["--version"]),
            commit: if dirty { format!("{commit} with changes") } else { commit },
            versions: versions(&lock),
        }
    }
}

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(root()).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

fn cpu(info: &str) -> Option<&str> {
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, model)| model.trim())
}

/// The newest version of each peer in a `Cargo.lock`.
fn versions(lock: &str) -> BTreeMap<String, String> {
    let value = |line: &str, key: &str| {
        Some(line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned())
    };
    let mut versions = BTreeMap::new();
    let mut name = None;
    for line in lock.lines() {
        name = value(line, "name").or(name);
        if let (Some(name), Some(version)) = (&name, value(line, "version"))
            && PEERS.contains(&name.as_str())
        {
            versions.insert(name.clone(), version);
        }
    }
    versions
}
