//! What the statistics say: durations, waits, slow handlers, and the text for Prometheus.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Waker};
use std::time::Duration;

use nexus_events_dispatch::limits::{
    METRIC_HANDLERS_MAX, SLOW_HANDLER, TIMED_HANDLERS, TIMED_PASSES,
};
use nexus_events_dispatch::{Bus, HandlerExt, Mode, Overload};
use nexus_events_model::{Event, Filter};
use tokio::sync::Semaphore;

use crate::event;

/// Lets time go by on tokio's paused clock without waiting for anything.
fn pass_time(duration: Duration) {
    let advance = pin!(tokio::time::advance(duration));
    let _ = advance.poll(&mut TaskContext::from_waker(Waker::noop()));
}

#[test]
fn one_inline_run_in_so_many_is_timed() {
    let bus = Bus::new();
    bus.on("a", (|_: &Event| {}).named("inline")).unwrap();
    for _ in 0..TIMED_PASSES + 1 {
        bus.try_publish(event("a")).unwrap();
    }
    let stats = bus.stats();
    let inline = stats.handler("inline").unwrap();
    assert_eq!((inline.execution_count, inline.timed_count), (TIMED_PASSES + 1, 2));
    assert_eq!((inline.duration.count, inline.wait.count), (2, 0));
    assert!(inline.mean_duration() <= inline.duration.max);
    assert_eq!(stats.publish.count, 2);
    assert!(stats.publish.total >= inline.duration.total, "the whole is longer than its part");
}

#[tokio::test(start_paused = true)]
async fn runs_on_tasks_are_all_timed_and_so_is_how_long_they_waited() {
    let bus = Bus::new();
    let take = |_: Event| tokio::time::sleep(Duration::from_millis(10));
    bus.on("a", take.named("task").with(|options| options.queue(8))).unwrap();
    for _ in 0..3 {
        bus.publish(event("a")).await.unwrap();
    }
    bus.idle().await;
    let stats = bus.stats();
    let task = stats.handler("task").unwrap();
    assert_eq!((task.timed_count, task.mean_duration()), (3, Duration::from_millis(10)));
    assert_eq!(
        (task.duration.p50, task.duration.max),
        (Duration::from_millis(10), Duration::from_millis(10))
    );
    // 0, 10 and 20 ms.
    assert_eq!((task.wait.count, task.wait.total), (3, Duration::from_millis(30)));
    assert_eq!(
        (task.wait.p50, task.wait.p99),
        (Duration::from_millis(10), Duration::from_millis(20))
    );
    // Of the first event.
    assert_eq!((stats.publish.count, stats.publish.max), (1, Duration::from_millis(10)));
}

#[tokio::test(start_paused = true)]
async fn a_synchronous_handler_that_holds_up_its_task_is_counted() {
    let bus = Bus::new();
    let hold = |event: &Event| {
        let micros = event.payload().get("micros").and_then(serde_json::Value::as_u64).unwrap();
        pass_time(Duration::from_micros(micros));
    };
    bus.on("a", hold.named("sync").mode(Mode::Queued)).unwrap();
    let wait = |_: Event| tokio::time::sleep(2 * SLOW_HANDLER);
    bus.on("a", wait.named("async")).unwrap();
    for micros in [99_000, 101_000, 250_000] {
        let payload = serde_json::json!({"micros": micros});
        bus.publish_and_wait(event("a").payload(payload)).await.unwrap();
    }
    let stats = bus.stats();
    assert_eq!(stats.handler("sync").unwrap().slow_count, 2);
    assert_eq!(stats.handler("async").unwrap().slow_count, 0, "it lets others run");
}

#[tokio::test]
async fn the_json_has_durations_in_microseconds() {
    let bus = Bus::new();
    bus.on("a", (|_: &Event| {}).named("inline")).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    let json = serde_json::to_value(bus.stats()).unwrap();
    let inline = &json["handlers"]["inline"];
    assert_eq!((&inline["timed_count"], &inline["slow_count"]), (&1.into(), &0.into()));
    for field in ["p50", "p90", "p99", "max", "mean"] {
        assert!(inline["duration_us"][field].is_u64(), "{field}");
        assert!(json["publish_us"][field].is_u64(), "{field}");
    }
    assert!(inline["timed_duration_us"].is_u64());
}

/// The samples of one name, as they stand in the text.
fn samples<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    let is_of = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ') || rest.starts_with('{'))
    };
    text.lines().filter(is_of).collect()
}

