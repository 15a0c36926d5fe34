//! `bevy_ecs` observers. A world has one owner, so two producers share it behind a mutex.

use std::sync::{Mutex, PoisonError};

use bevy_ecs::event::Event;
use bevy_ecs::observer::On;
use bevy_ecs::world::World;

use crate::carried::{Carried, LeanEvent, OurEvent};
use crate::inline::{Inline, Peer};
use crate::source::Source;

pub(crate) const PEER: Peer = peer::<LeanEvent>("bevy_ecs observers");
pub(crate) const WITH_OURS: Peer = peer::<OurEvent>("bevy_ecs observers, our event");

const fn peer<C: Carried>(name: &'static str) -> Peer {
    Peer {
        name,
        start: |handlers| {
            let mut world = World::new();
            for _ in 0..handlers {
                world.add_observer(|event: On<Completed<C::Event>>| C::handle(&event.0));
            }
            world.flush();
            Box::new(Bevy { world: Mutex::new(world), make: C::new() })
        },
        runs: |handlers| handlers,
    }
}

#[derive(Event)]
struct Completed<E: Send + Sync + 'static>(E);

struct Bevy<C> {
    world: Mutex<World>,
    make: C,
}

impl<C: Carried> Inline for Bevy<C> {
    fn publish(&self, source: Source, producers: usize) {
        let lock = || self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let mut alone = (producers == 1).then(lock);
        for given in source {
            let event = Completed(self.make.make(given));
            match &mut alone {
                Some(world) => world.trigger(event),
                None => lock().trigger(event),
            }
        }
    }
}
