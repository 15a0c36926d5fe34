//! Steps with compensation.

mod state;

pub use self::state::{StepState, StepStatus};
