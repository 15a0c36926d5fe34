//! Where events go that a handler gave up.

mod claim;
mod discard;
mod edit;
mod failure;
mod filter;
mod letters;
mod lines;
mod options;
mod record;
mod replay;
mod state;
mod stats;
mod store;
mod stored;
mod together;

use std::panic::{AssertUnwindSafe, catch_unwind};

use nexus_events_model::{Event, OutcomeStatus, Pattern, Text};
use time::OffsetDateTime;

pub use self::filter::DeadLetterFilter;
pub use self::letters::DeadLetters;
pub use self::lines::Imported;
pub use self::options::{DeadLettersBuilder, OnFull};
pub use self::record::DeadLetter;
use self::record::hash_of;
pub use self::replay::{ReplayReport, Replayed};
pub use self::stats::DeadLetterStats;
pub use self::store::DeadLetterStore;
use super::around::{Surround, around, call, caught, finish, text_of};
use crate::context::Context;
use crate::error::Result;
use crate::handler::{Attempt, BoxFuture, Called, Handler, HandlerError, LastAttempt};
use crate::layer::{Layer, NewSubscription};
use crate::limits::DEAD_LETTER_ERROR_BYTES_MAX;
use crate::subscription::SubscriptionOptions;
use crate::sync::Arc;

/// What happens to later events of a key when one was parked, for a handler that is
/// [`ordered_by`](SubscriptionOptions::ordered_by) a key.
///
/// ```
/// use nexus_events_dispatch::layers::{DeadLetters, OnPark};
/// let layer = DeadLetters::new().layer().on_park(OnPark::Skip);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnPark {
    /// They are parked behind it without being handled, so that the order of the key holds.
    #[default]
    Hold,
    /// They are handled, as if nothing had been parked.
    Skip,
}

/// Parks events that a handler gives up, from [`DeadLetters::layer`].
///
/// What fails and is not going to be tried again by a layer inside is parked: with
/// [`Retry`](super::Retry) inside that is once per event, with all attempts. The outcome is the
/// failure all the same. When parking fails, the outcome's text shows both errors.
///
/// ```
/// use nexus_events_dispatch::{Bus, HandlerExt, layers::{DeadLetters, Retry}};
/// use nexus_events_model::Event;
/// # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
/// let (bus, letters) = (Bus::new(), DeadLetters::new());
/// let fails = async |_: Event| Err::<(), _>("connection lost");
/// bus.on("a", fails.layer(letters.layer()).layer(Retry::new()))?;
/// bus.publish_and_wait(Event::builder("a")).await?;
/// assert_eq!(letters.stats().letters, 1);
/// # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is around something"]
pub struct DeadLetterLayer {
    letters: DeadLetters,
    on_park: OnPark,
}

impl DeadLetters {
    /// A layer that parks here what the handlers it is around give up.
    pub fn layer(&self) -> DeadLetterLayer {
        DeadLetterLayer { letters: self.clone(), on_park: OnPark::default() }
    }
}

impl DeadLetterLayer {
    /// What happens to later events of a key. Default: they are held.
    pub fn on_park(mut self, on_park: OnPark) -> Self {
        self.on_park = on_park;
        self
    }
}

impl Layer for DeadLetterLayer {
    fn subscribe(&self, subscription: &mut NewSubscription) -> Result<()> {
        // An inline handler cannot wait for a store, so a task does.
        subscription.needs_runtime |= self.letters.has_store();
        let parking = Parking {
            letters: self.letters.clone(),
            on_park: self.on_park,
            pattern: subscription.pattern.clone(),
            options: subscription.options.clone(),
        };
        subscription.handler = around(subscription.handler.clone(), parking);
        Ok(())
    }
}

/// The layer around one handler.
struct Parking {
    letters: DeadLetters,
    on_park: OnPark,
    pattern: Pattern,
    options: SubscriptionOptions,
}

impl Surround for Parking {
    fn call<'a>(
        &'a self,
        inner: &'a Arc<dyn Handler>,
        event: &'a Event,
        context: &'a Context,
    ) -> Called<'a> {
        let started = context.bus().now();
        let key = match self.key_of(event) {
            Ok(key) => key,
            Err(error) => {
                return Called::Ready(Err(self.parcel(event, context, started, None).give(error)));
            }
        };
        if let Some(parcel) = self.behind(event, context, started, key.as_ref()) {
            let error = "an event of its key is parked before it; replay that key";
            return Called::Ready(Err(parcel.give(HandlerError::permanent(error))));
        }
        let parcel = move || self.parcel(event, context, started, key);
        match call(inner, event, context) {
            Called::Ready(result) => Called::Ready(result.map_err(|error| parcel().give(error))),
            Called::Pending(future) => Called::Pending(Box::pin(async move {
                match future.await {
                    Ok(value) => Ok(value),
                    Err(error) => Err(parcel().settle(error).await),
                }
            })),
        }
    }
}

