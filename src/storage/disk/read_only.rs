//! The file system, for reading only.

use std::io;
use std::path::Path;

use super::{Disk, DiskFile, LocalDisk};
use crate::storage::files::DataFile;

/// The file system of this machine, where nothing can be changed: what would do so fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOnlyDisk;

fn refusal<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for ReadOnlyDisk {
    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        refusal()
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        LocalDisk.list(folder)
    }

    fn create(&self, _path: &Path, _len: u64) -> io::Result<Box<dyn DiskFile>> {
        refusal()
    }

    /// The file is opened for reading only; the system refuses to write to it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(DataFile::open_to_read(path)?))
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refusal()
    }

    fn remove(&self, _path: &Path) -> io::Result<()> {
        refusal()
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        refusal()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_are_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "abc").unwrap();
        let file = ReadOnlyDisk.open(&path).unwrap();
        let mut bytes = [0; 2];
        file.read_at(&mut bytes, 1).unwrap();
        assert_eq!(&bytes, b"bc");
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err());
        let other = folder.path().join("b");
        assert!(ReadOnlyDisk.create(&other, 1).is_err());
        assert!(ReadOnlyDisk.create_folder(&other).is_err());
        assert!(ReadOnlyDisk.rename(&path, &other).is_err());
        assert!(ReadOnlyDisk.remove(&path).is_err());
        assert_eq!(ReadOnlyDisk.list(folder.path()).unwrap(), ["a"]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "abc");
    }
}
