//! Windows: bounded collections in time, and the machine that keeps them open and closes them.
//!
//! | Window | Over when | Use it for |
//! |---|---|---|
//! | [`Tumbling`] | its stretch of the clock is over | figures per minute, per quarter of an hour |
//! | [`Sliding`] | the same; several at a time | the last five minutes, anew each minute |
//! | [`Session`] | nothing has come for a gap | a visit; with `max_wait`: say it once it is quiet |
//! | [`Count`] | it has so many events | every hundredth |
//!
//! Nothing in here reads a clock, waits or publishes: times are given, and what is over is handed
//! back. [`OpenWindows`] are those of one key, [`KeyedWindows`] those of all keys, with bounds. An
//! [`Aggregator`](crate::Aggregator) puts them on a bus.
//!
//! ```
//! use std::time::Duration;
//! use nexus_events_patterns::window::{KeyedWindows, Moment, Tumbling, fold};
//!
//! let count = fold(|| 0, |count: &mut u32, _: &str| *count += 1);
//! let mut windows = KeyedWindows::new(Tumbling::of(Duration::from_micros(10)))?;
//! let mut closed = Vec::new();
//! for (at, word) in [(1, "a"), (2, "b"), (3, "a"), (12, "a")] {
//!     let at = Moment::from_micros(at);
//!     windows.advance(at, &mut closed);
//!     windows.push(word, at, 0, word, &count, &mut closed);
//! }
//! assert_eq!(closed.iter().map(|it| (it.key, it.window.value)).max(), Some(("b", 1)));
//! assert_eq!(closed.len(), 2);
//! # Ok::<(), nexus_events_patterns::Error>(())
//! ```
//!
//! # Event time
//!
//! Events come late. What may still come is said by the *watermark*: the newest time seen, less a
//! grace. A window is over when the watermark has reached its end; an event that belongs to windows
//! that are over alone is [late](Pushed::Late). So with a grace of one minute, the window from 12:00
//! to 12:15 takes events until one from 12:16 has come.

mod count;
mod due;
mod fold;
mod keyed;
mod moment;
mod old;
mod open;
mod session;
mod sliding;
mod slots;
mod tumbling;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::count::Count;
pub use self::fold::{Fold, Folding, Merging, fold};
pub use self::keyed::{AllClosed, KeyedWindow, KeyedWindows};
pub use self::moment::{Moment, Span};
pub use self::open::{Arrival, ClosedWindow, OpenWindow, OpenWindows, Pushed, WindowLimits};
pub use self::session::Session;
pub use self::sliding::Sliding;
pub use self::tumbling::Tumbling;
use crate::error::{Error, Result};

/// Which stretches of time an event belongs to.
///
/// A window is of one of two kinds. Those that stand still say what [spans](Self::spans) there are
/// at a time. Those that grow say what span those have that have come so far:
/// [`joined`](Self::joined).
///
/// ```
/// use std::time::Duration;
/// use nexus_events_patterns::Result;
/// use nexus_events_patterns::window::{Moment, Span, Window};
///
/// /// Everything before an hour, and everything after.
/// #[derive(Debug)]
/// struct BeforeAndAfter(Moment);
///
/// impl Window for BeforeAndAfter {
///     fn check(&self) -> Result<()> { Ok(()) }
///     fn spans(&self, at: Moment, each: &mut dyn FnMut(Span)) {
///         match at < self.0 {
///             true => each(Span::new(Moment::MIN, self.0)),
///             false => each(Span::new(self.0, Moment::MAX)),
///         }
///     }
/// }
/// ```
pub trait Window: fmt::Debug + Send + Sync + 'static {
    /// Whether its options make sense; asked before anything else.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidOption`](crate::ErrorKind::InvalidOption), naming the option.
    fn check(&self) -> Result<()>;

    /// Calls `each` with every span that an event at this time belongs to. Equal spans are the same
    /// window.
    fn spans(&self, at: Moment, each: &mut dyn FnMut(Span)) {
        if let Some(span) = self.joined(at, at) {
            each(span);
        }
    }

    /// For a window that grows: its span, when its events are from `first` to `last`. `None` when
    /// they cannot be in one. Two windows whose spans overlap, and which can be in one, become one.
    fn joined(&self, first: Moment, last: Moment) -> Option<Span> {
        let _ = (first, last);
        None
    }

    /// Whether an event that comes late may make one of two windows.
    fn merges(&self) -> bool {
        false
    }

    /// With how many events it is over.
    fn size(&self) -> Option<u64> {
        None
    }

    /// Why it is over when its span is, whose last event was at `last`.
    fn reason(&self, span: Span, last: Moment) -> CloseReason {
        let _ = (span, last);
        CloseReason::Time
    }
}

impl Window for Box<dyn Window> {
    fn check(&self) -> Result<()> {
        (**self).check()
    }

    fn spans(&self, at: Moment, each: &mut dyn FnMut(Span)) {
        (**self).spans(at, each);
    }

    fn joined(&self, first: Moment, last: Moment) -> Option<Span> {
        (**self).joined(first, last)
    }

    fn merges(&self) -> bool {
        (**self).merges()
    }

    fn size(&self) -> Option<u64> {
        (**self).size()
    }

    fn reason(&self, span: Span, last: Moment) -> CloseReason {
        (**self).reason(span, last)
    }
}

/// Why a window was closed. New reasons may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CloseReason {
    /// Its time was over.
    Time,
    /// It had as many events as it may have.
    Size,
    /// It had as many bytes of events as it may have.
    Bytes,
    /// Nothing came at all, so that its time could not go on.
    Idle,
    /// It had waited as long as it may.
    MaxWait,
    /// Another key needed its place.
    Keys,
    /// Somebody asked for it.
    Forced,
    /// The bus or the aggregator was shut down.
    Shutdown,
}

impl CloseReason {
    /// A stable word for logs and machines.
    ///
    /// ```
    /// use nexus_events_patterns::window::CloseReason;
    /// assert_eq!(CloseReason::MaxWait.as_str(), "max_wait");
    /// ```
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Size => "size",
            Self::Bytes => "bytes",
            Self::Idle => "idle",
            Self::MaxWait => "max_wait",
            Self::Keys => "keys",
            Self::Forced => "forced",
            Self::Shutdown => "shutdown",
        }
    }
}

/// An error unless it lasts a microsecond at least, which is the finest a window knows.
fn positive(what: &str, duration: Duration) -> Result<()> {
    if duration >= Duration::from_micros(1) {
        return Ok(());
    }
    Err(Error::invalid_option(format!("{what} is at least 1µs, not {duration:?}")))
}
