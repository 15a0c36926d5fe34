//! Steps of a workflow.

use nexus_events_dispatch::{Bus, Context};
use nexus_events_model::{CorrelationId, Event};
use nexus_events_patterns::Correlate;

#[tokio::test]
async fn each_step_names_the_one_before_and_a_branch_goes_its_own_way() {
    let bus = Bus::new();
    let order = bus.correlate().unwrap();
    assert_ne!(order.id(), bus.correlate().unwrap().id());
    assert_eq!(order.last_step(), None);
    let first = order.publish(Event::builder("order.created")).await.unwrap().event_id;
    let second = order.publish(Event::builder("order.paid")).await.unwrap().event_id;
    let history = bus.history(10, None);
    let created = history.iter().find(|event| *event.id() == first).unwrap();
    let paid = history.iter().find(|event| *event.id() == second).unwrap();
    assert_eq!((created.causation_id(), created.correlation_id()), (None, Some(order.id())));
    assert_eq!(paid.causation_id(), Some((&first).into()));
    // A clone is the same workflow.
    let shipped = order.clone().stamp(Event::builder("order.shipped")).unwrap();
    assert_eq!(shipped.causation_id(), Some((&second).into()));
    let mailed = order.behind(created).stamp(Event::builder("order.mailed")).unwrap();
    assert_eq!(mailed.causation_id(), Some((&first).into()));
    assert_eq!(order.last_step(), Some(second));
}

#[tokio::test]
async fn what_an_event_says_itself_stands() {
    let bus = Bus::new();
    let order = bus.correlation(CorrelationId::new("o-1").unwrap());
    order.publish(Event::builder("order.created").id("e-1")).await.unwrap();
    let own = order.stamp(Event::builder("a").correlation_id("own")).unwrap();
    assert_eq!(own.correlation_id().unwrap().to_string(), "own");
    assert_eq!(own.causation_id().unwrap().to_string(), "e-1");
    let own = order.stamp(own).unwrap();
    assert_eq!(own.correlation_id().unwrap().to_string(), "own");
    // What is not published is no step.
    assert!(order.publish(Event::builder("no..type")).await.is_err());
    assert_eq!(order.last_step().unwrap().to_string(), "e-1");
}

#[tokio::test]
async fn a_handler_joins_the_conversation_of_its_event() {
    let bus = Bus::new();
    bus.on("order.created", async |context: Context| {
        let order = context.correlate().unwrap();
        order.publish(Event::builder("order.checked")).await.unwrap();
        order.publish(Event::builder("order.packed")).await.unwrap();
    })
    .unwrap();
    let created = bus.stamp(Event::builder("order.created").correlation_id("o-1")).unwrap();
    bus.publish(created.clone()).await.unwrap();
    bus.idle().await;
    let history = bus.history(10, None);
    let one = |name: &str| history.iter().find(|event| event.event_type() == name).unwrap();
    let (checked, packed) = (one("order.checked"), one("order.packed"));
    assert_eq!(checked.correlation_id().unwrap().to_string(), "o-1");
    assert_eq!(packed.correlation_id().unwrap().to_string(), "o-1");
    assert_eq!(checked.causation_id(), Some(created.id().into()));
    assert_eq!(packed.causation_id(), Some(checked.id().into()));
}
