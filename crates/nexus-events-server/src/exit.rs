//! How the program ends: a stable number for scripts, a line for people.

use std::fmt;
use std::process::ExitCode;

use nexus_events_dispatch::{self as dispatch, ErrorKind};

/// Why the program ended.
///
/// ```
/// use nexus_events_server::Exit;
/// assert_eq!(Exit::CheckFailed.code(), 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// Done.
    Done,
    /// It failed at run time.
    Failed,
    /// The command line is wrong.
    Usage,
    /// What was asked for is not there.
    NotFound,
    /// The server is not reachable.
    Unreachable,
    /// The server refused an event.
    Rejected,
    /// Somebody else has it, or has changed it.
    Conflict,
    /// A check did not hold, or what was read is damaged.
    CheckFailed,
    /// It was interrupted before it was done.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 4,
            Self::Unreachable => 5,
            Self::Rejected => 7,
            Self::Conflict => 9,
            Self::CheckFailed => 10,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

/// What kept the program from doing its work: an [`Exit`] and one line that names the fix.
#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    pub(crate) fn new(
        exit: Exit,
        message: impl fmt::Display + fmt::Debug + Send + Sync + 'static,
    ) -> Self {
        Self { exit, error: anyhow::Error::msg(message) }
    }

    /// What a store says, with the way out in its text.
    pub(crate) fn of_store(error: dispatch::Error) -> Self {
        let exit = match error.kind() {
            ErrorKind::InUse | ErrorKind::Conflict => Exit::Conflict,
            ErrorKind::Corrupt => Exit::CheckFailed,
            _ => Exit::Failed,
        };
        Self { exit, error: error.into() }
    }

    /// How the program ends.
    #[must_use]
    pub fn exit(&self) -> Exit {
        self.exit
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { exit: Exit::Failed, error: error.into() }
    }
}

impl fmt::Display for Failure {
    /// The error and its causes, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for cause in self.error.chain().map(ToString::to_string) {
            // Many errors already tell the cause that they name as theirs.
            if text.is_empty() {
                text = cause;
            } else if !text.contains(&cause) {
                text.push_str(": ");
                text.push_str(&cause);
            }
        }
        f.write_str(&text)
    }
}

/// The result of a command.
pub(crate) type Outcome<T = Exit> = Result<T, Failure>;

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn each_cause_is_told_once() {
        let cause = || serde_json::from_str::<bool>("no").unwrap_err();
        let told = anyhow::Error::from(cause()).context(format!("not JSON: {}", cause()));
        let failure = Failure::from(Err::<(), _>(told).context("line 2").unwrap_err());
        assert_eq!(failure.to_string(), format!("line 2: not JSON: {}", cause()));
        let failure = Failure::from(anyhow::Error::from(cause()).context("line 2"));
        assert_eq!(failure.to_string(), format!("line 2: {}", cause()));
    }
}
