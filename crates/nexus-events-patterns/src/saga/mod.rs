//! Sagas: what takes several events and some time, and must end well or be taken back.
//!
//! Two styles: [`Saga`] is state with handlers, for what is told by events. Steps with compensation
//! are for what is done by calls.
//!
//! Both need a bus with a store. A saga is found by its key; its state, the events it publishes, its
//! timeouts and the fact that it has handled an event are one commit, so after a crash it goes on
//! where it was. Events of one key come one after the other, those of different keys side by side.

mod attach;
mod change;
mod conflicts;
mod context;
mod definition;
mod directory;
mod ended;
mod handle;
mod instance;
mod iso;
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
pub use self::not_found::{Hook, NotFound};
pub use self::returns::SagaReturn;
pub use self::stats::SagaStats;
pub use self::steps::{
    Compensation, OnFailure, Parallel, StepContext, StepError, StepOutcome, StepRetry, StepSaga,
    StepState, StepStatus,
};
pub use self::timer::SagaTimer;
