//! One process per folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
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
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let holder = file.read_to_string(&mut text).ok().and_then(|_| text.parse().ok());
                return Err(OpenError::Locked { path: folder.to_owned(), holder });
            }
            Err(TryLockError::Error(source)) => return Err(OpenError::file("lock", &path)(source)),
        }
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        write(&mut file).map_err(OpenError::file("write", &path))?;
        Ok(Self { _file: file })
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
        drop(lock);
        Lock::try_new(folder.path()).unwrap();
    }
}
