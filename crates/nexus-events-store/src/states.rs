//! State as readers see it.

use nexus_events_dispatch::store::{Scan, StateEntry, Versioned};
use nexus_events_model::Text;
use redb::{Database, ReadableDatabase};

use crate::error::{Fault, Outcome};
use crate::schema::STATE;
use crate::writer::decode_state;

pub(crate) fn get(database: &Database, space: &str, key: &[u8]) -> Outcome<Option<Versioned>> {
    let table = database.begin_read()?.open_table(STATE)?;
    let row = table.get((space, key))?;
    row.map(|row| decode_state(row.value()).map_err(|why| damaged(space, key, why))).transpose()
}

pub(crate) fn damaged(space: &str, key: &[u8], why: &str) -> Fault {
    Fault::damage(format!(
        "the state `{}` of `{space}` cannot be read: {why}",
        String::from_utf8_lossy(key)
    ))
}

pub(crate) fn scan(database: &Database, scan: &Scan) -> Outcome<Vec<StateEntry>> {
    let table = database.begin_read()?.open_table(STATE)?;
    let after = scan.after.as_ref().filter(|after| **after >= scan.prefix);
    let from = after.unwrap_or(&scan.prefix);
    let mut entries = Vec::new();
    for row in table.range((&*scan.space, &from[..])..)? {
        let (place, value) = row?;
        let (space, key) = place.value();
        if *space != *scan.space || !key.starts_with(&scan.prefix) || entries.len() == scan.limit {
            break;
        }
        if after.is_some_and(|after| key == &after[..]) {
            continue;
        }
        let state = decode_state(value.value()).map_err(|why| damaged(space, key, why))?;
        entries.push(StateEntry::new(Text::from(space), key.to_vec(), state));
    }
    Ok(entries)
}
