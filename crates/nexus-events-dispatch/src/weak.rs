//! A bus that is not kept alive.

use std::fmt;

use crate::bus::{Bus, Inner};
use crate::sync::{Arc, Weak};

/// A [`Bus`] as long as somebody else has it, for tasks that are to end with it.
///
/// ```
/// use nexus_events_dispatch::Bus;
/// let bus = Bus::new();
/// let weak = bus.downgrade();
/// assert!(weak.upgrade().is_some());
/// drop(bus);
/// assert!(weak.upgrade().is_none());
/// ```
#[derive(Clone)]
pub struct WeakBus(Weak<Inner>);

impl Bus {
    /// The bus without keeping it alive.
    #[must_use]
    pub fn downgrade(&self) -> WeakBus {
        WeakBus(Arc::downgrade(&self.0))
    }
}

impl WeakBus {
    /// The bus, if there still is one.
    #[must_use]
    pub fn upgrade(&self) -> Option<Bus> {
        self.0.upgrade().map(Bus)
    }
}

impl fmt::Debug for WeakBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WeakBus")
    }
}
