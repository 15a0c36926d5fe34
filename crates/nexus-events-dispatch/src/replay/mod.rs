//! Giving a part of the log to handlers again.

mod pace;
mod range;
mod report;
mod run;
mod stop;

pub use self::pace::Pace;
pub use self::range::Replay;
pub use self::report::{ReplayCounts, ReplayEnd, ReplayedRange};
pub use self::stop::ReplayStop;
