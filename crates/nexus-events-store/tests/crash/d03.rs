//! A file that was damaged while nobody had it open.

use std::path::Path;
use std::sync::Arc;

use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::{
    Append, EventStore, Offset, Progress, Read, StateStore, StoredEvent,
};
use nexus_events_store::Store;

use crate::life::open;
use crate::medium::{Damage, Machine, SimMedium};
use crate::model::Model;
use crate::random::Random;
use crate::script::event;
use crate::tally::{Counts, prove};
use crate::view::{KEYS, View};
use crate::wait::wait;

const TRIALS: u64 = 5_000;
const PATH: &str = "data/events.nexus";
const STATES: usize = 12;

struct Whole {
    machine: Machine,
    view: View,
}

impl Whole {
    fn new(seed: u64) -> Self {
        let (mut random, model) = (Random::new(seed), Model::new());
        let medium = SimMedium::new(Machine::default(), seed);
        let store = open(&medium, model.clock()).unwrap();
        for number in 0..STATES {
            let append = (0..3)
                .fold(Append::new(), |append, at| append.keyed_event(KEYS[at], event(&mut random)));
            let append = append.idempotency_key(format!("once-{number}"));
            wait(store.append(append.put("orders", name(number), vec![number as u8; 40]))).unwrap();
        }
        let view = View::of(&store).unwrap();
        wait(store.close()).unwrap();
        Self { machine: medium.machine(), view }
    }
}

fn name(number: usize) -> String {
    format!("order-{number}")
}

/// What was seen of damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Nothing,
    AtOpening,
    AtReading,
    AtVerifying,
}

/// Reads everything; an error is an answer, something else than what was there is none.
fn read(machine: &Machine, whole: &View) -> Result<Seen, String> {
    let model = Model::new();
    let medium = SimMedium::new(machine.clone(), 0);
    let store = match open(&medium, model.clock()) {
        Ok(store) => store,
        Err(error) => return named(error.kind()).map(|()| Seen::AtOpening),
    };
    let mut seen = Seen::Nothing;
    if store.bounds().last.number() != whole.events().len() as u64 {
        return Err(format!("it ends with {}, and says nothing", store.bounds().last));
    }
    for stored in whole.events() {
        match one(&store, stored.offset) {
            Ok(Some(read)) if read == *stored => (),
            Ok(read) => return Err(format!("offset {}: {read:?}", stored.offset)),
            Err(kind) => {
                named(kind)?;
                seen = Seen::AtReading;
            }
        }
    }
    for number in 0..STATES {
        match wait(store.get("orders", name(number).as_bytes())) {
            Ok(Some(state)) if state.value == vec![number as u8; 40] => (),
            // Which keys there are only a look at all of them tells.
            Ok(None) => seen = Seen::AtVerifying,
            Ok(state) => return Err(format!("state {number}: {state:?}")),
            Err(error) => {
                named(error.kind())?;
                seen = Seen::AtReading;
            }
        }
    }
    let integrity = wait(store.verify(Progress::none()));
    // It is not to be written to when it is closed: where the list of free pages is damaged, the
    // database below panics as it writes, and in what it drops then once more.
    medium.cut_power();
    if seen != Seen::Nothing && integrity.is_ok_and(|integrity| integrity.is_sound()) {
        return Err("what cannot be read is sound, says verify".to_owned());
    }
    Ok(seen)
}

fn one(store: &Store, offset: Offset) -> Result<Option<StoredEvent>, ErrorKind> {
    let read = Read::after(offset.before()).until(offset);
    let page = wait(store.read(read)).map_err(|error| error.kind())?;
    Ok(page.events.into_iter().next())
}

fn named(kind: ErrorKind) -> Result<(), String> {
    match kind {
        ErrorKind::Corrupt | ErrorKind::Format => Ok(()),
        kind => Err(format!("damage is called {kind:?}")),
    }
}

/// What a repair saves is what was there.
fn repaired(machine: &Machine, whole: &View) -> Result<(), String> {
    let medium = SimMedium::new(machine.clone(), 0);
    if Store::repair_on(Arc::new(medium.clone()), Path::new(PATH), true).is_err() {
        return Ok(());
    }
    let store = open(&medium, Model::new().clock())
        .map_err(|error| format!("after its repair it does not open: {error}"))?;
    let sound = wait(store.verify(Progress::none())).map_err(|error| error.to_string())?;
    if !sound.is_sound() {
        return Err(format!("after its repair: {:?}", sound.damage));
    }
    for stored in whole.events() {
        match one(&store, stored.offset) {
            Ok(Some(read)) if read == *stored => (),
            Ok(None) | Err(_) => (),
            Ok(read) => return Err(format!("repaired offset {}: {read:?}", stored.offset)),
        }
    }
    Ok(())
}

#[test]
fn d03_damage_is_an_error_and_never_another_event() {
    let whole = Whole::new(1);
    let len = whole.machine.len(Path::new(PATH));
    prove("damage", TRIALS, |seed, counts: &mut Counts| {
        let mut random = Random::new(seed);
        let damage = Damage::random(len, &mut random);
        let mut machine = whole.machine.clone();
        machine.damage(Path::new(PATH), damage);
        let seen = read(&machine, &whole.view).map_err(|what| format!("{damage:?}: {what}"))?;
        let what = match seen {
            Seen::Nothing => "without effect",
            Seen::AtOpening => "refused when it was opened",
            Seen::AtReading => "named when it was read",
            Seen::AtVerifying => "named when all was verified",
        };
        *counts.entry(what).or_default() += 1;
        if seen != Seen::Nothing && seed % 10 == 0 {
            repaired(&machine, &whole.view).map_err(|what| format!("{damage:?}: {what}"))?;
            *counts.entry("repaired").or_default() += 1;
        }
        Ok(())
    });
}

#[test]
fn d03_another_event_in_its_place_is_noticed() {
    let (one, other) = (Whole::new(1), Whole::new(2));
    assert!(read(&one.machine, &one.view).is_ok());
    assert!(read(&other.machine, &one.view).unwrap_err().contains("offset 1"));
}
