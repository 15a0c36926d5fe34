//! The two reference documents' Python about events, each beside its Rust.

use nexus_events_model::{Event, EventBuilder, EventId, EventType, Priority, Stamp};
use serde_json::{Value, json};
use time::macros::datetime;

fn stamp() -> Stamp {
    Stamp {
        id: EventId::new("0196f3a2-0000-7000-8000-000000000001").unwrap(),
        timestamp: datetime!(2026-01-02 03:04:05 UTC),
    }
}

/// ```python
/// @dataclass
/// class Event:
///     event_type: str
///     event_id: str = None          # uuid4
///     timestamp: datetime = None    # utcnow
///     source: Optional[str] = None
///     correlation_id: Optional[str] = None
///     data: Dict[str, Any] = None
///     metadata: Dict[str, Any] = None
/// ```
#[test]
fn plugin_guide_event_structure() {
    let event = Event::builder("user.created").build_with(stamp).unwrap();
    assert!(event.id().as_uuid().is_some());
    assert_eq!(event.timestamp(), datetime!(2026-01-02 03:04:05 UTC));
    assert_eq!(event.source(), "");
    assert_eq!(event.correlation_id(), None);
    assert_eq!(event.payload().value().unwrap(), &json!({}));
    assert!(event.metadata().is_empty());
}

/// ```python
/// SYSTEM_STARTED = "system.started"
/// USER_CREATED = "user.created"
/// ERROR_OCCURRED = "error.occurred"   # and twelve more
/// ```
#[test]
fn plugin_guide_common_event_types() {
    let names = [
        "system.started",
        "system.shutdown",
        "plugin.loaded",
        "plugin.unloaded",
        "user.created",
        "user.updated",
        "user.deleted",
        "user.login",
        "user.logout",
        "data.created",
        "data.updated",
        "data.deleted",
        "task.completed",
        "notification.sent",
        "error.occurred",
    ];
    for name in names {
        assert!(EventType::COMMON.iter().any(|known| known == name), "{name}");
    }
    assert_eq!(EventType::ERROR_OCCURRED, "error.occurred");
}

/// ```python
/// class EventType(Enum):
///     WORKFLOW_STARTED = "workflow.started"   # and 21 more
/// ```
#[test]
fn reference_event_types() {
    let names = [
        "workflow.started",
        "workflow.completed",
        "workflow.failed",
        "workflow.paused",
        "workflow.resumed",
        "workflow.cancelled",
        "node.started",
        "node.completed",
        "node.failed",
        "node.retrying",
        "system.started",
        "system.shutdown",
        "system.error",
        "system.health_check",
        "user.authenticated",
        "user.session_started",
        "user.session_ended",
        "user.action",
        "channel.connected",
        "channel.disconnected",
        "channel.message",
        "custom.event",
    ];
    for name in names {
        assert!(EventType::COMMON.iter().any(|known| known == name), "{name}");
    }
    assert_eq!(EventType::COMMON.len(), 35);
    assert_eq!(EventType::HEALTH_CHECK, "system.health_check");
}

/// ```python
/// class EventPriority(Enum):
///     LOW = "low"; NORMAL = "normal"; HIGH = "high"; CRITICAL = "critical"
/// ```
#[test]
fn reference_event_priority() {
    assert_eq!(Priority::ALL.map(Priority::as_str), ["low", "normal", "high", "critical"]);
    assert_eq!(serde_json::to_value(Priority::Critical).unwrap(), json!("critical"));
    assert_eq!(Priority::default(), Priority::Normal);
}

/// ```python
/// workflow_event = Event(
///     event_type=EventType.WORKFLOW_STARTED,
///     source="workflow_engine",
///     payload={"workflow_id": "wf_12345", "workflow_name": "data-processor", "user_id": "user_789"},
///     metadata={"execution_mode": "production", "priority": "high"},
///     session_id="session_456",
///     correlation_id="corr_123"
/// )
/// print(f"Created event: {workflow_event.event_id}")
/// print(f"Event type: {workflow_event.event_type.value}")
/// print(f"Event payload: {workflow_event.payload}")
/// ```
#[test]
fn reference_sample_event() {
    let workflow_event = Event::builder(EventType::WORKFLOW_STARTED)
        .source("workflow_engine")
        .payload(json!({"workflow_id": "wf_12345", "workflow_name": "data-processor", "user_id": "user_789"}))
        .metadata("execution_mode", "production")
        .metadata("priority", "high")
        .session_id("session_456")
        .correlation_id("corr_123")
        .build_with(stamp)
        .unwrap();
    assert_eq!(workflow_event.id().to_string(), "0196f3a2-0000-7000-8000-000000000001");
    assert_eq!(workflow_event.event_type().as_str(), "workflow.started");
    assert_eq!(workflow_event.payload().get("workflow_name").unwrap(), "data-processor");
    assert_eq!(workflow_event.metadata().get("priority").unwrap(), "high");
    assert_eq!(workflow_event.priority(), Priority::Normal);
}

