//! Answers that are events.

use std::sync::Arc;

use nexus_events_dispatch::{Bus, Context};
use nexus_events_model::Event;
use nexus_events_patterns::{ErrorKind, ReplyTo, Requests, limits};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::ms;

fn request() -> nexus_events_model::EventBuilder {
    Event::builder("data.request")
}

#[tokio::test(start_paused = true)]
async fn s12_a_response_that_is_published_at_once_is_not_missed() {
    let bus = Bus::new();
    bus.on("data.request", |event: &Event| {
        let id = event.payload().get("request_id").cloned();
        Event::builder("data.response").payload(json!({"request_id": id, "status": "success"}))
    })
    .unwrap();
    let asked = request().payload(json!({"request_id": "r-1", "resource_type": "user"}));
    let response: Value = bus.request(asked).reply_in("data.response").await.unwrap();
    assert_eq!(response["status"], "success");
    assert_eq!(bus.pending_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_response_is_found_by_its_cause_or_its_correlation() {
    let bus = Bus::new();
    // A follow-up names its cause by itself; what comes from outside may only have the correlation.
    bus.on("data.request", async |context: Context, event: Event| {
        match event.payload().get("way").and_then(Value::as_str) {
            Some("cause") => {
                context
                    .publish(Event::builder("data.response").payload(json!("by cause")))
                    .unwrap();
            }
            _ => {
                let (bus, id) = (context.bus().clone(), event.id().to_string());
                tokio::spawn(async move {
                    let response = Event::builder("data.response").correlation_id(id.as_str());
                    bus.publish(response.payload(json!("by correlation"))).await.unwrap();
                });
            }
        }
    })
    .unwrap();
    for way in ["cause", "correlation"] {
        let asked = request().payload(json!({"way": way}));
        let response: String = bus.request(asked).reply_in("data.response").await.unwrap();
        assert_eq!(response, format!("by {way}"));
    }
}

#[tokio::test(start_paused = true)]
async fn responses_find_their_own_requests() {
    let bus = Bus::new();
    bus.on("data.request", async |context: Context, event: Event| {
        let number = event.payload().get("request_id").and_then(Value::as_u64).unwrap();
        let bus = context.bus().clone();
        tokio::spawn(async move {
            // The later ones first.
            sleep(ms(100 - number)).await;
            let payload = json!({"request_id": number, "square": number * number});
            bus.publish(Event::builder("data.response").payload(payload)).await.unwrap();
        });
    })
    .unwrap();
    let asking = (0..50_u64).map(|number| {
        let bus = bus.clone();
        tokio::spawn(async move {
            let asked = request().payload(json!({"request_id": number}));
            let response: Value = bus.request(asked).reply_in("data.response").await.unwrap();
            (number, response["square"].as_u64().unwrap())
        })
    });
    for one in asking.collect::<Vec<_>>() {
        let (number, square) = one.await.unwrap();
        assert_eq!(square, number * number);
    }
    // One handler takes in all of them.
    assert_eq!(bus.stats().handlers.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn nobody_who_gets_it_is_no_responders_and_nobody_who_answers_a_timeout() {
    let bus = Bus::new();
    let begun = Instant::now();
    let error = bus.request::<Value>(request()).reply_in("data.response").await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::NoResponders, ms(0)));
    bus.on("data.*", |_: &Event| {}).unwrap();
    let asked = bus.request::<Value>(request()).reply_in("data.response").timeout(ms(50));
    let error = asked.await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (ErrorKind::TimedOut, ms(50)));
    // Then the response is nobody's.
    bus.publish(Event::builder("data.response").payload(json!({"request_id": "r"}))).await.unwrap();
    assert_eq!(bus.pending_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_responder_may_still_answer_directly() {
    let bus = Bus::new();
    bus.respond_with("data.request", |reply_to: ReplyTo| {
        reply_to.reply("direct".to_owned()).unwrap();
    })
    .unwrap();
    let response: String = bus.request(request()).reply_in("data.response").await.unwrap();
    assert_eq!(response, "direct");
}

#[tokio::test(start_paused = true)]
async fn a_second_request_under_the_same_id_is_refused() {
    let bus = Bus::new();
    let seen = Arc::new(Mutex::new(0));
    let see = seen.clone();
    bus.on("data.request", move |_: &Event| *see.lock() += 1).unwrap();
    let ask = || {
        bus.request::<Value>(request().payload(json!({"request_id": "r-1"})))
            .reply_in("data.response")
            .timeout(ms(50))
    };
    let (first, second) = tokio::join!(ask(), ask());
    assert_eq!(first.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(second.unwrap_err().kind(), ErrorKind::InvalidOption);
    assert_eq!(*seen.lock(), 1);
    // The first one's end frees the id.
    assert_eq!(ask().await.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn the_types_that_answers_come_in_are_bounded() {
    let bus = Bus::new();
    for number in 0..limits::REPLY_EVENT_TYPES_MAX {
        let name = format!("answer.{number}");
        let error = bus.request::<Value>(request()).reply_in(name.as_str()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoResponders);
    }
    let error = bus.request::<Value>(request()).reply_in("one.more").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    let error = bus.request::<Value>(request()).reply_in("no..type").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Bus(_)));
    assert_eq!(bus.pending_requests(), 0);
}
