//! What a bus knows of its requests.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::RwLock;
use tracing::warn;

use super::collector::Collectors;
use super::counters::Counters;
use super::late::LateReply;

type Told = Arc<dyn Fn(&LateReply) + Send + Sync>;

#[derive(Default)]
pub(crate) struct BusRequests {
    pub(crate) counters: Counters,
    pub(crate) collectors: Collectors,
    told: RwLock<Option<Told>>,
}

impl BusRequests {
    pub(crate) fn tell(&self, told: Told) {
        *self.told.write() = Some(told);
    }

    pub(crate) fn late(&self, late: &LateReply) {
        let told = self.told.read().clone();
        if let Some(told) = told
            && let Err(panic) = catch_unwind(AssertUnwindSafe(|| told(late)))
        {
            // It is no matter of the responder's. Dropping what was thrown might panic again.
            std::mem::forget(panic);
            warn!("what is told of late replies has panicked");
        }
    }
}
