//! Crashes where lookups, idempotency keys and versions of keys are written down.

use nexus_events_dispatch::store::{Append, EventStore, Progress, Read, Retention, Select};
use nexus_events_store::Store;
use nexus_events_store::limits::{BATCH_EVENTS_MAX, BLOCK_EVENTS};

use crate::life::open;
use crate::medium::{End, Loss, Machine, SimMedium};
use crate::model::Model;
use crate::random::Random;
use crate::script::event;
use crate::tally::{Counts, prove};
use crate::view::events;
use crate::wait::wait;

const SEEDS: u64 = 1;
const KEY: &str = "order-1";
/// Events of an append.
const EVENTS: u64 = 5;

fn append(number: u64, events: u64, random: &mut Random) -> Append {
    let append =
        (0..events).fold(Append::new(), |append, _| append.keyed_event(KEY, event(random)));
    append.idempotency_key(format!("once-{number}"))
}

/// A store whose next events but some make a block, and how many it has.
fn nearly_a_block(store: &Store, random: &mut Random) -> u64 {
    let (mut count, mut number) = (0, 1_000);
    while count < BLOCK_EVENTS - EVENTS {
        let more = (BLOCK_EVENTS - EVENTS - count).min(BATCH_EVENTS_MAX as u64);
        wait(store.append(append(number, more, random))).unwrap();
        (count, number) = (count + more, number + 1);
    }
    count
}

fn at_each_call(seed: u64, counts: &mut Counts) -> Result<(), String> {
    let (mut random, model) = (Random::new(seed), Model::new());
    let medium = SimMedium::new(Machine::default(), seed);
    let store = open(&medium, model.clock()).unwrap();
    let base = nearly_a_block(&store, &mut random);
    let before = medium.calls();
    let mut answered = vec![before];
    for number in 0..3 {
        wait(store.append(append(number, EVENTS, &mut random))).unwrap();
        answered.push(medium.calls());
    }
    // Now what was written down is the only place of the first idempotency keys.
    let kept = Retention::new().events(EVENTS);
    wait(store.trim(kept)).unwrap();
    answered.push(medium.calls());
    let trace = medium.trace();
    drop(store);
    let points: Vec<usize> = (before..=trace.calls.len()).collect();
    trace.visit(&points, |at, machine| {
        let done = answered.iter().filter(|answered| **answered <= at).count() - 1;
        let end = match random.below(4) {
            0 => End::Killed,
            _ => End::PowerCut(random.pick(&Loss::ALL)),
        };
        let left = end.apply(machine, trace.calls.get(at), &mut random);
        let store = open(&SimMedium::new(left, 0), model.clock())
            .map_err(|error| format!("call {at}, {end:?}: {error}"))?;
        *counts.entry("crash points").or_default() += 1;
        is_as_it_should(&store, base, done as u64, &mut random)
            .map_err(|what| format!("call {at}, {end:?}, {done} done: {what}"))
    })
}

fn is_as_it_should(store: &Store, base: u64, done: u64, random: &mut Random) -> Result<(), String> {
    let bounds = store.bounds();
    let there = (bounds.last.number() - base) / EVENTS;
    if there < done.min(3) || there > (done + 1).min(3) || (done == 4 && bounds.len() != EVENTS) {
        return Err(format!("{bounds:?}"));
    }
    let sound = wait(store.verify(Progress::none())).map_err(|error| error.to_string())?;
    let version = wait(store.key_version(KEY)).map_err(|error| error.to_string())?;
    let by_key = Read::all().events(10_000).select(Select::new().key(KEY));
    let found = events(store, by_key).map_err(|error| error.to_string())?;
    if !sound.is_sound() || version != bounds.last.number() || found.len() as u64 != bounds.len() {
        return Err(format!("{sound:?}, version {version}, {} found by key", found.len()));
    }
    for number in (0..there).chain([1_000, 1_001]) {
        let again = append(number, EVENTS, random);
        if !wait(store.append(again)).map_err(|error| error.to_string())?.duplicate {
            return Err(format!("append {number} has happened twice"));
        }
    }
    Ok(())
}

#[test]
fn d02_a_crash_where_lookups_are_written_down_loses_nothing() {
    prove("block", SEEDS, at_each_call);
}
