//! The same random program with the store and with the reference in memory.

use std::time::Duration;

use nexus_events_dispatch::Clock;
use nexus_events_dispatch::store::{EventStore, Offset, Read, Select, StoredEvent};
use nexus_events_model::Pattern;
use nexus_events_store::Store;

use crate::life::{Allowed, Life, open, same};
use crate::medium::{Machine, SimMedium};
use crate::model::Model;
use crate::random::Random;
use crate::script::Step;
use crate::tally::{Counts, prove, tried};
use crate::view::{KEYS, View, events};
use crate::wait::wait;

const PROGRAMS: u64 = 2_000;
const STEPS: usize = 60;

fn selection(random: &mut Random, model: &Model) -> Select {
    let mut select = Select::new();
    if random.percent(40) {
        let pattern = random.pick(&["order.*", "stock.low", "**", "nothing.*"]);
        select = select.pattern(Pattern::new(pattern).unwrap());
    }
    if random.percent(30) {
        select = select.key(random.pick(&KEYS));
    }
    if random.percent(20) {
        select = select.source(random.pick(&["shop", "till", "nobody"]));
    }
    let ago = Duration::from_secs(random.pick(&[0, 30, 600]));
    match random.below(10) {
        0 => select.since(model.clock().now() - ago),
        1 => select.before(model.clock().now() - ago),
        _ => select,
    }
}

fn a_read(random: &mut Random, model: &Model) -> Read {
    let last = model.memory().bounds().last.number() as usize;
    let mut read = match random.percent(50) {
        true => Read::all(),
        false => Read::after(Offset::new(random.below(last + 3) as u64)),
    };
    if random.percent(30) {
        read = read.until(Offset::new(random.below(last + 3) as u64));
    }
    if random.percent(30) {
        read = read.backward();
    }
    read.events(1 + random.below(10)).select(selection(random, model))
}

/// Reads the same of both.
fn compare(store: &Store, model: &Model, read: &Read) -> Result<(), String> {
    let (is, should) = (events(store, read.clone()), events(model.memory(), read.clone()));
    let offsets = |events: &Vec<StoredEvent>| -> Vec<u64> {
        events.iter().map(|stored| stored.offset.number()).collect()
    };
    let said = (is.as_ref().map(offsets), should.as_ref().map(offsets));
    same("read", &is, &should).map_err(|_| format!("{read:?}: {said:?}"))
}

fn program(seed: u64, counts: &mut Counts, forgetful: bool) -> Result<(), String> {
    let (mut random, mut model) = (Random::new(seed), Model::new());
    let medium = SimMedium::new(Machine::default(), seed);
    let mut store = open(&medium, model.clock()).map_err(|error| error.to_string())?;
    let mut life = Life::of(&medium, Allowed::exactly(0));
    for number in 0..STEPS {
        let context = |what: String| format!("step {number}: {what}");
        match random.below(10) {
            0 => {
                if random.percent(50) {
                    wait(store.close()).map_err(|error| context(error.to_string()))?;
                }
                drop(store);
                store = open(&medium, model.clock()).map_err(|error| context(error.to_string()))?;
                *counts.entry("reopened").or_default() += 1;
            }
            1..5 => {
                wait(store.key_version("")).map_err(|error| error.to_string())?;
                compare(&store, &model, &a_read(&mut random, &model)).map_err(context)?;
            }
            _ => {
                let step = Step::random(&mut random, &model);
                life.step(&medium, &store, step, &mut model).map_err(context)?;
            }
        }
        if forgetful && number == STEPS / 2 && model.len() > 0 {
            model.truncate(model.len() - 1);
        }
        *counts.entry("steps").or_default() += 1;
    }
    let view = View::of(&store).map_err(|error| error.to_string())?;
    match view == *model.view() {
        true => Ok(()),
        false => Err(format!("{}, expected: {}", view.summary(), model.view().summary())),
    }
}

#[test]
fn it_does_what_the_reference_does() {
    prove("reference", PROGRAMS, |seed, counts| program(seed, counts, false));
}

#[test]
fn a_reference_that_forgets_is_noticed() {
    let (_, noticed) = tried(0..20, |seed, counts| program(seed, counts, true));
    assert!(noticed.is_some());
}
