//! Machines as they were at any call, and when they are on again.

use super::{Call, Loss, Machine, Trace};
use crate::random::Random;

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The power goes, and so much of what is not synced is lost.
    PowerCut(Loss),
    /// The process is killed; the system has all that was written.
    Killed,
}

impl End {
    pub(crate) fn random(random: &mut Random) -> Self {
        match random.below(6) {
            0 => Self::Killed,
            _ => Self::PowerCut(random.pick(&Loss::ALL)),
        }
    }

    pub(crate) fn apply(
        self,
        machine: &Machine,
        next: Option<&Call>,
        random: &mut Random,
    ) -> Machine {
        match self {
            Self::PowerCut(loss) => machine.after_power_cut(loss, random),
            Self::Killed => machine.after_kill(next, random),
        }
    }
}

impl Trace {
    /// Goes through the machine before each of these calls, which are in order.
    pub(crate) fn visit<E>(
        &self,
        at: &[usize],
        mut visit: impl FnMut(usize, &Machine) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut machine, mut done) = (self.before.clone(), 0);
        for at in at {
            self.calls[done..*at].iter().for_each(|call| machine.apply(call));
            done = *at;
            visit(*at, &machine)?;
        }
        Ok(())
    }
}
