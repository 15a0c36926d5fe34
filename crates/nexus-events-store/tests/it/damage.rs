//! Damage: seen, named, never read as something else, and the rest is saved.

use std::path::Path;
use std::sync::Arc;

use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::{
    Append, EventStore, Offset, Progress, Read, StateStore, StoredEvent,
};
use nexus_events_store::Store;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use crate::memory::Memory;
use crate::support::{all, event, number};

const PATH: &str = "events.nexus";
const FRAMES: u64 = 40;
const EVENTS: u64 = 25;

/// Frames of 25 events each, and some state.
async fn filled() -> (Arc<Memory>, Vec<StoredEvent>) {
    let memory = Memory::new();
    let store = Store::open_on(memory.clone(), PATH).unwrap();
    for frame in 0..FRAMES {
        let append = (0..EVENTS).fold(Append::new(), |append, at| {
            append.keyed_event(format!("k-{}", at % 3), event(frame * EVENTS + at))
        });
        let append = append.put("frames", frame.to_string(), format!("state {frame}"));
        store.append(append.idempotency_key(format!("once-{frame}"))).await.unwrap();
    }
    let events = all(&store, Read::all()).await;
    store.close().await.unwrap();
    (memory, events)
}

/// Changes a byte of the payload with this number, wherever it stands in the file.
fn damage(memory: &Memory, number: u64) {
    let wanted = format!("{{\"number\":{number},\"text\":");
    memory.damage(Path::new(PATH), |bytes| {
        let found: Vec<usize> = bytes
            .windows(wanted.len())
            .enumerate()
            .filter(|(_, window)| *window == wanted.as_bytes())
            .map(|(at, _)| at)
            .collect();
        assert!(!found.is_empty(), "{wanted}");
        found.into_iter().for_each(|at| bytes[at + 3] ^= 0x20);
    });
}

fn offsets(first: u64, last: u64) -> Option<(Offset, Offset)> {
    Some((Offset::new(first), Offset::new(last)))
}

#[tokio::test]
async fn d03_a_flipped_bit_is_never_read_as_something_else() {
    let (memory, events) = filled().await;
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let (mut refused, mut damaged) = (0, 0);
    for _ in 0..150 {
        let copy = memory.healed();
        copy.damage(Path::new(PATH), |bytes| {
            let bit = random.next_u64() as usize % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
        });
        let Ok(store) = Store::open_on(copy, PATH) else {
            refused += 1;
            continue;
        };
        let mut read = Some(Read::after(Offset::START));
        while let Some(next) = read {
            let at = next.after;
            match store.read(next).await {
                Ok(page) => {
                    for stored in page.events {
                        let was = &events[stored.offset.number() as usize - 1];
                        assert_eq!((&stored.event, &stored.key), (&was.event, &was.key));
                    }
                    read = page.next;
                }
                Err(error) => {
                    assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::Corrupt | ErrorKind::Poisoned | ErrorKind::Store
                        ),
                        "{error:?}"
                    );
                    damaged += 1;
                    let next = at.number() + EVENTS;
                    read = (next < events.len() as u64).then(|| Read::after(Offset::new(next)));
                }
            }
        }
        for frame in 0..FRAMES {
            if let Ok(Some(state)) = store.get("frames", frame.to_string().as_bytes()).await {
                assert_eq!(state.value, format!("state {frame}").as_bytes());
            }
        }
        if let Ok(version) = store.key_version("k-1").await {
            assert_eq!(version, FRAMES * 8);
        }
    }
    assert!(refused + damaged > 0);
}

#[tokio::test]
async fn d04_a_damaged_frame_in_the_middle_is_named_and_the_rest_is_saved() {
    let (memory, events) = filled().await;
    damage(&memory, 20 * EVENTS + 7);
    // It is among those that are read at once.
    let error = Store::open_on(memory.clone(), PATH).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("offsets 501 to 525"), "{error}");

    let error = Store::repair_on(memory.clone(), PATH, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("offsets 501 to 525"), "{error}");

    let repaired = Store::repair_on(memory.clone(), PATH, true).unwrap();
    assert_eq!((repaired.events, repaired.states), (975, FRAMES));
    assert_eq!(
        repaired.lost.iter().map(|lost| lost.offsets).collect::<Vec<_>>(),
        [offsets(501, 525)]
    );
    assert_eq!(repaired.damaged.as_deref(), Some(Path::new("events.nexus.damaged")));

    let store = Store::open_on(memory.clone(), PATH).unwrap();
    let there = all(&store, Read::all()).await;
    assert_eq!(there.len(), 975);
    for stored in &there {
        assert_eq!(stored.event, events[stored.offset.number() as usize - 1].event);
    }
    let backward = all(&store, Read::all().backward().events(1000)).await;
    assert_eq!(
        backward.iter().rev().map(number).collect::<Vec<_>>(),
        there.iter().map(number).collect::<Vec<_>>()
    );
    assert!(store.verify(Progress::none()).await.unwrap().is_sound());
    let next = store.append(Append::of(event(5000)).idempotency_key("once-3")).await.unwrap();
    assert!(next.duplicate);
    assert_eq!(store.append(Append::of(event(5000))).await.unwrap().first, Offset::new(1001));
    drop(store);
    assert!(Store::repair_on(memory, PATH, false).unwrap().lost.is_empty());
}

