//! What is counted of requests.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::Serialize;

use super::exchange::Taken;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::PENDING_REQUESTS_MAX;

macro_rules! stats {
    ($($(#[doc = $doc:literal])+ $name:ident),* $(,)?) => {
        /// A snapshot of what has become of the requests of one bus.
        ///
        /// ```
        /// use nexus_events_dispatch::Bus;
        /// use nexus_events_patterns::Requests;
        /// let stats = Bus::new().request_stats();
        /// assert_eq!((stats.pending, stats.requests), (0, 0));
        /// assert!(stats.to_prometheus().contains("nexus_events_requests_pending 0\n"));
        /// ```
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
        #[non_exhaustive]
        pub struct RequestStats {
            /// Requests that are waited for right now.
            pub pending: usize,
            $($(#[doc = $doc])+ pub $name: u64,)*
        }

        #[derive(Default)]
        pub(crate) struct Counters {
            pending: AtomicUsize,
            $(pub(crate) $name: Counter,)*
        }

        impl Counters {
            pub(crate) fn stats(&self) -> RequestStats {
                RequestStats {
                    pending: self.pending.load(Ordering::Acquire),
                    $($name: self.$name.get(),)*
                }
            }
        }

        impl RequestStats {
            /// The snapshot in Prometheus' text format, version 0.0.4; it can be put behind that
            /// of [`BusStats`](nexus_events_dispatch::BusStats::to_prometheus).
            #[must_use]
            pub fn to_prometheus(&self) -> String {
                let mut text = String::new();
                let help = "Requests that are waited for right now.";
                family(&mut text, "requests_pending", "gauge", help, self.pending as u64);
                $(family(
                    &mut text,
                    concat!("request_", stringify!($name), "_total"),
                    "counter",
                    concat!($($doc),+).trim(),
                    self.$name,
                );)*
                text
            }
        }
    };
}

stats! {
    /// Requests that were made.
    requests,
    /// Replies that a requester was there for.
    replies,
    /// Requests that a responder has answered with a no.
    rejected,
    /// Requests that were not answered in time.
    timed_out,
    /// Requests that found nobody to answer.
    no_responders,
    /// Requests whose last responder has gone without an answer.
    responder_gone,
    /// Requests that the bus did not take.
    refused,
    /// Requests whose requester did not wait for the end: its future was dropped.
    abandoned,
    /// Replies that came after the requester had gone.
    late,
    /// Replies that came after another one.
    duplicate,
    /// Replies to one request beyond the bound on those that wait.
    overflowed,
    /// Replies that came in time and were not taken.
    untaken,
}

fn family(text: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    // A string takes everything.
    let _ = writeln!(
        text,
        "# HELP nexus_events_{name} {help}\n# TYPE nexus_events_{name} {kind}\nnexus_events_{name} {value}"
    );
}

#[derive(Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(crate) fn begin(&self) -> Result<()> {
        if self.pending.fetch_add(1, Ordering::AcqRel) >= PENDING_REQUESTS_MAX {
            self.pending.fetch_sub(1, Ordering::AcqRel);
            let message = format!(
                "{PENDING_REQUESTS_MAX} requests wait for an answer; make fewer at a time, or give them a shorter timeout"
            );
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        self.requests.add(1);
        Ok(())
    }

    pub(crate) fn end(&self, counted: bool) {
        self.pending.fetch_sub(1, Ordering::AcqRel);
        if !counted {
            self.abandoned.add(1);
        }
    }

    pub(crate) fn untaken(&self, number: usize) {
        if number > 0 {
            self.untaken.add(number as u64);
        }
    }

    pub(crate) fn taken(&self, taken: Taken) {
        match taken {
            Taken::In => &self.replies,
            Taken::Already => &self.duplicate,
            Taken::Late => &self.late,
            Taken::Full => &self.overflowed,
        }
        .add(1);
    }
}
