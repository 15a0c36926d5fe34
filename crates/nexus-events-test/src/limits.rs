//! The bounds of the test kit, each a named constant with its unit.
//!
//! ```
//! use nexus_events_test::limits;
//! assert!(limits::CASE_WAIT_MAX.as_secs() >= 60);
//! ```

use std::time::Duration;

/// How long one case of a conformance test may take before it counts as hung.
pub const CASE_WAIT_MAX: Duration = Duration::from_secs(60);

/// Pages that one read may take in a conformance test before it counts as endless.
pub const PAGES_MAX: usize = 100_000;

/// About the most bytes that a conformance test appends at a time (256 MiB); a bound of a store
/// beyond that is not tried.
pub const TRIED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The most events that a conformance test appends at a time.
pub const TRIED_EVENTS_MAX: usize = 100_000;
