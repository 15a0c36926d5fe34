//! Steps with compensation.

mod advance;
mod attempt;
mod by_hand;
mod check;
mod context;
mod definition;
mod ending;
mod function;
mod join;
mod ledger;
mod machine;
mod options;
mod parts;
mod plan;
mod progress;
mod retry;
mod run;
mod state;
mod token;

pub(super) use self::by_hand::started_by_events;
pub(super) use self::check::version as check_version;
pub use self::context::{Compensation, StepContext, StepError, StepOutcome};
pub use self::definition::StepSaga;
pub use self::parts::Parallel;
pub use self::plan::OnFailure;
pub(super) use self::progress::Progress;
pub use self::retry::StepRetry;
pub(super) use self::run::Ran;
pub use self::state::{StepState, StepStatus};
