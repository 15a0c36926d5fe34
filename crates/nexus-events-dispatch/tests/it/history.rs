//! The recent events a bus remembers.

use nexus_events_dispatch::Bus;
use nexus_events_model::Pattern;

use crate::event;

#[tokio::test]
async fn it_keeps_ten_thousand_and_answers_by_type_and_limit() {
    let bus = Bus::new();
    for number in 0..10_500 {
        let name = if number % 2 == 0 { "even.number" } else { "odd.number" };
        bus.publish(event(name).id(format!("evt-{number}"))).await.unwrap();
    }
    assert_eq!(bus.stats().history_size, 10_000);
    assert_eq!(bus.history(usize::MAX, None).len(), 10_000);
    let odd = Pattern::new("odd.*").unwrap();
    let last: Vec<String> =
        bus.history(2, Some(&odd)).iter().map(|event| event.id().to_string()).collect();
    assert_eq!(last, ["evt-10497", "evt-10499"]);
    assert_eq!(bus.history(0, None).len(), 0);
    assert_eq!(bus.history(9, Some(&Pattern::new("none").unwrap())).len(), 0);
}

#[tokio::test]
async fn its_size_is_an_option() {
    let bus = Bus::builder().history(3).build().unwrap();
    for _ in 0..10 {
        bus.publish(event("a")).await.unwrap();
    }
    assert_eq!(bus.history(100, None).len(), 3);
    let without = Bus::builder().history(0).build().unwrap();
    without.publish(event("a")).await.unwrap();
    assert_eq!(without.stats().history_size, 0);
}
