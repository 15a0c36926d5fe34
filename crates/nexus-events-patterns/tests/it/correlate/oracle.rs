//! Random events, times and bounds against a naive gatherer: a list of open keys.

use std::sync::Arc;

use nexus_events_dispatch::Bus;
use nexus_events_patterns::{Gather, GatherReason, Until};
use parking_lot::Mutex;
use proptest::prelude::*;
use tokio::time::sleep;

use super::{ms, of};

const TIMEOUT: u64 = 100;

#[derive(Debug, Clone, Copy)]
struct Bounds {
    count: usize,
    keys: usize,
    events: usize,
}

/// Time that passes, in tens of milliseconds, then an event of a key.
type Script = Vec<(u64, u8)>;

type Ended = Vec<(u8, usize, GatherReason)>;

/// What ends, in order, and how many come late.
fn oracle(script: &Script, bounds: Bounds) -> (Ended, u64) {
    let (mut now, mut late) = (0, 0);
    let (mut open, mut over, mut ended): (Vec<(u8, u64, usize)>, Vec<u8>, Ended) =
        (Vec::new(), Vec::new(), Vec::new());
    for (passes, key) in script.iter().copied().chain([(1_000, u8::MAX)]) {
        now += passes * 10;
        while let Some((key, ..)) = open.first().filter(|(_, since, _)| since + TIMEOUT <= now) {
            over.push(*key);
            let (key, _, events) = open.remove(0);
            ended.push((key, events, GatherReason::TimedOut));
        }
        if key == u8::MAX {
            break;
        }
        if over.contains(&key) {
            late += 1;
            continue;
        }
        if !open.iter().any(|(known, ..)| *known == key) {
            if open.len() == bounds.keys {
                let (key, _, events) = open.remove(0);
                over.push(key);
                ended.push((key, events, GatherReason::Full));
            }
            open.push((key, now, 0));
        }
        let at = open.iter().position(|(known, ..)| *known == key).unwrap();
        open[at].2 += 1;
        let reason = if open[at].2 == bounds.count {
            GatherReason::Complete
        } else if open[at].2 == bounds.events {
            GatherReason::Full
        } else {
            continue;
        };
        let (key, _, events) = open.remove(at);
        over.push(key);
        ended.push((key, events, reason));
    }
    (ended, late)
}

async fn real(script: &Script, bounds: Bounds) -> (Ended, u64) {
    let (bus, ended) = (Bus::new(), Arc::new(Mutex::new(Vec::new())));
    let keep = ended.clone();
    let gatherer = Gather::of("a", Until::count(bounds.count))
        .unwrap()
        .timeout(ms(TIMEOUT))
        .keys(bounds.keys)
        .events(bounds.events)
        .each(move |it| keep.lock().push((it.key.parse().unwrap(), it.events.len(), it.reason)))
        .attach(&bus)
        .unwrap();
    for (passes, key) in script {
        if *passes > 0 {
            sleep(ms(passes * 10)).await;
            // Its own timer may be due at the same time.
            tokio::task::yield_now().await;
        }
        bus.publish(of("a", &key.to_string())).await.unwrap();
    }
    sleep(ms(10_000)).await;
    let late = gatherer.stats().late;
    assert_eq!((gatherer.stats().open, gatherer.stats().bytes), (0, 0));
    (std::mem::take(&mut *ended.lock()), late)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn gathering_is_what_the_oracle_says(
        script in prop::collection::vec((0..6_u64, 0..8_u8), 0..60),
        (count, keys, events) in (1..6_usize, 1..5_usize, 1..6_usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let bounds = Bounds { count, keys, events };
        let (got, late) = runtime.block_on(real(&script, bounds));
        let (expected, expected_late) = oracle(&script, bounds);
        let events: usize = got.iter().map(|(_, events, _)| events).sum();
        prop_assert_eq!(events as u64 + late, script.len() as u64);
        prop_assert_eq!((got, late), (expected, expected_late));
    }
}