/// Every line is a sample of the family before it, or begins one that was not there yet.
#[track_caller]
fn check_form(text: &str) {
    let (mut families, mut seen) = (Vec::new(), std::collections::HashSet::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let name = help.split(' ').next().unwrap().to_owned();
            assert!(name.starts_with("nexus_events_"), "{line}");
            assert!(!families.contains(&name), "{name} twice");
            families.push(name);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(families.last().unwrap(), name);
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        } else {
            let family = families.last().unwrap();
            let rest = line.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line}"));
            assert!(
                ["{", " ", "_bucket{", "_sum", "_count"].iter().any(|so| rest.starts_with(so)),
                "{line}"
            );
            let (series, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(seen.insert(series), "{series} twice");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_text_for_prometheus_has_every_series_in_form() {
    let bus = Bus::new();
    let fails = |event: &Event| match event.event_type().as_str() {
        "a.fails" => Err("no"),
        "a.panics" => panic!("on purpose"),
        _ => Ok(()),
    };
    bus.on("a.*", fails.named("q\"uo\\te\n")).unwrap();
    let big = Filter::parse("payload.n > 1").unwrap();
    bus.on("a.ok", (|_: &Event| {}).named("filtered").filter(big)).unwrap();
    let gate = Arc::new(Semaphore::new(0));
    let opened = gate.clone();
    let wait = move |_: Event| {
        let gate = opened.clone();
        async move { gate.acquire().await.unwrap().forget() }
    };
    let few = wait.with(|options| options.name("queued").queue(1).overload(Overload::DropNewest));
    bus.on("q", few).unwrap();
    for name in ["a.ok", "a.fails", "a.panics", "nobody.cares"] {
        bus.publish(event(name)).await.unwrap();
    }
    bus.publish(event("q")).await.unwrap();
    tokio::task::yield_now().await;
    pass_time(Duration::from_millis(1_500));
    bus.publish(event("q")).await.unwrap();
    pass_time(Duration::from_millis(500));
    bus.publish(event("q")).await.unwrap();

    let text = bus.stats().to_prometheus();
    check_form(&text);
    let quoted = r#"{handler="q\"uo\\te\n"}"#;
    for line in [
        "nexus_events_published_total 7".to_owned(),
        r#"nexus_events_concluded_total{end="unmatched"} 1"#.to_owned(),
        r#"nexus_events_concluded_total{end="handled"} 3"#.to_owned(),
        r#"nexus_events_runs_total{outcome="failure"} 2"#.to_owned(),
        "nexus_events_in_flight 2".to_owned(),
        "nexus_events_handlers 3".to_owned(),
        "nexus_events_history_events 7".to_owned(),
        format!("nexus_events_handler_runs_total{quoted} 3"),
        format!("nexus_events_handler_errors_total{quoted} 2"),
        format!("nexus_events_handler_panics_total{quoted} 1"),
        r#"nexus_events_handler_filtered_total{handler="filtered"} 1"#.to_owned(),
        r#"nexus_events_handler_rejected_total{handler="queued"} 1"#.to_owned(),
        r#"nexus_events_handler_dropped_total{handler="queued",reason="newest"} 1"#.to_owned(),
        r#"nexus_events_handler_queue_events{handler="queued"} 1"#.to_owned(),
        r#"nexus_events_handler_queue_oldest_seconds{handler="queued"} 0.5"#.to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
    }
    gate.add_permits(10);
    bus.idle().await;
    let text = bus.stats().to_prometheus();
    check_form(&text);
    let buckets = samples(&text, "nexus_events_handler_seconds_bucket");
    let queued: Vec<&&str> = buckets.iter().filter(|line| line.contains("queued")).collect();
    assert_eq!(queued.len(), 23);
    assert_eq!(*queued[19], r#"nexus_events_handler_seconds_bucket{handler="queued",le="2.5"} 2"#);
    assert_eq!(*queued[22], r#"nexus_events_handler_seconds_bucket{handler="queued",le="+Inf"} 2"#);
    for line in [
        r#"nexus_events_handler_seconds_sum{handler="queued"} 2"#,
        r#"nexus_events_handler_seconds_count{handler="queued"} 2"#,
        r#"nexus_events_handler_wait_seconds_sum{handler="queued"} 0.5"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\nin\n{text}");
    }
}

#[test]
fn handlers_beyond_the_bound_are_summed_up() {
    let bus = Bus::new();
    bus.on("a", (|_: &Event| {}).named("other")).unwrap();
    for number in 0..METRIC_HANDLERS_MAX + 5 {
        bus.on("a", (|_: &Event| {}).named(format!("handler-{number}"))).unwrap();
    }
    for _ in 0..3 {
        bus.try_publish(event("a")).unwrap();
    }
    let text = bus.stats().to_prometheus();
    check_form(&text);
    let runs = samples(&text, "nexus_events_handler_runs_total");
    assert_eq!(runs.len(), METRIC_HANDLERS_MAX + 1);
    // Five beyond the bound, and the one of that very name.
    assert_eq!(*runs.last().unwrap(), r#"nexus_events_handler_runs_total{handler="other"} 18"#);
    let counts = samples(&text, "nexus_events_handler_seconds_count");
    // Of the handlers of the event that is timed every sixteenth is, from the first one on.
    let is_timed = |place: &usize| place.is_multiple_of(TIMED_HANDLERS);
    let timed = 1 + (METRIC_HANDLERS_MAX + 1..METRIC_HANDLERS_MAX + 6).filter(is_timed).count();
    let expected = format!("nexus_events_handler_seconds_count{{handler=\"other\"}} {timed}");
    assert_eq!(*counts.last().unwrap(), expected);
}

#[tokio::test]
async fn what_a_group_shares_is_told_once() {
    let bus = Bus::new();
    for name in ["one", "two"] {
        let take = async |_: Event| std::future::pending::<()>().await;
        bus.on(
            "a",
            take.with(|options| {
                options.name(name).group("both").queue(1).overload(Overload::Reject)
            }),
        )
        .unwrap();
    }
    // No task has begun yet.
    for _ in 0..3 {
        bus.try_publish(event("a")).unwrap();
    }
    let text = bus.stats().to_prometheus();
    check_form(&text);
    let rejected = samples(&text, "nexus_events_handler_rejected_total");
    assert_eq!(
        rejected,
        [
            r#"nexus_events_handler_rejected_total{handler="one"} 2"#,
            r#"nexus_events_handler_rejected_total{handler="two"} 0"#
        ]
    );
    let queue = samples(&text, "nexus_events_handler_queue_events");
    assert_eq!(queue, [r#"nexus_events_handler_queue_events{handler="one"} 1"#]);
}
