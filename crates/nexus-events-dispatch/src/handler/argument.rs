//! Arguments of synchronous handlers, which may be borrowed from the event.

use nexus_events_model::{Event, Pattern, TypedEvent};

use super::{FromEvent, Rejection};
use crate::bus::Bus;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::sync::Arc;

/// An argument that is taken from an event for the time of one call.
///
/// `Kind` keeps the implementations apart; it follows from the type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be taken from an event",
    label = "takes `{Self}`",
    note = "by reference a handler takes `&Event`, `&Context`, or a type that implements `TypedEvent`; everything else by value, for instance `Payload<T>` or `State<S>`"
)]
pub trait Argument<Kind> {
    /// The same, borrowed for a call.
    type Item<'a>;

    /// Where a value lives that is borrowed from neither the event nor the context.
    type Slot: Default;

    /// Takes it.
    fn take<'a>(
        slot: &'a mut Self::Slot,
        event: &'a Event,
        context: &'a Context,
    ) -> Result<Self::Item<'a>, Rejection>;

    /// Whether it can be taken at all.
    fn check(bus: &Bus, pattern: &Pattern) -> Result<()> {
        let _ = (bus, pattern);
        Ok(())
    }
}

/// `&Event` or `&Context`.
#[derive(Debug)]
pub struct Borrowed;

/// What [`FromEvent`] makes.
#[derive(Debug)]
pub struct Owned;

/// The payload of a [`TypedEvent`].
#[derive(Debug)]
pub struct Typed;

impl Argument<Borrowed> for &Event {
    type Item<'a> = &'a Event;
    type Slot = ();

    fn take<'a>(
        (): &'a mut (),
        event: &'a Event,
        _: &'a Context,
    ) -> Result<Self::Item<'a>, Rejection> {
        Ok(event)
    }
}

impl Argument<Borrowed> for &Context {
    type Item<'a> = &'a Context;
    type Slot = ();

    fn take<'a>(
        (): &'a mut (),
        _: &'a Event,
        context: &'a Context,
    ) -> Result<Self::Item<'a>, Rejection> {
        Ok(context)
    }
}

impl<T: TypedEvent> Argument<Typed> for &T {
    type Item<'a> = &'a T;
    type Slot = Option<Arc<T>>;

    fn take<'a>(
        slot: &'a mut Self::Slot,
        event: &'a Event,
        _: &'a Context,
    ) -> Result<Self::Item<'a>, Rejection> {
        match event.payload().downcast_ref() {
            Some(payload) => Ok(payload),
            None => Ok(slot.insert(event.payload().decode()?)),
        }
    }

    fn check(_: &Bus, pattern: &Pattern) -> Result<()> {
        if pattern.as_event_type() == Some(T::TYPE) {
            return Ok(());
        }
        Err(Error::other_type(std::any::type_name::<T>(), &T::TYPE, pattern))
    }
}

impl<T: FromEvent> Argument<Owned> for T {
    type Item<'a> = T;
    type Slot = ();

    fn take<'a>((): &'a mut (), event: &'a Event, context: &'a Context) -> Result<T, Rejection> {
        T::from_event(event, context)
    }

    fn check(bus: &Bus, pattern: &Pattern) -> Result<()> {
        T::check(bus, pattern)
    }
}
