//! Which events a read selects.

use std::time::Duration;

use nexus_events_dispatch::store::{Append, Read, Select};
use nexus_events_model::{Event, EventBuilder, Filter, Pattern, Priority};
use serde_json::json;

use super::candidate::Candidate;
use super::kit::{all, built, numbers};
use super::outcomes::Done;
use crate::TestEventBus;

/// The six events that are selected from: their keys, and what else they say.
fn events() -> [(Option<&'static str>, Event); 6] {
    let event = |n: u32, event_type: &str, amount: u32| -> EventBuilder {
        let id = format!("evt-{n}");
        let event = Event::builder(event_type).id(id).timestamp(TestEventBus::START);
        event.payload(json!({"amount": amount, "tags": ["a", n]}))
    };
    let events = [
        event(1, "order.created", 10).source("shop").correlation_id("c1").priority(Priority::Low),
        event(2, "order.paid", 200).source("bank").correlation_id("c1").session_id("s1"),
        event(3, "order.item.added", 30).source("shop").user_id("u1").priority(Priority::High),
        event(4, "user.created", 0).source("shop").session_id("s1").user_id("u1"),
        event(5, "user.created", 500).correlation_id("c2").priority(Priority::Critical),
        event(6, "order", 60).source("Shop").session_id("s2").user_id("u2"),
    ];
    let keys = [Some("o1"), Some("o1"), Some("o2"), None, Some(""), Some("o1")];
    let mut keys = keys.into_iter();
    events.map(|event| (keys.next().flatten(), built(event)))
}

async fn selects(it: Candidate, select: Select, expected: &[u64]) -> Done {
    // A minute between them, where the clock can be moved.
    for (key, event) in events() {
        let append = match key {
            Some(key) => Append::new().keyed_event(key, event),
            None => Append::of(event),
        };
        it.store().append(append).await?;
        if let Ok(clock) = it.its_clock() {
            clock.advance(Duration::from_secs(60));
        }
    }
    let read = Read::all().select(select);
    for most in [256, 1] {
        let read = read.clone().events(most);
        assert_eq!(numbers(&all(&**it.store(), read.clone()).await?), expected);
        let mut back = numbers(&all(&**it.store(), read.backward()).await?);
        back.reverse();
        assert_eq!(back, expected, "backward");
    }
    Ok(())
}

fn of(pattern: &str) -> Select {
    Select::new().pattern(Pattern::new(pattern).expect("a valid pattern"))
}

fn filter(text: &str) -> Select {
    Select::new().filter(Filter::parse(text).expect("a valid filter"))
}

macro_rules! rows {
    ($($name:ident($select:expr) $expected:expr;)*) => { $(
        pub(super) async fn $name(it: Candidate) -> Done {
            selects(it, $select, &$expected).await
        }
    )* };
}

rows! {
    all_of_them(Select::new()) [1, 2, 3, 4, 5, 6];
    a_type(of("user.created")) [4, 5];
    a_type_of_one_segment(of("order")) [6];
    a_type_that_is_none(of("order.cancelled")) [];
    one_wildcard(of("order.*")) [1, 2];
    a_wildcard_in_front(of("*.created")) [1, 4, 5];
    a_wildcard_in_the_middle(of("order.*.added")) [3];
    many_segments(of("order.**")) [1, 2, 3];
    any_type(of("**")) [1, 2, 3, 4, 5, 6];
    one_of_two_patterns(of("order.paid").pattern(Pattern::new("user.*").expect("valid"))) [2, 4, 5];
    patterns_that_overlap(of("order.*").pattern(Pattern::new("*.created").expect("valid"))) [1, 2, 4, 5];
    a_key(Select::new().key("o1")) [1, 2, 6];
    an_empty_key(Select::new().key("")) [5];
    a_key_that_is_none(Select::new().key("o")) [];
    a_source(Select::new().source("shop")) [1, 3, 4];
    an_unknown_source(Select::new().source("")) [5];
    a_correlation_id(Select::new().correlation_id("c1")) [1, 2];
    a_session(Select::new().session_id("s1")) [2, 4];
    a_user(Select::new().user_id("u1")) [3, 4];
    the_lowest_priority(Select::new().priority_min(Priority::Low)) [1, 2, 3, 4, 5, 6];
    a_normal_priority(Select::new().priority_min(Priority::Normal)) [2, 3, 4, 5, 6];
    a_high_priority(Select::new().priority_min(Priority::High)) [3, 5];
    the_highest_priority(Select::new().priority_min(Priority::Critical)) [5];
    a_filter_over_the_payload(filter("payload.amount > 50")) [2, 5, 6];
    a_filter_over_the_envelope(filter("source == 'shop' && priority == 'high'")) [3];
    a_filter_for_none(filter("payload.nothing == 1")) [];
    type_and_key(of("order.**").key("o1")) [1, 2];
    type_and_source(of("*.created").source("shop")) [1, 4];
    source_and_session(Select::new().source("shop").session_id("s1")) [4];
    correlation_and_priority(Select::new().correlation_id("c1").priority_min(Priority::Normal)) [2];
    user_and_session(Select::new().user_id("u1").session_id("s1")) [4];
    filter_and_type(filter("payload.amount >= 30").pattern(Pattern::new("order.**").expect("valid"))) [2, 3];
    all_that_can_be_said(of("order.*").key("o1").source("bank").correlation_id("c1").session_id("s1")
        .priority_min(Priority::Normal)) [2];
    what_contradicts_itself(Select::new().correlation_id("c1").user_id("u1")) [];
}

async fn at_times(it: Candidate, select: Select, expected: &[u64]) -> Done {
    it.its_clock()?.set(TestEventBus::START);
    selects(it, select, expected).await
}

fn minute(minute: u64) -> time::OffsetDateTime {
    TestEventBus::START + Duration::from_secs(60 * minute)
}

macro_rules! times {
    ($($name:ident($select:expr) $expected:expr;)*) => { $(
        pub(super) async fn $name(it: Candidate) -> Done {
            at_times(it, $select, &$expected).await
        }
    )* };
}

times! {
    since_a_time(Select::new().since(minute(2))) [3, 4, 5, 6];
    since_between_two(Select::new().since(minute(2) + Duration::from_secs(1))) [4, 5, 6];
    since_the_future(Select::new().since(minute(9))) [];
    before_a_time(Select::new().before(minute(2))) [1, 2];
    before_the_first(Select::new().before(minute(0))) [];
    between_two_times(Select::new().since(minute(1)).before(minute(4))) [2, 3, 4];
    times_and_a_type(of("*.created").since(minute(3)).before(minute(4))) [4];
}

pub(super) async fn within_a_range(it: Candidate) -> Done {
    for (_, event) in events() {
        it.store().append(Append::of(event)).await?;
    }
    let (after, until) = (super::kit::offset(1), super::kit::offset(3));
    let read = Read::after(after).until(until).select(Select::new().source("shop"));
    assert_eq!(numbers(&all(&**it.store(), read).await?), [3]);
    Ok(())
}

pub(super) async fn every_answer_is_that_of_the_select_itself(it: Candidate) -> Done {
    for (key, event) in events().into_iter().cycle().take(60) {
        it.store().append(Append::new().keyed_event(key.unwrap_or("none"), event)).await?;
    }
    let everything = all(&**it.store(), Read::all()).await?;
    for select in
        [of("order.**"), filter("payload.amount > 50"), Select::new().user_id("u1").key("o2")]
    {
        let mut expected = everything.clone();
        expected.retain(|stored| select.matches(stored));
        assert!(!expected.is_empty());
        assert_eq!(all(&**it.store(), Read::all().select(select).events(7)).await?, expected);
    }
    Ok(())
}
