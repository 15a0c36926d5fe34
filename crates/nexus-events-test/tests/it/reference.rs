//! The event system reference's Python about handlers and the bus, each beside its Rust.

use std::collections::BTreeMap;
use std::sync::Arc;

use nexus_events_dispatch::{Bus, HandlerExt};
use nexus_events_model::{Event, EventType, Pattern, Priority};
use nexus_events_test::TestEventBus;
use parking_lot::Mutex;
use serde_json::{Value, json};

/// ```python
/// class EventHandler:
///     def handle(self, event):
///         try:
///             return {"handler_id": ..., "event_id": ..., "status": "success",
///                     "result": self._process_event(event), "timestamp": ...}
///         except Exception as e:
///             return {"handler_id": ..., "event_id": ..., "status": "error", "error": str(e), ...}
/// ```
#[tokio::test]
async fn event_handler_results() {
    let bus = TestEventBus::new();
    let process = |event: &Event| json!({"message": format!("Processed event {}", event.id())});
    bus.subscribe("node.*", process.named("sync")).unwrap();
    let process =
        async |event: Event| json!({"message": format!("Async processed event {}", event.id())});
    bus.subscribe("node.*", process.named("async")).unwrap();
    bus.subscribe("node.*", (|_: &Event| Err::<(), _>("boom")).named("broken")).unwrap();
    let report = bus
        .bus()
        .publish_and_wait(Event::builder(EventType::NODE_STARTED).id("evt-1"))
        .await
        .unwrap();
    let result = |name: &str, status: &str, key: &str, detail: Value| {
        json!({"handler_id": name, "event_id": "evt-1", "status": status, key: detail,
               "timestamp": "2026-01-01T00:00:00+00:00"})
    };
    let expected = json!({
        "event_id": "evt-1",
        "handlers_notified": 3,
        "results": [
            result("sync", "success", "result", json!({"message": "Processed event evt-1"})),
            result("async", "success", "result", json!({"message": "Async processed event evt-1"})),
            result("broken", "error", "error", json!("boom")),
        ],
    });
    assert_eq!(serde_json::to_value(report).unwrap(), expected);
}

/// ```python
/// event_bus = EventBus(max_workers=5)
/// event_bus.register_handler(handler)
/// event_bus.unregister_handler(handler_id)
/// event_bus.get_event_history(limit=100, event_type=EventType.WORKFLOW_STARTED)
/// ```
#[tokio::test]
async fn event_bus_registration_and_history() {
    let bus = Bus::builder().max_workers(5).build().unwrap();
    let handler = bus.on("workflow.started", (|_: &Event| {}).named("workflow_handler")).unwrap();
    assert_eq!(serde_json::to_value(bus.stats()).unwrap()["event_stats"]["handlers_registered"], 1);
    bus.publish(Event::builder(EventType::WORKFLOW_STARTED).id("evt-1")).await.unwrap();
    assert!(handler.unsubscribe().await);
    bus.publish(Event::builder(EventType::WORKFLOW_STARTED).id("evt-2")).await.unwrap();
    bus.publish(Event::builder(EventType::NODE_FAILED).id("evt-3")).await.unwrap();
    let started = Pattern::from(EventType::WORKFLOW_STARTED);
    let ids: Vec<String> =
        bus.history(100, Some(&started)).iter().map(|event| event.id().to_string()).collect();
    assert_eq!(ids, ["evt-1", "evt-2"]);
    let stats = serde_json::to_value(bus.stats()).unwrap();
    assert_eq!((&stats["subscribers"], &stats["history_size"]), (&json!({}), &json!(3)));
}

/// ```python
/// class WorkflowEventHandler(EventHandler):
///     def __init__(self, handler_id="workflow_handler"):
///         self.workflow_stats = {"started": 0, "completed": 0, ...}
///     def _process_event(self, event):
///         if event.event_type == EventType.WORKFLOW_STARTED:
///             self.workflow_stats["started"] += 1
///             return self._handle_workflow_started(event, workflow_id, workflow_name)
/// event_bus.register_handler(workflow_handler)
/// start_result = event_bus.publish(workflow_started_event)
/// print(f"handlers notified: {start_result['handlers_notified']}")
/// ```
#[tokio::test]
async fn workflow_event_handler() {
    let bus = TestEventBus::new();
    let counts: Arc<Mutex<BTreeMap<String, u32>>> = Arc::default();
    let workflow_stats = counts.clone();
    let workflow_handler = move |event: &Event| {
        let what = event.event_type().segments().next_back().unwrap_or_default().to_owned();
        *workflow_stats.lock().entry(what.clone()).or_default() += 1;
        json!({
            "workflow_id": event.payload().get("workflow_id"),
            "action": format!("workflow_{what}"),
            "execution_time_ms": event.payload().get("execution_time_ms"),
        })
    };
    bus.subscribe("workflow.*", workflow_handler.named("workflow_handler")).unwrap();
    let workflow = |event_type: &EventType, payload: Value| {
        Event::builder(event_type)
            .source("workflow_engine")
            .payload(payload)
            .user_id("user_789")
            .priority(Priority::Normal)
    };
    let started = workflow(&EventType::WORKFLOW_STARTED, json!({"workflow_id": "wf_12345"}));
    let completed = workflow(
        &EventType::WORKFLOW_COMPLETED,
        json!({"workflow_id": "wf_12345", "execution_time_ms": 2500}),
    );
    let start_result = bus.bus().publish_and_wait(started).await.unwrap();
    let completion_result = bus.bus().publish_and_wait(completed).await.unwrap();
    assert_eq!((start_result.handlers_notified(), completion_result.handlers_notified()), (1, 1));
    let expected = json!({"workflow_id": "wf_12345", "action": "workflow_completed", "execution_time_ms": 2500});
    assert_eq!(completion_result.outcome("workflow_handler").unwrap().value, expected);
    assert_eq!(
        *counts.lock(),
        BTreeMap::from([("completed".to_owned(), 1), ("started".to_owned(), 1)])
    );
}
