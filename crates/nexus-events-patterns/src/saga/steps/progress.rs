//! Where a saga of steps is.

use nexus_events_model::Text;
use serde::{Deserialize, Serialize};

use super::super::timer::SagaTimer;

/// What is stored of a saga of steps beside its steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Which event of its own drives it: others have been overtaken.
    pub(crate) turn: u64,
    /// Which program has counted the attempts that run: another one finds them interrupted.
    pub(crate) run: u64,
    /// The event of that turn, when it comes later.
    #[serde(default)]
    pub(crate) wake: Option<SagaTimer>,
    /// Why it goes back.
    #[serde(default)]
    pub(crate) back: Option<Text>,
    /// Whether somebody wanted that.
    #[serde(default)]
    pub(crate) cancelled: bool,
}
