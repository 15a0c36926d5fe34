//! The order saga: payment, then inventory; what fails later is taken back.

use nexus_events_model::{Event, EventBuilder};
use nexus_events_patterns::saga::{Saga, SagaContext, SagaHandle, SagaKey, SagaStatus};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Program, Recorded};

#[derive(Default, Serialize, Deserialize)]
struct Order {
    order_id: String,
    completed_steps: Vec<String>,
}

impl Order {
    fn ask(&self, event_type: &str, saga: &mut SagaContext<'_>) {
        let payload = json!({"order_id": self.order_id});
        saga.publish(Event::builder(event_type).source("saga").payload(payload));
    }

    fn give_up(&self, event_type: &str, reason: &str, saga: &mut SagaContext<'_>) {
        let payload = json!({"order_id": self.order_id, "reason": reason});
        saga.publish(Event::builder(event_type).source("saga").payload(payload));
    }
}

fn order_saga() -> Saga<Order> {
    let talk = SagaKey::correlation;
    Saga::<Order>::named("order")
        .starts(
            "order.created",
            talk(),
            |order: &mut Order, event: &Event, saga: &mut SagaContext| {
                let id = event.payload().get("order_id").and_then(|id| id.as_str());
                order.order_id = id.ok_or("the order has no order_id")?.to_owned();
                order.ask("payment.request", saga);
                Ok::<_, &str>(())
            },
        )
        .on("payment.completed", talk(), |order: &mut Order, _: &Event, saga: &mut SagaContext| {
            order.completed_steps.push("payment".to_owned());
            order.ask("inventory.reserve", saga);
        })
        .on("payment.failed", talk(), |order: &mut Order, _: &Event, saga: &mut SagaContext| {
            order.give_up("order.cancelled", "payment_failed", saga);
            saga.cancel("payment_failed");
        })
        .on("inventory.reserved", talk(), |order: &mut Order, _: &Event, saga: &mut SagaContext| {
            order.completed_steps.push("inventory".to_owned());
            saga.complete();
        })
        .on("inventory.failed", talk(), |order: &mut Order, _: &Event, saga: &mut SagaContext| {
            order.give_up("payment.refund", "inventory_unavailable", saga);
            order.give_up("order.cancelled", "inventory_unavailable", saga);
            saga.cancel("inventory_unavailable");
        })
}

/// What the others say to a request, in the same conversation.
fn says(answer: &str) -> EventBuilder {
    Event::builder(answer).correlation_id("talk")
}

async fn ordered() -> (Program, SagaHandle, Recorded) {
    let program = Program::new().await;
    let sagas = order_saga().build().unwrap().attach(&program.bus).unwrap();
    let heard = program.record("**");
    let created = says("order.created").payload(json!({"order_id": "o-1", "amount": 7}));
    program.publish_all([created]).await;
    (program, sagas, heard)
}

fn types(heard: &Recorded) -> Vec<String> {
    heard.events().iter().map(|event| event.event_type().to_string()).collect()
}

async fn end(sagas: &SagaHandle) -> SagaStatus {
    assert!(sagas.list(None).await.unwrap().is_empty());
    sagas.ended(time::OffsetDateTime::UNIX_EPOCH).await.unwrap().remove(0).status
}

#[tokio::test(start_paused = true)]
async fn an_order_that_goes_well_is_completed() {
    let (program, sagas, heard) = ordered().await;
    program.publish_all([says("payment.completed"), says("inventory.reserved")]).await;
    let path = [
        "order.created",
        "payment.request",
        "payment.completed",
        "inventory.reserve",
        "inventory.reserved",
    ];
    let mut heard = types(&heard);
    heard.sort();
    let mut expected = path.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(heard, expected);
    assert_eq!(end(&sagas).await, SagaStatus::Completed);
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_payment_fails_is_cancelled() {
    let (program, sagas, heard) = ordered().await;
    program.publish_all([says("payment.failed")]).await;
    assert_eq!(heard.events().last().unwrap().payload().get("reason").unwrap(), "payment_failed");
    assert_eq!(end(&sagas).await, SagaStatus::Cancelled { reason: "payment_failed".into() });
}

/// The branch that forgets its saga in the original.
#[tokio::test(start_paused = true)]
async fn an_order_whose_goods_are_gone_is_refunded_and_ends() {
    let (program, sagas, heard) = ordered().await;
    program.publish_all([says("payment.completed"), says("inventory.failed")]).await;
    let heard = types(&heard);
    assert!(heard.contains(&"payment.refund".to_owned()));
    assert!(heard.contains(&"order.cancelled".to_owned()));
    assert_eq!(end(&sagas).await, SagaStatus::Cancelled { reason: "inventory_unavailable".into() });
}

/// A payment that is reported twice asks for the goods once.
#[tokio::test(start_paused = true)]
async fn a_payment_that_is_told_twice_reserves_once() {
    let (program, _, heard) = ordered().await;
    let paid = program.bus.stamp(says("payment.completed")).unwrap();
    let append = nexus_events_dispatch::store::Append::of(paid);
    program.bus.commit(append.clone()).await.unwrap();
    program.bus.commit(append).await.unwrap();
    program.bus.idle().await;
    let reserved = types(&heard).iter().filter(|it| *it == "inventory.reserve").count();
    assert_eq!(reserved, 1);
}
