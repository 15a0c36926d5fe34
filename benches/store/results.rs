//! What was measured, as it is kept from run to run.

use std::collections::BTreeMap;

use nexus_events_benches::machine;
use nexus_events_dispatch::store::Ack;
use serde::{Deserialize, Serialize};

use crate::process::Busy;
use crate::{disk, peers};

/// A part that was not run is not there.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) append: Option<Part<Appends>>,
    pub(crate) written: Option<Part<Written>>,
    pub(crate) read: Option<Part<Reads>>,
    pub(crate) open: Option<Part<Opens>>,
    pub(crate) volume: Option<Part<Volume>>,
}

/// Rows, and under which circumstances they came about.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Part<R> {
    pub(crate) circumstances: Circumstances,
    pub(crate) results: R,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Circumstances {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) rustc: String,
    pub(crate) commit: String,
    pub(crate) versions: String,
    pub(crate) others_cores: f64,
    /// Writes with a sync in a second, by the bytes of each.
    pub(crate) syncs_per_second: BTreeMap<usize, Series>,
}

/// Several rounds of the same.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Series(pub(crate) Vec<f64>);

impl Series {
    pub(crate) fn median(&self) -> f64 {
        let sorted = self.sorted();
        let (low, high) = (sorted.len().saturating_sub(1) / 2, sorted.len() / 2);
        let at = |at: usize| sorted.get(at).copied().unwrap_or(f64::NAN);
        f64::midpoint(at(low), at(high))
    }

    pub(crate) fn lowest(&self) -> f64 {
        self.sorted().first().copied().unwrap_or(f64::NAN)
    }

    pub(crate) fn highest(&self) -> f64 {
        self.sorted().last().copied().unwrap_or(f64::NAN)
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

pub(crate) type Appends = Vec<Append>;
pub(crate) type Written = Vec<PerEvent>;
pub(crate) type Reads = Vec<Rate>;
pub(crate) type Opens = Vec<Open>;

/// One peer, one kind of answer, so many publishers.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Append {
    pub(crate) peer: String,
    pub(crate) ack: String,
    /// In the peer's own words.
    pub(crate) mode: String,
    pub(crate) publishers: usize,
    pub(crate) events_per_second: Series,
    pub(crate) commits_per_second: Series,
    /// Milliseconds of each sync, where they are counted.
    pub(crate) sync_ms: Series,
    /// What it would be if each sync took two milliseconds, where they are counted.
    pub(crate) at_500_syncs: Series,
}

impl Append {
    pub(crate) fn is(&self, peer: &str, ack: Ack, publishers: usize) -> bool {
        (&*self.peer, &*self.ack, self.publishers) == (peer, ack.as_str(), publishers)
    }
}

/// Bytes per event, in commits of so many.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PerEvent {
    pub(crate) peer: String,
    pub(crate) batch: usize,
    pub(crate) written: f64,
    pub(crate) to_disk: f64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Rate {
    pub(crate) peer: String,
    pub(crate) events: u64,
    pub(crate) events_per_second: Series,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) peer: String,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) clean_ms: Series,
    pub(crate) killed_ms: Series,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) events: u64,
    pub(crate) append_seconds: f64,
    pub(crate) close_seconds: f64,
    pub(crate) open_seconds: f64,
    pub(crate) read_seconds: f64,
    pub(crate) file_bytes: u64,
    pub(crate) peak_after_append: u64,
    pub(crate) peak_after_read: u64,
}

/// Watches the circumstances while a part is measured.
#[derive(Debug)]
pub(crate) struct Watch {
    busy: Busy,
    syncs: BTreeMap<usize, Series>,
}

impl Watch {
    pub(crate) fn begin() -> Self {
        Self { busy: Busy::now(), syncs: BTreeMap::new() }
    }

    /// To be called once a round.
    pub(crate) fn look_at_the_disk(&mut self) {
        for bytes in disk::SIZES {
            let rate = disk::syncs_per_second(bytes);
            self.syncs.entry(bytes).or_default().0.push(rate);
        }
    }

    pub(crate) fn end<R>(self, results: R) -> Part<R> {
        let crates = ["redb", "rusqlite", "libsqlite3-sys", "fjall", "async-nats", "tokio"];
        let server = peers::server_version().unwrap_or_else(|| "no nats-server".to_owned());
        let circumstances = Circumstances {
            cpu: machine::cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            rustc: machine::output("rustc", &["--version"]),
            commit: machine::commit(),
            versions: format!("{}, {server}", machine::versions(&crates)),
            others_cores: Busy::now().others_since(self.busy),
            syncs_per_second: self.syncs,
        };
        Part { circumstances, results }
    }
}
