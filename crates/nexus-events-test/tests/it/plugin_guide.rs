//! The plugin guide's Python about handlers and tests, each beside its Rust.

use std::sync::Arc;

use nexus_events_dispatch::{Context, Error, HandlerError, HandlerExt};
use nexus_events_model::{Event, Filter};
use nexus_events_test::{Recorder, TestEventBus};
use parking_lot::Mutex;
use serde_json::json;

/// ```python
/// @event_handler("user.created")
/// async def on_user_created(self, event):
///     user_id = event.data.get("user_id")
/// @event_handler("user.updated")
/// async def on_user_updated(self, event): ...
/// ```
#[tokio::test]
async fn basic_event_handler() {
    let bus = TestEventBus::new();
    let created = Arc::new(Mutex::new(Vec::new()));
    let seen = created.clone();
    let on_user_created = move |event: Event| {
        let seen = seen.clone();
        async move {
            let user_id = event.payload().get("user_id").ok_or("no user_id")?;
            seen.lock().push(user_id.to_string());
            Ok::<(), HandlerError>(())
        }
    };
    bus.subscribe("user.created", on_user_created).unwrap();
    bus.emit_json(
        &json!({"event_type": "user.created", "data": {"user_id": 42, "username": "ada"}}),
    )
    .unwrap();
    bus.emit_json(&json!({"event_type": "user.updated", "data": {"user_id": 42}})).unwrap();
    bus.process_events().await.unwrap();
    assert_eq!(*created.lock(), ["42"]);
}

/// ```python
/// @event_handler("user.updated")
/// @EventFilter(lambda event: event.data.get("field") == "email")
/// @event_handler("user.login")
/// @EventFilter(lambda event: event.data.get("failed", False))
/// @event_handler("data.*")
/// ```
#[tokio::test]
async fn event_handler_with_filters() {
    let bus = TestEventBus::new();
    let (email, failed, data) = (Recorder::new(), Recorder::new(), Recorder::new());
    let changed = Filter::parse("payload.field == 'email'").unwrap();
    bus.subscribe("user.updated", email.handler().filter(changed)).unwrap();
    bus.subscribe(
        "user.login",
        failed.handler().filter(Filter::parse("payload.failed == true").unwrap()),
    )
    .unwrap();
    bus.subscribe("data.*", data.handler()).unwrap();
    for event in [
        json!({"event_type": "user.updated", "data": {"field": "email"}}),
        json!({"event_type": "user.updated", "data": {"field": "name"}}),
        json!({"event_type": "user.login", "data": {"failed": true}}),
        json!({"event_type": "user.login", "data": {}}),
        json!({"event_type": "data.created"}),
        json!({"event_type": "data.deleted"}),
    ] {
        bus.emit_json(&event).unwrap();
    }
    bus.process_events().await.unwrap();
    assert_eq!((email.len(), failed.len(), data.len()), (1, 1, 2));
}

/// ```python
/// @event_handler("user.created", priority=100)
/// async def validate_user_creation(self, event):
///     if not self.is_valid_user_data(event.data): event.cancel = True
/// @event_handler("user.created", priority=50)
/// async def setup_user_resources(self, event):
///     if event.cancelled: return
/// @event_handler("user.created", priority=10)
/// async def send_notifications(self, event): ...
/// ```
#[tokio::test]
async fn priority_event_handlers() {
    let bus = TestEventBus::new();
    let (resources, notifications) = (Recorder::new(), Recorder::new());
    async fn validate_user_creation(event: Event, context: Context) {
        if event.payload().get("email").is_none() {
            context.cancel("invalid user data");
        }
    }
    bus.subscribe("user.created", notifications.handler().priority(10)).unwrap();
    bus.subscribe("user.created", resources.handler().priority(50)).unwrap();
    bus.subscribe("user.created", validate_user_creation.priority(100)).unwrap();
    bus.emit_json(&json!({"event_type": "user.created", "data": {"email": "john@example.com"}}))
        .unwrap();
    bus.emit_json(&json!({"event_type": "user.created", "data": {}})).unwrap();
    bus.process_events().await.unwrap();
    assert_eq!((resources.len(), notifications.len()), (1, 1));
}

