//! Mending a dead letter before it is replayed.

use nexus_events_model::EventBuilder;

use super::letters::{DeadLetters, unknown};
use super::record::DeadLetter;
use crate::bus::Bus;
use crate::error::{Error, ErrorKind, Result};

impl DeadLetters {
    /// Changes the event of a dead letter, so that a replay gives the handler the new one. Its id
    /// and everything that is known of its failures stay; [`DeadLetter::edits`] counts.
    ///
    /// ```
    /// use nexus_events_dispatch::{Bus, HandlerExt, layers::{DeadLetters, Replayed}};
    /// use nexus_events_model::Event;
    /// use serde_json::json;
    /// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
    /// let (bus, letters) = (Bus::new(), DeadLetters::new());
    /// let charge = |event: &Event| event.payload().get("amount").map(|_| ()).ok_or("no amount");
    /// bus.on("order.*", charge.named("billing").layer(letters.layer()))?;
    /// bus.publish(Event::builder("order.created")).await?;
    /// letters.edit(&bus, 1, |event| event.payload(json!({"amount": 12}))).await?;
    /// assert_eq!(letters.replay(&bus, 1).await?, Replayed::Succeeded);
    /// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::UnknownDeadLetter`]; [`ErrorKind::Invalid`] for a malformed event;
    /// [`ErrorKind::Refused`] for another id, or a type that the handler's pattern does not mean;
    /// [`ErrorKind::Conflict`] while it is replayed, or when another program has changed it
    /// meanwhile; [`ErrorKind::Overloaded`] when it does not fit into the bounds; those of the
    /// store. The dead letter is as it was then.
    pub async fn edit(
        &self,
        bus: &Bus,
        id: u64,
        change: impl FnOnce(EventBuilder) -> EventBuilder,
    ) -> Result<DeadLetter> {
        self.reload(id).await?;
        let before = self.get(id).ok_or_else(|| unknown(id))?;
        let event = change(before.event.to_builder()).build()?;
        // What is no JSON could not be stored.
        event.payload().json()?;
        if event.id() != before.event.id() {
            let message = "an edit keeps the id of the event; leave `.id(..)` out";
            return Err(Error::refused(message));
        }
        if !before.pattern.matches(event.event_type()) {
            let message = format!(
                "`{}` is registered for `{}`, which does not mean `{}`; keep to types that it means",
                before.handler,
                before.pattern,
                event.event_type()
            );
            return Err(Error::refused(message));
        }
        if self.is_elsewhere(&before, bus.now()) || self.state(|state| state.is_replaying(id)) {
            return Err(conflict(id));
        }
        let edits = before.edits.saturating_add(1);
        let after = DeadLetter { event, edits, ..before.clone() };
        self.state(|state| state.fits(&after, self.bounds()))?;
        self.change(&before, after.clone()).await.map_err(|error| match error.kind() {
            ErrorKind::Conflict => conflict(id),
            _ => error,
        })?;
        Ok(after)
    }
}

fn conflict(id: u64) -> Error {
    let message = format!(
        "the dead letter {id} is being replayed, or somebody else has changed it; look at it again, then edit"
    );
    Error::new(ErrorKind::Conflict, message)
}
