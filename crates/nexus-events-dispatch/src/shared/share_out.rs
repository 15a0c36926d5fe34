//! The short way of an event whose handlers all run on shared lanes: one push per lane.

use nexus_events_model::Event;

use super::done::Few;
use super::lane::{Given, stop};
use crate::bus::Bus;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::limits::TIMED_PASSES;
use crate::pass::Passed;
use crate::publish::Receipt;
use crate::route::{Route, Share};
use crate::stripe::ThreadRoute;
use crate::sync::{Arc, Ordering, StdInstant};

/// Takes an event to its lanes; the bus has stamped it then, in microseconds of Unix time, if it
/// has.
pub(crate) fn share_out(
    bus: &Bus,
    event: Event,
    route: &Arc<ThreadRoute>,
    stamped: Option<i64>,
) -> Result<Passed> {
    if let Some(lane) = route.route.blocked() {
        return Ok(Passed::Blocked(event, lane.clone()));
    }
    let Some(passing) = route.stripe.enter(route, bus.gate()) else {
        return Ok(Passed::Left(Delivery::first(bus, event, None)?));
    };
    if bus.gate().is_closed() {
        return Err(Error::closed());
    }
    bus.record(&event, &route.stripe);
    let counts = &route.stripe.counts;
    let begun = counts.published.get().is_multiple_of(TIMED_PASSES).then(StdInstant::now);
    counts.published.add(1);
    let id = event.id().clone();
    let last = stamped.unwrap_or_else(|| bus.0.clock.moment().unix_micros);
    let mut done = Few::default();
    let (woken, stopped) = push(bus, event, &route.route, &mut done);
    let ran = route.route.len() - stopped;
    if ran > 0 {
        route.passes.add(1);
        route.last.store(last, Ordering::Relaxed);
        counts.handled.add(1);
    } else {
        counts.skipped.add(1);
    }
    if let Some(begun) = begun {
        bus.counters().timed(begun.elapsed());
    }
    drop((passing, done));
    let receipt = Receipt { matched: route.route.len(), rejected: stopped, ..Receipt::new(id) };
    Ok(Passed::Through(receipt, woken))
}

/// Whether a lane was woken, and how many handlers have nobody to run them any more.
fn push(bus: &Bus, event: Event, route: &Arc<Route>, done: &mut Few) -> (bool, usize) {
    let (bytes, shares) = (event.size(), route.shares());
    let (mut woken, mut stopped) = (false, 0);
    let mut push = |number, share: &Share, event| match share
        .lane
        .push_share(bus, event, bytes, route, number, done)
    {
        Given::Queued => {}
        Given::Woken => woken = true,
        Given::Over => {
            stop(bus, route, &share.places);
            stopped += share.places.len();
        }
    };
    if let Some((last, others)) = shares.split_last() {
        for (number, share) in others.iter().enumerate() {
            push(number, share, event.clone());
        }
        // The event goes along: whoever publishes next drops it.
        push(others.len(), last, event);
    }
    (woken, stopped)
}
