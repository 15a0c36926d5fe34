//! Handlers that wait for each other: the wait that would close a circle is none.

use std::sync::Arc;
use std::time::Duration;

use nexus_events_dispatch::{Bus, HandlerExt, Subscription};
use nexus_events_model::Event;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::corners::within_time;
use crate::delivery::settle;
use crate::{Log, event};

/// Longer than any test waits.
const NEVER: Duration = Duration::from_secs(3_600);

/// What a handler waits for.
#[derive(Clone)]
enum Waits {
    End(Slot),
    Idle(Bus),
    Shutdown(Bus),
}

type Slot = Arc<Mutex<Option<Subscription>>>;

impl Waits {
    async fn wait(self) {
        match self {
            Self::End(slot) => {
                let subscription = slot.lock().clone().unwrap();
                subscription.unsubscribe().await;
            }
            Self::Idle(bus) => bus.idle().await,
            Self::Shutdown(bus) => assert!(bus.shutdown(NEVER).await.is_clean()),
        }
    }
}

/// A handler that waits when it is told to.
fn waits(slot: &Slot, bus: &Bus, name: &str, waits: Waits, go: &Arc<Semaphore>) {
    let go = go.clone();
    let handler = move |_: Event| {
        let (waits, go) = (waits.clone(), go.clone());
        async move {
            go.acquire().await.unwrap().forget();
            waits.wait().await;
        }
    };
    *slot.lock() = Some(bus.on(name, handler.named(name)).unwrap());
}

/// Lets the handlers begin to wait in this order; all of them must come to an end.
fn check(buses: &[Bus], handlers: &[(usize, &str, Waits)], order: &[usize], slots: &[Slot]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let go: Vec<_> = handlers.iter().map(|_| Arc::new(Semaphore::new(0))).collect();
        for (number, (bus, name, what)) in handlers.iter().enumerate() {
            waits(&slots[number], &buses[*bus], name, what.clone(), &go[number]);
        }
        for (bus, name, _) in handlers {
            buses[*bus].publish(event(name)).await.unwrap();
        }
        settle().await;
        for number in order {
            go[*number].add_permits(1);
            settle().await;
        }
        for bus in buses {
            bus.idle().await;
            let events = bus.stats().events;
            assert_eq!((events.in_flight, events.lost_events), (0, 0));
            assert_eq!(events.handled_events, events.total_events);
        }
    });
}

fn buses() -> [Bus; 3] {
    [(); 3].map(|()| Bus::new())
}

fn slots() -> [Slot; 3] {
    Default::default()
}

const ORDERS: [[usize; 2]; 2] = [[0, 1], [1, 0]];

#[test]
fn two_handlers_of_two_buses_may_end_each_other() {
    for order in ORDERS {
        within_time(move || {
            let (buses, slots) = (buses(), slots());
            let x = (0, "x", Waits::End(slots[1].clone()));
            let y = (1, "y", Waits::End(slots[0].clone()));
            check(&buses, &[x, y], &order, &slots);
        });
    }
}

#[test]
fn one_may_wait_for_the_bus_while_another_waits_for_its_end() {
    for order in ORDERS {
        for shuts_down in [false, true] {
            within_time(move || {
                let (buses, slots) = (buses(), slots());
                let what = match shuts_down {
                    false => Waits::Idle(buses[0].clone()),
                    true => Waits::Shutdown(buses[0].clone()),
                };
                let y = (0, "y", Waits::End(slots[0].clone()));
                check(&buses, &[(0, "x", what), y], &order, &slots);
            });
        }
    }
}

#[test]
fn two_may_wait_for_each_others_bus() {
    for order in ORDERS {
        for shuts_down in [false, true] {
            within_time(move || {
                let (buses, slots) = (buses(), slots());
                let [one, two] = [1, 0].map(|bus: usize| match shuts_down {
                    false => Waits::Idle(buses[bus].clone()),
                    true => Waits::Shutdown(buses[bus].clone()),
                });
                check(&buses, &[(0, "x", one), (1, "y", two)], &order, &slots);
            });
        }
    }
}

#[test]
fn one_may_wait_for_the_bus_while_another_shuts_it_down() {
    for order in ORDERS {
        within_time(move || {
            let (buses, slots) = (buses(), slots());
            let x = (0, "x", Waits::Idle(buses[0].clone()));
            let y = (0, "y", Waits::Shutdown(buses[0].clone()));
            check(&buses, &[x, y], &order, &slots);
        });
    }
}

