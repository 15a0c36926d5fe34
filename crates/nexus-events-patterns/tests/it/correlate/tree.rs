//! Trees, and where their events come from.

use std::sync::Arc;

use nexus_events_dispatch::store::MemoryStore;
use nexus_events_dispatch::{Bus, Context};
use nexus_events_model::{CausationId, CorrelationId, Event, EventId};
use nexus_events_patterns::{CausationTree, limits};
use proptest::prelude::*;
use time::{Duration, OffsetDateTime};

fn event(number: usize, cause: Option<usize>) -> Event {
    let at = OffsetDateTime::UNIX_EPOCH + Duration::seconds(i64::try_from(number).unwrap());
    let event = Event::builder("step.done").id(format!("e-{number}").as_str()).timestamp(at);
    let id = |cause| CausationId::from(&EventId::new(format!("e-{cause}")).unwrap());
    let event = match cause {
        Some(cause) => event.causation_id(id(cause)),
        None => event,
    };
    event.build().unwrap()
}

proptest! {
    /// Each event once; a cause before what it led to, one step to the left; whatever the order
    /// in which they come and whoever causes whom.
    #[test]
    fn every_event_is_told_once_and_behind_its_cause(
        causes in prop::collection::vec(prop::option::of(0..40_usize), 0..40)
            .prop_map(|causes| causes.into_iter().enumerate().collect::<Vec<_>>())
            .prop_shuffle()
    ) {
        let events: Vec<_> = causes.iter().map(|(at, cause)| event(*at, *cause)).collect();
        let tree = CausationTree::build(events.clone());
        prop_assert_eq!(tree.nodes().len(), events.len());
        let acyclic = causes.iter().all(|(at, cause)| cause.is_none_or(|cause| cause < *at));
        for (place, node) in tree.nodes().iter().enumerate() {
            match node.cause() {
                Some(cause) => {
                    prop_assert!(cause < place);
                    prop_assert_eq!(tree.nodes()[cause].depth() + 1, node.depth());
                    let id = node.event().causation_id().unwrap().to_string();
                    prop_assert_eq!(tree.nodes()[cause].event().id().to_string(), id);
                }
                None => prop_assert_eq!(node.depth(), 0),
            }
            let named = node.event().causation_id();
            let known = named.and_then(|id| events.iter().find(|it| id == CausationId::from(it.id())));
            if acyclic {
                prop_assert_eq!(known.is_some(), node.cause().is_some());
            }
            prop_assert_eq!(tree.path_to(place).len(), node.depth() + 1);
        }
        prop_assert_eq!(tree.to_string().lines().count(), events.len());
        let json = serde_json::to_value(&tree).unwrap();
        prop_assert_eq!(json["events"].as_array().unwrap().len(), events.len());
    }
}

#[test]
fn siblings_are_told_in_order_of_time_and_circles_once() {
    let events = [event(3, Some(1)), event(2, Some(1)), event(1, None), event(4, Some(2))];
    let tree = CausationTree::build(events);
    let text = "step.done e-1\n  step.done e-2\n    step.done e-4\n  step.done e-3\n";
    assert_eq!(tree.to_string(), text);
    let circle = [event(1, Some(3)), event(2, Some(1)), event(3, Some(2)), event(4, Some(4))];
    let tree = CausationTree::build(circle);
    let depths: Vec<_> =
        tree.nodes().iter().map(nexus_events_patterns::CausationNode::depth).collect();
    assert_eq!(depths, [0, 0, 1, 2]);
    let json = serde_json::to_value(&tree).unwrap();
    assert_eq!(json["events"][3]["cause"], "e-2");
    assert_eq!((&json["events"][0]["cause"], &json["truncated"]), (&().into(), &false.into()));
}

#[test]
fn a_chain_may_be_as_long_as_it_likes() {
    let chain = (0..100_000).map(|at: usize| event(at, at.checked_sub(1)));
    let tree = CausationTree::build(chain);
    assert_eq!(tree.nodes()[99_999].depth(), 99_999);
    assert!(tree.to_string().lines().all(|line| line.len() < 160));
    assert!(serde_json::to_string(&tree).is_ok());
}

async fn chain(bus: &Bus) -> EventId {
    bus.on("a", |_: &Event, context: &Context| {
        context.publish(Event::builder("b"))?;
        context.publish(Event::builder("c")).map(drop)
    })
    .unwrap();
    bus.on("b", |_: &Event| Event::builder("d")).unwrap();
    bus.publish(Event::builder("x")).await.unwrap();
    bus.publish(Event::builder("a")).await.unwrap();
    let receipt = bus.publish(Event::builder("a").correlation_id("talk")).await.unwrap();
    bus.idle().await;
    receipt.event_id
}

fn told(tree: &CausationTree) -> Vec<(usize, String)> {
    let row = |node: &nexus_events_patterns::CausationNode| {
        (node.depth(), node.event().event_type().to_string())
    };
    tree.nodes().iter().map(row).collect()
}

fn expected() -> Vec<(usize, String)> {
    [(0, "a"), (1, "b"), (2, "d"), (1, "c")].map(|(at, name)| (at, name.to_owned())).to_vec()
}

#[tokio::test]
async fn a_conversation_is_found_in_history_and_in_the_store_alone() {
    let stored = || Bus::builder().store(Arc::new(MemoryStore::new()));
    for bus in
        [Bus::new(), stored().open().await.unwrap(), stored().history(0).open().await.unwrap()]
    {
        let id = chain(&bus).await;
        let talk = CorrelationId::new("talk").unwrap();
        let tree = CausationTree::of_correlation(&bus, &talk).await.unwrap();
        assert_eq!(told(&tree), expected());
        assert!(!tree.is_truncated());
        let of_event = CausationTree::of_event(&bus, &id).await.unwrap().unwrap();
        assert_eq!(told(&of_event), expected());
        assert_eq!(of_event.find(&id), Some(0));
        let unknown = EventId::new("nobody").unwrap();
        assert!(CausationTree::of_event(&bus, &unknown).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn an_event_without_a_conversation_has_what_the_history_knows() {
    let bus = Bus::new();
    chain(&bus).await;
    let history = bus.history(100, None);
    let alone = |event: &&Event| event.correlation_id().is_none();
    let d = history.iter().filter(alone).find(|event| event.event_type() == "d").unwrap();
    let tree = CausationTree::of_event(&bus, d.id()).await.unwrap().unwrap();
    assert_eq!(told(&tree), expected());
    let x = history.iter().find(|event| event.event_type() == "x").unwrap();
    let tree = CausationTree::of_event(&bus, x.id()).await.unwrap().unwrap();
    assert_eq!(told(&tree), [(0, "x".to_owned())]);
}

#[tokio::test]
async fn a_tree_is_bounded_and_says_so() {
    let bus = Bus::builder().history(limits::TREE_EVENTS_MAX + 10).build().unwrap();
    for _ in 0..=limits::TREE_EVENTS_MAX {
        bus.publish(Event::builder("a").correlation_id("talk")).await.unwrap();
    }
    let talk = CorrelationId::new("talk").unwrap();
    let tree = CausationTree::of_correlation(&bus, &talk).await.unwrap();
    assert_eq!((tree.nodes().len(), tree.is_truncated()), (limits::TREE_EVENTS_MAX, true));
    assert!(tree.to_string().ends_with("… and more\n"));
}
