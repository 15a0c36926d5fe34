//! How important an event is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};

/// How important an event is, in four steps. The default is [`Priority::Normal`].
///
/// Not to be confused with the handler priority, the integer that orders the handlers of
/// one event.
///
/// ```
/// use nexus_events_model::Priority;
/// assert!(Priority::Critical > Priority::Low);
/// assert_eq!("high".parse::<Priority>().unwrap(), Priority::High);
/// assert!("urgent".parse::<Priority>().unwrap_err().to_string().contains("critical"));
/// ```
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Can wait.
    Low,
    /// The default.
    #[default]
    Normal,
    /// Before normal events.
    High,
    /// Before everything else.
    Critical,
}

impl Priority {
    /// The four priorities, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    /// The word used in JSON.
    ///
    /// ```
    /// # use nexus_events_model::Priority;
    /// assert_eq!(Priority::High.as_str(), "high");
    /// ```
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Priority {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|p| p.as_str() == text).ok_or_else(|| unknown(text))
    }
}

fn unknown(text: &str) -> Error {
    let names = Priority::ALL.map(Priority::as_str).join(", ");
    Error::new(ErrorKind::InvalidEvent, format!("unknown priority `{text}`; one of {names}"))
}
