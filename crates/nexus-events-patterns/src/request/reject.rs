//! A responder's no: a code, a text, and details.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Why a responder does not give what was asked for; it reaches the requester as it is.
///
/// In a responder `?` turns any error into one, with the code [`Reject::FAILED`].
///
/// ```
/// use nexus_events_patterns::Reject;
/// fn parse(text: &str) -> Result<u64, Reject> {
///     if text.is_empty() {
///         return Err(Reject::new(404, "no such order"));
///     }
///     Ok(text.parse::<u64>()?)
/// }
/// assert_eq!(parse("").unwrap_err().code(), 404);
/// assert_eq!(parse("ten").unwrap_err().code(), Reject::FAILED);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reject {
    code: i64,
    message: Cow<'static, str>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    details: Value,
}

impl Reject {
    /// The code of a request that the responder could not read.
    pub const INVALID: i64 = 400;

    /// The code of an error that has none.
    pub const FAILED: i64 = 500;

    /// A no with a code and a text; what codes there are is between requester and responder.
    #[must_use]
    pub fn new(code: i64, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), details: Value::Null }
    }

    /// The same with more for the requester's program to look at.
    ///
    /// ```
    /// use nexus_events_patterns::Reject;
    /// let reject = Reject::new(409, "sold out").details(serde_json::json!({"left": 0}));
    /// assert_eq!(reject.detail()["left"], 0);
    /// ```
    #[must_use]
    pub fn details(mut self, details: impl Into<Value>) -> Self {
        self.details = details.into();
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> i64 {
        self.code
    }

    /// The text.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The details; null when there are none.
    #[must_use]
    pub fn detail(&self) -> &Value {
        &self.details
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.message, self.code)
    }
}

impl<E: Into<Box<dyn StdError + Send + Sync>>> From<E> for Reject {
    fn from(error: E) -> Self {
        Self::new(Self::FAILED, error.into().to_string())
    }
}
