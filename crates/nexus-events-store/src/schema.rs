//! What is in the file: its tables, its version, and how an older version becomes this one.

use nexus_events_dispatch::store::Epoch;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, WriteTransaction};
use uuid::Uuid;

use crate::bytes::{Bytes, Wrong, put_number, sealed, unsealed};
use crate::error::{Fault, Outcome};

/// The place of a part of a frame: its first offset, its number, the number of the part.
pub(crate) type PartKey = (u64, u64, u16);

pub(crate) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(crate) const FRAMES: TableDefinition<'_, PartKey, &[u8]> = TableDefinition::new("frames");
pub(crate) const STATE: TableDefinition<'_, (&str, &[u8]), &[u8]> = TableDefinition::new("state");
pub(crate) const BLOCKS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("blocks");
pub(crate) const KEYS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("keys");
pub(crate) const HAPPENED: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("happened");

const VERSION: &str = "version";
const EPOCH: &str = "epoch";
const HEAD: &str = "head";
const LOST: &str = "lost";

/// The version that this program writes.
pub(crate) const VERSION_NOW: u32 = 1;

/// The version of a key as it is stored, with a checksum that is also of the key.
pub(crate) fn key_to_bytes(key: &str, version: u64) -> [u8; 12] {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&version.to_le_bytes());
    let sum = crc32c::crc32c_append(crc32c::crc32c(key.as_bytes()), &bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// What [`key_to_bytes`] wrote for this key.
pub(crate) fn key_read(key: &str, stored: &[u8]) -> Outcome<u64> {
    let version = stored.last_chunk().copied().map(u64::from_le_bytes);
    version.filter(|version| key_to_bytes(key, *version) == stored).ok_or_else(|| {
        Fault::damage(format!("the version of the key `{key}`: its checksum does not match"))
    })
}

/// How many events with this key are written down.
pub(crate) fn key_version(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
) -> Outcome<u64> {
    table.get(key)?.map_or(Ok(0), |row| key_read(key, row.value()))
}

/// Turns a file of one version into one of the next.
type Upgrade = fn(&WriteTransaction) -> Outcome<()>;

/// The first one turns version 1 into 2.
const UPGRADES: [Upgrade; VERSION_NOW as usize - 1] = [];

/// Where the log and its numbers are. What happened since it was written is in the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The oldest offset that is kept.
    pub(crate) first: u64,
    /// The next offset.
    pub(crate) next: u64,
    /// The number of the last commit.
    pub(crate) commit: u64,
    /// The number of the last frame.
    pub(crate) frame: u64,
    /// The bytes of all events that there ever were.
    pub(crate) bytes: u64,
    /// The bytes of those that are no longer kept.
    pub(crate) bytes_gone: u64,
    /// Events before this offset are counted in the versions of keys.
    pub(crate) keys_at: u64,
}

impl Head {
    pub(crate) const EMPTY: Self =
        Self { first: 1, next: 1, commit: 0, frame: 0, bytes: 0, bytes_gone: 0, keys_at: 1 };

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let Self { first, next, commit, frame, bytes: all, bytes_gone, keys_at } = self;
        for number in [first, next, commit, frame, all, bytes_gone, keys_at] {
            put_number(&mut bytes, number);
        }
        sealed(&bytes)
    }

    fn read(bytes: &[u8]) -> Result<Self, Wrong> {
        let mut bytes = Bytes::new(unsealed(bytes)?);
        let mut number = || bytes.number();
        Ok(Self {
            first: number()?,
            next: number()?,
            commit: number()?,
            frame: number()?,
            bytes: number()?,
            bytes_gone: number()?,
            keys_at: number()?,
        })
    }
}

/// What the file says of itself.
#[derive(Debug, Clone)]
pub(crate) struct Meta {
    pub(crate) epoch: Epoch,
    pub(crate) head: Head,
    /// Offsets that a repair has found unreadable, the first and the last of each gap.
    pub(crate) lost: Vec<(u64, u64)>,
}

/// Makes all tables, of a store that is empty.
pub(crate) fn create(txn: &WriteTransaction, meta: &Meta) -> Outcome<()> {
    txn.open_table(FRAMES)?;
    txn.open_table(STATE)?;
    txn.open_table(BLOCKS)?;
    txn.open_table(KEYS)?;
    txn.open_table(HAPPENED)?;
    let mut table = txn.open_table(META)?;
    table.insert(VERSION, &VERSION_NOW.to_le_bytes()[..])?;
    table.insert(EPOCH, &sealed(meta.epoch.name().as_bytes())[..])?;
    table.insert(HEAD, &meta.head.to_bytes()[..])?;
    let mut lost = Vec::new();
    for (first, last) in &meta.lost {
        put_number(&mut lost, *first);
        put_number(&mut lost, *last);
    }
    table.insert(LOST, &sealed(&lost)[..])?;
    Ok(())
}

pub(crate) fn write_head(txn: &WriteTransaction, head: Head) -> Outcome<()> {
    txn.open_table(META)?.insert(HEAD, &head.to_bytes()[..])?;
    Ok(())
}

/// Brings a file to the version of now.
pub(crate) fn upgrade(database: &Database) -> Outcome<()> {
    let table = database.begin_read()?.open_table(META).map_err(|error| match error {
        redb::TableError::TableDoesNotExist(_) => foreign(),
        error => error.into(),
    })?;
    let version = version(&table)?;
    if version == VERSION_NOW {
        return Ok(());
    }
    let txn = database.begin_write()?;
    for upgrade in UPGRADES.iter().skip(version as usize - 1) {
        upgrade(&txn)?;
    }
    txn.open_table(META)?.insert(VERSION, &VERSION_NOW.to_le_bytes()[..])?;
    Ok(txn.commit()?)
}

fn foreign() -> Fault {
    Fault::Foreign("is a database of another program, not a store; give another path".to_owned())
}

fn version(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Outcome<u32> {
    let stored = table.get(VERSION)?.ok_or_else(foreign)?;
    let version = stored.value().try_into().map(u32::from_le_bytes).map_err(|_| foreign())?;
    match version {
        1..=VERSION_NOW => Ok(version),
        _ => Err(Fault::Foreign(format!(
            "has version {version} of the store's format, this program knows up to {VERSION_NOW}; open it with a newer program"
        ))),
    }
}

/// Reads what the file says of itself.
pub(crate) fn meta(table: &impl ReadableTable<&'static str, &'static [u8]>) -> Outcome<Meta> {
    version(table)?;
    let broken = |what: &str, why: &str| Fault::damage(format!("its {what}: {why}"));
    let row = |name: &'static str| -> Outcome<Vec<u8>> {
        let row = table.get(name)?.ok_or_else(|| broken(name, "it is missing"))?;
        Ok(row.value().to_vec())
    };
    let epoch = row(EPOCH)?;
    let epoch = unsealed(&epoch).map_err(|why| broken(EPOCH, why))?;
    let epoch = Uuid::from_slice(epoch).map_err(|_| broken(EPOCH, "it is no name"))?;
    let head = Head::read(&row(HEAD)?).map_err(|why| broken(HEAD, why))?;
    let lost = row(LOST)?;
    let mut bytes = Bytes::new(unsealed(&lost).map_err(|why| broken(LOST, why))?);
    let mut lost = Vec::new();
    while !bytes.is_empty() {
        let mut number = || bytes.number().map_err(|why| broken(LOST, why));
        lost.push((number()?, number()?));
    }
    Ok(Meta { epoch: Epoch::new(epoch), head, lost })
}
