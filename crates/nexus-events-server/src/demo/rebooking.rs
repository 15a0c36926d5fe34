//! A saga on real data: who was to fly and cannot is put on the next flight of the carrier on that
//! route, and when that one is cancelled too, the seat is given back and the search goes on.
//!
//! | comes | the saga publishes |
//! |---|---|
//! | `flight.cancelled` | `seat.held` on whatever leaves next; first `seat.released` for those who held one on this flight |
//! | `flight.departed` | `seat.confirmed` for all who held one on it; then the saga has ended |

use std::collections::VecDeque;

use nexus_events_dispatch::Bus;
use nexus_events_model::{Event, Text};
use nexus_events_patterns::saga::{Saga, SagaContext, SagaHandle, SagaKey};
use nexus_events_patterns::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Cancelled flights of one route that wait at most; those beyond are told so.
const WAITING_MAX: usize = 256;

/// What one route waits for.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Route {
    waiting: VecDeque<Waiting>,
}

/// The passengers of a flight that was cancelled.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Waiting {
    flight: String,
    /// How many flights were cancelled on which they held seats.
    released: u32,
}

/// Registers it; only a bus with a store can have it.
pub(super) fn attach(bus: &Bus) -> Result<SagaHandle, Error> {
    let route = || SagaKey::of("carrier, origin and dest", route);
    Saga::<Route>::named("rebooking")
        .starts("flight.cancelled", route(), Route::cancelled)
        .on("flight.departed", route(), Route::departed)
        .build()?
        .attach(bus)
}

/// What it came to, for people.
pub(super) async fn summary(sagas: &SagaHandle) -> Result<String> {
    let (stats, mut waiting, mut after) = (sagas.stats(), 0, None);
    loop {
        let page = sagas.list(after.as_deref()).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.key.to_string());
        waiting += page.len();
    }
    Ok(format!(
        "{:<10} {:>5}  routes with cancelled flights, {} rebooked, {waiting} still looking (nexus saga list)",
        "rebooking", stats.started, stats.completed
    ))
}

/// `EV EWR-RDU`
fn route(event: &Event) -> Option<Text> {
    let field = |name: &str| event.payload().get(name).and_then(Value::as_str);
    let (carrier, origin, dest) = (field("carrier")?, field("origin")?, field("dest")?);
    Some(format!("{carrier} {origin}-{dest}").into())
}

/// `EV4424`
fn flight(event: &Event) -> String {
    let field = |name: &str| event.payload().get(name).cloned().unwrap_or_default();
    format!("{}{}", field("carrier").as_str().unwrap_or_default(), field("flight"))
}

impl Route {
    fn cancelled(&mut self, event: &Event, saga: &mut SagaContext<'_>) {
        let cancelled = flight(event);
        for waiting in &mut self.waiting {
            waiting.released += 1;
            saga.publish(seat("released", event, &waiting.flight, Some(&cancelled)));
        }
        if self.waiting.len() == WAITING_MAX {
            saga.publish(seat("refused", event, &cancelled, None));
            return;
        }
        self.waiting.push_back(Waiting { flight: cancelled, released: 0 });
        for waiting in &self.waiting {
            saga.publish(seat("held", event, &waiting.flight, None));
        }
    }

    fn departed(&mut self, event: &Event, saga: &mut SagaContext<'_>) {
        let onto = flight(event);
        for waiting in self.waiting.drain(..) {
            saga.publish(seat("confirmed", event, &waiting.flight, Some(&onto)));
        }
        saga.complete();
    }
}

/// `seat.held` and so on.
fn seat(what: &str, event: &Event, of: &str, on: Option<&str>) -> nexus_events_model::EventBuilder {
    let payload = json!({"passengers_of": of, "on": on, "route": route(event).unwrap_or_default()});
    Event::builder(format!("seat.{what}")).source(event.source()).payload(payload)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nexus_events_dispatch::store::MemoryStore;

    use super::*;

    fn of(event_type: &str, flight: u32) -> nexus_events_model::EventBuilder {
        let payload = json!({"carrier": "EV", "flight": flight, "origin": "EWR", "dest": "RDU"});
        Event::builder(event_type).source("airport/EWR").payload(payload)
    }

    #[tokio::test]
    async fn passengers_get_on_the_next_flight_that_leaves() {
        let bus = Bus::builder().store(Arc::new(MemoryStore::new())).open().await.unwrap();
        let sagas = attach(&bus).unwrap();
        for (event_type, flight) in
            [("flight.departed", 1), ("flight.cancelled", 2), ("flight.cancelled", 3)]
        {
            bus.publish(of(event_type, flight)).await.unwrap();
            bus.idle().await;
        }
        let waiting = sagas.get("EV EWR-RDU").await.unwrap().unwrap().state();
        assert_eq!(waiting["waiting"][0], json!({"flight": "EV2", "released": 1}));
        assert_eq!(waiting["waiting"][1], json!({"flight": "EV3", "released": 0}));

        bus.publish(of("flight.departed", 4)).await.unwrap();
        bus.idle().await;
        assert!(sagas.get("EV EWR-RDU").await.unwrap().is_none());
        let seats = bus.history(100, Some(&"seat.*".try_into().unwrap()));
        let told: Vec<_> = seats
            .iter()
            .map(|event| {
                let field = |name| event.payload().get(name).unwrap().as_str().unwrap_or("");
                format!("{} {} {}", event.event_type(), field("passengers_of"), field("on"))
            })
            .collect();
        assert_eq!(
            told.iter().map(|told| told.trim_end()).collect::<Vec<_>>(),
            [
                "seat.held EV2",
                "seat.released EV2 EV3",
                "seat.held EV2",
                "seat.held EV3",
                "seat.confirmed EV2 EV4",
                "seat.confirmed EV3 EV4",
            ]
        );
    }
}