impl Parking {
    fn key_of(&self, event: &Event) -> std::result::Result<Option<Text>, HandlerError> {
        if self.on_park == OnPark::Skip {
            return Ok(None);
        }
        catch_unwind(AssertUnwindSafe(|| self.options.key_of(event))).map_err(caught)
    }

    /// The event, if one of its key is parked before it.
    fn behind(
        &self,
        event: &Event,
        context: &Context,
        started: OffsetDateTime,
        key: Option<&Text>,
    ) -> Option<Parcel> {
        let (key, handler) = (key?, context.entry().loser());
        let is_behind = self.letters.state(|state| state.is_behind(handler, key, event.id()));
        is_behind.then(|| Parcel {
            behind: true,
            ..self.parcel(event, context, started, Some(key.clone()))
        })
    }

    fn parcel(
        &self,
        event: &Event,
        context: &Context,
        started: OffsetDateTime,
        key: Option<Text>,
    ) -> Parcel {
        Parcel {
            letters: self.letters.clone(),
            event: event.clone(),
            pattern: self.pattern.clone(),
            started,
            // The worker of the first attempt must not be held while nothing runs.
            context: context.with_worker(None),
            key,
            behind: false,
        }
    }
}

/// An event that may have to be parked.
struct Parcel {
    letters: DeadLetters,
    event: Event,
    pattern: Pattern,
    started: OffsetDateTime,
    context: Context,
    key: Option<Text>,
    behind: bool,
}

impl Parcel {
    /// Parks the event unless it is tried again; a task waits for the store, where there is one.
    fn give(self, mut error: HandlerError) -> HandlerError {
        if let Some(retries) = error.take_retries() {
            return self.after(retries, error);
        }
        if !self.letters.has_store() {
            let letter = self.letter(&error);
            let parked = self.letters.park_in_memory(letter.clone());
            self.announce(&parked, &letter);
            return noted(error, parked);
        }
        let (attempt, text) = (self.context.attempt(), text_of(&error).to_string());
        let first = match error.outcome() {
            OutcomeStatus::Panicked => HandlerError::panicked(text),
            _ => text.into(),
        };
        first.with_retries(Box::pin(async move {
            LastAttempt { attempt, result: Err(self.park(error).await) }
        }))
    }

    async fn settle(self, mut error: HandlerError) -> HandlerError {
        match error.take_retries() {
            Some(retries) => self.after(retries, error),
            None => self.park(error).await,
        }
    }

    /// Parks the event after its last attempt.
    fn after(self, retries: BoxFuture<'static, LastAttempt>, error: HandlerError) -> HandlerError {
        let begun = error.attempts().len() as u32;
        error.with_retries(Box::pin(async move {
            let last = finish(retries, begun).await;
            match last.result {
                Ok(_) => last,
                Err(error) => LastAttempt { result: Err(self.park(error).await), ..last },
            }
        }))
    }

    async fn park(self, error: HandlerError) -> HandlerError {
        let letter = self.letter(&error);
        let parked = self.letters.park(letter.clone()).await;
        self.announce(&parked, &letter);
        noted(error, parked)
    }

    /// Publishes that it is parked, where that is wanted.
    fn announce(&self, parked: &Result<()>, letter: &DeadLetter) {
        if parked.is_ok()
            && let Some(event) = self.letters.failure_event(letter)
        {
            // What refuses it has counted it.
            let _ = self.context.publish(event);
        }
    }

    fn letter(&self, error: &HandlerError) -> DeadLetter {
        let text = shortened(text_of(error));
        let attempts = match error.attempts() {
            _ if self.behind => Vec::new(),
            [] => vec![Attempt::new(self.started, text.clone())],
            attempts => attempts.iter().map(shortened_attempt).collect(),
        };
        let now = self.context.bus().now();
        DeadLetter {
            id: 0,
            payload_hash: hash_of(&self.event),
            event: self.event.clone(),
            handler: self.context.entry().loser().clone(),
            pattern: self.pattern.clone(),
            key: self.key.clone(),
            behind: self.behind,
            error: text,
            status: error.status(),
            outcome: error.outcome(),
            first_failure: attempts.first().map_or(now, |attempt| attempt.started),
            last_failure: now,
            attempts,
            replays: 0,
            edits: 0,
            claim: None,
        }
    }
}

/// The failure, and what went wrong with parking it.
fn noted(error: HandlerError, parked: Result<()>) -> HandlerError {
    match parked {
        Ok(()) => error,
        Err(why) => error.with_note(format!("and it could not be parked: {why}")),
    }
}

fn shortened_attempt(attempt: &Attempt) -> Attempt {
    Attempt::new(attempt.started, shortened(attempt.error.clone()))
}

/// A text that may be long, cut.
pub(crate) fn shortened(text: Text) -> Text {
    if text.len() <= DEAD_LETTER_ERROR_BYTES_MAX {
        return text;
    }
    let end = (0..=DEAD_LETTER_ERROR_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end));
    Text::from(&text[..end.unwrap_or(0)])
}
