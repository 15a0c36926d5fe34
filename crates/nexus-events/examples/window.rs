//! What a user did, said once it is quiet: activity is aggregated until nothing has come for a fifth
//! of a second, and for two seconds at the most.

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::Duration;

use nexus_events::patterns::window::Session;
use nexus_events::patterns::{Aggregate, Aggregator, Bounds};
use nexus_events::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Summary {
    actions: BTreeMap<String, u32>,
    pages_visited: BTreeSet<String>,
    total_time: u64,
}

impl Summary {
    fn add(&mut self, event: &Event) {
        let text = |field| event.payload().get(field).and_then(|it| it.as_str().map(str::to_owned));
        if let Some(action) = text("action") {
            *self.actions.entry(action).or_default() += 1;
        }
        self.pages_visited.extend(text("page"));
        self.total_time +=
            event.payload().get("duration").and_then(serde_json::Value::as_u64).unwrap_or(0);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let bus = Bus::new();
    let user = |event: &Event| Some(event.payload().get("user_id")?.as_str()?.to_owned());
    let aggregator = Aggregator::by(user)
        .window(Session::gap(Duration::from_millis(200)).max_wait(Duration::from_secs(2)))
        .bounds(Bounds::per_key(1_000).total_keys(50_000))
        .fold(Summary::default, Summary::add)
        .publish_as("user.activity.summary")
        .shape(|it: Aggregate<String, Summary>| {
            json!({"user_id": it.key, "event_count": it.count, "first_activity": it.first.to_string(),
                "last_activity": it.last.to_string(), "reason": it.reason, "summary": it.value})
        })
        .source("event_aggregator")
        .attach(&bus, "user.activity.*")?;

    let (sender, mut summaries) = mpsc::unbounded_channel();
    bus.on("user.activity.summary", move |event: &Event| {
        // Nobody listens any more once the program ends.
        let _ = sender.send(event.payload().value().cloned());
    })?;

    for (user, page, duration) in [("ada", "/", 2), ("ada", "/docs", 40), ("bob", "/", 3)] {
        let activity =
            json!({"user_id": user, "action": "view", "page": page, "duration": duration});
        bus.publish(Event::builder("user.activity.view").payload(activity)).await?;
    }

    // Ada and Bob are quiet.
    for _ in 0..2 {
        let summary = summaries.recv().await.ok_or("the bus has ended")??;
        println!("{summary:#}");
        let (user, total) = (&summary["user_id"], &summary["summary"]["total_time"]);
        assert_eq!(*total, if user == "ada" { 42 } else { 3 });
        assert_eq!(summary["reason"], "time");
    }

    // What is open at the end is not lost.
    let activity = json!({"user_id": "eve", "action": "login"});
    bus.publish(Event::builder("user.activity.login").payload(activity)).await?;
    bus.shutdown(Duration::from_secs(5)).await;
    let summary = summaries.recv().await.ok_or("the bus has ended")??;
    assert_eq!((&summary["user_id"], &summary["reason"]), (&json!("eve"), &json!("shutdown")));
    println!("{}", json!(aggregator.stats()));
    Ok(())
}
