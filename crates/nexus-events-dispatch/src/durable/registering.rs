//! A durable handler that is being registered. Its name is taken from the moment on when it was
//! found free, so that two who register it at once do not both get it.

use nexus_events_model::Text;

use super::consumer::Consumer;
use super::feed::Feed;
use super::{Durable, Durables};
use crate::bus::Bus;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::sync::{Arc, Ordering};

/// Holds a name, and the consumer that is going to read under it.
pub(crate) struct Registering {
    pub(crate) consumer: Arc<Consumer>,
    durables: Arc<Durables>,
}

impl Durables {
    /// Takes the name of a durable handler, or joins the group that reads under it.
    pub(super) fn reserve(
        self: &Arc<Self>,
        durable: &Durable,
        group: Option<&Text>,
    ) -> Result<Registering> {
        let new = Consumer::new(durable.clone(), group.cloned(), self);
        let mut consumers = self.consumers.lock();
        let consumer = match consumers.iter().find(|it| *it.name() == durable.name) {
            Some(consumer) if consumer.is_of(group) => consumer.clone(),
            Some(consumer) => return Err(is_taken(&durable.name, consumer)),
            None => {
                consumers.push(new.clone());
                new
            }
        };
        consumer.registering.fetch_add(1, Ordering::Relaxed);
        Ok(Registering { consumer, durables: self.clone() })
    }

    /// Those that read the log, in the order of their registration.
    pub(crate) fn readers(&self) -> Vec<Arc<Consumer>> {
        let consumers = self.consumers.lock();
        consumers.iter().filter(|consumer| consumer.front().is_some()).cloned().collect()
    }
}

impl Registering {
    /// Lets the consumer begin for what is registered now, unless another of its group has.
    pub(crate) fn done(self, bus: &Bus, entry: &Arc<Entry>) -> Result<()> {
        let target = entry.group.get().unwrap_or(entry).clone();
        let Some(front) = target.front.get() else { return Ok(()) };
        if self.consumer.is_behind(front) {
            self.consumer.begins_here(&self.durables);
            if let Some(runtime) = &entry.runtime {
                let feed = Feed::new(self.consumer.clone(), target, bus, &self.durables);
                runtime.spawn(feed.run());
            }
            return Ok(());
        }
        match self.consumer.front() {
            Some(known) if Arc::ptr_eq(known, front) => Ok(()),
            // The group that was joined has ended meanwhile, and its consumer with it.
            _ => {
                bus.0.registry.end(entry);
                bus.0.registry.remove(entry);
                Err(is_taken(self.consumer.name(), &self.consumer))
            }
        }
    }
}

impl Drop for Registering {
    /// A name that nobody has come to read under is free again.
    fn drop(&mut self) {
        let mut consumers = self.durables.consumers.lock();
        let is_last = self.consumer.registering.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last && self.consumer.front().is_none() {
            consumers.retain(|other| !Arc::ptr_eq(other, &self.consumer));
        }
    }
}

fn is_taken(name: &str, consumer: &Consumer) -> Error {
    let message = if consumer.has_ended() {
        format!(
            "the durable handler that read as `{name}` is still ending; wait for its `unsubscribe` first"
        )
    } else {
        format!(
            "a durable handler reads as `{name}` already; choose another name, or put both into one `.group(..)`"
        )
    };
    Error::new(ErrorKind::DuplicateName, message)
}
