//! Each call to the disk fails once, or from then on, while a program goes on publishing.

use std::io::ErrorKind as Io;

use nexus_events_dispatch::ErrorKind;
use nexus_events_dispatch::store::{Ack, Append, EventStore, Retention, StateStore};
use nexus_events_store::Store;

use crate::life::open;
use crate::medium::{End, Fault, Loss, Machine, SimMedium, Site};
use crate::model::Model;
use crate::random::Random;
use crate::script::event;
use crate::tally::{Counts, prove, tried};
use crate::view::View;
use crate::wait::wait;

const SCRIPTS: u64 = 25;

/// An append that says with state which one it is.
struct Tried {
    number: usize,
    append: Append,
    answer: Result<(), ErrorKind>,
}

fn errors(site: Site) -> &'static [Io] {
    match site {
        Site::Read => &[Io::Other, Io::UnexpectedEof],
        Site::Len => &[Io::Other],
        Site::Open | Site::Rename | Site::Remove | Site::SyncFolder => {
            &[Io::Other, Io::StorageFull]
        }
        Site::Write | Site::SetLen | Site::Sync => &[Io::Other, Io::StorageFull],
    }
}

/// Publishes one by one, sometimes some at once, with a trim in between.
fn publish(medium: &SimMedium, seed: u64, fault: Option<Fault>) -> Result<Vec<Tried>, String> {
    let (mut random, model) = (Random::new(seed), Model::new());
    medium.set(|state| state.fault = fault);
    let store = match open(medium, model.clock()) {
        Ok(store) => store,
        Err(error) => return expected_of_opening(error.kind()).map(|()| Vec::new()),
    };
    let mut all = Vec::new();
    for round in 0..6 {
        let appends: Vec<_> = (0..if round < 4 { 1 + random.below(3) } else { 1 })
            .map(|_| {
                let number = all.len();
                let events = (0..1 + random.below(3))
                    .fold(Append::new(), |append, _| append.event(event(&mut random)));
                let append = events.put("number", number.to_be_bytes(), vec![7; 10]);
                all.push(Tried { number, append: append.clone(), answer: Ok(()) });
                (number, store.append(append.ack(Ack::Synced)))
            })
            .collect();
        for (number, answer) in appends {
            all[number].answer = wait(answer).map(drop).map_err(|error| error.kind());
        }
        if round == 2 {
            let trimmed = wait(store.trim(Retention::new().events(1_000)));
            let _ = trimmed.map_err(|error| error.kind());
        }
    }
    poisoned_for_good(&store, &all)?;
    let is_over = fault.is_some_and(|fault| !fault.lasts) && !store.stats().poisoned;
    // The fault may hit the last but one, or the last.
    if is_over && all.iter().rev().take(2).all(|tried| tried.answer.is_err()) {
        return Err(format!(
            "it does not get over it: {:?}",
            all.last().map(|tried| &tried.answer)
        ));
    }
    drop(store);
    Ok(all)
}

fn expected_of_opening(kind: ErrorKind) -> Result<(), String> {
    let expected = [ErrorKind::Store, ErrorKind::StoreFull, ErrorKind::Corrupt, ErrorKind::Format];
    match expected.contains(&kind) {
        true => Ok(()),
        false => Err(format!("opening says {kind:?}")),
    }
}

/// After the first answer that the disk has failed there is no other one.
fn poisoned_for_good(store: &Store, all: &[Tried]) -> Result<(), String> {
    let poisoned = |tried: &&Tried| tried.answer == Err(ErrorKind::Poisoned);
    let Some(first) = all.iter().find(poisoned) else { return Ok(()) };
    match all[first.number..].iter().find(|tried| tried.answer.is_ok()) {
        Some(tried) => Err(format!("{} is answered after {} was not", tried.number, first.number)),
        None if !store.stats().poisoned => Err("it does not say that it is poisoned".to_owned()),
        None => Ok(()),
    }
}

