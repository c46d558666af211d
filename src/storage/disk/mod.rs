//! Files as the journal needs them: what is durable when, and nothing else.
//!
//! A file's bytes are durable after [`DiskFile::sync`], that a file is there (or gone, or has
//! another name) after [`Disk::sync_folder`]. Calls block; whoever calls them is on a thread that
//! may.

mod local;
mod read_only;
#[cfg(test)]
pub(crate) mod simulated;

use std::fmt::Debug;
use std::io;
use std::path::Path;

pub use local::LocalDisk;
pub use read_only::ReadOnlyDisk;

/// Folders and files.
pub trait Disk: Debug + Send + Sync {
    /// Makes a folder, and those above it that are missing, durably.
    ///
    /// # Errors
    ///
    /// Fails when it is not there afterwards.
    fn create_folder(&self, path: &Path) -> io::Result<()>;

    /// The names of the files in a folder, in no order; names that are not UTF-8 are left out.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be read.
    fn list(&self, folder: &Path) -> io::Result<Vec<String>>;

    /// Makes a new file of `len` zeros, for which there is room on the disk afterwards.
    ///
    /// # Errors
    ///
    /// Fails when it is there already, or when there is no room; then nothing is left of it.
    fn create(&self, path: &Path, len: u64) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    ///
    /// Fails when it is not there.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name in the same folder, in the place of a file that has it.
    ///
    /// # Errors
    ///
    /// Fails when it still has the old one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file; one that is not there is removed.
    ///
    /// # Errors
    ///
    /// Fails when it is still there.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes durable which files a folder has.
    ///
    /// # Errors
    ///
    /// Fails when that is not known to be so.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// An open file.
pub trait DiskFile: Debug + Send + Sync {
    /// How many bytes it has.
    ///
    /// # Errors
    ///
    /// Fails when that cannot be told.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Fills `bytes` with what is at `offset`.
    ///
    /// # Errors
    ///
    /// Fails when the file ends before.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes `bytes` at `offset`, in one piece or not; durable only once it is synced.
    ///
    /// # Errors
    ///
    /// Fails when not all are written; then nothing is known of that part of the file.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file, or makes it longer with zeros.
    ///
    /// # Errors
    ///
    /// Fails when it has the old length.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes everything that was written durable, and the length.
    ///
    /// # Errors
    ///
    /// Fails when that is not known to be so; syncing again proves nothing then.
    fn sync(&self) -> io::Result<()>;
}
