//! Windows on real data: how late flights leave each airport, every 15 minutes of the time in the
//! events, however fast they are replayed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nexus_events_dispatch::{Bus, HandlerExt};
use nexus_events_model::Event;
use nexus_events_patterns::window::Tumbling;
use nexus_events_patterns::{Aggregator, Bounds, Error};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long a window is.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// How much later than others an event may come and still count. Events that are due together are
/// published together, and pass in any order; as fast as it goes, that is a few hours of them.
const GRACE: Duration = Duration::from_secs(12 * 3_600);
/// Sources that have windows; those of a visitor close others.
const AIRPORTS_MAX: usize = 64;

/// Departures of one airport in 15 minutes.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Delays {
    departed: u64,
    late: u64,
    minutes: i64,
}

impl Delays {
    fn add(&mut self, event: &Event) {
        let minutes = event.payload().get("dep_delay").and_then(Value::as_i64).unwrap_or(0);
        self.departed += 1;
        self.late += u64::from(minutes > super::handlers::LATE_MINUTES);
        self.minutes += minutes;
    }
}

/// What the windows came to.
pub(super) struct Windows {
    aggregator: Aggregator<String, Delays>,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    windows: u64,
    /// Mean delay in minutes, and whose window it was.
    worst: Option<(i64, String)>,
}

/// Registers the aggregator and who listens to it.
pub(super) fn attach(bus: &Bus) -> Result<Windows, Error> {
    let aggregator = Aggregator::by(|event: &Event| Some(event.source().to_owned()))
        .window(Tumbling::of(WINDOW))
        .event_time(GRACE)
        .bounds(Bounds::per_key(10_000).total_keys(AIRPORTS_MAX))
        .fold(Delays::default, Delays::add)
        .publish_as("airport.delays")
        .source("delays")
        .build()?;
    aggregator.attach(bus, "flight.departed")?;
    let seen = Arc::<Mutex<Seen>>::default();
    let windows = Windows { aggregator, seen: seen.clone() };
    let note = move |event: &Event| seen.lock().unwrap_or_else(PoisonError::into_inner).note(event);
    bus.on("airport.delays", note.named("worst-quarter"))?;
    Ok(windows)
}

impl Seen {
    fn note(&mut self, event: &Event) {
        let number =
            |pointer| event.payload().pointer(pointer).and_then(Value::as_i64).unwrap_or(0);
        let text = |field| event.payload().get(field).and_then(Value::as_str).unwrap_or_default();
        let mean = number("/value/minutes") / number("/value/departed").max(1);
        self.windows += 1;
        if self.worst.as_ref().is_none_or(|(worst, _)| mean > *worst) {
            let from = text("window_start").get(..16).unwrap_or_default().replace('T', " ");
            self.worst = Some((mean, format!("{} from {from}", text("key"))));
        }
    }
}

impl Windows {
    /// Closes what is open: nothing more comes.
    pub(super) async fn flush(&self) {
        self.aggregator.flush().await;
    }

    /// For people.
    pub(super) fn summary(&self) -> String {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let worst = seen.worst.as_ref().map(|(mean, whose)| {
            format!("; worst: {mean} min on average at {}", crate::output::plain(whose))
        });
        let worst = worst.unwrap_or_default();
        format!("{:<10} {:>5}  quarters of an hour with departures{worst}", "delays", seen.windows)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn quarters_of_an_hour_are_closed_by_the_time_in_the_events() {
        let bus = Bus::new();
        let windows = attach(&bus).unwrap();
        for (time, delay) in [("10:01", 10), ("10:14", 30), ("10:16", 90), ("10:36", 0)] {
            let departed = Event::builder("flight.departed")
                .source("airport/JFK")
                .timestamp_text(&format!("2013-02-08T{time}:00Z"))
                .payload(json!({"dep_delay": delay}));
            bus.publish(departed).await.unwrap();
        }
        bus.idle().await;
        windows.flush().await;
        bus.idle().await;
        let summary = windows.summary();
        assert!(summary.contains("    3  quarters"), "{summary}");
        assert!(
            summary.contains("90 min on average at airport/JFK from 2013-02-08 10:15"),
            "{summary}"
        );
    }
}
