//! What can go wrong with a log index.

use std::io;
use std::path::{Path, PathBuf};

use tantivy::TantivyError;

/// Why a log index cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogIndexError {
    /// The file system failed.
    #[error("cannot {what} `{}`", path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The index library failed, mostly because the file system did.
    #[error("cannot {what} the index in `{}`", path.display())]
    Index {
        /// What was being done.
        what: &'static str,
        /// The index's folder.
        path: PathBuf,
        /// What failed.
        source: Box<TantivyError>,
    },
    /// A file is not one of ours, or was cut short.
    #[error("`{}` is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A folder is not that of a log index.
    #[error("`{}` is not the folder of a log index", path.display())]
    NotAnIndex {
        /// The folder.
        path: PathBuf,
    },
    /// A file was written by a later version.
    #[error("`{}` has version {found}, at most {known} is known", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The highest version that can be read.
        known: u32,
    },
    /// A window was written by an earlier version, whose words and keys are others.
    #[error("`{}` has version {found}, which is no longer read", path.display())]
    Outdated {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// The index library panicked.
    #[error("indexing into `{}` panicked", path.display())]
    Panicked {
        /// The window's folder.
        path: PathBuf,
    },
    /// A search took longer than it may.
    #[error("the search took longer than it may; narrow the time range or add a condition")]
    TooSlow,
    /// A search took more memory than it may.
    #[error(
        "the search takes more than the {} MiB of memory that it may; look for fewer records or \
         narrow the time range",
        max_bytes >> 20
    )]
    TooLarge {
        /// What it may take.
        max_bytes: usize,
    },
    /// The index thread ended.
    #[error("the log index in `{}` is stopped", path.display())]
    Stopped {
        /// Its folder.
        path: PathBuf,
    },
}

impl LogIndexError {
    /// Whether a window that fails so is left out, while the others are searched.
    pub(crate) const fn is_of_window(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Outdated { .. } | Self::Index { .. })
    }

    /// A failure of the file system while doing `what` to `path`.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }

    /// A failure of the index library while doing `what` in `path`, if it is not one of ours that
    /// came through it.
    pub(crate) fn index(what: &'static str, path: &Path) -> impl FnOnce(TantivyError) -> Self {
        let path = path.to_owned();
        move |source| match &source {
            TantivyError::IoError(error) if is_too_slow(error) => Self::TooSlow,
            _ => Self::Index { what, path, source: Box::new(source) },
        }
    }
}

fn is_too_slow(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    matches!(error, Some(LogIndexError::TooSlow))
}
