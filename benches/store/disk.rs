//! How fast the disk syncs, without any store.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::place::Place;

/// Bytes of a small write, and of one like 256 events.
pub(crate) const SIZES: [usize; 2] = [4 << 10, 128 << 10];

const TURN: Duration = Duration::from_millis(250);

/// Writes and syncs in a second, appending so many bytes each time.
pub(crate) fn syncs_per_second(bytes: usize) -> f64 {
    let place = Place::new("disk");
    let path = place.path().join("syncs");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(path);
    let file = file.expect("a file");
    let data = vec![0x5a; bytes];
    let (began, mut syncs) = (Instant::now(), 0_u64);
    while began.elapsed() < TURN {
        file.write_all_at(&data, syncs * bytes as u64).expect("a write");
        file.sync_data().expect("a sync");
        syncs += 1;
    }
    syncs as f64 / began.elapsed().as_secs_f64()
}
