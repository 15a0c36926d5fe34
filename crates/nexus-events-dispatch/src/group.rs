//! Consumer groups: several handlers behind one queue, one of which gets each event.
//!
//! In the index a group has one entry, its head, which owns the queue. The consumers are entries
//! of their own that are in no route; their tasks take events from the head's queue.

use nexus_events_model::{Event, Pattern, Text};

use crate::context::Context;
use crate::durable;
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::handler::{Called, Handler, Mode};
use crate::lane::Lane;
use crate::subscription::SubscriptionOptions;
use crate::sync::Arc;

/// What stands for a handler in the head of a group. Its consumers run instead.
pub(crate) struct Head;

impl Handler for Head {
    fn call<'a>(&'a self, _: &'a Event, _: &'a Context) -> Called<'a> {
        Called::Ready(Err("a group has no handler of its own".into()))
    }

    fn name(&self) -> Text {
        Text::from_static("group")
    }
}

impl Entry {
    /// Becomes the head of a group.
    pub(crate) fn lead(&self, lane: Option<Arc<Lane>>) {
        if let Some(lane) = lane {
            let _ = self.lane.set(lane);
        }
    }

    /// Becomes a consumer of the group with this head.
    pub(crate) fn join(self: &Arc<Self>, head: &Arc<Self>) {
        let _ = self.group.set(head.clone());
        if let Some(lane) = head.lane.get() {
            self.give(lane.clone());
        }
    }

    /// Takes events from this lane.
    pub(crate) fn give(self: &Arc<Self>, lane: Arc<Lane>) {
        let _ = self.lane.set(lane.clone());
        lane.join(self);
    }

    /// Whether a handler registered like this may be a consumer of this group.
    pub(crate) fn admit(
        &self,
        pattern: &Pattern,
        mode: Mode,
        options: &SubscriptionOptions,
        front: Option<&Arc<dyn Handler>>,
    ) -> Result<()> {
        let refuse = |message| Err(Error::new(ErrorKind::InvalidOption, message));
        let Some(lane) = self.lane.get() else { return Ok(()) };
        let wants = match self.front.get() {
            Some(_) => durable::lane(options),
            None => options.lane(),
        };
        let has = lane.options();
        let reads_as = self.front.get().map(|front| front.handler.name());
        let differs = [
            (reads_as != front.map(|front| front.name()), "durable handler"),
            (self.pattern != *pattern, "pattern"),
            (self.filters != options.filters, "filters"),
            (self.priority != options.priority, "handler priority"),
            (self.mode != mode, "mode"),
            (self.responds != options.responds, "say on whether they respond"),
            (has.bounds.events != wants.bounds.events, "queue"),
            (has.bounds.bytes != wants.bounds.bytes, "queue_bytes"),
            (has.overload != wants.overload, "overload"),
            (has.key != wants.key, "key; clones of the same options have the same"),
        ];
        if let Some((_, what)) = differs.into_iter().find(|(differs, _)| *differs) {
            return refuse(format!(
                "the group `{}` has another {what}; give all its consumers the same, or name another group",
                self.name
            ));
        }
        Ok(())
    }
}
