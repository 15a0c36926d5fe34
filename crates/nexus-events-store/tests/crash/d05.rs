//! A commit that nobody was answered, half on the disk and half noise.

use nexus_events_dispatch::store::{Ack, Append, EventStore};

use crate::life::open;
use crate::medium::{End, Loss, Machine, SimMedium};
use crate::model::Model;
use crate::random::Random;
use crate::script::event;
use crate::tally::prove;
use crate::view::View;
use crate::wait::wait;

#[test]
fn d05_what_was_never_answered_is_cut_off_and_the_rest_opens() {
    prove("tail", 60, |seed, counts| {
        let (mut random, model) = (Random::new(seed), Model::new());
        let medium = SimMedium::new(Machine::default(), seed);
        let store = open(&medium, model.clock()).unwrap();
        let mut answered = 0;
        for number in 0..6 {
            let append = Append::of(event(&mut random)).put("orders", "a", vec![number]);
            answered = medium.calls();
            wait(store.append(append.ack(Ack::Synced))).unwrap();
        }
        let whole = View::of(&store).unwrap();
        let trace = medium.trace();
        drop(store);
        let points: Vec<usize> = (answered..trace.calls.len()).collect();
        trace.visit(&points, |at, machine| {
            let mut torn = machine.clone();
            let path = std::path::Path::new("data/events.nexus");
            torn.scramble_unsynced(path, &mut random);
            let loss = random.pick(&Loss::ALL);
            let left = End::PowerCut(loss).apply(&torn, None, &mut random);
            let store = open(&SimMedium::new(left, 0), model.clock())
                .map_err(|error| format!("call {at}, {loss:?}: {error}"))?;
            let view = View::of(&store).map_err(|error| format!("call {at}: {error}"))?;
            let (events, all) = (view.events(), whole.events());
            if events != &all[..5] && events != all {
                return Err(format!("call {at}: {}", view.summary()));
            }
            *counts.entry("crash points").or_default() += 1;
            Ok(())
        })
    });
}
