//! Keys whose order holds although an event was parked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nexus_events_dispatch::layers::{
    DeadLetterFilter, DeadLetterLayer, DeadLetters, OnPark, Replayed,
};
use nexus_events_dispatch::{Bus, HandlerExt, Mode, Status};
use nexus_events_model::{Event, OutcomeStatus};

use super::outcome;
use crate::{Log, event};

/// A handler ordered by user that writes the ids it gets, and fails with those of a list.
fn setup(layer: DeadLetterLayer, failing: &'static [&'static str]) -> (Bus, Log, Arc<AtomicBool>) {
    let (bus, log, mended) = (Bus::new(), Log::default(), Arc::new(AtomicBool::new(false)));
    let (writes, is_mended) = (log.clone(), mended.clone());
    let handler = move |event: &Event| {
        let id = event.id().to_string();
        writes.add(id.clone());
        match failing.contains(&&*id) && !is_mended.load(Ordering::Relaxed) {
            true => Err("connection lost"),
            false => Ok(()),
        }
    };
    let by_user = |event: &Event| event.user_id().map(|user| user.to_string().into());
    let ordered = handler
        .named("mailer")
        .with(|options| options.mode(Mode::Queued).ordered_by(by_user))
        .layer(layer);
    bus.on("a", ordered).unwrap();
    (bus, log, mended)
}

async fn publish(bus: &Bus, events: &[(&str, &str)]) {
    for (id, user) in events {
        bus.publish_and_wait(event("a").id(*id).user_id(*user)).await.unwrap();
    }
}

const EVENTS: [(&str, &str); 5] =
    [("1", "ada"), ("2", "ada"), ("3", "bob"), ("4", "ada"), ("5", "bob")];

#[tokio::test]
async fn later_events_of_a_key_are_parked_behind_the_first() {
    let letters = DeadLetters::new();
    let (bus, log, mended) = setup(letters.layer(), &["1"]);
    publish(&bus, &EVENTS).await;
    assert_eq!(log.take(), ["1", "3", "5"]);
    let list = letters.list(&DeadLetterFilter::new().key("ada"), 9);
    let parked: Vec<(String, bool, usize)> = list
        .iter()
        .map(|letter| (letter.event.id().to_string(), letter.behind, letter.attempts.len()))
        .collect();
    let expected = [("1", false, 1), ("2", true, 0), ("4", true, 0)];
    assert_eq!(parked, expected.map(|(id, behind, attempts)| (id.to_owned(), behind, attempts)));
    assert_eq!(list[1].status, Status::Permanent);

    // The second is not let past the first, nor past one that fails again.
    let skipped = Replayed::Skipped("an event of its key is parked before it".into());
    assert_eq!(letters.replay(&bus, 2).await.unwrap(), skipped);
    let report = letters.replay_key(&bus, "mailer", "ada").await.unwrap();
    assert_eq!((report.succeeded, report.failed), (0, 1));
    assert_eq!(log.take(), ["1"]);

    mended.store(true, Ordering::Relaxed);
    let report = letters.replay_key(&bus, "mailer", "ada").await.unwrap();
    assert_eq!((report.succeeded, report.failed), (3, 0));
    assert_eq!(log.take(), ["1", "2", "4"]);
    publish(&bus, &[("6", "ada")]).await;
    assert_eq!((log.take(), letters.stats().letters), (vec!["6".to_owned()], 0));
}

#[tokio::test]
async fn a_replay_by_filter_keeps_the_order_too() {
    let letters = DeadLetters::new();
    let (bus, log, mended) = setup(letters.layer(), &["1", "3"]);
    publish(&bus, &EVENTS).await;
    mended.store(true, Ordering::Relaxed);
    log.take();
    let report = letters.replay_all(&bus, &DeadLetterFilter::new()).await.unwrap();
    assert_eq!((report.succeeded, report.skipped, letters.stats().letters), (5, 0, 0));
    // That of each key; two keys go on at the same time.
    let (bob, ada): (Vec<_>, Vec<_>) =
        log.take().into_iter().partition(|line| line == "3" || line == "5");
    assert_eq!((ada.join(" "), bob.join(" ")), ("1 2 4".into(), "3 5".into()));
}

#[tokio::test]
async fn skipping_lets_later_events_run() {
    let letters = DeadLetters::new();
    let (bus, log, _) = setup(letters.layer().on_park(OnPark::Skip), &["1"]);
    publish(&bus, &EVENTS).await;
    assert_eq!(log.take(), ["1", "2", "3", "4", "5"]);
    assert_eq!(letters.stats().letters, 1);
}

#[tokio::test]
async fn the_outcome_of_an_event_that_is_behind_is_a_failure() {
    let letters = DeadLetters::new();
    let (bus, ..) = setup(letters.layer(), &["1"]);
    publish(&bus, &[("1", "ada")]).await;
    let behind = outcome(&bus, event("a").user_id("ada")).await;
    assert_eq!(behind.status, OutcomeStatus::Error);
    assert!(behind.error.unwrap().contains("parked before it"));
    // Without a key there is no order to keep.
    assert!(outcome(&bus, event("a")).await.status == OutcomeStatus::Success);
}

#[tokio::test]
async fn a_discarded_event_frees_its_key() {
    let letters = DeadLetters::new();
    let (bus, log, _) = setup(letters.layer(), &["1"]);
    publish(&bus, &[("1", "ada")]).await;
    letters.discard(1).await.unwrap();
    publish(&bus, &[("2", "ada")]).await;
    assert_eq!(log.take(), ["1", "2"]);
}

#[tokio::test]
async fn a_key_that_panics_parks_its_event() {
    let (bus, letters) = (Bus::new(), DeadLetters::new());
    let ordered = |_: &Event| {};
    let ordered = ordered
        .with(|options| options.mode(Mode::Queued).ordered_by(|_: &Event| panic!("no user")))
        .layer(letters.layer());
    bus.on("a", ordered).unwrap();
    bus.publish_and_wait(event("a")).await.unwrap();
    assert_eq!(&*letters.get(1).unwrap().error, "panicked: no user");
}
