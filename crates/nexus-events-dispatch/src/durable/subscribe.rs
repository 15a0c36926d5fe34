//! Registering a durable handler.

use super::Durable;
use super::consumer::Consumer;
use super::counted::Counted;
use super::doorbell::Doorbell;
use super::feed::Feed;
use super::in_turn::InTurn;
use crate::bus::Bus;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::handler::{Handler, Mode};
use crate::lane::LaneOptions;
use crate::layer::Layer;
use crate::layers::OnPark;
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use crate::queue::{Bounds, Overload};
use crate::subscription::SubscriptionOptions;
use crate::sync::Arc;

impl Bus {
    /// What a durable handler is registered with, and its consumer.
    pub(crate) fn durable(
        &self,
        durable: &Durable,
        options: SubscriptionOptions,
    ) -> Result<(SubscriptionOptions, Arc<Consumer>, bool)> {
        let message = "the bus has no store, so no handler can be durable; add `.store(..)` to `Bus::builder()`";
        let durables = self.durables().ok_or_else(|| Error::invalid_option(message))?;
        check(durable, &options)?;
        let mut options = options;
        let name = durable.name.clone();
        options.name.get_or_insert(name.clone());
        let key = options.key.clone().filter(|_| durable.on_park == OnPark::Hold);
        let mut layers: Vec<Arc<dyn Layer>> = Vec::new();
        layers.extend(key.map(|key| Arc::new(InTurn(key)) as Arc<dyn Layer>));
        layers.push(Arc::new(durables.letters.layer().on_park(durable.on_park)));
        layers.push(Arc::new(durable.retry.clone()));
        layers.append(&mut options.layers.0);
        layers.push(Arc::new(Counted));
        options.layers.0 = layers;
        let known = durables.consumers.lock().iter().find(|it| *it.name() == name).cloned();
        match known {
            Some(consumer) if consumer.is_of(options.group.as_ref()) => {
                Ok((options, consumer, false))
            }
            Some(consumer) => Err(is_taken(&name, &consumer)),
            None => {
                let group = options.group.clone();
                Ok((options, Consumer::new(durable.clone(), group, durables), true))
            }
        }
    }

    /// Waits until the cursor of a handler that has ended is written.
    pub(crate) async fn left_log(&self, entry: &Arc<Entry>) {
        let front = entry.group.get().unwrap_or(entry).front.get();
        let (Some(durables), Some(front)) = (self.durables(), front) else { return };
        let is_its = |consumer: &&Arc<Consumer>| {
            front.has_ended() && consumer.front().is_some_and(|other| Arc::ptr_eq(other, front))
        };
        let consumer = durables.consumers.lock().iter().find(is_its).cloned();
        if let Some(consumer) = consumer {
            consumer.closed().await;
        }
    }

    /// Lets a consumer begin that is registered now.
    pub(crate) fn start(&self, consumer: Arc<Consumer>, entry: &Arc<Entry>) {
        let target = entry.group.get().unwrap_or(entry).clone();
        let (Some(durables), Some(front)) = (self.durables(), target.front.get()) else { return };
        consumer.is_behind(front);
        consumer.begins_here(durables);
        durables.consumers.lock().push(consumer.clone());
        if let Some(runtime) = &entry.runtime {
            runtime.spawn(Feed::new(consumer, target, self, durables).run());
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

fn check(durable: &Durable, options: &SubscriptionOptions) -> Result<()> {
    if durable.name.is_empty() || durable.name.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(Error::invalid_option(format!(
            "the name of a durable handler has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes, not {}",
            durable.name.len()
        )));
    }
    let set = [
        (options.overload.is_some(), "overload"),
        (options.queue.is_some(), "queue"),
        (options.queue_bytes.is_some(), "queue_bytes"),
    ];
    if let Some((_, option)) = set.into_iter().find(|(set, _)| *set) {
        return Err(Error::invalid_option(format!(
            "a durable handler drops nothing, what waits for it waits in the log; leave .{option}(..) out"
        )));
    }
    if options.mode == Some(Mode::Inline) {
        let message = "a durable handler takes its events from the log, so it is queued; leave .mode(Mode::Inline) out";
        return Err(Error::invalid_option(message));
    }
    Ok(())
}

/// Where it runs: as it says, but never on a publisher's stack.
pub(crate) fn mode_of(handler: &dyn Handler, options: &SubscriptionOptions) -> Mode {
    match options.mode.unwrap_or_else(|| handler.mode()) {
        Mode::Blocking => Mode::Blocking,
        _ => Mode::Queued,
    }
}

/// Its queue: the consumer sees to the bounds.
pub(crate) fn lane(options: &SubscriptionOptions) -> LaneOptions {
    let bounds = Bounds { events: usize::MAX, bytes: usize::MAX };
    LaneOptions { bounds, overload: Overload::default(), ..options.lane() }
}

/// What rings for it in the registry.
pub(crate) fn front(consumer: &Arc<Consumer>) -> Arc<dyn Handler> {
    Arc::new(Doorbell(consumer.clone()))
}
