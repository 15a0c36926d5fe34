//! How much an aggregator keeps, and what happens to what is late.

use nexus_events_model::EventType;

use crate::limits::WINDOW_KEYS_DEFAULT;
use crate::window::WindowLimits;

/// How much an aggregator keeps. What would be too much is published, not dropped.
///
/// ```
/// use nexus_events_patterns::Bounds;
/// let bounds = Bounds::per_key(1_000).total_keys(50_000).bytes(64 * 1024 * 1024);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "bounds do nothing until an aggregator has them"]
pub struct Bounds {
    pub(super) limits: WindowLimits,
    pub(super) keys: usize,
}

impl Bounds {
    /// A window with so many events is closed, with the reason *size*. Default: 1,000,000.
    pub fn per_key(events: u64) -> Self {
        Self::default().with(|bounds| bounds.limits.events = events)
    }

    /// When so many keys have open windows and another one comes, those of the key used least
    /// recently are closed, with the reason *keys*. Default: 50,000; at most 16,777,216.
    pub fn total_keys(self, keys: usize) -> Self {
        self.with(|bounds| bounds.keys = keys)
    }

    /// A window with so many bytes of events is closed, with the reason *bytes*. Default: 64 MiB.
    pub fn bytes(self, bytes: u64) -> Self {
        self.with(|bounds| bounds.limits.bytes = bytes)
    }

    fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { limits: WindowLimits::default(), keys: WINDOW_KEYS_DEFAULT }
    }
}

/// What happens to an event whose windows are over.
///
/// ```
/// use nexus_events_model::EventType;
/// use nexus_events_patterns::Late;
/// let late = Late::SideEvent(EventType::new("user.activity.late")?);
/// # Ok::<(), nexus_events_model::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Late {
    /// It is counted.
    #[default]
    Count,
    /// It is counted and published again under this type, with its payload, source and timestamp,
    /// caused by itself.
    SideEvent(EventType),
}
