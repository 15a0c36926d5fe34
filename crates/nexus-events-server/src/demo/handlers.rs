//! What a program that uses Nexus events looks like: its handlers, and what they share.
//!
//! | handler | on | priority | does |
//! |---|---|---|---|
//! | `validate` | `flight.*`, `weather.*` | 100 | cancels reports that lack what they must have |
//! | `remember-weather` | `weather.observed` | 50 | keeps the latest report of each airport |
//! | `enrich` | `flight.departed` | 50 | publishes `flight.delayed`, with the weather, for the late |
//! | `count-flights`, `count-weather` | `flight.*`, `weather.*` | 10 | count |
//! | `alert` | `flight.delayed`, over two hours | 10 | collects the worst delays |
//! | `audit` | `*.cancelled` | 10 | keeps who cancelled how much, of flights and of anything else |
//! | `people` | everything a person did on GitHub | 10 | counts by person |

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use nexus_events_dispatch::{Bus, Context, HandlerError, HandlerExt, Mode, Result};
use nexus_events_model::{Event, Filter};
use serde_json::{Value, json};

/// From so many minutes on a departure is late.
pub(super) const LATE_MINUTES: i64 = 60;
/// People and sources that the board counts one by one; others count together.
const NAMES_MAX: usize = 1_000;
/// Worst delays that the board keeps.
const WORST_MAX: usize = 3;

/// Registers every handler.
pub(super) fn register(bus: &Bus) -> Result<Arc<Board>> {
    let board = Arc::new(Board::default());

    bus.on("flight.*", validate.named("validate-flight").priority(100))?;
    bus.on("weather.*", validate.named("validate-weather").priority(100))?;

    let shared = board.clone();
    let remember = move |event: &Event| shared.remember_weather(event);
    bus.on("weather.observed", remember.named("remember-weather").priority(50))?;
    let shared = board.clone();
    let enrich = move |event: &Event, context: &Context| shared.enrich(event, context);
    bus.on("flight.departed", enrich.named("enrich").priority(50))?;

    for (name, pattern) in [("count-flights", "flight.*"), ("count-weather", "weather.*")] {
        let shared = board.clone();
        let count = move |event: &Event| shared.count(event);
        bus.on(pattern, count.named(name).priority(10))?;
    }
    let shared = board.clone();
    let alert = move |event: Event| alert(event, shared.clone());
    let very_late = Filter::parse("payload.dep_delay > 120")?;
    bus.on("flight.delayed", alert.named("alert").priority(10).filter(very_late))?;
    let shared = board.clone();
    let audit = move |event: &Event| shared.audit(event);
    bus.on("*.cancelled", audit.named("audit").priority(10).mode(Mode::Queued))?;
    let shared = board.clone();
    let people = move |event: &Event| shared.person(event);
    let by_a_person = Filter::parse("source.startsWith('github/') && has(user_id)")?;
    bus.on("**", people.named("people").priority(10).filter(by_a_person))?;

    Ok(board)
}

/// What a report must have to be of use. Who was going to fly a cancelled flight may be open.
fn required(event: &Event) -> &'static [&'static str] {
    match event.event_type().as_str() {
        "flight.departed" => &["carrier", "flight", "tailnum", "origin", "dest", "dep_delay"],
        "flight.landed" => &["carrier", "flight", "tailnum"],
        "flight.cancelled" => &["carrier", "flight", "origin"],
        "weather.observed" => &["temp", "pressure", "visib"],
        _ => &[],
    }
}

fn validate(event: &Event, context: &Context) {
    let is_missing = |field: &str| event.payload().get(field).is_none_or(Value::is_null);
    if let Some(field) = required(event).iter().find(|field| is_missing(field)) {
        context.cancel(format!("no {field}"));
    }
}

/// Where your program would page somebody; asynchronous, so it may wait for that.
async fn alert(event: Event, board: Arc<Board>) -> Result<(), HandlerError> {
    let payload = event.payload();
    let minutes = payload.get("dep_delay").and_then(Value::as_i64).ok_or("no dep_delay")?;
    let text =
        |field| payload.get(field).map(Value::to_string).unwrap_or_default().replace('"', "");
    let flight =
        format!("{}{} {}-{}", text("carrier"), text("flight"), text("origin"), text("dest"));
    tracing::info!("{flight} left {minutes} minutes late");
    board.alert(minutes, flight);
    Ok(())
}

/// What the handlers know between events.
#[derive(Debug, Default)]
pub(super) struct Board(Mutex<Notes>);

#[derive(Debug, Default)]
struct Notes {
    weather: BTreeMap<String, Value>,
    counts: BTreeMap<String, u64>,
    alerts: u64,
    worst: Vec<(i64, String)>,
    cancelled: BTreeMap<String, u64>,
    people: BTreeMap<String, u64>,
}

