//! Events published by handlers.

use nexus_events_dispatch::limits::PUBLISH_DEPTH_MAX;
use nexus_events_dispatch::{Bus, Context, ErrorKind, HandlerExt, Mode};
use nexus_events_model::{Event, OutcomeStatus};

use crate::{Log, event};

#[tokio::test]
async fn a_follow_up_comes_after_the_wave_and_names_its_cause() {
    let (bus, log) = (Bus::new(), Log::default());
    let early = log.clone();
    let publishes = move |_: &Event, context: &Context| {
        let receipt = context.publish(event("b"))?;
        assert!(receipt.follow_up);
        early.add("a first");
        Ok::<(), nexus_events_dispatch::Error>(())
    };
    bus.on("a", publishes).unwrap();
    bus.on("a", log.writes("a second")).unwrap();
    let seen = log.clone();
    bus.on("b", move |event: &Event| {
        seen.add(format!(
            "b of {} in {}",
            event.causation_id().unwrap(),
            event.correlation_id().unwrap()
        ));
    })
    .unwrap();
    bus.publish(event("a").id("evt-1").correlation_id("corr-1")).await.unwrap();
    assert_eq!(log.take(), ["a first", "a second", "b of evt-1 in corr-1"]);
}

#[tokio::test]
async fn its_own_correlation_id_stays() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", |_: &Event, context: &Context| {
        context.publish(event("b").correlation_id("own")).map(|_| ())
    })
    .unwrap();
    let seen = log.clone();
    bus.on("b", move |event: &Event| seen.add(event.correlation_id().unwrap().to_string()))
        .unwrap();
    bus.publish(event("a").correlation_id("inherited")).await.unwrap();
    assert_eq!(log.take(), ["own"]);
}

#[tokio::test]
async fn a_plain_bus_inside_any_handler_publishes_follow_ups() {
    for mode in [Mode::Inline, Mode::Queued, Mode::Blocking] {
        let (bus, log) = (Bus::new(), Log::default());
        let inner = bus.clone();
        let handler = move |_: &Event| {
            inner.try_publish(event("b")).map(|receipt| assert!(receipt.follow_up))
        };
        bus.on("a", handler.mode(mode)).unwrap();
        let inner = bus.clone();
        bus.on("a", move |_: Event| {
            let inner = inner.clone();
            async move { inner.publish(event("b")).await.map(|_| ()) }
        })
        .unwrap();
        let seen = log.clone();
        bus.on("b", move |event: &Event| seen.add(event.causation_id().unwrap().to_string()))
            .unwrap();
        assert!(bus.publish_and_wait(event("a").id("evt-1")).await.unwrap().is_success());
        bus.idle().await;
        assert_eq!(log.take(), ["evt-1", "evt-1"], "{mode:?}");
    }
}

#[tokio::test]
async fn an_endless_chain_ends_with_an_error_that_shows_it() {
    let bus = Bus::new();
    bus.on(
        "ping",
        (|_: &Event, context: &Context| context.publish(event("pong")).map(|_| ())).named("ping"),
    )
    .unwrap();
    bus.on(
        "pong",
        (async |_: Event, context: Context| context.publish(event("ping")).map(|_| ()))
            .named("pong"),
    )
    .unwrap();
    bus.publish(event("ping")).await.unwrap();
    bus.idle().await;
    let stats = bus.stats();
    assert_eq!(stats.events.total_events, u64::from(PUBLISH_DEPTH_MAX) + 1);
    assert_eq!(stats.events.failed_events, 1);
    assert_eq!(stats.events.follow_ups_waiting, 0);
}

#[tokio::test]
async fn the_error_of_a_chain_too_deep_is_typed() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    bus.on("loop", move |_: &Event, context: &Context| {
        if let Err(error) = context.publish(event("loop")) {
            assert_eq!(error.kind(), ErrorKind::TooDeep);
            seen.add(error.to_string());
        }
    })
    .unwrap();
    bus.publish(event("loop")).await.unwrap();
    let errors = log.take();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains("loop > loop > loop"), "{}", errors[0]);
}

