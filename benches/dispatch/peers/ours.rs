//! Nexus events: the bus stamps the event, matches its type and keeps statistics.

use nexus_events_dispatch::{Bus, HandlerExt, Mode};
use nexus_events_model::{Event, Filter};

use crate::event::{self, handle_ours};
use crate::inline::{self, Inline};
use crate::queued::{self, Future, Producer, Queued, Setup};
use crate::source::Source;

const PATTERN: &str = "workflow.*";

pub(crate) fn inline() -> Vec<inline::Peer> {
    let peer = |name, start, runs| inline::Peer { name, start, runs };
    vec![
        peer("ours", |handlers| plain(without_history(), PATTERN, handlers), |handlers| handlers),
        peer(
            "ours, history on",
            |handlers| plain(Bus::new(), PATTERN, handlers),
            |handlers| handlers,
        ),
        peer(
            "ours, nothing matches",
            |handlers| plain(without_history(), "user.*", handlers),
            |_| 0,
        ),
        peer("ours, two with a filter", two_with_a_filter, |handlers| handlers),
    ]
}

fn without_history() -> Bus {
    Bus::builder().history(0).build().expect("valid settings")
}

fn plain(bus: Bus, pattern: &'static str, handlers: usize) -> Box<dyn Inline> {
    for _ in 0..handlers {
        bus.on(pattern, handle_ours).expect("a valid subscription");
    }
    Box::new(bus)
}

/// Two of the handlers, or the only one, have a filter that holds.
fn two_with_a_filter(handlers: usize) -> Box<dyn Inline> {
    let bus = without_history();
    for number in 0..handlers {
        if number < 2 {
            let filter = Filter::parse("source == 'bench'").expect("a valid filter");
            bus.on(PATTERN, handle_ours.filter(filter)).expect("a valid subscription");
        } else {
            bus.on(PATTERN, handle_ours).expect("a valid subscription");
        }
    }
    Box::new(bus)
}

impl Inline for Bus {
    fn publish(&self, source: Source, _: usize) {
        for given in source {
            self.try_publish(event::builder(given)).expect("an open bus");
        }
    }
}

pub(crate) const QUEUED: queued::Peer = queued::Peer {
    name: "ours",
    start: |setup| {
        start(setup, |bus, sink| {
            let handler = move |event: &Event| sink.ours(event);
            bus.on(PATTERN, handler.mode(Mode::Queued)).expect("a valid subscription");
        })
    },
    one_thread: true,
};

pub(crate) const QUEUED_ASYNC: queued::Peer = queued::Peer {
    name: "ours, async handlers",
    start: |setup| {
        start(setup, |bus, sink| {
            let handler = move |event: Event| {
                let sink = sink.clone();
                async move { sink.ours(&event) }
            };
            bus.on(PATTERN, handler).expect("a valid subscription");
        })
    },
    one_thread: true,
};

/// The latency of inline handlers, with the same sinks as the queued ones.
pub(crate) const INLINE_LATENCY: queued::Peer = queued::Peer {
    name: "ours, inline",
    start: |setup| {
        start(setup, |bus, sink| {
            bus.on(PATTERN, move |event: &Event| sink.ours(event)).expect("a valid subscription");
        })
    },
    one_thread: true,
};

fn start(setup: Setup, on: fn(&Bus, crate::sink::Sink)) -> Future<Box<dyn Queued>> {
    Box::pin(async move {
        let bus = without_history();
        setup.sinks.into_iter().for_each(|sink| on(&bus, sink));
        Box::new(bus) as Box<dyn Queued>
    })
}

impl Queued for Bus {
    fn producer(&mut self, source: Source) -> Producer {
        let bus = self.clone();
        Producer::Task(Box::pin(async move {
            for given in source {
                let receipt = bus.publish(event::builder(given)).await.expect("an open bus");
                assert_eq!(receipt.rejected, 0, "handlers that were skipped");
            }
        }))
    }
}