#[test]
fn a_circle_of_three_over_three_buses_is_none() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        within_time(move || {
            let (buses, slots) = (buses(), slots());
            let x = (0, "x", Waits::Idle(buses[1].clone()));
            let y = (1, "y", Waits::End(slots[2].clone()));
            let z = (2, "z", Waits::Shutdown(buses[0].clone()));
            check(&buses, &[x, y, z], &order, &slots);
        });
    }
}

/// Y is called on the stack of X, so X waits for whatever Y waits for.
#[test]
fn a_handler_on_the_stack_of_another_buss_handler_waits_for_both() {
    within_time(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (buses, slots) = (buses(), slots());
            let two = buses[1].clone();
            let asks = move |_: Event| {
                let two = two.clone();
                async move { two.publish_and_wait(event("y")).await.map(|_| ()) }
            };
            *slots[0].lock() = Some(buses[0].on("x", asks).unwrap());
            let go = Arc::new(Semaphore::new(0));
            waits(&slots[1], &buses[1], "y", Waits::End(slots[2].clone()), &go);
            let x = slots[0].clone();
            let ends_x = move |_: Event| Waits::End(x.clone()).wait();
            *slots[2].lock() = Some(buses[2].on("z", ends_x).unwrap());
            buses[0].publish(event("x")).await.unwrap();
            settle().await;
            // Z waits for the end of X, then Y for that of Z.
            buses[2].publish(event("z")).await.unwrap();
            settle().await;
            go.add_permits(1);
            for bus in &buses {
                bus.idle().await;
            }
        });
    });
}

#[test]
fn a_handler_does_not_wait_for_what_it_published_itself() {
    for shuts_down in [false, true] {
        within_time(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let bus = Bus::new();
                let what = match shuts_down {
                    false => Waits::Idle(bus.clone()),
                    true => Waits::Shutdown(bus.clone()),
                };
                let publisher = bus.clone();
                let handler = move |_: Event| {
                    let (bus, what) = (publisher.clone(), what.clone());
                    async move {
                        bus.publish(event("b")).await.unwrap();
                        if let Waits::Idle(_) = what {
                            what.wait().await;
                        } else {
                            // It comes after this wave, when the bus is closed.
                            assert_eq!(bus.shutdown(NEVER).await.lost, 1);
                        }
                    }
                };
                bus.on("a", handler).unwrap();
                bus.publish(event("a")).await.unwrap();
                bus.idle().await;
                let events = bus.stats().events;
                assert_eq!((events.total_events, events.in_flight), (2, 0));
                assert_eq!(events.lost_events, u64::from(shuts_down));
            });
        });
    }
}

/// Only those are not waited for that wait themselves.
#[tokio::test(start_paused = true)]
async fn an_event_whose_handler_waits_for_nobody_is_waited_for() {
    let [one, two] = [(); 2].map(|()| Bus::new());
    let (log, gate) = (Log::default(), Arc::new(Semaphore::new(0)));
    let (seen, other) = (log.clone(), two.clone());
    one.on("x", move |_: Event| {
        let (seen, other) = (seen.clone(), other.clone());
        async move {
            other.idle().await;
            seen.add("x");
        }
    })
    .unwrap();
    let (seen, waits, back) = (log.clone(), gate.clone(), one.clone());
    two.on("y", move |_: Event| {
        let (seen, waits, back) = (seen.clone(), waits.clone(), back.clone());
        async move {
            back.idle().await;
            seen.add("y");
            waits.acquire().await.unwrap().forget();
            seen.add("y ends");
        }
    })
    .unwrap();
    two.on("free", {
        let (seen, waits) = (log.clone(), gate.clone());
        move |_: Event| {
            let (seen, waits) = (seen.clone(), waits.clone());
            async move {
                waits.acquire().await.unwrap().forget();
                seen.add("free");
            }
        }
    })
    .unwrap();
    two.publish(event("free")).await.unwrap();
    one.publish(event("x")).await.unwrap();
    settle().await;
    two.publish(event("y")).await.unwrap();
    settle().await;
    assert_eq!(log.take(), ["y"], "x waits for the event that is free to go on");
    gate.add_permits(1);
    settle().await;
    assert_eq!(log.take().first().map(String::as_str), Some("free"));
    gate.add_permits(1);
    settle().await;
    one.idle().await;
    two.idle().await;
    let mut rest = log.take();
    rest.sort();
    assert_eq!(rest, ["x", "y ends"]);
}
