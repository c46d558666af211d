//! One process per folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use super::error::OpenError;

/// The file that is locked, and says by whom.
const NAME: &str = "lock";

/// Keeps other processes from opening the log in a folder, for as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks a folder, which is there.
    ///
    /// # Errors
    ///
    /// Fails when another process has it locked, or when the file cannot be made.
    pub fn try_new(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(OpenError::file("open", &path))?;
        let locked = file.try_lock();
        answer(locked, &mut file, folder)?;
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(OpenError::file("write", &path))?;
        Ok(Self { _file: file })
    }

    /// Looks whether a folder is free, and changes nothing; a folder without the file is.
    ///
    /// # Errors
    ///
    /// Fails when a process has it locked, or when that cannot be told.
    pub fn check(folder: &Path) -> Result<(), OpenError> {
        let path = folder.join(NAME);
        let mut file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(OpenError::file("open", &path))?,
        };
        let locked = file.try_lock_shared();
        answer(locked, &mut file, folder)
    }
}

/// What an attempt to lock the file of a folder came to.
fn answer(
    locked: Result<(), TryLockError>,
    file: &mut File,
    folder: &Path,
) -> Result<(), OpenError> {
    match locked {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let holder = file.read_to_string(&mut text).ok().and_then(|_| text.parse().ok());
            Err(OpenError::Locked { path: folder.to_owned(), holder })
        }
        Err(TryLockError::Error(source)) => {
            Err(OpenError::file("lock", &folder.join(NAME))(source))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_locked_once_and_the_holder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::try_new(folder.path()).unwrap();
        let error = Lock::try_new(folder.path()).unwrap_err().to_string();
        assert!(
            error.ends_with(&format!("in use by the process {}", std::process::id())),
            "{error}"
        );
        assert_eq!(Lock::check(folder.path()).unwrap_err().to_string(), error);
        drop(lock);
        Lock::check(folder.path()).unwrap();
        Lock::try_new(folder.path()).unwrap();
    }

    #[test]
    fn folder_without_the_file_is_free_and_has_none_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        Lock::check(folder.path()).unwrap();
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
    }
}
