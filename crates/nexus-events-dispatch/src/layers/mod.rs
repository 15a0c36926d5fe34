//! Layers to put around handlers and publishing, one capability each.
//!
//! | Layer | Around | What it does |
//! |---|---|---|
//! | [`Retry`] | handlers | calls one that failed again, after a [`Backoff`] |
//! | [`Timeout`] | handlers | stops one that takes too long |
//! | [`DeadLetters::layer`] | handlers | parks the events that one gives up, to be replayed |
//! | [`Dedup::on_handle`] | handlers | handles an event once, when that succeeded |
//! | [`Dedup::on_publish`] | publishing | publishes an event once |
//! | [`RateLimit::on_handle`] | handlers | spaces events out |
//! | [`RateLimit::on_publish`] | publishing | refuses events that come too fast |
//! | [`CircuitBreaker`] | handlers | pauses one that fails all the time |
//!
//! Those around handlers are for one handler ([`HandlerExt::layer`](crate::HandlerExt::layer)) or
//! for all of a bus ([`BusBuilder::layer`](crate::BusBuilder::layer)); those around publishing are
//! for a bus only. An option out of its range is an error of [`Bus::on`](crate::Bus::on).
//!
//! ```
//! use std::time::Duration;
//! use nexus_events_dispatch::{Bus, HandlerExt};
//! use nexus_events_dispatch::layers::{DeadLetters, Retry, Timeout};
//! use nexus_events_model::Event;
//! # tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(async {
//! async fn charge(event: Event) -> Result<(), String> { Err("connection lost".into()) }
//!
//! let (bus, letters) = (Bus::new(), DeadLetters::new());
//! let charge = charge
//!     .layer(letters.layer())
//!     .layer(Retry::new())
//!     .layer(Timeout::new(Duration::from_secs(5)));
//! bus.on("order.created", charge)?;
//! bus.publish_and_wait(Event::builder("order.created")).await?;
//! assert_eq!(letters.get(1).unwrap().attempts.len(), 4);
//! # Ok::<(), nexus_events_dispatch::Error>(()) }).unwrap();
//! ```
//!
//! # The order matters
//!
//! The first layer given is the outermost. For a handler that hangs, with a timeout of 5 s and 4
//! attempts 1 s, 2 s and 4 s apart:
//!
//! | Outside → inside | What happens |
//! |---|---|
//! | `Retry`, `Timeout` | each attempt has 5 s: 4 attempts, over after 5 + 1 + 5 + 2 + 5 + 4 + 5 = 27 s |
//! | `Timeout`, `Retry` | all have 5 s together: 1 attempt, over after 5 s |
//!
//! For an event whose first three attempts fail, with a limit of 1 event per second:
//!
//! | Outside → inside | What happens |
//! |---|---|
//! | `RateLimit`, `Retry` | the event takes 1 turn, its 4 attempts none: as many events per second begin as the limit says, and up to 4 times as many calls |
//! | `Retry`, `RateLimit` | each attempt takes a turn, 4 in all: no more calls per second than the limit says, and a quarter as many events |
//!
//! For the same event:
//!
//! | Outside → inside | What happens |
//! |---|---|
//! | `DeadLetters`, `Retry` | 0 dead letters, because the fourth attempt succeeds; had it failed, 1 with 4 attempts |
//! | `Retry`, `DeadLetters` | parked 3 times, into 1 dead letter with the last attempt alone, and it stays although the fourth attempt succeeds |
//!
//! From the outside in, this order serves most handlers: dead letters, retry, dedup, circuit
//! breaker, rate limit, timeout.

mod around;
mod attempt;
mod backoff;
mod circuit_breaker;
mod dead_letter;
mod dedup;
mod rate_limit;
mod retry;
mod timeout;

pub(crate) use self::around::{Surround, around, call};
pub use self::backoff::{Backoff, Delays, Jitter};
pub use self::circuit_breaker::{CircuitBreaker, CircuitState, CircuitStats};
pub(crate) use self::dead_letter::shortened;
pub use self::dead_letter::{
    DeadLetter, DeadLetterFilter, DeadLetterLayer, DeadLetterStats, DeadLetterStore, DeadLetters,
    DeadLettersBuilder, Imported, OnFull, OnPark, ReplayReport, Replayed,
};
pub use self::dedup::Dedup;
pub use self::rate_limit::RateLimit;
pub use self::retry::Retry;
pub use self::timeout::{Timeout, TimeoutStats};