#[tokio::test]
async fn d04_what_is_behind_a_block_is_found_when_it_is_read() {
    let (memory, _) = filled().await;
    let store = Store::open_on(memory.clone(), PATH).unwrap();
    // Enough for a block, so that the next one to open does not read the frames.
    let many =
        (0..9_000).fold(Append::new(), |append, number| append.event(event(10_000 + number)));
    store.append(many).await.unwrap();
    store.append(Append::of(event(99_999))).await.unwrap();
    store.close().await.unwrap();
    damage(&memory, 20 * EVENTS + 7);
    let store = Store::open_on(memory, PATH).unwrap();
    let page = store.read(Read::after(Offset::new(490))).await.unwrap();
    assert_eq!(page.events.last().unwrap().offset, Offset::new(500));
    let error = store.read(page.next.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("501 to 525"), "{error}");
    assert_eq!(store.read(Read::after(Offset::new(525))).await.unwrap().events.len(), 256);
    let backward = Read::all().until(Offset::new(530)).backward();
    assert_eq!(all_until_damage(&store, backward).await, 5);
    let found = store.verify(Progress::none()).await.unwrap();
    assert_eq!(
        found.damage.iter().map(|damage| damage.offsets).collect::<Vec<_>>(),
        [offsets(501, 525)]
    );
    assert_eq!((found.events, found.states), (9_976, FRAMES));
    // It goes on taking events.
    store.append(Append::of(event(1))).await.unwrap();
    let error = store.backup("copy.nexus", Progress::none()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

async fn all_until_damage(store: &Store, read: Read) -> usize {
    let (mut count, mut next) = (0, Some(read));
    while let Some(read) = next {
        let Ok(page) = store.read(read).await else { return count };
        count += page.events.len();
        next = page.next;
    }
    unreachable!("there is damage")
}

#[tokio::test]
async fn d05_an_unreadable_tail_is_cut() {
    let (memory, _) = filled().await;
    let epoch = Store::open_on(memory.clone(), PATH).unwrap().bounds().epoch;
    damage(&memory, 39 * EVENTS + 7);
    let error = Store::open_on(memory.clone(), PATH).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let repaired = Store::repair_on(memory.clone(), PATH, true).unwrap();
    assert_eq!(
        repaired.lost.iter().map(|lost| lost.offsets).collect::<Vec<_>>(),
        [offsets(976, 1000)]
    );
    let store = Store::open_on(memory, PATH).unwrap();
    assert_eq!(all(&store, Read::all()).await.len(), 975);
    // It was closed, so it is known how many are lost, and no offset is given twice.
    assert_eq!(store.append(Append::of(event(1))).await.unwrap().first, Offset::new(1001));
    assert_eq!(store.bounds().epoch, epoch);
}

/// Changes what is there, wherever it stands in the file.
fn replace(memory: &Memory, from: &[u8], to: &[u8]) {
    memory.damage(Path::new(PATH), |bytes| {
        let places: Vec<usize> = bytes
            .windows(from.len())
            .enumerate()
            .filter(|(_, window)| *window == from)
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    });
}

#[tokio::test]
async fn d03_a_damaged_key_of_state_costs_that_state_alone() {
    let (memory, _) = filled().await;
    // It stands in the middle of the table, and would belong behind its end.
    replace(&memory, b"frames20", b"framesz0");
    let store = Store::open_on(memory.clone(), PATH).unwrap();
    let error = store.get("frames", b"20").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("whether there is a state `20`"), "{error}");
    assert_eq!(store.get("frames", b"50").await.unwrap(), None);
    store.close().await.unwrap();
    let repaired = Store::repair_on(memory.clone(), PATH, true).unwrap();
    assert_eq!((repaired.events, repaired.states), (FRAMES * EVENTS, FRAMES - 1));
    assert_eq!(repaired.lost.len(), 1, "{:?}", repaired.lost);
    let store = Store::open_on(memory, PATH).unwrap();
    for frame in (0..FRAMES).filter(|frame| *frame != 20) {
        let state = store.get("frames", frame.to_string().as_bytes()).await.unwrap().unwrap();
        assert_eq!(state.value, format!("state {frame}").as_bytes());
    }
    assert!(store.verify(Progress::none()).await.unwrap().is_sound());
}

#[tokio::test]
async fn d04_no_offsets_are_named_that_there_never_were() {
    let (memory, _) = filled().await;
    let key = |first: u64, number: u64| [first.to_le_bytes(), number.to_le_bytes()].concat();
    // The newest frame says that it is far beyond all others.
    let last = (FRAMES - 1) * EVENTS + 1;
    let numbers = 0..FRAMES + 8;
    let wanted: Vec<Vec<u8>> = numbers.map(|number| key(last, number)).collect();
    memory.damage(Path::new(PATH), |bytes| {
        let places: Vec<usize> = bytes
            .windows(16)
            .enumerate()
            .filter(|(_, window)| wanted.iter().any(|wanted| *window == wanted.as_slice()))
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        places.into_iter().for_each(|at| bytes[at + 6] ^= 0x10);
    });
    let error = Store::repair_on(memory.clone(), PATH, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let repaired = Store::repair_on(memory, PATH, true).unwrap();
    assert_eq!(
        repaired.lost.iter().map(|lost| lost.offsets).collect::<Vec<_>>(),
        [offsets(last, FRAMES * EVENTS)],
        "{:?}",
        repaired.lost
    );
}
