//! Calls that fail, and calls that say they did what they did not.

use std::io;

use super::State;
use super::machine::Call;
use crate::random::Random;

/// A kind of call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Site {
    Open,
    Len,
    Read,
    Write,
    SetLen,
    Sync,
    Rename,
    Remove,
    SyncFolder,
}

/// The call that fails, by its number among all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) at: usize,
    pub(crate) kind: io::ErrorKind,
    /// Whether all of its kind fail from then on.
    pub(crate) lasts: bool,
}

/// How it deceives.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sabotage {
    /// So many of 100 syncs do nothing.
    pub(crate) lies: u32,
    pub(crate) forgets_folders: bool,
}

impl Sabotage {
    pub(super) fn instead(self, call: Call, random: &mut Random) -> Call {
        match call {
            Call::Sync(_) if random.percent(self.lies) => Call::Lie,
            Call::SyncFolder if self.forgets_folders => Call::Lie,
            call => call,
        }
    }
}

impl State {
    /// A call that changes nothing.
    pub(super) fn pass(&mut self, site: Site) -> io::Result<()> {
        match self.failing(site)? {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// The error of a call that fails but may leave something; the error of one that does nothing.
    pub(super) fn failing(&mut self, site: Site) -> io::Result<Option<io::Error>> {
        self.sites.push(site);
        if self.is_off {
            return Err(io::Error::other("no power"));
        }
        let Some(fault) = self.fault else { return Ok(None) };
        let number = self.sites.len() - 1;
        let fails = match self.sites.get(fault.at) {
            Some(first) if fault.lasts => *first == site,
            _ => fault.at == number,
        };
        Ok(fails.then(|| fault.kind.into()))
    }
}

/// What a call has done all the same when it fails.
pub(super) fn left_of(call: Call, random: &mut Random) -> Option<Call> {
    match call {
        Call::Write(file, offset, data) => {
            let some = random.below(data.len() + 1);
            (some > 0).then(|| Call::Write(file, offset, data[..some].into()))
        }
        Call::Sync(file) => Some(Call::FailedSync(file, random.next())),
        _ => None,
    }
}
