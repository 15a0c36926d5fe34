//! Handlers that wait for each other to end: nobody hangs.

use std::sync::{Arc, Mutex};

use nexus_events_dispatch::{Bus, HandlerExt, Mode, Subscription};
use nexus_events_model::Event;
use shuttle::future::block_on;

use crate::explore::{SCHEDULES, explore};
use crate::{bus, close, event, spawn};

/// Subscriptions that handlers find by number.
type Others = Arc<Mutex<Vec<Subscription>>>;

/// Ends this one of them.
fn end(others: &Others, which: usize) {
    let other = others.lock().unwrap().get(which).cloned();
    if let Some(other) = other {
        block_on(other.unsubscribe());
    }
}

/// How an event comes to inline handlers.
#[derive(Clone, Copy)]
enum Way {
    /// In a pass on the publisher's stack.
    Pass,
    /// In a delivery, for whose report the publisher waits.
    Delivery,
}

/// Publishes each of these on a thread of its own.
fn publish(bus: &Bus, event_types: &[&'static str], way: Way) {
    let threads: Vec<_> = event_types
        .iter()
        .enumerate()
        .map(|(id, event_type)| {
            let (bus, event_type) = (bus.clone(), *event_type);
            let event = event(event_type, id);
            spawn(move || match way {
                Way::Pass => drop(block_on(bus.publish(event)).unwrap()),
                Way::Delivery => drop(block_on(bus.publish_and_wait(event)).unwrap()),
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// As many handlers as event types, each of which ends the one after it.
fn circle(mode: Mode, event_types: &[&'static str], way: Way) {
    let (bus, others) = (bus(), Others::default());
    for (at, event_type) in event_types.iter().enumerate() {
        let (known, next) = (others.clone(), (at + 1) % event_types.len());
        let handler = move |_: &Event| end(&known, next);
        let subscription = bus.on(*event_type, handler.mode(mode)).unwrap();
        others.lock().unwrap().push(subscription);
    }
    publish(&bus, event_types, way);
    others.lock().unwrap().clear();
    close(bus);
}

#[test]
fn two_inline_handlers_that_end_each_other() {
    explore(SCHEDULES, || circle(Mode::Inline, &["a", "b"], Way::Pass));
}

#[test]
fn two_inline_handlers_that_end_each_other_before_their_reports() {
    explore(SCHEDULES, || circle(Mode::Inline, &["a", "b"], Way::Delivery));
}

#[test]
fn three_inline_handlers_that_end_each_other_in_a_circle() {
    explore(SCHEDULES, || circle(Mode::Inline, &["a", "b", "c"], Way::Pass));
}

#[test]
fn two_handlers_of_a_shared_lane_that_end_each_other() {
    explore(SCHEDULES, || circle(Mode::Queued, &["a", "b"], Way::Pass));
}

#[test]
fn two_blocking_handlers_that_end_each_other() {
    explore(SCHEDULES, || circle(Mode::Blocking, &["a", "b"], Way::Pass));
}

/// Handlers of the same events, so that each is on the way of the other's pass.
#[test]
fn two_handlers_of_one_event_that_end_each_other() {
    explore(SCHEDULES, || {
        let (bus, others) = (bus(), Others::default());
        for next in [1, 0] {
            let known = others.clone();
            let handler = move |_: &Event| end(&known, next);
            let subscription = bus.on("a", handler).unwrap();
            others.lock().unwrap().push(subscription);
        }
        publish(&bus, &["a", "a"], Way::Pass);
        others.lock().unwrap().clear();
        close(bus);
    });
}

/// An inline one and one on a task.
#[test]
fn an_inline_and_a_queued_handler_that_end_each_other() {
    explore(SCHEDULES, || {
        let (bus, others) = (bus(), Others::default());
        let known = others.clone();
        let inline = bus.on("a", move |_: &Event| end(&known, 1)).unwrap();
        let known = others.clone();
        let queued = move |_: Event| {
            let other = known.lock().unwrap().first().cloned();
            async move {
                if let Some(other) = other {
                    other.unsubscribe().await;
                }
            }
        };
        let queued = bus.on("b", queued).unwrap();
        others.lock().unwrap().extend([inline, queued]);
        publish(&bus, &["a", "b"], Way::Pass);
        others.lock().unwrap().clear();
        close(bus);
    });
}

/// One handler ends another, which ends the one that comes after the first in its very pass.
#[test]
fn the_rest_of_a_pass_is_not_waited_for_while_its_handler_waits() {
    explore(SCHEDULES, || {
        let (bus, others) = (bus(), Others::default());
        for (event_type, ends) in [("a", Some(2)), ("a", None), ("c", Some(1))] {
            let known = others.clone();
            let handler = move |_: &Event| ends.into_iter().for_each(|other| end(&known, other));
            let subscription = bus.on(event_type, handler).unwrap();
            others.lock().unwrap().push(subscription);
        }
        publish(&bus, &["a", "c"], Way::Pass);
        others.lock().unwrap().clear();
        close(bus);
    });
}
