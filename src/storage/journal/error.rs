//! What can go wrong with a log.

use std::io;
use std::path::{Path, PathBuf};

/// Why a log could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
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
    /// A file was written by a later version.
    #[error("`{}` has version {found} of the format, which this version cannot read", path.display())]
    Version {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: u32,
    },
    /// Two files belong to different logs.
    #[error("`{}` belongs to another log than the segments before it", path.display())]
    Mixed {
        /// The second of them.
        path: PathBuf,
    },
    /// Another process has it open.
    #[error("`{}` is in use by {}", path.display(), holder.map_or_else(|| "another process".to_owned(), |pid| format!("the process {pid}")))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that holds it, if it says so.
        holder: Option<u32>,
    },
}

impl OpenError {
    /// A failure of the file system while doing `what` to `path`.
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }
}

/// Why an entry was not stored. Nothing of it is in the log.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// The log has as many bytes as it may have.
    #[error("the log in `{}` is full: it may have {max_bytes} bytes, and all are needed", path.display())]
    Full {
        /// Its folder.
        path: PathBuf,
        /// How large it may be.
        max_bytes: u64,
    },
    /// The entry is longer than any may be.
    #[error("a request of {bytes} bytes is too long for the log")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The file system failed.
    #[error("cannot {what} `{}`", path.display())]
    File {
        /// What was being done.
        what: &'static str,
        /// To which file.
        path: PathBuf,
        /// What failed.
        source: std::sync::Arc<io::Error>,
    },
}

impl AppendError {
    /// A failure of the file system while doing `what` to `path`.
    pub(super) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source: source.into() }
    }
}
