//! State as it is stored, and as readers see it.

use nexus_events_dispatch::store::{Scan, StateEntry, Versioned};
use nexus_events_model::Text;
use redb::{Database, ReadableDatabase, ReadableTable};

use crate::error::{Fault, Outcome};
use crate::schema::STATE;

/// The space of a state, and its key.
type Place = (&'static str, &'static [u8]);

pub(crate) fn get(database: &Database, space: &str, key: &[u8]) -> Outcome<Option<Versioned>> {
    let table = database.begin_read()?.open_table(STATE)?;
    match table.get((space, key))? {
        Some(row) => read(space, key, row.value()).map(Some),
        None => missing(&table, space, key).map(|()| None),
    }
}

/// A key that is damaged is found nowhere, but what stands in its place is beside where it is looked
/// for.
fn missing(
    table: &impl ReadableTable<Place, &'static [u8]>,
    space: &str,
    key: &[u8],
) -> Outcome<()> {
    let before = table.range(..(space, key))?.next_back();
    let after = table.range((space, key)..)?.next();
    for row in [before, after].into_iter().flatten() {
        let (place, value) = row?;
        let (other_space, other_key) = place.value();
        read(other_space, other_key, value.value()).map_err(|fault| {
            Fault::damage(format!(
                "whether there is a state `{}` of `{space}` cannot be told: {}",
                String::from_utf8_lossy(key),
                fault.what()
            ))
        })?;
    }
    Ok(())
}

/// The checksum is also of its place, so that nothing is found in another one's.
fn sum(space: &str, key: &[u8], rest: &[u8]) -> [u8; 4] {
    let sum = crc32c::crc32c(space.as_bytes());
    let sum = crc32c::crc32c_append(sum, &(space.len() as u32).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(sum, key), rest).to_le_bytes()
}

/// State as it is stored: a checksum, its version, its value.
pub(crate) fn to_bytes(space: &str, key: &[u8], version: u64, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 4];
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(value);
    let sum = sum(space, key, &bytes[4..]);
    bytes[..4].copy_from_slice(&sum);
    bytes
}

/// What [`to_bytes`] wrote for this place.
pub(crate) fn read(space: &str, key: &[u8], stored: &[u8]) -> Outcome<Versioned> {
    let too_early = || damaged(space, key, "it ends too early");
    let (stored_sum, rest) = stored.split_first_chunk::<4>().ok_or_else(too_early)?;
    let (version, value) = rest.split_first_chunk().ok_or_else(too_early)?;
    match sum(space, key, rest) == *stored_sum {
        true => Ok(Versioned::new(value.to_vec(), u64::from_le_bytes(*version))),
        false => Err(damaged(space, key, "its checksum does not match")),
    }
}

fn damaged(space: &str, key: &[u8], why: &str) -> Fault {
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
        if *space != *scan.space
            || !key.starts_with(&scan.prefix)
            || entries.len() == scan.limit.max(1)
        {
            break;
        }
        if after.is_some_and(|after| key == &after[..]) {
            continue;
        }
        let state = read(space, key, value.value())?;
        entries.push(StateEntry::new(Text::from(space), key.to_vec(), state));
    }
    Ok(entries)
}