/// ```python
/// def to_dict(self): return {"event_id": self.event_id, ..., "retry_count": self.retry_count}
/// ```
#[test]
fn reference_to_dict() {
    let event = Event::builder("node.failed")
        .target("ops")
        .channel("cli")
        .retry_count(1)
        .build_with(stamp)
        .unwrap();
    let dict = serde_json::to_value(&event).unwrap();
    let expected = json!({
        "event_id": "0196f3a2-0000-7000-8000-000000000001",
        "event_type": "node.failed",
        "source": "",
        "target": "ops",
        "payload": {},
        "metadata": {},
        "timestamp": "2026-01-02T03:04:05+00:00",
        "priority": "normal",
        "correlation_id": null,
        "session_id": null,
        "user_id": null,
        "channel": "cli",
        "retryable": true,
        "max_retries": 3,
        "retry_count": 1,
    });
    assert_eq!(dict, expected);
}

/// ```python
/// event = cls(event_type=EventType(data.get("event_type", EventType.CUSTOM_EVENT.value)), ...)
/// event.timestamp = datetime.fromisoformat(timestamp_str.replace('Z', '+00:00'))
/// ```
#[test]
fn reference_from_dict() {
    let read = |value: Value| {
        EventBuilder::from_json(&value.to_string()).unwrap().build_with(stamp).unwrap()
    };
    let event = read(json!({"timestamp": "2026-11-22T03:48:23.433602Z"}));
    assert_eq!(event.event_type(), &EventType::CUSTOM_EVENT);
    assert_eq!(event.timestamp(), datetime!(2026-11-22 03:48:23.433602 UTC));
    assert_eq!((event.retryable(), event.max_retries(), event.retry_count()), (true, 3, 0));
    let back = read(serde_json::to_value(&event).unwrap());
    assert_eq!(back, event);
}

/// ```python
/// failure_event = Event(event_type=EventType.WORKFLOW_FAILED, source="workflow_engine",
///     payload={..., "concurrent_workflows": 75}, priority=EventPriority.HIGH, user_id="system")
/// ```
#[test]
fn reference_failure_event() {
    let event = Event::builder(EventType::WORKFLOW_FAILED)
        .source("workflow_engine")
        .payload(json!({"workflow_id": "wf_critical_123", "error": "Database connection failed", "concurrent_workflows": 75}))
        .priority(Priority::High)
        .user_id("system")
        .build_with(stamp)
        .unwrap();
    assert_eq!(event.payload().get("concurrent_workflows").unwrap(), 75);
    assert_eq!(event.user_id().unwrap(), &"system");
}

/// ```python
/// await emit_event({"event_type": "user.created", "source": self.name, "data": {...}})
/// await emit_event({"event_type": "workflow.started", "correlation_id": correlation_id, "data": {...}})
/// await emit_event({"event_type": "sensitive.event", "data": data, "metadata": {
///     "security_level": level, "plugin_version": self.version, "authentication_required": True}})
/// ```
#[test]
fn plugin_guide_emitted_dictionaries() {
    let created = EventBuilder::from_json(
        r#"{"event_type":"user.created","source":"users","data":{"user_id":"42","username":"ada"}}"#,
    );
    let created = created.unwrap().build_with(stamp).unwrap();
    assert_eq!(created.payload().get("username").unwrap(), "ada");

    let started = EventBuilder::from_json(
        r#"{"event_type":"workflow.step.started","source":"w","correlation_id":"c-1","data":{"step":"profile_setup"}}"#,
    );
    assert_eq!(started.unwrap().build_with(stamp).unwrap().correlation_id().unwrap(), &"c-1");

    let secure = EventBuilder::from_json(
        r#"{"event_type":"sensitive.data.updated","data":{},"metadata":{"security_level":"high","authentication_required":true}}"#,
    );
    let secure = secure.unwrap().build_with(stamp).unwrap();
    assert_eq!(secure.metadata().get("authentication_required").unwrap(), true);
}

/// ```python
/// "timestamp": datetime.utcnow().isoformat()    # no offset
/// await emit_event({"event_type": "analytics.batch", "data": {"events": [...], "count": 2}})
/// ```
#[test]
fn plugin_guide_batch_event() {
    let json = r#"{"event_type":"analytics.batch","source":"analytics","timestamp":"2026-01-02T03:04:05.000678",
        "data":{"events":[{"event_type":"analytics.click"},{"event_type":"analytics.view"}],"count":2}}"#;
    let event = EventBuilder::from_json(json).unwrap().build_with(stamp).unwrap();
    assert_eq!(event.timestamp(), datetime!(2026-01-02 03:04:05.000678 UTC));
    assert_eq!(event.payload().pointer("/events/1/event_type").unwrap(), "analytics.view");
}

/// ```python
/// # Good: Clear, descriptive event types
/// "user.profile.updated"  "order.payment.completed"  "notification.email.sent"
/// # Bad
/// "user_thing"
/// ```
#[test]
fn plugin_guide_event_design() {
    for name in
        ["user.profile.updated", "order.payment.completed", "notification.email.sent", "user_thing"]
    {
        assert!(EventType::new(name).is_ok(), "{name}");
    }
}
