//! One commit of everything at once: events, the state of a saga, a cursor, an outbox.

use nexus_events_dispatch::store::{Append, Cursor, EventStore, Offset};

use crate::life::open;
use crate::medium::{End, Loss, Machine, SimMedium};
use crate::model::Model;
use crate::random::Random;
use crate::script::event;
use crate::tally::{Counts, prove};
use crate::view::{KEYS, View};
use crate::wait::wait;

fn ends() -> impl Iterator<Item = End> {
    Loss::ALL.into_iter().map(End::PowerCut).chain([End::Killed])
}

/// 10 events and 4 states.
fn everything(random: &mut Random) -> Append {
    let append = (0..10).fold(Append::new(), |append, number| {
        append.keyed_event(KEYS[number % KEYS.len()], event(random))
    });
    append
        .put("saga", "order-1", "paid")
        .cursor("billing", &Cursor::at(Offset::new(3)))
        .put("outbox", "mail-1", "to be sent")
        .put("outbox", "mail-2", "to be sent")
}

fn at_each_call(seed: u64, counts: &mut Counts) -> Result<(), String> {
    let (mut random, mut model) = (Random::new(seed), Model::new());
    let medium = SimMedium::new(Machine::default(), seed);
    let store = open(&medium, model.clock()).unwrap();
    for _ in 0..random.below(4) {
        let append = Append::of(event(&mut random)).put("orders", "a", vec![1; 100]);
        wait(store.append(append.clone())).unwrap();
        model.append(&append).unwrap();
    }
    let (none, began) = (model.view().clone(), medium.calls());
    let append = everything(&mut random);
    wait(store.append(append.clone())).unwrap();
    let ended = medium.calls();
    model.append(&append).unwrap();
    let all = model.view().clone();
    let trace = medium.trace();
    drop(store);
    let points: Vec<usize> = (began..=ended).collect();
    trace.visit(&points, |at, machine| {
        for end in ends() {
            let left = end.apply(machine, trace.calls.get(at), &mut random);
            let store = open(&SimMedium::new(left, 0), model.clock())
                .map_err(|error| format!("call {at}, {end:?}: {error}"))?;
            let view = View::of(&store).map_err(|error| error.to_string())?;
            if view != all && (view != none || at == ended) {
                return Err(format!("call {at}, {end:?}: {}", view.summary()));
            }
            let which = if view == all { "crash points with all" } else { "with nothing" };
            *counts.entry(which).or_default() += 1;
        }
        Ok(())
    })
}

#[test]
fn d06_all_of_a_commit_is_there_or_nothing() {
    let counts = prove("commit", 50, at_each_call);
    assert_eq!(counts.len(), 2, "{counts:?}");
}
