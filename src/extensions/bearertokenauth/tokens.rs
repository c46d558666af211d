//! Tokens from the settings, or from a file that is read again when it changes.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use subtle::ConstantTimeEq;

use crate::config::Secret;

/// Some tokens.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    tokens: Vec<Secret>,
}

impl Tokens {
    /// The tokens that are not empty.
    pub(super) fn new(tokens: impl Iterator<Item = Secret>) -> Self {
        Self { tokens: tokens.filter(|token| !token.is_empty()).collect() }
    }

    /// The position of `token`; takes as long for a wrong one as for a right one.
    pub(super) fn find(&self, token: &str) -> Option<usize> {
        let mut found = None;
        for (position, held) in self.tokens.iter().enumerate() {
            if bool::from(held.expose().as_bytes().ct_eq(token.as_bytes())) {
                found = Some(position);
            }
        }
        found
    }

    /// The first.
    pub(super) fn first(&self) -> Option<&Secret> {
        self.tokens.first()
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }
}

/// Where tokens come from.
#[derive(Debug)]
pub(super) enum Source {
    /// The settings.
    Given(Arc<Tokens>),
    /// A file, and what it held when it was last read.
    File { path: PathBuf, read: Mutex<Read> },
}

/// What a file held, and by what it is seen that it changed.
#[derive(Clone, Debug)]
pub(super) struct Read {
    stamp: (Option<SystemTime>, u64),
    tokens: Arc<Tokens>,
}

impl Source {
    /// Reads a file of tokens.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let read = Mutex::new(read(path, stamp(path)?)?);
        Ok(Self::File { path: path.to_owned(), read })
    }

    /// The tokens of now. A file that changed is read again.
    pub(super) fn now(&self) -> io::Result<Arc<Tokens>> {
        let (path, held) = match self {
            Self::Given(tokens) => return Ok(Arc::clone(tokens)),
            Self::File { path, read } => (path, read),
        };
        let stamp = stamp(path)?;
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.stamp != stamp {
            *held = read(path, stamp)?;
        }
        Ok(Arc::clone(&held.tokens))
    }
}

fn stamp(path: &Path) -> io::Result<(Option<SystemTime>, u64)> {
    let metadata = std::fs::metadata(path)?;
    Ok((metadata.modified().ok(), metadata.len()))
}

fn read(path: &Path, stamp: (Option<SystemTime>, u64)) -> io::Result<Read> {
    let text = std::fs::read_to_string(path)?;
    let lines = text.lines().map(|line| Secret::new(line.trim().to_owned()));
    Ok(Read { stamp, tokens: Arc::new(Tokens::new(lines)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "one\n\n two \n").unwrap();
        let source = Source::open(&path).unwrap();
        let tokens = source.now().unwrap();
        assert_eq!((tokens.find("one"), tokens.find("two")), (Some(0), Some(1)));
        assert_eq!(tokens.find(""), None);
        std::fs::write(&path, "three and longer").unwrap();
        let tokens = source.now().unwrap();
        assert_eq!((tokens.find("one"), tokens.find("three and longer")), (None, Some(0)));
        std::fs::remove_file(&path).unwrap();
        assert!(source.now().is_err());
    }
}
