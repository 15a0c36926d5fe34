//! The bounds of the model, each a named constant with its unit.
//!
//! ```
//! use nexus_events_model::limits;
//! assert_eq!(limits::EVENT_TYPE_BYTES_MAX, 255);
//! ```

/// Longest event type or pattern, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 255;

/// Most segments in an event type or pattern.
pub const EVENT_TYPE_SEGMENTS_MAX: usize = 16;

/// Longest id, source, target, session id, user id or channel, in bytes.
pub const TEXT_BYTES_MAX: usize = 1_024;

/// Most entries in an event's metadata.
pub const METADATA_ENTRIES_MAX: usize = 256;

/// Longest `tracestate` that is carried along, in bytes.
pub const TRACESTATE_BYTES_MAX: usize = 512;

/// Most members in a `tracestate`.
pub const TRACESTATE_MEMBERS_MAX: usize = 32;

/// Largest JSON encoding of one event that is read, in bytes (1 MiB).
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// Most levels of arrays and objects in a payload that is read as JSON.
pub const PAYLOAD_DEPTH_MAX: usize = 100;

/// Deepest nesting of a filter, in nodes.
pub const FILTER_DEPTH_MAX: usize = 32;

/// Most nodes in one filter.
pub const FILTER_NODES_MAX: usize = 1_024;

/// Most alternatives in one list of a filter.
pub const FILTER_LIST_MAX: usize = 1_024;

/// Longest filter in text form, in bytes.
pub const FILTER_TEXT_BYTES_MAX: usize = 16 * 1024;

/// Most regexes in one filter.
pub const FILTER_REGEXES_MAX: usize = 16;

/// Most conditions that one explanation shows.
pub const EXPLANATION_NODES_MAX: usize = 4_096;

/// Longest regular expression in a filter, in bytes.
pub const REGEX_BYTES_MAX: usize = 1_024;

/// Largest compiled regular expression in a filter, in bytes (256 KiB).
pub const REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;

const _: () = assert!(EVENT_TYPE_SEGMENTS_MAX * 2 <= EVENT_TYPE_BYTES_MAX);
const _: () = assert!(FILTER_NODES_MAX <= EXPLANATION_NODES_MAX);
const _: () = assert!(TEXT_BYTES_MAX < EVENT_BYTES_MAX);