impl Board {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        // A handler that panicked leaves counts that are right up to then.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn remember_weather(&self, event: &Event) -> Result<(), HandlerError> {
        let report = event.payload().value()?.clone();
        let mut notes = self.notes();
        if notes.weather.len() < NAMES_MAX || notes.weather.contains_key(event.source()) {
            notes.weather.insert(event.source().to_owned(), report);
        }
        Ok(())
    }

    /// Announces a late departure, with the weather that it left in. Events never change; what is
    /// known more is a new event, which names the first as its cause.
    fn enrich(&self, event: &Event, context: &Context) -> Result<Value, HandlerError> {
        let minutes = event.payload().get("dep_delay").and_then(Value::as_i64).unwrap_or(0);
        if minutes <= LATE_MINUTES {
            return Ok(Value::Null);
        }
        let mut payload = event.payload().value()?.clone();
        payload["weather"] = self.notes().weather.get(event.source()).cloned().unwrap_or_default();
        let delayed = Event::builder("flight.delayed").source(event.source()).payload(payload);
        let receipt = context.publish(delayed)?;
        Ok(json!({"published": receipt.event_id}))
    }

    fn count(&self, event: &Event) {
        add(&mut self.notes().counts, event.event_type().as_str());
    }

    fn alert(&self, minutes: i64, flight: String) {
        let mut notes = self.notes();
        notes.alerts += 1;
        notes.worst.push((minutes, flight));
        notes.worst.sort_by(|a, b| b.cmp(a));
        notes.worst.truncate(WORST_MAX);
    }

    fn audit(&self, event: &Event) {
        add(&mut self.notes().cancelled, event.source());
    }

    fn person(&self, event: &Event) {
        if let Some(user) = event.user_id() {
            add(&mut self.notes().people, &user.to_string());
        }
    }

    pub(super) fn alerts(&self) -> u64 {
        self.notes().alerts
    }

    /// What the handlers found out, for people.
    pub(super) fn summary(&self) -> Vec<String> {
        let notes = self.notes();
        let worst: Vec<String> =
            notes.worst.iter().map(|(minutes, flight)| format!("{flight} {minutes} min")).collect();
        let mut lines = Vec::new();
        let mut line = |name: &str, number: u64, detail: String| {
            if number > 0 {
                lines.push(format!("{name:<10} {number:>5}  {detail}"));
            }
        };
        line(
            "alerts",
            notes.alerts,
            format!("flights over two hours late; worst: {}", worst.join(", ")),
        );
        line(
            "audit",
            notes.cancelled.values().sum(),
            format!("cancelled; most: {}", most(&notes.cancelled)),
        );
        line(
            "people",
            notes.people.values().sum(),
            format!("events by people; most: {}", most(&notes.people)),
        );
        lines
    }
}

/// Counts a name, together with all others when there are too many.
fn add(counts: &mut BTreeMap<String, u64>, name: &str) {
    let name =
        if counts.len() < NAMES_MAX || counts.contains_key(name) { name } else { "(others)" };
    *counts.entry(name.to_owned()).or_insert(0) += 1;
}

fn most(counts: &BTreeMap<String, u64>) -> String {
    let mut names: Vec<_> = counts.iter().collect();
    names.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), name.as_str()));
    let names = names
        .iter()
        .take(WORST_MAX)
        .map(|(name, count)| format!("{} {count}", crate::output::plain(name)));
    names.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use nexus_events_model::{OutcomeStatus, PublishReport};

    use super::*;

    async fn publish(bus: &Bus, event_type: &str, source: &str, payload: Value) -> PublishReport {
        let event = Event::builder(event_type).source(source).payload(payload);
        let report = bus.publish_and_wait(event).await.unwrap();
        bus.idle().await;
        report
    }

    #[tokio::test]
    async fn a_report_that_lacks_something_goes_no_further() {
        let bus = Bus::new();
        register(&bus).unwrap();
        let weather = json!({"temp": 30, "pressure": null, "visib": 10});
        let report = publish(&bus, "weather.observed", "airport/JFK", weather).await;
        assert_eq!(report.outcome("validate-weather").unwrap().status, OutcomeStatus::Success);
        assert_eq!(report.outcome("count-weather").unwrap().status, OutcomeStatus::Cancelled);
    }

    #[tokio::test]
    async fn a_late_departure_is_announced_with_the_weather() {
        let bus = Bus::new();
        let board = register(&bus).unwrap();
        let weather = json!({"temp": 30, "pressure": 990, "visib": 0.5});
        publish(&bus, "weather.observed", "airport/JFK", weather).await;
        let departed = |minutes: i64| json!({"carrier": "US", "flight": 7, "tailnum": "N1", "origin": "JFK", "dest": "CLT", "dep_delay": minutes});
        publish(&bus, "flight.departed", "airport/JFK", departed(LATE_MINUTES)).await;
        publish(&bus, "flight.departed", "airport/JFK", departed(130)).await;
        let delayed = bus.history(10, Some(&"flight.delayed".try_into().unwrap()));
        assert_eq!(delayed.len(), 1);
        assert_eq!(delayed[0].payload().pointer("/weather/visib").unwrap(), 0.5);
        assert!(delayed[0].causation_id().is_some());
        assert!(board.summary()[0].contains("US7 JFK-CLT 130 min"), "{:?}", board.summary());
    }

    #[tokio::test]
    async fn cancellations_of_any_kind_are_audited() {
        let bus = Bus::new();
        let board = register(&bus).unwrap();
        publish(
            &bus,
            "flight.cancelled",
            "airport/LGA",
            json!({"carrier": "B6", "flight": 1, "origin": "LGA"}),
        )
        .await;
        publish(&bus, "order.cancelled", "shop", json!({})).await;
        assert!(board.summary().iter().any(|line| line.contains("airport/LGA 1, shop 1")));
    }
}
