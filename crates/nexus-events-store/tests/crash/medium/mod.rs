//! A medium that loses its power, fails, fills up, and lies where a test wants it to.
//!
//! It writes down every call that changes something. A [`Trace`] gives the machine as it was before
//! any of these calls, and from there as it is after a loss of power or a kill. That shows the same
//! disks as to let each call in turn be the last one, for the price of one run; `power.rs` compares
//! the two.

mod damage;
mod faults;
mod file;
mod image;
mod machine;
mod power;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::Arc;

use nexus_events_store::{Disk, Medium, Opening};
use parking_lot::{Condvar, Mutex};

pub(crate) use self::damage::Damage;
pub(crate) use self::faults::{Fault, Sabotage, Site};
pub(crate) use self::machine::{Call, Loss, Machine};
pub(crate) use self::power::End;
use crate::random::Random;

/// What was done to a machine.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    pub(crate) before: Machine,
    pub(crate) calls: Vec<Call>,
}

/// Clones are the same medium.
#[derive(Debug, Clone)]
pub(crate) struct SimMedium(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    before: Machine,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) machine: Machine,
    pub(crate) calls: Vec<Call>,
    pub(crate) fault: Option<Fault>,
    pub(crate) sabotage: Sabotage,
    pub(crate) random: Random,
    /// The room of the disk in bytes.
    pub(crate) room: Option<usize>,
    /// All calls that there were.
    pub(crate) sites: Vec<Site>,
    /// The number of the call that changes something at which the power goes.
    pub(crate) off_at: Option<usize>,
    is_off: bool,
    locked: BTreeSet<usize>,
    /// Whoever asks for the free space waits until this is false, and is counted here meanwhile.
    is_held: bool,
    waiting: usize,
}

impl SimMedium {
    pub(crate) fn new(machine: Machine, seed: u64) -> Self {
        let state = State {
            machine: machine.clone(),
            calls: Vec::new(),
            fault: None,
            sabotage: Sabotage::default(),
            random: Random::new(seed),
            room: None,
            sites: Vec::new(),
            off_at: None,
            is_off: false,
            locked: BTreeSet::new(),
            is_held: false,
            waiting: 0,
        };
        let (before, state, changed) = (machine, Mutex::new(state), Condvar::new());
        Self(Arc::new(Inner { before, state, changed }))
    }

    /// Changes how it behaves from now on.
    pub(crate) fn set(&self, set: impl FnOnce(&mut State)) {
        set(&mut self.0.state.lock());
    }

    /// How many calls have changed something.
    pub(crate) fn calls(&self) -> usize {
        self.0.state.lock().calls.len()
    }

    pub(crate) fn machine(&self) -> Machine {
        self.0.state.lock().machine.clone()
    }

    pub(crate) fn sites(&self) -> Vec<Site> {
        self.0.state.lock().sites.clone()
    }

    pub(crate) fn trace(&self) -> Trace {
        Trace { before: self.0.before.clone(), calls: self.0.state.lock().calls.clone() }
    }

    /// From now on nothing works any more.
    pub(crate) fn cut_power(&self) {
        self.0.state.lock().is_off = true;
    }

    /// Stops whoever asks for the free space, until [`release`](Self::release).
    pub(crate) fn hold(&self) {
        self.0.state.lock().is_held = true;
    }

    /// Returns when somebody is stopped.
    pub(crate) fn held(&self) {
        let mut state = self.0.state.lock();
        while state.waiting == 0 {
            self.0.changed.wait(&mut state);
        }
    }

    pub(crate) fn release(&self) {
        self.0.state.lock().is_held = false;
        self.0.changed.notify_all();
    }

    fn change(&self, site: Site, call: Call) -> io::Result<()> {
        self.0.state.lock().change(site, call)
    }
}

impl State {
    fn change(&mut self, site: Site, call: Call) -> io::Result<()> {
        self.is_off |= self.off_at == Some(self.calls.len());
        let call = self.sabotage.instead(call, &mut self.random);
        if let Some(error) = self.failing(site)? {
            if let Some(left) = faults::left_of(call, &mut self.random) {
                self.apply(left);
            }
            return Err(error);
        }
        self.check_room(&call)?;
        self.apply(call);
        Ok(())
    }

    fn apply(&mut self, call: Call) {
        self.machine.apply(&call);
        self.calls.push(call);
    }

    fn check_room(&mut self, call: &Call) -> io::Result<()> {
        let (Some(room), Call::Write(..)) = (self.room, call) else { return Ok(()) };
        let mut after = self.machine.clone();
        after.apply(call);
        let (before, after) = (self.machine.bytes_taken(), after.bytes_taken());
        match after > before && after > room {
            true => Err(io::ErrorKind::StorageFull.into()),
            false => Ok(()),
        }
    }
}

impl Medium for SimMedium {
    fn open(&self, path: &Path, opening: Opening) -> io::Result<Arc<dyn Disk>> {
        let mut state = self.0.state.lock();
        let file = match (state.machine.named(path), opening) {
            (Some(file), Opening::Existing) => {
                state.pass(Site::Open)?;
                file
            }
            (None, Opening::New) => {
                state.change(Site::Open, Call::Create(path.to_owned()))?;
                state.machine.named(path).ok_or(io::ErrorKind::NotFound)?
            }
            (Some(_), Opening::New) => return Err(io::ErrorKind::AlreadyExists.into()),
            (None, Opening::Existing) => return Err(io::ErrorKind::NotFound.into()),
        };
        let medium = self.clone();
        Ok(Arc::new(SimDisk { medium, file, has_lock: Mutex::new(false) }))
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        let mut state = self.0.state.lock();
        state.pass(Site::Open)?;
        Ok(state.machine.named(path).is_some())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Site::Rename, Call::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(Site::Remove, Call::Remove(path.to_owned()))
    }

    fn sync_folder(&self, _: &Path) -> io::Result<()> {
        self.change(Site::SyncFolder, Call::SyncFolder)
    }

    fn free_space(&self, _: &Path) -> io::Result<Option<u64>> {
        let mut state = self.0.state.lock();
        state.waiting += 1;
        self.0.changed.notify_all();
        while state.is_held {
            self.0.changed.wait(&mut state);
        }
        state.waiting -= 1;
        let taken = state.machine.bytes_taken();
        Ok(state.room.map(|room| room.saturating_sub(taken) as u64))
    }
}

/// An open file of the machine.
#[derive(Debug)]
struct SimDisk {
    medium: SimMedium,
    file: usize,
    has_lock: Mutex<bool>,
}

impl Disk for SimDisk {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.medium.0.state.lock();
        state.pass(Site::Len)?;
        Ok(state.machine.file(self.file).seen.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let mut state = self.medium.0.state.lock();
        state.pass(Site::Read)?;
        state.machine.file(self.file).seen.read(offset as usize, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.medium.change(Site::Write, Call::Write(self.file, offset as usize, data.into()))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.medium.change(Site::SetLen, Call::SetLen(self.file, len as usize))
    }

    fn sync(&self) -> io::Result<()> {
        self.medium.change(Site::Sync, Call::Sync(self.file))
    }

    fn lock(&self) -> io::Result<bool> {
        let is_new = self.medium.0.state.lock().locked.insert(self.file);
        *self.has_lock.lock() |= is_new;
        Ok(is_new)
    }
}

impl Drop for SimDisk {
    fn drop(&mut self) {
        if *self.has_lock.lock() {
            self.medium.0.state.lock().locked.remove(&self.file);
        }
    }
}
