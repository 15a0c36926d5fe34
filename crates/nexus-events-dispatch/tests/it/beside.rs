//! What goes on beside a handler that does not return.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::{Context, HandlerExt, Mode};
use nexus_events_model::Event;

use crate::corners::block_on;
use crate::stuck::{Gate, bus, own_queue, run, stuck, until};
use crate::{Log, event};

/// As [`Gate::hangs`], at this event alone.
fn hangs_at(name: &'static str, gate: &Gate, log: &Log) -> impl Fn(&Event) + Send + Sync + use<> {
    let (hangs, log) = (gate.hangs(log), log.clone());
    move |event: &Event| match event.event_type().as_str() {
        other if other != name => log.add(other),
        _ => hangs(event),
    }
}

#[test]
fn a_handler_that_has_moved_gets_each_event_once_beside_one_that_hangs() {
    for moved_first in [true, false] {
        run(move || async move {
            let (bus, gates) = (bus(), [Gate::new(), Gate::new()]);
            let [log, other] = [Log::default(), Log::default()];
            let add = |name, handler: Box<dyn Fn(&Event) + Send + Sync>| {
                let handler = move |event: &Event| handler(event);
                bus.on("n.*", handler.mode(Mode::Queued).named(name)).unwrap();
            };
            let moved = || add("moved", Box::new(hangs_at("n.one-hangs", &gates[0], &log)));
            if moved_first {
                moved();
            }
            add("hangs", Box::new(hangs_at("n.two-hangs", &gates[1], &other)));
            if !moved_first {
                moved();
            }
            bus.publish(event("n.one-hangs")).await.unwrap();
            until(|| stuck(&bus, "moved").1 == 1).await;
            gates[0].go.send(()).unwrap();
            until(|| bus.stats().stuck_threads == 0).await;
            for name in ["n.next", "n.two-hangs"] {
                bus.publish(event(name)).await.unwrap();
            }
            until(|| stuck(&bus, "hangs").1 == 1).await;
            bus.idle().await;
            assert_eq!(log.take(), ["n.one-hangs", "n.next", "n.two-hangs"]);
            assert_eq!(bus.stats().handler("moved").unwrap().execution_count, 3);
            drop(gates);
        });
    }
}

#[test]
fn an_event_dropped_beside_one_that_hangs_is_dropped_once() {
    run(|| async {
        let (bus, gates) = (bus(), [Gate::new(), Gate::new(), Gate::new()]);
        let log = Log::default();
        let (at_start, at_two) =
            (hangs_at("n.hangs", &gates[0], &log), hangs_at("n.two-hangs", &gates[1], &log));
        let first = move |event: &Event| match event.event_type().as_str() {
            "n.hangs" => at_start(event),
            _ => at_two(event),
        };
        let second = hangs_at("n.one-hangs", &gates[2], &log);
        bus.on("n.*", first.mode(Mode::Queued).named("first")).unwrap();
        bus.on("n.*", second.mode(Mode::Queued).named("second")).unwrap();
        bus.publish(event("n.hangs")).await.unwrap();
        gates[0].is_met_by(1).await;
        // They are queued before anybody has moved.
        for name in ["n.one-hangs", "n.two-hangs"] {
            bus.publish(event(name)).await.unwrap();
        }
        gates[0].go.send(()).unwrap();
        until(|| bus.stats().stuck_threads == 2).await;
        bus.idle().await;
        let stats = bus.stats();
        let second = stats.handler("second").unwrap();
        assert_eq!(second.dropped.get("stuck"), Some(&1));
        assert_eq!((second.execution_count, stats.events.handled_events), (2, 3));
        drop(gates);
    });
}

#[test]
fn who_was_told_just_before_goes_on() {
    run(|| async {
        let (bus, gates, log) = (bus(), [Gate::new(), Gate::new()], Log::default());
        let (first, second) =
            (hangs_at("n.hangs", &gates[0], &log), hangs_at("n.two-hangs", &gates[1], &log));
        let handler = move |event: &Event| match event.event_type().as_str() {
            "n.hangs" => first(event),
            _ => second(event),
        };
        bus.on("n.*", handler.mode(Mode::Queued)).unwrap();
        bus.publish(event("n.hangs")).await.unwrap();
        gates[0].is_met_by(1).await;
        let waiting = tokio::spawn({
            let bus = bus.clone();
            async move { bus.publish_and_wait(event("n.asked")).await.unwrap() }
        });
        until(|| bus.stats().events.in_flight == 2).await;
        bus.publish(event("n.two-hangs")).await.unwrap();
        gates[0].go.send(()).unwrap();
        gates[1].is_met_by(1).await;
        assert_eq!(waiting.await.unwrap().outcomes.len(), 1);
        drop(gates);
    });
}

#[test]
fn a_handler_of_a_lower_wave_does_not_hold_up_who_watches() {
    run(|| async {
        let (bus, gates, log) = (bus(), [Gate::new(), Gate::new(), Gate::new()], Log::default());
        bus.on("a.hangs", gates[0].hangs(&log).with(own_queue).named("first")).unwrap();
        bus.on("a.hangs", gates[1].hangs(&log).priority(-1).named("lower")).unwrap();
        bus.on("b.hangs", gates[2].hangs(&log).with(own_queue).named("second")).unwrap();
        bus.publish(event("a.hangs")).await.unwrap();
        gates[1].is_met_by(1).await;
        bus.publish(event("b.hangs")).await.unwrap();
        until(|| stuck(&bus, "second").1 == 1).await;
        drop(gates);
    });
}

#[test]
fn what_was_given_up_is_neither_lost_nor_on_its_way() {
    run(|| async {
        let (bus, gate, log) = (bus(), Gate::new(), Log::default());
        bus.on("n.*", gate.hangs(&log).mode(Mode::Queued)).unwrap();
        let polled = Arc::new(AtomicUsize::new(0));
        let polls = polled.clone();
        let pends = move |_: Event| {
            let polls = polls.clone();
            std::future::poll_fn(move |_| {
                polls.fetch_add(1, Ordering::SeqCst);
                std::task::Poll::<()>::Pending
            })
        };
        bus.on("o", pends).unwrap();
        let waits = {
            let log = log.clone();
            move |_: &Event, context: &Context| {
                block_on(context.bus().idle());
                log.add("idle");
            }
        };
        bus.on("i", waits.mode(Mode::Queued)).unwrap();
        bus.publish(event("n.hangs")).await.unwrap();
        bus.idle().await;
        bus.publish_and_wait(event("i")).await.unwrap();
        assert_eq!(log.take(), ["idle"]);
        bus.publish(event("o")).await.unwrap();
        // While it moves to a lane of its own it counts in both.
        until(|| polled.load(Ordering::SeqCst) == 2).await;
        until(|| bus.stats().events.in_flight == 1).await;
        let report = bus.shutdown(Duration::from_millis(1)).await;
        assert_eq!((report.drained, report.lost), (0, 1));
        drop(gate.go);
    });
}
