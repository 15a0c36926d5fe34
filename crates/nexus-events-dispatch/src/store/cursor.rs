//! Where a reader of the log is.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::offset::Offset;
use super::{EventStore, Scan, space};
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
    /// Up to here everything was looked at; of that only [`pending`](Self::pending) is to be
    /// handled.
    pub seen: Offset,
    /// Events up to `seen` that are not handled yet.
    pub pending: Vec<Offset>,
    /// Up to here handlers may have been called, while a process is [at it](Self::open).
    pub delivered: Offset,
    /// The only event for which a handler may have been called, where there is one.
    pub alone: Option<Offset>,
    /// Whether a process is at it. Where one starts and finds this, another has crashed.
    pub open: bool,
    /// Attempts of events that are not handled yet, for those with at least two of them.
    pub attempts: BTreeMap<Offset, u32>,
    /// How often a process has crashed while it was at them.
    pub crashes: BTreeMap<Offset, u32>,
}

impl Cursor {
    /// Everything up to this offset is done, nothing beyond it was tried.
    #[must_use]
    pub fn at(acked: Offset) -> Self {
        Self { acked, seen: acked, delivered: acked, ..Self::default() }
    }

    /// As a store keeps it: JSON. What is empty is left out.
    ///
    /// ```json
    /// {"acked": 41, "seen": 64, "pending": [42, 43], "delivered": 320, "alone": null, "open": true,
    ///  "attempts": {"43": 2}, "crashes": {}}
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let counts = |counts: &BTreeMap<Offset, u32>| -> Value {
            let count = |(offset, count): (&Offset, &u32)| (offset.to_string(), json!(count));
            counts.iter().map(count).collect::<serde_json::Map<String, Value>>().into()
        };
        let pending: Vec<u64> = self.pending.iter().map(|offset| offset.number()).collect();
        json!({
            "acked": self.acked.number(),
            "seen": self.seen.number(),
            "pending": pending,
            "delivered": self.delivered.number(),
            "alone": self.alone.map(Offset::number),
            "open": self.open,
            "attempts": counts(&self.attempts),
            "crashes": counts(&self.crashes),
        })
        .to_string()
        .into()
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupt`], naming the field that is missing or wrong.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let json: Value = serde_json::from_slice(bytes).map_err(|_| wrong("JSON"))?;
        let offset = |field: &str| offset(&json[field]).ok_or_else(|| wrong(field));
        let pending = json["pending"].as_array().ok_or_else(|| wrong("pending"))?;
        let pending = pending.iter().map(self::offset).collect::<Option<_>>();
        Ok(Self {
            acked: offset("acked")?,
            seen: offset("seen")?,
            pending: pending.ok_or_else(|| wrong("pending"))?,
            delivered: offset("delivered")?,
            alone: self::offset(&json["alone"]),
            open: json["open"].as_bool().ok_or_else(|| wrong("open"))?,
            attempts: counts(&json, "attempts")?,
            crashes: counts(&json, "crashes")?,
        })
    }

    /// That of this consumer, as it is stored.
    pub(crate) fn of(consumer: &str, stored: &[u8]) -> Result<Self> {
        Self::from_bytes(stored).map_err(|error| {
            let message = format!(
                "{error}; it is that of the consumer `{consumer}`, write it anew with `Append::cursor`, or delete it from `{}` and the consumer begins as a new one",
                space::CURSORS
            );
            Error::new(ErrorKind::Corrupt, message)
        })
    }
}

fn offset(json: &Value) -> Option<Offset> {
    json.as_u64().map(Offset::new)
}

fn counts(json: &Value, field: &str) -> Result<BTreeMap<Offset, u32>> {
    let count = |(offset, count): (&String, &Value)| {
        let offset = Offset::new(offset.parse().ok()?);
        Some((offset, count.as_u64()?.try_into().ok()?))
    };
    let counts = json[field].as_object().ok_or_else(|| wrong(field))?;
    counts.iter().map(count).collect::<Option<_>>().ok_or_else(|| wrong(field))
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
        let all = Self::each(store).await?.into_iter();
        all.map(|(consumer, cursor)| Ok(Self { consumer, cursor: cursor? })).collect()
    }

    /// All that are there, by name, also when some of them cannot be read.
    ///
    /// ```
    /// use nexus_events_dispatch::store::{Append, CursorInfo, EventStore, MemoryStore, space};
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// let store = MemoryStore::new();
    /// store.append(Append::new().put(space::CURSORS, "billing", "no cursor")).await?;
    /// let (consumer, cursor) = &CursorInfo::each(&store).await?[0];
    /// assert!(consumer == "billing" && cursor.is_err());
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// Those of the store; for each cursor [`ErrorKind::Corrupt`] when it cannot be read.
    pub async fn each(store: &dyn EventStore) -> Result<Vec<(String, Result<Cursor>)>> {
        let (mut all, mut scan) = (Vec::new(), Scan::of(space::CURSORS));
        loop {
            let entries = store.scan(scan.clone()).await?;
            let Some(last) = entries.last() else { return Ok(all) };
            scan.after = Some(last.key.clone());
            for entry in &entries {
                let consumer = String::from_utf8_lossy(&entry.key).into_owned();
                let cursor = Cursor::of(&consumer, &entry.state.value);
                all.push((consumer, cursor));
            }
        }
    }
}
