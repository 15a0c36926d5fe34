//! One file per peer. Each is used in the way that favours it.

mod actix;
mod agent_event_bus;
mod async_broadcast;
mod bare;
mod bevy;
mod broadcast;
mod disruptor;
mod event_bus_rs;
mod flume;
mod jaeb;
mod kameo;
mod kanal;
mod mpsc;
mod ours;
mod tokio_events;

use crate::{inline, queued};

/// Handlers on the producer's own stack.
pub(crate) fn inline() -> Vec<inline::Peer> {
    let mut peers = ours::inline();
    peers.extend(bare::peers());
    peers.extend([bevy::PEER, bevy::WITH_OURS, agent_event_bus::PEER]);
    peers.extend([jaeb::PEER, jaeb::WITH_OURS]);
    peers
}

/// Handlers on tasks or threads.
pub(crate) fn queued() -> Vec<queued::Peer> {
    vec![
        ours::QUEUED,
        ours::QUEUED_ASYNC,
        broadcast::PEER,
        broadcast::WITH_OURS,
        mpsc::PEER,
        mpsc::RECV_MANY,
        async_broadcast::PEER,
        flume::PEER,
        kanal::PEER,
        disruptor::PEER,
        disruptor::WITH_OURS,
        kameo::PEER,
        kameo::ACTOR,
        tokio_events::PEER,
        event_bus_rs::PEER,
        actix::PEER,
    ]
}

/// Those whose latency is measured.
pub(crate) fn latency() -> Vec<queued::Peer> {
    vec![
        ours::INLINE_LATENCY,
        ours::QUEUED,
        broadcast::PEER,
        mpsc::PEER,
        flume::PEER,
        kanal::PEER,
        disruptor::PEER,
    ]
}
