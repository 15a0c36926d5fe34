//! The binary, as people start it.

use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    for name in ["BIND", "PORT", "HISTORY", "WORKERS", "URL", "DATA", "ACK"] {
        command.env_remove(format!("NEXUS_{name}"));
    }
    command.env_remove("NO_COLOR");
    command
}

/// What a program that ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Ended {
    /// Checks that it gave up with this code and one line that says so.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, says: &str) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.err.lines().count(), 1, "{}", self.err);
        assert!(
            self.err.starts_with("nexus: ") && self.err.contains(says),
            "{says} in {}",
            self.err
        );
    }
}

/// Runs to the end.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    command(arguments).output().await.unwrap().into()
}

/// Runs to the end with this on standard input.
pub(crate) async fn run_with(arguments: &[&str], input: &str) -> Ended {
    let mut child = command(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // Beside the reading, and without complaint: it may end before it has read all.
    tokio::spawn(async move { stdin.write_all(input.as_bytes()).await });
    child.wait_with_output().await.unwrap().into()
}

/// A program that serves.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) url: String,
    /// What it printed before where it listens.
    pub(crate) before: String,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts it and reads where it listens.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let mut child = command(arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut before = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(url) = line.trim().strip_prefix("console  ") {
                let url = url.trim_end_matches('/').to_owned();
                return Self { child, url, before, lines };
            }
            before += &format!("{line}\n");
        }
        let mut err = String::new();
        child.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
        panic!("nexus {arguments:?} ended: {err}");
    }

    pub(crate) async fn serve() -> Self {
        Self::start(&["serve", "--port", "0", "--ephemeral"]).await
    }

    pub(crate) fn authority(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    pub(crate) fn port(&self) -> &str {
        self.url.rsplit(':').next().unwrap()
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().await.unwrap().success());
    }

    /// What else it prints, until it ends.
    pub(crate) async fn end(mut self) -> Ended {
        let mut out = String::new();
        while let Some(line) = self.lines.next_line().await.unwrap() {
            out += &format!("{line}\n");
        }
        let ended = self.child.wait_with_output().await.unwrap();
        Ended { out, ..ended.into() }
    }
}
