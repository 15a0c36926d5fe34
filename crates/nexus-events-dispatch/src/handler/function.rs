//! Functions as handlers.

use std::marker::PhantomData;

use nexus_events_model::{Event, Pattern, Text};

use super::argument::{Argument, Owned};
use super::begin::{Begun, Place};
use super::shape::{Later, Now, Runs};
use super::{
    Called, FromEvent, Handler, HandlerError, HandlerResult, HandlerReturn, Mode, Turn,
    short_type_name,
};
use crate::bus::Bus;
use crate::context::Context;
use crate::error::Result;
use crate::sync::Arc;

/// A function with the arguments that it takes.
struct Func<F, When, Args>(F, PhantomData<fn() -> (When, Args)>);

macro_rules! for_each_arity {
    ($do:ident) => {
        $do!();
        $do!(A1 K1);
        $do!(A1 K1, A2 K2);
        $do!(A1 K1, A2 K2, A3 K3);
        $do!(A1 K1, A2 K2, A3 K3, A4 K4);
        $do!(A1 K1, A2 K2, A3 K3, A4 K4, A5 K5);
        $do!(A1 K1, A2 K2, A3 K3, A4 K4, A5 K5, A6 K6);
        $do!(A1 K1, A2 K2, A3 K3, A4 K4, A5 K5, A6 K6, A7 K7);
        $do!(A1 K1, A2 K2, A3 K3, A4 K4, A5 K5, A6 K6, A7 K7, A8 K8);
    };
}
pub(super) use for_each_arity;

macro_rules! sync {
    ($($arg:ident $kind:ident),*) => {
        impl<F, R, $($arg, $kind),*> Runs<F, ($(($arg, $kind),)*), R> for Now
        where
            $($arg: Argument<$kind> + 'static, $kind: 'static,)*
            F: Fn($($arg),*) -> R + for<'a> Fn($($arg::Item<'a>),*) -> R + Send + Sync + 'static,
            R: HandlerReturn,
        {
            fn handler(function: F) -> Arc<dyn Handler> {
                Arc::new(Func::<F, Now, ($(($arg, $kind),)*)>(function, PhantomData))
            }
        }

        #[allow(non_snake_case, unused_variables, reason = "a function may have no argument")]
        impl<F, R, $($arg, $kind),*> Handler for Func<F, Now, ($(($arg, $kind),)*)>
        where
            $($arg: Argument<$kind> + 'static, $kind: 'static,)*
            F: Fn($($arg),*) -> R + for<'a> Fn($($arg::Item<'a>),*) -> R + Send + Sync + 'static,
            R: HandlerReturn,
        {
            fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
                $(let mut $kind = $arg::Slot::default();)*
                $(let $arg = match $arg::take(&mut $kind, event, context) {
                    Ok(taken) => taken,
                    Err(rejection) => return Called::Ready(Err(rejection.into())),
                };)*
                Called::Ready((self.0)($($arg),*).into_result(context))
            }

            fn turn(self: Arc<Self>) -> Turn {
                Arc::new(move |event, context| {
                    $(let mut $kind = $arg::Slot::default();)*
                    $(let $arg = match $arg::take(&mut $kind, event, context) {
                        Ok(taken) => taken,
                        Err(rejection) => return Some(rejection.into()),
                    };)*
                    (self.0)($($arg),*).into_error(context)
                })
            }

            fn check(&self, bus: &Bus, pattern: &Pattern) -> Result<()> {
                $($arg::check(bus, pattern)?;)*
                Ok(())
            }

            fn mode(&self) -> Mode {
                Mode::Inline
            }

            fn name(&self) -> Text {
                Text::from_static(short_type_name::<F>())
            }
        }
    };
}

macro_rules! asynchronous {
    ($($arg:ident $kind:ident),*) => {
        impl<F, R, $($arg),*> Runs<F, ($(($arg, Owned),)*), R> for Later
        where
            $($arg: FromEvent + 'static,)*
            F: Fn($($arg),*) -> R + Send + Sync + 'static,
            R: Future<Output: HandlerReturn> + Send + 'static,
        {
            fn handler(function: F) -> Arc<dyn Handler> {
                Arc::new(Func::<F, Later, ($($arg,)*)>(function, PhantomData))
            }
        }

        #[allow(non_snake_case, unused_variables, reason = "a function may have no argument")]
        impl<F, R, $($arg),*> Handler for Func<F, Later, ($($arg,)*)>
        where
            $($arg: FromEvent + 'static,)*
            F: Fn($($arg),*) -> R + Send + Sync + 'static,
            R: Future<Output: HandlerReturn> + Send + 'static,
        {
            fn call<'a>(&'a self, event: &'a Event, context: &'a Context) -> Called<'a> {
                $(let $arg = match $arg::from_event(event, context) {
                    Ok(taken) => taken,
                    Err(rejection) => return Called::Ready(Err(rejection.into())),
                };)*
                let future = (self.0)($($arg),*);
                Called::Pending(Box::pin(async move { future.await.into_result(context) }))
            }

            fn shares(&self) -> bool {
                true
            }

            fn begin(&self, event: &Event, context: &Context) -> Begun<HandlerResult> {
                $(let $arg = match $arg::from_event(event, context) {
                    Ok(taken) => taken,
                    Err(rejection) => return Begun::Done(Err(rejection.into())),
                };)*
                match Place::default().begin((self.0)($($arg),*)) {
                    Begun::Done(returned) => Begun::Done(returned.into_result(context)),
                    Begun::Waits(rest) => Begun::Waits(rest),
                }
            }

            fn turn(self: Arc<Self>) -> Turn {
                let place = Place::default();
                Arc::new(move |event, context| {
                    $(let $arg = match $arg::from_event(event, context) {
                        Ok(taken) => taken,
                        Err(rejection) => return Some(rejection.into()),
                    };)*
                    match place.begin((self.0)($($arg),*)) {
                        Begun::Done(returned) => returned.into_error(context),
                        Begun::Waits(rest) => Some(HandlerError::waits(rest)),
                    }
                })
            }

            fn check(&self, bus: &Bus, pattern: &Pattern) -> Result<()> {
                $($arg::check(bus, pattern)?;)*
                Ok(())
            }

            fn name(&self) -> Text {
                Text::from_static(short_type_name::<F>())
            }
        }
    };
}

for_each_arity!(sync);
for_each_arity!(asynchronous);
