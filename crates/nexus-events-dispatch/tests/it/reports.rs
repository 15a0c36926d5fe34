//! Reports and statistics in the JSON that existing clients read.

use nexus_events_dispatch::{Bus, HandlerExt, ManualClock};
use nexus_events_model::Event;
use serde_json::json;
use time::macros::datetime;

use crate::event;

fn bus() -> Bus {
    Bus::builder()
        .clock(ManualClock::new(datetime!(2026-01-02 03:04:05 UTC)))
        .max_workers(5)
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_report_has_one_result_per_handler() {
    let bus = bus();
    bus.on(
        "workflow.started",
        (|event: &Event| json!({"message": format!("Processed event {}", event.id())}))
            .named("first"),
    )
    .unwrap();
    bus.on("workflow.started", (|_: &Event| Err::<(), _>("broken")).named("second")).unwrap();
    let report = bus.publish_and_wait(event("workflow.started").id("evt-1")).await.unwrap();
    let expected = json!({
        "event_id": "evt-1",
        "handlers_notified": 2,
        "results": [
            {"handler_id": "first", "event_id": "evt-1", "status": "success",
             "result": {"message": "Processed event evt-1"}, "timestamp": "2026-01-02T03:04:05+00:00"},
            {"handler_id": "second", "event_id": "evt-1", "status": "error",
             "error": "broken", "timestamp": "2026-01-02T03:04:05+00:00"},
        ],
    });
    assert_eq!(serde_json::to_value(report).unwrap(), expected);
}

#[tokio::test]
async fn without_handlers_the_report_is_empty() {
    let report = bus().publish_and_wait(event("nobody").id("evt-1")).await.unwrap();
    assert_eq!(
        serde_json::to_value(report).unwrap(),
        json!({"event_id": "evt-1", "handlers_notified": 0, "results": []})
    );
}

#[tokio::test]
async fn statistics_have_the_usual_names_and_numbers() {
    let bus = bus();
    bus.on(
        "workflow.*",
        (|event: &Event| if event.source() == "bad" { Err("bad source") } else { Ok(()) })
            .named("workflow_handler"),
    )
    .unwrap();
    bus.on("workflow.*", (async |_: Event| {}).named("notification_handler")).unwrap();
    for source in ["a", "b", "c", "bad"] {
        bus.publish_and_wait(event("workflow.completed").source(source)).await.unwrap();
    }
    bus.publish_and_wait(event("nobody.cares")).await.unwrap();
    let stats = serde_json::to_value(bus.stats()).unwrap();
    let part = |object: &serde_json::Value, names: &[&str]| {
        names.iter().map(|name| object[name].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        part(
            &stats["event_stats"],
            &["total_events", "processed_events", "failed_events", "handlers_registered"]
        ),
        [json!(5), json!(7), json!(1), json!(2)],
    );
    assert_eq!(
        part(
            &stats["handlers"]["workflow_handler"],
            &[
                "handler_id",
                "event_types",
                "execution_count",
                "error_count",
                "last_execution",
                "success_rate"
            ],
        ),
        [
            json!("workflow_handler"),
            json!(["workflow.*"]),
            json!(4),
            json!(1),
            json!("2026-01-02T03:04:05+00:00"),
            json!(0.75)
        ],
    );
    assert_eq!(
        stats["subscribers"],
        json!({"workflow.*": ["workflow_handler", "notification_handler"]})
    );
    assert_eq!(stats["history_size"], 5);
    assert_eq!(stats["limits"]["max_workers"], 5);
}

#[tokio::test]
async fn a_handler_that_never_ran_says_so() {
    let bus = bus();
    bus.on("a", (|_: &Event| {}).named("idle")).unwrap();
    let stats = serde_json::to_value(bus.stats()).unwrap();
    assert_eq!(stats["handlers"]["idle"]["last_execution"], json!(null));
    assert_eq!(stats["handlers"]["idle"]["success_rate"], json!(0.0));
}