#[tokio::test]
async fn a_handler_that_publishes_to_itself_does_not_wait_for_itself() {
    let bus = Bus::new();
    bus.on(
        "count",
        (async |event: Event, context: Context| {
            let left = event.payload().value()?.as_u64().unwrap_or(0);
            if left > 0 {
                context.publish(crate::event("count").payload(serde_json::json!(left - 1)))?;
            }
            Ok::<(), nexus_events_dispatch::HandlerError>(())
        })
        .with(|options| options.queue(1)),
    )
    .unwrap();
    bus.publish(event("count").payload(serde_json::json!(40))).await.unwrap();
    bus.idle().await;
    assert_eq!(bus.stats().events.handled_events, 41);
}

#[tokio::test]
async fn a_handler_may_wait_for_the_report_of_what_it_publishes() {
    let (bus, log) = (Bus::new(), Log::default());
    bus.on("a", async |_: Event, context: Context| {
        let report = context.publish_and_wait(event("b")).await?;
        Ok::<_, nexus_events_dispatch::Error>(report.outcome("answer").unwrap().value.clone())
    })
    .unwrap();
    bus.on("b", (async |_: Event| serde_json::json!(42)).named("answer")).unwrap();
    bus.on("b", log.writes("inline")).unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcomes[0].value, 42);
    assert_eq!(log.take(), ["inline"]);
}

#[tokio::test]
async fn a_handler_that_waits_for_itself_is_skipped_instead_of_hanging() {
    let bus = Bus::new();
    bus.on(
        "a",
        (async |event: Event, context: Context| {
            if event.payload().get("inner").is_some() {
                return Ok(serde_json::Value::Null);
            }
            let report = context
                .publish_and_wait(crate::event("a").payload(serde_json::json!({"inner": 1})))
                .await?;
            Ok::<_, nexus_events_dispatch::Error>(
                report.outcome("self").unwrap().error.as_deref().into(),
            )
        })
        .named("self"),
    )
    .unwrap();
    let report = bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(report.outcome("self").unwrap().status, OutcomeStatus::Success);
    assert!(
        report.outcome("self").unwrap().value.as_str().unwrap().contains("publish without waiting")
    );
    assert_eq!(bus.stats().handler("self").unwrap().rejected_count, 1);
}

#[tokio::test(start_paused = true)]
async fn handlers_that_wait_for_each_other_get_an_error_in_time() {
    let bus = Bus::new();
    let ask = |other: &'static str| {
        async move |event: Event, context: Context| {
            if event.payload().get("asked").is_none() {
                context
                    .publish_and_wait(crate::event(other).payload(serde_json::json!({"asked": 1})))
                    .await?;
            }
            Ok::<(), nexus_events_dispatch::Error>(())
        }
    };
    bus.on("a", ask("b").named("a")).unwrap();
    bus.on("b", ask("a").named("b")).unwrap();
    let (a, b) = tokio::join!(bus.publish_and_wait(event("a")), bus.publish_and_wait(event("b")));
    let failures = [a.unwrap(), b.unwrap()].iter().filter(|report| !report.is_success()).count();
    assert!(failures >= 1);
    bus.idle().await;
}

#[tokio::test]
async fn a_context_kept_after_the_handler_still_publishes() {
    let (bus, log) = (Bus::new(), Log::default());
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    bus.on("a", move |_: &Event, context: &Context| {
        sender.send(context.clone()).unwrap();
    })
    .unwrap();
    bus.on("b", log.writes("b")).unwrap();
    bus.publish(event("a")).await.unwrap();
    let context = receiver.recv().await.unwrap();
    context.publish(event("b")).unwrap();
    bus.idle().await;
    assert_eq!(log.take(), ["b"]);
}

#[tokio::test]
async fn nobody_waits_for_the_follow_up_of_an_event_somebody_waits_for() {
    let (bus, log) = (Bus::new(), Log::default());
    let seen = log.clone();
    let asks = move |event: Event, context: Context| {
        let seen = seen.clone();
        async move {
            if event.payload().get("late").is_some() {
                seen.add("late");
                return Ok(());
            }
            context
                .publish_and_wait(crate::event("b"))
                .await
                .map(|report| assert!(report.is_success()))
        }
    };
    bus.on("a", asks.named("asks")).unwrap();
    bus.on("b", |_: &Event, context: &Context| {
        context.publish(crate::event("a").payload(serde_json::json!({"late": 1}))).map(|_| ())
    })
    .unwrap();
    assert!(bus.publish_and_wait(event("a")).await.unwrap().is_success());
    bus.idle().await;
    assert_eq!((log.take(), bus.stats().events.rejected), (vec!["late".to_owned()], 0));
}
