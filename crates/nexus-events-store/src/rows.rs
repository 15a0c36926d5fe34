//! The rows of a table that may be damaged.

use redb::{Key, ReadableTable, ReadableTableMetadata};

use crate::error::{Fault, Outcome};
use crate::limits::ROWS_ASTRAY_MAX;

/// Sees to it that reading a table ends: a damaged one may lead back to where it was read already,
/// for ever. A damaged key stands before its neighbours or behind them, so some rows may be in
/// disorder; but there are no more than the table says, nor many of those.
#[derive(Debug)]
pub(crate) struct Rows {
    left: u64,
    astray: usize,
    before: Option<Vec<u8>>,
}

impl Rows {
    pub(crate) fn of(table: &impl ReadableTableMetadata) -> Outcome<Self> {
        Ok(Self::at_most(table.len()?))
    }

    fn at_most(left: u64) -> Self {
        Self { left, astray: 0, before: None }
    }

    /// Whether this row is to be read, or is the first of those that were.
    pub(crate) fn goes_on<K: Key>(&mut self, key: &K::SelfType<'_>) -> bool {
        let place = K::as_bytes(key).as_ref().to_vec();
        if self.before.as_ref().is_some_and(|before| K::compare(before, &place).is_ge()) {
            self.astray += 1;
        }
        self.before = Some(place);
        let goes_on = self.left > 0 && self.astray <= ROWS_ASTRAY_MAX;
        self.left = self.left.saturating_sub(1);
        goes_on
    }
}

/// Reads each row of a table.
pub(crate) fn each<K: Key + 'static>(
    table: &impl ReadableTable<K, &'static [u8]>,
    mut read: impl FnMut(K::SelfType<'_>, &[u8]) -> Outcome<()>,
) -> Outcome<()> {
    let mut rows = Rows::of(table)?;
    for row in table.iter()? {
        let (key, value) = row?;
        if !rows.goes_on::<K>(&key.value()) {
            return Err(Fault::damage("its rows lead back to where they were read already"));
        }
        read(key.value(), value.value())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(rows: &mut Rows, keys: impl IntoIterator<Item = u64>) -> usize {
        keys.into_iter().take_while(|key| rows.goes_on::<u64>(key)).count()
    }

    #[test]
    fn a_table_in_order_is_read_to_its_end() {
        assert_eq!(read(&mut Rows::at_most(1_000), 0..1_000), 1_000);
        // One damaged key, and all behind it.
        assert_eq!(read(&mut Rows::at_most(5), [1, 2, 1 << 60, 4, 5]), 5);
    }

    #[test]
    fn a_table_that_leads_back_is_left() {
        assert_eq!(read(&mut Rows::at_most(10), (0..10).cycle()), 10);
        // The number of rows is damaged too.
        let mut rows = Rows::at_most(u64::MAX);
        assert_eq!(read(&mut rows, (0..10).cycle()), 10 * (ROWS_ASTRAY_MAX + 1));
        let mut rows = Rows::at_most(u64::MAX);
        assert_eq!(read(&mut rows, std::iter::repeat(7)), ROWS_ASTRAY_MAX + 1);
    }
}
