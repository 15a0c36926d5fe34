//! Replies that nobody waits for any more.

use std::time::Duration;

use nexus_events_model::{Event, Payload};

use super::reject::Reject;

/// A reply that came after its requester had gone.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LateReply {
    /// The event that asked.
    pub request: Event,
    /// What was answered.
    pub reply: Result<Payload, Reject>,
    /// How long after the request.
    pub after: Duration,
}