/// Opens what is left, and compares it with the answers.
fn compare(left: Machine, all: &[Tried]) -> Result<(), String> {
    let model = Model::new();
    let store = open(&SimMedium::new(left, 0), model.clock())
        .map_err(|error| format!("it does not open: {error}"))?;
    let view = View::of(&store).map_err(|error| format!("it cannot be read: {error}"))?;
    if let Some(wrong) = view.contradiction() {
        return Err(wrong);
    }
    let mut events = view.events().iter().map(|stored| &stored.event);
    for Tried { number, append, answer } in all {
        let state = wait(store.get("number", &number.to_be_bytes()));
        let is_there = state.map_err(|error| error.to_string())?.is_some();
        match answer {
            Ok(()) if !is_there => return Err(format!("append {number} is lost")),
            Err(kind) if is_there && *kind != ErrorKind::Poisoned => {
                return Err(format!("append {number} is there, but was refused as {kind:?}"));
            }
            _ => (),
        }
        let wanted = append.events.iter().filter(|_| is_there).map(|keyed| &keyed.event);
        for wanted in wanted {
            if events.next() != Some(wanted) {
                return Err(format!("the events of append {number} are others"));
            }
        }
    }
    match events.next() {
        Some(event) => Err(format!("nobody published {event:?}")),
        None => Ok(()),
    }
}

fn with_fault(seed: u64, fault: Fault, counts: &mut Counts) -> Result<(), String> {
    let medium = SimMedium::new(Machine::default(), seed);
    let all = publish(&medium, seed, Some(fault))?;
    *counts.entry("failed calls").or_default() += 1;
    let is_poisoned = all.iter().any(|tried| tried.answer == Err(ErrorKind::Poisoned));
    *counts.entry("that stopped the store").or_default() += u64::from(is_poisoned);
    compare(medium.machine(), &all).map_err(|what| format!("as the system shows it: {what}"))?;
    let mut random = Random::new(seed ^ fault.at as u64);
    let loss = random.pick(&Loss::ALL);
    let left = End::PowerCut(loss).apply(&medium.machine(), None, &mut random);
    compare(left, &all).map_err(|what| format!("after a loss of power, {loss:?}: {what}"))
}

#[test]
fn d07_each_call_fails_and_what_was_answered_is_there() {
    prove("faults", SCRIPTS, |seed, counts| {
        let clean = SimMedium::new(Machine::default(), seed);
        let answers = publish(&clean, seed, None)?;
        assert!(answers.iter().all(|tried| tried.answer.is_ok()));
        let sites = clean.sites();
        for (at, site) in sites.iter().enumerate() {
            for kind in errors(*site) {
                let fault = Fault { at, kind: *kind, lasts: (seed + at as u64).is_multiple_of(2) };
                with_fault(seed, fault, counts).map_err(|what| {
                    format!("call {at} of {} ({site:?}), {fault:?}: {what}", sites.len())
                })?;
            }
        }
        Ok(())
    });
}

#[test]
fn d07_a_lying_disk_is_noticed() {
    let (_, noticed) = tried(0..100, |seed, counts| {
        let medium = SimMedium::new(Machine::default(), seed);
        medium.set(|state| state.sabotage.lies = 100);
        let all = publish(&medium, seed, None)?;
        let none = Loss::ALL[0];
        let left = End::PowerCut(none).apply(&medium.machine(), None, &mut Random::new(seed));
        *counts.entry("tried").or_default() += 1;
        compare(left, &all)
    });
    assert!(noticed.is_some());
}

#[test]
fn d07_a_store_that_could_not_be_made_can_be_made_afterwards() {
    for at in 0..30 {
        let medium = SimMedium::new(Machine::default(), 0);
        let fault = Fault { at, kind: Io::Other, lasts: true };
        medium.set(|state| state.fault = Some(fault));
        let model = Model::new();
        let made = open(&medium, model.clock());
        medium.set(|state| state.fault = None);
        drop(made);
        let store = open(&SimMedium::new(medium.machine(), 0), model.clock()).unwrap();
        assert!(store.bounds().is_empty());
    }
}
