//! All files of a machine, and what happens to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::damage::Damage;
use super::file::File;
use super::image::BLOCK;
use crate::random::Random;

/// How much of what is not synced survives when the power goes, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Loss(u32);

impl Loss {
    pub(crate) const ALL: [Self; 5] = [Self(0), Self(10), Self(50), Self(90), Self(100)];

    pub(crate) fn kept(self) -> u32 {
        self.0
    }
}

/// A call that changes something.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Create(PathBuf),
    Write(usize, usize, Arc<[u8]>),
    SetLen(usize, usize),
    Sync(usize),
    /// It has failed, and what was to be written is lost in part; the seed says which.
    FailedSync(usize, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder,
    /// A sync that does nothing, though it says it did.
    Lie,
}

#[derive(Debug, Clone)]
enum NameChange {
    Is(PathBuf, usize),
    Moved(PathBuf, PathBuf, usize),
    Gone(PathBuf),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Machine {
    files: Vec<File>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
}

impl Machine {
    pub(crate) fn named(&self, path: &Path) -> Option<usize> {
        self.names.get(path).copied()
    }

    pub(crate) fn file(&self, file: usize) -> &File {
        &self.files[file]
    }

    /// See [`File::scramble_unsynced`].
    pub(crate) fn scramble_unsynced(&mut self, path: &Path, random: &mut Random) {
        self.files[self.names[path]].scramble_unsynced(random);
    }

    /// Damages a file that nobody has open.
    pub(crate) fn damage(&mut self, path: &Path, damage: Damage) {
        let file = &mut self.files[self.names[path]];
        damage.apply(&mut file.seen);
        file.sync();
    }

    pub(crate) fn len(&self, path: &Path) -> usize {
        self.files[self.names[path]].seen.len()
    }

    pub(crate) fn bytes_taken(&self) -> usize {
        let live = self.names.values().map(|file| self.files[*file].seen.blocks_taken());
        live.sum::<usize>() * BLOCK
    }

    pub(crate) fn apply(&mut self, call: &Call) {
        match call {
            Call::Create(path) => {
                self.files.push(File::default());
                self.change(NameChange::Is(path.clone(), self.files.len() - 1));
            }
            Call::Write(file, offset, data) => self.files[*file].write(*offset, data),
            Call::SetLen(file, len) => self.files[*file].set_len(*len),
            Call::Sync(file) => self.files[*file].sync(),
            Call::FailedSync(file, seed) => {
                let mut random = Random::new(*seed);
                let loss = random.pick(&Loss::ALL);
                let left = self.files[*file].after_power_cut(loss, &mut random);
                self.files[*file] = left;
            }
            Call::Rename(from, to) => {
                if let Some(file) = self.named(from) {
                    self.change(NameChange::Moved(from.clone(), to.clone(), file));
                }
            }
            Call::Remove(path) => self.change(NameChange::Gone(path.clone())),
            Call::SyncFolder => {
                self.durable_names = self.names.clone();
                self.unsynced_names.clear();
            }
            Call::Lie => (),
        }
    }

    fn change(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    /// The machine when it has power again.
    pub(crate) fn after_power_cut(&self, loss: Loss, random: &mut Random) -> Self {
        let mut names = self.durable_names.clone();
        for change in &self.unsynced_names {
            if random.percent(loss.kept()) {
                change.apply(&mut names);
            }
        }
        let files = self.files.iter().map(|file| file.after_power_cut(loss, random)).collect();
        let durable_names = names.clone();
        Self { files, names, durable_names, unsynced_names: Vec::new() }
    }

    /// The machine after its process was killed, when it was about to make this call.
    pub(crate) fn after_kill(&self, next: Option<&Call>, random: &mut Random) -> Self {
        let mut after = self.clone();
        if let Some(Call::Write(file, offset, data)) = next {
            // The system copies page by page, and may be stopped between two.
            let pages = random.below(data.len().div_ceil(BLOCK));
            if pages > 0 {
                after.files[*file].write(*offset, &data[..pages * BLOCK]);
            }
        }
        after
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Is(path, file) => drop(names.insert(path.clone(), *file)),
            Self::Moved(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Gone(path) => drop(names.remove(path)),
        }
    }
}
