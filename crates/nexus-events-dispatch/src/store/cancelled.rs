//! What handlers have cancelled, beside the log.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Append, EventStore, Offset, Scan, space};
use crate::error::{Error, ErrorKind, Result};

/// That a handler has cancelled an event of the log: handlers of a lower priority do not get it,
/// nor does a replay give it to them.
///
/// ```
/// use nexus_events_dispatch::store::{Cancelled, EventStore, MemoryStore, Offset};
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let invalid = Cancelled { by: "validate".into(), reason: "no amount".into(), priority: 100 };
/// store.append(invalid.clone().append(Offset::new(7))).await?;
/// let cancelled = Cancelled::between(&store, Offset::new(1), Offset::new(9)).await?;
/// assert_eq!(cancelled[&Offset::new(7)], invalid);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The handler that did.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The number of its handler priority.
    pub priority: i32,
}

impl Cancelled {
    /// The commit that writes it down, for the event at this offset.
    pub fn append(self, offset: Offset) -> Append {
        let Self { by, reason, priority } = self;
        let value = json!({"by": by, "reason": reason, "priority": priority}).to_string();
        Append::new().put(space::CANCELLED, offset.number().to_be_bytes(), value)
    }

    /// What was cancelled from one offset to another, both included.
    ///
    /// # Errors
    /// Those of the store, and [`ErrorKind::Corrupt`] for one that cannot be read.
    pub async fn between(
        store: &dyn EventStore,
        first: Offset,
        last: Offset,
    ) -> Result<BTreeMap<Offset, Self>> {
        let mut all = BTreeMap::new();
        let mut scan = Scan::of(space::CANCELLED).after(first.before().number().to_be_bytes());
        loop {
            let entries = store.scan(scan.clone()).await?;
            let Some(end) = entries.last() else { return Ok(all) };
            scan.after = Some(end.key.clone());
            for entry in entries {
                let offset = entry.key.as_slice().try_into().map(u64::from_be_bytes);
                let offset = Offset::new(offset.map_err(|_| wrong("offset"))?);
                if offset > last {
                    return Ok(all);
                }
                all.insert(offset, Self::read(&entry.state.value)?);
            }
        }
    }

    fn read(value: &[u8]) -> Result<Self> {
        let json: Value = serde_json::from_slice(value).map_err(|_| wrong("JSON"))?;
        let text =
            |field: &str| json[field].as_str().map(str::to_owned).ok_or_else(|| wrong(field));
        let priority = json["priority"].as_i64().and_then(|number| number.try_into().ok());
        let priority = priority.ok_or_else(|| wrong("priority"))?;
        Ok(Self { by: text("by")?, reason: text("reason")?, priority })
    }
}

fn wrong(field: &str) -> Error {
    Error::new(ErrorKind::Corrupt, format!("a stored cancellation has no valid `{field}`"))
}