/// ```python
/// await emit_event({"event_type": "workflow.started", "correlation_id": correlation_id, ...})
/// @event_handler("user.profile.completed")
/// async def on_profile_completed(self, event):
///     await emit_event({"event_type": "workflow.step.completed",
///                       "correlation_id": event.correlation_id, ...})
/// ```
#[tokio::test]
async fn event_correlation() {
    let bus = TestEventBus::new();
    let steps = Recorder::new();
    async fn on_profile_completed(_: Event, context: Context) -> Result<(), Error> {
        context.publish(
            Event::builder("workflow.step.completed").payload(json!({"step": "profile_setup"})),
        )?;
        context.publish(
            Event::builder("workflow.step.started").payload(json!({"step": "email_verification"})),
        )?;
        Ok(())
    }
    bus.subscribe("user.profile.completed", on_profile_completed).unwrap();
    bus.subscribe("workflow.step.*", steps.handler()).unwrap();
    bus.emit(Event::builder("user.profile.completed").correlation_id("onboarding-1")).unwrap();
    bus.process_events().await.unwrap();
    assert_eq!(steps.event_types(), ["workflow.step.completed", "workflow.step.started"]);
    assert!(steps.events().iter().all(|event| event.correlation_id().unwrap() == "onboarding-1"));
}

/// ```python
/// await test_event_bus.emit({"event_type": "user.created", "data": {"user_id": "123", ...}})
/// await test_event_bus.process_events()
/// plugin.on_user_created.assert_called_once()
/// assert call_args.data["user_id"] == "123"
/// ```
#[tokio::test]
async fn test_event_handler_called() {
    let bus = TestEventBus::new();
    let recorder = Recorder::new();
    bus.subscribe("user.created", recorder.handler()).unwrap();
    bus.emit_json(
        &json!({"event_type": "user.created", "data": {"user_id": "123", "username": "testuser"}}),
    )
    .unwrap();
    assert!(recorder.is_empty(), "nothing runs before process_events");
    bus.process_events().await.unwrap();
    assert_eq!(recorder.len(), 1);
    assert_eq!(recorder.events()[0].payload().get("user_id").unwrap(), "123");
}

/// ```python
/// await test_event_bus.subscribe("user.updated", event_collector)
/// await plugin.update_user("123", {"name": "Updated Name"})
/// await test_event_bus.process_events()
/// assert len(received_events) == 1
/// ```
#[tokio::test]
async fn test_event_emission() {
    let bus = TestEventBus::new();
    let received = Recorder::new();
    bus.subscribe("user.updated", received.handler()).unwrap();
    let changes = json!({"name": {"old_value": "Name", "new_value": "Updated Name"}});
    bus.bus()
        .publish(
            Event::builder("user.updated").payload(json!({"user_id": "123", "changes": changes})),
        )
        .await
        .unwrap();
    bus.process_events().await.unwrap();
    assert_eq!(received.len(), 1);
    assert_eq!(received.events()[0].payload().get("user_id").unwrap(), "123");
}

/// ```python
/// plugin.on_user_created = AsyncMock(side_effect=Exception("Test error"))
/// await test_event_bus.process_events()   # should not raise
/// assert test_event_bus.get_error_count() == 1
/// ```
#[tokio::test]
async fn test_event_handler_error() {
    let bus = TestEventBus::new();
    bus.subscribe("user.created", async |_: Event| Err::<(), _>("Test error")).unwrap();
    bus.emit_json(&json!({"event_type": "user.created", "data": {"user_id": "123"}})).unwrap();
    bus.process_events().await.unwrap();
    assert_eq!(bus.error_count(), 1);
}

/// ```python
/// await test_event_bus.subscribe("test.priority", low_priority_handler, priority=1)
/// await test_event_bus.subscribe("test.priority", high_priority_handler, priority=10)
/// assert execution_order == ["high", "low"]
/// ```
#[tokio::test]
async fn test_event_priority() {
    let bus = TestEventBus::new();
    let order = Arc::new(Mutex::new(Vec::new()));
    let adds = |name: &'static str| {
        let order = order.clone();
        move |_: Event| {
            order.lock().push(name);
            std::future::ready(())
        }
    };
    bus.subscribe("test.priority", adds("low").priority(1)).unwrap();
    bus.subscribe("test.priority", adds("high").priority(10)).unwrap();
    bus.emit_json(&json!({"event_type": "test.priority", "data": {}})).unwrap();
    bus.process_events().await.unwrap();
    assert_eq!(*order.lock(), ["high", "low"]);
}

/// ```python
/// await event_bus.cleanup()
/// ```
#[tokio::test]
async fn cleanup_closes_the_bus() {
    let bus = TestEventBus::new();
    assert!(bus.cleanup().await.is_clean());
    bus.emit(Event::builder("a")).unwrap();
    assert!(bus.process_events().await.is_err());
}
