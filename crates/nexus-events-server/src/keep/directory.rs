//! A directory that goes when nobody needs it any more.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::exit::Outcome;

/// How many names are tried.
const NAMES_TRIED: u32 = 1_000;

/// A new directory among the system's temporary ones, removed when dropped.
#[derive(Debug)]
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new() -> Outcome<Self> {
        let parent = std::env::temp_dir();
        let mut number = 0;
        let error = loop {
            let path = parent.join(format!("nexus-demo-{}-{number}", std::process::id()));
            match std::fs::create_dir(&path) {
                Ok(()) => return Ok(Self(path)),
                // One of a program that was killed and had this number.
                Err(error) if error.kind() == ErrorKind::AlreadyExists && number < NAMES_TRIED => {
                    number += 1;
                }
                Err(error) => break error,
            }
        };
        let place = parent.display();
        let context = format!(
            "no directory can be made in {place} for the store; make room there, name another one in TMPDIR, or leave the store out with --ephemeral"
        );
        Ok(Err(error).context(context)?)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed lies where the system clears up by itself.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_new_and_goes() {
        let (one, other) = (Temporary::new().unwrap(), Temporary::new().unwrap());
        assert_ne!(one.path(), other.path());
        std::fs::write(one.path().join("file"), "x").unwrap();
        let path = one.path().to_owned();
        drop(one);
        assert!(!path.exists() && other.path().exists());
    }
}
