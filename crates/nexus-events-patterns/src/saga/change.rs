//! Committing what becomes of a saga: its row, its events, its timeouts.

use nexus_events_dispatch::store::{Append, Expected};

use super::instance::{ACTIVE, ENDED};
use super::machine::Reaction;
use crate::error::Result;

/// The commit, as long as nobody else has changed the saga since it was read.
pub(super) fn append_of(reaction: Reaction) -> Result<Append> {
    let Reaction { instance, events, schedule, unschedule } = reaction;
    let mut append = Append::new();
    if let Some(instance) = instance {
        let expected = match instance.stored {
            0 => Expected::Absent,
            version => Expected::Exact(version),
        };
        append = if instance.status.has_ended() {
            append.delete_if(expected, ACTIVE, instance.row()).put(
                ENDED,
                instance.ended_row(),
                instance.to_bytes()?,
            )
        } else {
            append.put_if(expected, ACTIVE, instance.row(), instance.to_bytes()?)
        };
    }
    append = events.into_iter().fold(append, Append::event);
    append = unschedule.iter().fold(append, Append::unschedule);
    Ok(schedule.iter().fold(append, Append::schedule))
}
