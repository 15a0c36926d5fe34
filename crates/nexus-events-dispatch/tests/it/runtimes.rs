//! Several runtimes at once, some of which nobody drives.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nexus_events_dispatch::layers::{Jitter, Retry};
use nexus_events_dispatch::{Bus, Configured, HandlerExt};
use nexus_events_model::Event;
use tokio::runtime::{Builder, Runtime};

use crate::corners::{block_on, within_time};
use crate::event;

/// A runtime that stands still unless somebody blocks on it.
fn still() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn running() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap()
}

/// An inline handler that fails at first.
fn fails_once(calls: &Arc<AtomicUsize>) -> Configured {
    let calls = calls.clone();
    let fails_once = move |_: &Event| match calls.fetch_add(1, Ordering::SeqCst) {
        0 => Err("not yet"),
        _ => Ok(()),
    };
    fails_once.layer(Retry::new().base(Duration::from_millis(1)).jitter(Jitter::None))
}

#[test]
fn an_inline_handler_tries_again_on_the_runtime_in_which_it_was_registered() {
    let no_timer = Builder::new_current_thread().build().unwrap();
    for visited in [still(), no_timer] {
        let (bus, calls) = (Bus::new(), Arc::new(AtomicUsize::new(0)));
        let home = running();
        home.block_on(async {
            bus.on("a", fails_once(&calls)).unwrap();
        });
        // The publisher's own runtime ends right after.
        visited.block_on(bus.publish(event("a"))).unwrap();
        drop(visited);
        within_time({
            let bus = bus.clone();
            move || block_on(bus.idle())
        });
        let events = bus.stats().events;
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert_eq!((events.handled_events, events.lost_events), (1, 0));
    }
}

#[test]
fn an_inline_handler_whose_runtime_has_ended_tries_again_where_the_publisher_is() {
    let (bus, calls) = (Bus::new(), Arc::new(AtomicUsize::new(0)));
    still().block_on(async { bus.on("a", fails_once(&calls)).unwrap() });
    let report = still().block_on(bus.publish_and_wait(event("a"))).unwrap();
    assert_eq!((report.is_success(), calls.load(Ordering::SeqCst)), (true, 2));
}
