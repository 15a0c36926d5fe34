//! What travels beside the payload: an ordered map from names to JSON values.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::METADATA_ENTRIES_MAX;
use crate::text::Text;

/// What travels beside the payload: an ordered map from names to JSON values, at most 256.
///
/// Three names are reserved for the system: [`Metadata::CAUSATION_ID`], [`Metadata::TRACEPARENT`]
/// and [`Metadata::TRACESTATE`].
///
/// ```
/// use nexus_events_model::Metadata;
/// let mut metadata = Metadata::new();
/// metadata.insert("execution_mode", "production")?;
/// assert_eq!(metadata.get("execution_mode").unwrap(), "production");
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Metadata(Vec<(Text, Value)>);

impl Metadata {
    /// The id of the event that led to this one.
    pub const CAUSATION_ID: &'static str = "causation_id";

    /// W3C trace context of the publisher; see [`TraceContext`](crate::TraceContext).
    pub const TRACEPARENT: &'static str = "traceparent";

    /// What tracing systems carry along with it.
    pub const TRACESTATE: &'static str = "tracestate";

    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets an entry, in its old place if the name is there already.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] for a 257th name.
    pub fn insert(&mut self, name: impl Into<Text>, value: impl Into<Value>) -> Result<()> {
        let (name, value) = (name.into(), value.into());
        if let Some(entry) = self.0.iter_mut().find(|(known, _)| *known == name) {
            entry.1 = value;
            return Ok(());
        }
        if self.0.len() == METADATA_ENTRIES_MAX {
            let message = format!(
                "metadata holds at most {METADATA_ENTRIES_MAX} entries; move `{name}` into the payload"
            );
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        self.0.push((name, value));
        Ok(())
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| *known != name);
    }

    /// The value under a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The entries in the order of their first insertion.
    ///
    /// ```
    /// # use nexus_events_model::Metadata;
    /// let metadata = Metadata::from_iter([("b", 1), ("a", 2)]);
    /// assert_eq!(metadata.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    /// ```
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Into<Text>, V: Into<Value>> FromIterator<(N, V)> for Metadata {
    /// Entries over the bound are left out; use [`Metadata::insert`] to hear of them.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut metadata = Self::new();
        for (name, value) in entries {
            if metadata.insert(name, value).is_err() {
                break;
            }
        }
        metadata
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Metadata;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Metadata, A::Error> {
                let mut metadata = Metadata::new();
                while let Some((name, value)) = map.next_entry::<Text, Value>()? {
                    metadata.insert(name, value).map_err(serde::de::Error::custom)?;
                }
                Ok(metadata)
            }
        }

        deserializer.deserialize_map(Entries)
    }
}
