//! Sagas: what takes several events and some time, and must end well or be taken back.
//!
//! Two styles: [`Saga`] is state with handlers, for what is told by events. [`StepSaga`] is steps
//! with compensation, for what is done by calls.
//!
//! Both need a bus with a store. A saga is found by its key; its state, the events it publishes, its
//! timeouts and the fact that it has handled an event are one commit, so after a crash it goes on
//! where it was. Events of one key come one after the other, those of different keys side by side.
//!
//! # Steps with compensation
//!
//! - Before a step runs, its intent is stored: its name, its idempotency key, that its compensation
//!   belongs to it. Each attempt is counted before it is made, and has the same key.
//! - A step that has failed with errors alone is not compensated. One that has completed is, and one
//!   of which nobody knows: an attempt took too long, panicked, or the program ended meanwhile, and
//!   it did not complete after that.
//! - Compensations run in reverse order, those of a parallel group at the same time. Each is tried
//!   again by a policy of its own; when it has failed for good the others run, or the saga halts.
//! - Cancelling tells the running step and never stops a compensation. From the pivot on it is
//!   refused, and what fails for good is parked.
//! - After a crash a step that was interrupted is run again with its key; after 100 times the saga
//!   is parked.
//!
//! | It ends as | and publishes |
//! |---|---|
//! | [`Completed`](SagaStatus::Completed) | `saga.completed` |
//! | [`Compensated`](SagaStatus::Compensated) | `saga.compensated` |
//! | [`Cancelled`](SagaStatus::Cancelled) | `saga.cancelled` |
//! | [`CompensatedWithFailures`](SagaStatus::CompensatedWithFailures), [`Halted`](SagaStatus::Halted) | `saga.failed` |
//! | not yet: [`Parked`](SagaStatus::Parked) | `saga.parked` |
//!
//! and `saga.compensation_failed` for each step whose compensation has failed for good. The payload
//! has `saga`, `key` and `instance`, and says what has happened.

mod attach;
mod change;
mod conflicts;
mod context;
mod definition;
mod directory;
mod ended;
mod handle;
mod instance;
mod key;
mod machine;
mod not_found;
mod returns;
mod runner;
mod states;
mod stats;
mod steps;
mod timer;

pub use self::context::SagaContext;
pub use self::definition::{Saga, SagaDefinition};
pub use self::directory::{SagaFilter, Sagas};
pub use self::handle::SagaHandle;
pub use self::instance::{Instance, SagaEntry, SagaStatus};
pub use self::key::SagaKey;
pub use self::not_found::{Instead, NotFound};
pub use self::returns::SagaReturn;
pub use self::stats::SagaStats;
pub use self::steps::{
    Compensation, OnFailure, Parallel, StepContext, StepError, StepOutcome, StepRetry, StepSaga,
    StepState, StepStatus,
};
pub use self::timer::SagaTimer;
