//! What is replayed, to whom and how.

use std::fmt;

use nexus_events_model::Text;

use super::pace::Pace;
use super::report::ReplayedRange;
use super::stop::ReplayStop;
use crate::store::{Offset, Select};
use crate::sync::Arc;

/// A part of the log to be given again, for [`Bus::replay`](crate::Bus::replay).
///
/// ```
/// use nexus_events_dispatch::{Replay, store::{Offset, Select}};
/// use nexus_events_model::Pattern;
/// let orders = Replay::after(Offset::new(41))
///     .until(Offset::new(99))
///     .select(Select::new().pattern(Pattern::new("order.*")?))
///     .to_handler("billing");
/// # Ok::<(), nexus_events_dispatch::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "it does nothing until a bus is given it"]
pub struct Replay {
    pub(super) after: Offset,
    pub(super) until: Option<Offset>,
    pub(super) select: Select,
    pub(super) handler: Option<Text>,
    pub(super) pace: Pace,
    pub(super) dry_run: bool,
    pub(super) progress: Option<Progress>,
    pub(super) stop: ReplayStop,
}

pub(super) type Progress = Arc<dyn Fn(&ReplayedRange) + Send + Sync>;

impl Replay {
    /// Everything that is kept, up to what is in the log when the replay begins.
    pub fn all() -> Self {
        Self::after(Offset::START)
    }

    /// What is beyond this offset, up to what is in the log when the replay begins. To resume, give
    /// it [`ReplayedRange::last`].
    pub fn after(offset: Offset) -> Self {
        Self {
            after: offset,
            until: None,
            select: Select::new(),
            handler: None,
            pace: Pace::default(),
            dry_run: false,
            progress: None,
            stop: ReplayStop::new(),
        }
    }

    /// Up to this offset, itself included.
    pub fn until(mut self, offset: Offset) -> Self {
        self.until = Some(offset);
        self
    }

    /// Only these: a time range is [`Select::since`] and [`Select::before`].
    pub fn select(mut self, select: Select) -> Self {
        self.select = select;
        self
    }

    /// To one handler, or consumer group, alone: the events that its pattern means.
    pub fn to_handler(mut self, name: impl Into<Text>) -> Self {
        self.handler = Some(name.into());
        self
    }

    /// How fast. Default: as fast as handlers take them.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Calls no handler; the report says which would be given how many events.
    pub fn dry_run(mut self) -> Self {
        self.dry_run = true;
        self
    }

    /// Called after each event with the report so far, on the caller's own task; it should be
    /// quick.
    pub fn progress(mut self, tell: impl Fn(&ReplayedRange) + Send + Sync + 'static) -> Self {
        self.progress = Some(Arc::new(tell));
        self
    }

    /// Lets it be stopped from elsewhere.
    pub fn stop_with(mut self, stop: ReplayStop) -> Self {
        self.stop = stop;
        self
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("after", &self.after)
            .field("until", &self.until)
            .field("select", &self.select)
            .field("handler", &self.handler)
            .field("pace", &self.pace)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}
