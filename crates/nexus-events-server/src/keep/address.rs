//! Where the server of a store listens, written beside the store while it runs, so that whoever
//! finds the store in use is told whom to ask.

use std::path::{Path, PathBuf};

use crate::output::plain;

/// Beside the file of the store.
const FILE: &str = "server.url";

/// Longest address that is read back.
const BYTES_MAX: usize = 256;

/// The address of a server, as long as it runs.
#[derive(Debug)]
pub(crate) struct Address(PathBuf);

impl Address {
    /// Writes it down; without it there is a hint less.
    pub(crate) fn write(directory: &Path, url: &str) -> Self {
        let path = directory.join(FILE);
        let _ = std::fs::write(&path, url);
        Self(path)
    }

    /// What the server of this directory wrote. One that was killed has left it, so ask only where
    /// the store is in use.
    pub(crate) fn read(directory: &Path) -> Option<String> {
        let url = std::fs::read_to_string(directory.join(FILE)).ok()?;
        let is_url = url.len() <= BYTES_MAX && url.starts_with("http://");
        is_url.then(|| plain(url.trim()))
    }
}

impl Drop for Address {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Temporary;
    use super::*;

    #[test]
    fn it_is_there_as_long_as_the_server() {
        let directory = Temporary::new().unwrap();
        let address = Address::write(directory.path(), "http://127.0.0.1:9");
        assert_eq!(Address::read(directory.path()).as_deref(), Some("http://127.0.0.1:9"));
        drop(address);
        assert_eq!(Address::read(directory.path()), None);
        for wrong in ["", "ftp://x", &format!("http://{}", "x".repeat(BYTES_MAX))] {
            std::fs::write(directory.path().join(FILE), wrong).unwrap();
            assert_eq!(Address::read(directory.path()), None);
        }
    }
}
