//! `bevy_ecs` observers. A world has one owner, so two producers share it behind a mutex.

use std::sync::{Mutex, PoisonError};

use bevy_ecs::event::Event;
use bevy_ecs::observer::On;
use bevy_ecs::world::World;

use crate::event::{Lean, handle_lean};
use crate::inline::{Inline, Peer};
use crate::source::Source;

pub(crate) const PEER: Peer = Peer {
    name: "bevy_ecs observers",
    start: |handlers| {
        let mut world = World::new();
        for _ in 0..handlers {
            world.add_observer(|event: On<Completed>| handle_lean(&event.0));
        }
        world.flush();
        Box::new(Mutex::new(world))
    },
    runs: |handlers| handlers,
};

#[derive(Event)]
struct Completed(Lean);

impl Inline for Mutex<World> {
    fn publish(&self, source: Source, producers: usize) {
        let lock = || self.lock().unwrap_or_else(PoisonError::into_inner);
        let mut alone = (producers == 1).then(lock);
        for given in source {
            let event = Completed(Lean::new(given));
            match &mut alone {
                Some(world) => world.trigger(event),
                None => lock().trigger(event),
            }
        }
    }
}
