//! Whatever an event holds, it is the same afterwards.

use nexus_events_dispatch::store::{Append, EventStore, Progress, Read};
use nexus_events_model::{Event, Metadata, Payload, Priority};
use proptest::prelude::*;
use serde_json::{Value, json};
use time::{OffsetDateTime, UtcOffset};

use crate::support::{Folder, all};

fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<u128>().prop_map(|number| uuid::Uuid::from_u128(number).to_string()),
        "[A-Z]{1,3}-[0-9]{1,20}",
        ".{1,40}",
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,30}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(".{0,5}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

fn time() -> impl Strategy<Value = OffsetDateTime> {
    let zone = prop_oneof![Just((0, 0)), (-20_i8..20, -59_i8..59)];
    (-60_000_000_000_i64..250_000_000_000, 0_u32..1_000_000, zone).prop_map(
        |(seconds, micros, (hours, minutes))| {
            let minutes = if hours < 0 { -minutes.abs() } else { minutes.abs() };
            OffsetDateTime::from_unix_timestamp(seconds)
                .unwrap()
                .replace_microsecond(micros)
                .unwrap()
                .to_offset(UtcOffset::from_hms(hours, minutes, 0).unwrap())
        },
    )
}

prop_compose! {
    fn event()(
        (event_id, name, source) in (id(), "[a-z_]{1,8}(\\.[a-z-]{1,8}){0,3}", ".{0,20}"),
        (target, channel) in (prop::option::of(".{0,20}"), prop::option::of(".{0,20}")),
        (correlation, session, user) in
            (prop::option::of(id()), prop::option::of(id()), prop::option::of(id())),
        (time, priority, payload) in (time(), 0_usize..4, prop::option::of(value())),
        metadata in prop::collection::vec((".{0,8}", value()), 0..4),
        (retryable, retries, retried) in (any::<bool>(), any::<u32>(), 0_u32..3),
        usual in any::<bool>(),
    ) -> Event {
        let mut builder = Event::builder(&*name)
            .id(event_id)
            .timestamp(time)
            .source(source)
            .priority(Priority::ALL[priority])
            .retryable(retryable)
            .retry_count(retried)
            .all_metadata(Metadata::from_iter(metadata));
        if !usual {
            builder = builder.max_retries(retries);
        }
        if let Some(target) = target { builder = builder.target(target); }
        if let Some(channel) = channel { builder = builder.channel(channel); }
        if let Some(id) = correlation { builder = builder.correlation_id(id); }
        if let Some(id) = session { builder = builder.session_id(id); }
        if let Some(id) = user { builder = builder.user_id(id); }
        if let Some(value) = payload { builder = builder.payload(Payload::from(value)); }
        builder.build().unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn every_event_is_the_same_after_a_restart(
        events in prop::collection::vec((event(), prop::option::of(".{0,20}")), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = Folder::new();
            let append = events.iter().fold(Append::new(), |append, (event, key)| match key {
                Some(key) => append.keyed_event(&**key, event.clone()),
                None => append.event(event.clone()),
            });
            folder.store().append(append).await.unwrap();
            let store = folder.store();
            let there = all(&store, Read::all()).await;
            assert_eq!(there.len(), events.len());
            for (stored, (event, key)) in there.iter().zip(&events) {
                assert_eq!(&stored.event, event);
                assert_eq!(stored.key.as_deref(), key.as_deref());
                assert_eq!(stored.event.timestamp().offset(), event.timestamp().offset());
                assert_eq!(stored.event.encoded().unwrap(), event.encoded().unwrap());
            }
            assert!(store.verify(Progress::none()).await.unwrap().is_sound());
        });
    }
}
