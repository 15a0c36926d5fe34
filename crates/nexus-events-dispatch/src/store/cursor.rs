//! Where a reader of the log is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::offset::Offset;
use super::{EventStore, Scan, StateEntry, space};
use crate::error::{Error, ErrorKind, Result};

/// Where a consumer is in the log. Every event up to [`acked`](Self::acked) is handled or parked.
///
/// ```
/// use nexus_events_dispatch::store::{Cursor, Offset};
/// let cursor = Cursor::at(Offset::new(41));
/// assert_eq!(Cursor::from_bytes(&cursor.to_bytes())?, cursor);
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Cursor {
    /// Nothing up to here is to be handled any more.
    pub acked: Offset,
    /// Up to here handlers may have been called. After a crash, what is between the two counts as
    /// tried once.
    pub delivered: Offset,
    /// Attempts of events beyond `acked`, for those with at least two of them.
    pub attempts: BTreeMap<Offset, u32>,
}

impl Cursor {
    /// Everything up to this offset is done, nothing beyond it was tried.
    #[must_use]
    pub fn at(acked: Offset) -> Self {
        Self { acked, delivered: acked, attempts: BTreeMap::new() }
    }

    /// As a store keeps it: JSON.
    ///
    /// ```json
    /// {"acked": 41, "delivered": 64, "attempts": {"43": 2}}
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let attempts: serde_json::Map<String, Value> = self
            .attempts
            .iter()
            .map(|(offset, count)| (offset.to_string(), json!(count)))
            .collect();
        let (acked, delivered) = (self.acked.number(), self.delivered.number());
        json!({"acked": acked, "delivered": delivered, "attempts": attempts}).to_string().into()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], naming the field that is missing or wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let json: Value = serde_json::from_slice(bytes).map_err(|_| wrong("JSON"))?;
        let offset =
            |field: &str| json[field].as_u64().map(Offset::new).ok_or_else(|| wrong(field));
        let attempt = |(offset, count): (&String, &Value)| {
            let offset = offset.parse().ok().map(Offset::new);
            let count = count.as_u64().and_then(|count| count.try_into().ok());
            offset.zip(count).ok_or_else(|| wrong("attempts"))
        };
        let attempts = json["attempts"].as_object().ok_or_else(|| wrong("attempts"))?;
        Ok(Self {
            acked: offset("acked")?,
            delivered: offset("delivered")?,
            attempts: attempts.iter().map(attempt).collect::<Result<_>>()?,
        })
    }
}

fn wrong(field: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a stored cursor has no valid `{field}`"))
}

/// A consumer that has a cursor in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CursorInfo {
    /// Its name.
    pub consumer: String,
    /// Where it is.
    pub cursor: Cursor,
}

impl CursorInfo {
    /// All that are there, by name.
    ///
    /// ```
    /// use nexus_events_dispatch::store::{Append, Cursor, CursorInfo, EventStore, MemoryStore, Offset};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let store = MemoryStore::new();
    /// store.append(Append::new().cursor("billing", &Cursor::at(Offset::new(3)))).await?;
    /// assert_eq!(CursorInfo::list(&store).await?[0].consumer, "billing");
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store, and [`ErrorKind::Corrupt`] for one that cannot be read.
    pub async fn list(store: &dyn EventStore) -> Result<Vec<Self>> {
        let (mut all, mut scan) = (Vec::new(), Scan::of(space::CURSORS));
        loop {
            let entries = store.scan(scan.clone()).await?;
            let Some(last) = entries.last() else { return Ok(all) };
            scan.after = Some(last.key.clone());
            for entry in &entries {
                all.push(Self::of(entry)?);
            }
        }
    }

    pub(super) fn of(entry: &StateEntry) -> Result<Self> {
        let consumer = String::from_utf8_lossy(&entry.key).into_owned();
        let cursor = Cursor::from_bytes(&entry.state.value).map_err(|error| {
            let message = format!("{error}; it is that of the consumer `{consumer}`, set it anew");
            Error::new(ErrorKind::Corrupt, message)
        })?;
        Ok(Self { consumer, cursor })
    }
}
