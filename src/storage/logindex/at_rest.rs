//! Reads the folder of a log index that is not this process's: nothing in it is changed or locked.
//!
//! An agent may write to it meanwhile. What is committed is read all the same: files that an index
//! names never change, and one that is removed by a merge just when it should be opened makes the
//! index be read again. What is not committed is not in the folder.

use std::fmt;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tantivy::Index;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    Directory, DirectoryLock, FileHandle, INDEX_WRITER_LOCK, Lock, MmapDirectory, WatchCallback,
    WatchHandle, WritePtr,
};

use super::error::LogIndexError;
use super::index::Listed;
use super::manifest::{INDEX_FOLDER, WindowManifest, check_directory, window_folders};
use super::search::{Snapshot, Source};
use super::window::{Access, Window};

/// The system's list of locked files.
const LOCKS: &str = "/proc/locks";

/// What the folder of a log index has.
pub struct AtRest {
    /// What is committed.
    pub snapshot: Snapshot,
    /// The process that writes to the folder, as far as that can be seen: what it has not committed
    /// is missing here.
    pub writer: Option<u32>,
    /// Why windows are left out: damaged, or of an earlier version.
    pub left_out: Vec<LogIndexError>,
}

/// Reads the folder of a log index, whether or not an agent has it.
///
/// # Errors
///
/// Fails when it is not such a folder or cannot be read.
pub fn read_at_rest(directory: &Path) -> Result<AtRest, LogIndexError> {
    check_directory(directory)?;
    let mut sources = Vec::new();
    let mut left_out = Vec::new();
    let mut indexes = Vec::new();
    for folder in window_folders(directory)? {
        let loaded = match WindowManifest::read(&folder) {
            // It is about to be made, or was about to.
            Ok(None) => continue,
            Ok(Some(manifest)) => Window::load(folder.clone(), manifest, Access::ReadOnly),
            Err(error) => Err(error),
        };
        match loaded {
            Ok(window) => {
                indexes.push(folder.join(INDEX_FOLDER));
                let listed = Listed { window: Arc::new(window), held: None };
                sources.push(Source::window(listed, None));
            }
            // Retention may have removed it since it was listed.
            Err(_) if !folder.exists() => {}
            Err(error) if error.is_of_window() => left_out.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(AtRest { snapshot: Snapshot { sources }, writer: writer_of(&indexes), left_out })
}

/// The process that holds the writer's lock of one of the indexes.
fn writer_of(indexes: &[PathBuf]) -> Option<u32> {
    let locks = fs::read_to_string(LOCKS).ok()?;
    let lock_of = |index: &PathBuf| fs::metadata(index.join(&INDEX_WRITER_LOCK.filepath)).ok();
    let files: Vec<Metadata> = indexes.iter().filter_map(lock_of).collect();
    locks.lines().filter_map(locker).find_map(|(pid, inode)| {
        let is_it = |file: &Metadata| file.ino() == inode && may_have_open(pid, file);
        files.iter().any(is_it).then_some(pid)
    })
}

/// The process and the file's inode in a line such as
/// `1: FLOCK  ADVISORY  WRITE 4711 fe:01:131090 0 EOF`.
///
/// The device in it is of no use: what the system tells of them differs where layers of folders lie
/// over one another.
fn locker(line: &str) -> Option<(u32, u64)> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let &[_, "FLOCK", _, "WRITE", pid, file, ..] = fields.as_slice() else {
        return None;
    };
    // From within a container, processes outside are 0.
    let pid = pid.parse().ok().filter(|pid| *pid > 0)?;
    Some((pid, file.rsplit(':').next()?.parse().ok()?))
}

/// Whether a process has a file open, or keeps from us what it has: files on different devices may
/// have the same inode.
fn may_have_open(pid: u32, file: &Metadata) -> bool {
    let Ok(handles) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return true;
    };
    let mut opened = handles.flatten().filter_map(|handle| fs::metadata(handle.path()).ok());
    opened.any(|opened| (opened.dev(), opened.ino()) == (file.dev(), file.ino()))
}

/// Opens the files of an index for reading only.
pub(super) fn open_files(path: &Path) -> tantivy::Result<Index> {
    Index::open(ReadOnly(MmapDirectory::open(path)?))
}

/// A folder that is only read: not even the lock files of readers are made.
#[derive(Clone)]
struct ReadOnly(MmapDirectory);

impl fmt::Debug for ReadOnly {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

fn refused() -> io::Error {
    io::ErrorKind::ReadOnlyFilesystem.into()
}

impl Directory for ReadOnly {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.0.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        let (io_error, filepath) = (Arc::new(refused()), path.to_owned());
        Err(DeleteError::IoError { io_error, filepath })
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.0.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        Err(OpenWriteError::wrap_io_error(refused(), path.to_owned()))
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.0.atomic_read(path)
    }

    fn atomic_write(&self, _path: &Path, _data: &[u8]) -> io::Result<()> {
        Err(refused())
    }

    fn sync_directory(&self) -> io::Result<()> {
        Ok(())
    }

    fn acquire_lock(&self, _lock: &Lock) -> Result<DirectoryLock, LockError> {
        Ok(DirectoryLock::from(Box::new(())))
    }

    fn watch(&self, _callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        Ok(WatchHandle::empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn process_that_locks_a_file_is_found() {
        let line = "1: FLOCK  ADVISORY  WRITE 4711 fe:01:131090 0 EOF";
        assert_eq!(locker(line), Some((4711, 131_090)));
        for other in ["", "2: POSIX  ADVISORY  WRITE 4711 fe:01:131090 0 EOF", "1: FLOCK"] {
            assert_eq!(locker(other), None, "{other}");
        }
        assert_eq!(locker("1: FLOCK  ADVISORY  WRITE 0 fe:01:131090 0 EOF"), None);
    }

    #[test]
    fn process_that_has_not_opened_a_file_does_not_lock_it() {
        let own = std::process::id();
        if fs::read_dir(format!("/proc/{own}/fd")).is_err() {
            return;
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        let metadata = file.as_file().metadata().unwrap();
        assert!(may_have_open(own, &metadata));
        let path = file.into_temp_path();
        assert!(!may_have_open(own, &metadata));
        drop(path);
    }
}
