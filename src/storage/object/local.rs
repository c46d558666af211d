//! Objects as files of a local folder, synced before they are seen.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Crc;
use tracing::{info, warn};

use super::{Object, ObjectError, ObjectStore, Upload};
use crate::data::Time;
use crate::storage::files::{self, DataFile};

/// The folder of files that are being written; readers leave out names that begin with a dot.
const TEMPORARY: &str = ".temporary";

/// The end of the names in it.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// So many bytes are copied at once.
const COPY_BYTES: usize = 64 << 10;

/// Objects as files of a folder.
///
/// An object is written under another name, synced, renamed, and its folder synced. Its writer
/// holds a lock on it, so that others tell what is being written from what was left behind.
#[derive(Debug)]
pub struct LocalStore {
    root: PathBuf,
    prefix: String,
}

impl LocalStore {
    /// A store in the folder `root`. `prefix` begins the names of files that are left-overs of
    /// this process's own kind: of those it deletes what no living process writes.
    #[must_use]
    pub const fn new(root: PathBuf, prefix: String) -> Self {
        Self { root, prefix }
    }

    fn delete_left_over(&self, name: &str, path: &Path) -> io::Result<()> {
        if !name.starts_with(&self.prefix) || !name.contains(TEMPORARY_SUFFIX) {
            return Ok(());
        }
        let file = File::open(path)?;
        match file.try_lock() {
            Ok(()) => files::remove(path),
            Err(TryLockError::WouldBlock) => return Ok(()),
            Err(TryLockError::Error(error)) => Err(error),
        }?;
        info!(path = %path.display(), "deleted a file that a dead process left half-written");
        Ok(())
    }
}

impl ObjectStore for LocalStore {
    fn open(&self) -> Result<(), ObjectError> {
        let folder = self.root.join(TEMPORARY);
        files::create_folder(&folder).map_err(failed("create", &folder))?;
        for entry in fs::read_dir(&folder).map_err(failed("read", &folder))? {
            let entry = entry.map_err(failed("read", &folder))?;
            let name = entry.file_name();
            if let Err(error) = self.delete_left_over(&name.to_string_lossy(), &entry.path()) {
                warn!(path = %entry.path().display(), %error, "cannot delete a half-written file");
            }
        }
        Ok(())
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload>, ObjectError> {
        let path = self.root.join(name);
        let file_name = path.file_name().unwrap_or_default().to_string_lossy();
        let temporary = self.root.join(TEMPORARY).join(format!("{file_name}{TEMPORARY_SUFFIX}"));
        let file = create_locked(&temporary).map_err(failed("create", &temporary))?;
        Ok(Box::new(LocalUpload {
            path,
            temporary,
            file,
            size_bytes: 0,
            checksum: Crc::new(),
            state: State::Written,
        }))
    }

    fn list(&self, folder: &str) -> Result<Vec<Object>, ObjectError> {
        let mut objects = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let path = self.root.join(&folder);
            let entries = match fs::read_dir(&path) {
                Ok(entries) => entries,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("read", &path)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(failed("read", &path))?;
                let Ok(file_name) = entry.file_name().into_string() else { continue };
                // What is gone by now was deleted by somebody else.
                let Ok(metadata) = entry.metadata() else { continue };
                let name = format!("{folder}/{file_name}");
                if metadata.is_dir() {
                    folders.push(name);
                } else if metadata.is_file() {
                    let modified = metadata.modified().map_err(failed("read", &path))?;
                    objects.push(Object {
                        name,
                        size_bytes: metadata.len(),
                        modified: time_of(modified),
                    });
                }
            }
        }
        Ok(objects)
    }

    fn read_end(&self, name: &str, num_bytes: u64) -> Result<Bytes, ObjectError> {
        let path = self.root.join(name);
        let read = || {
            let mut file = File::open(&path)?;
            let size_bytes = file.metadata()?.len();
            file.seek(SeekFrom::Start(size_bytes.saturating_sub(num_bytes)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(bytes.into())
        };
        read().map_err(failed("read", &path))
    }

    fn delete(&self, name: &str) -> Result<(), ObjectError> {
        let path = self.root.join(name);
        match files::remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("delete", &path)(error));
            }
            _ => {}
        }
        // Folders go with their last file; one that is not empty stays.
        for folder in path.ancestors().skip(1).take_while(|folder| *folder != self.root) {
            if files::remove_empty_folder(folder).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// A time of the file system; 1970 for what was before.
fn time_of(modified: SystemTime) -> Time {
    let since = modified.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time::default().saturating_add(since)
}

/// How far a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is being written.
    Written,
    /// A sync failed: what the disk has is not known, and another sync would not tell.
    Unknown,
    /// Its bytes are on disk.
    Synced,
    /// It has its name.
    Named,
}

/// A file that is being written.
#[derive(Debug)]
struct LocalUpload {
    path: PathBuf,
    temporary: PathBuf,
    file: DataFile,
    size_bytes: u64,
    /// Of the bytes that should be in it.
    checksum: Crc,
    state: State,
}

impl LocalUpload {
    /// Writes all bytes to another file, and makes that the one.
    ///
    /// After a sync that failed the system may take pages for written that are not, so that a
    /// second one would succeed without them. What is read here may come from such pages, which is
    /// fine, or from a disk that never had them, which it cannot read or the checksum tells.
    fn write_again(&mut self) -> Result<(), ObjectError> {
        let again = self.temporary.with_added_extension("again");
        let file = create_locked(&again).map_err(failed("create", &again))?;
        let copied = self.copy_to(&file, &again).and_then(|()| {
            files::rename(&again, &self.temporary).map_err(failed("rename to", &self.temporary))
        });
        if copied.is_err() {
            // What stays is deleted at the next start.
            let _ = files::remove(&again);
            return copied;
        }
        self.file = file;
        Ok(())
    }

    fn copy_to(&self, to: &DataFile, to_path: &Path) -> Result<(), ObjectError> {
        let lost = |source| {
            let name = self.temporary.display().to_string();
            ObjectError::Lost { name, source }
        };
        let mut file = self.file.as_file();
        file.seek(SeekFrom::Start(0)).map_err(failed("read", &self.temporary))?;
        let mut from = file.take(self.size_bytes);
        let mut copied = 0;
        let mut checksum = Crc::new();
        let mut buffer = vec![0; COPY_BYTES];
        loop {
            let num_read = match from.read(&mut buffer) {
                Ok(0) => break,
                Ok(num_read) => num_read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(lost(Some(error))),
            };
            let bytes = buffer.get(..num_read).unwrap_or_default();
            checksum.update(bytes);
            to.write_all_at(bytes, copied).map_err(failed("write", to_path))?;
            copied += bytes.len() as u64;
        }
        if from.limit() > 0 || checksum.sum() != self.checksum.sum() {
            return Err(lost(None));
        }
        Ok(())
    }
}

impl Upload for LocalUpload {
    fn append(&mut self, bytes: &[u8]) -> Result<(), ObjectError> {
        let written = self.file.write_all_at(bytes, self.size_bytes);
        written.map_err(failed("write", &self.temporary))?;
        self.size_bytes += bytes.len() as u64;
        self.checksum.update(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), ObjectError> {
        if self.state == State::Unknown {
            self.write_again()?;
            self.state = State::Written;
        }
        if self.state == State::Written {
            self.state = State::Unknown;
            let synced = self.file.set_len(self.size_bytes).and_then(|()| self.file.sync());
            synced.map_err(failed("sync", &self.temporary))?;
            self.state = State::Synced;
        }
        let folder = self.path.parent().unwrap_or(Path::new("."));
        if self.state == State::Synced {
            files::create_folder(folder).map_err(failed("create", folder))?;
            files::rename(&self.temporary, &self.path).map_err(failed("rename to", &self.path))?;
            self.state = State::Named;
        }
        files::sync_folder(folder).map_err(failed("sync", folder))
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if self.state != State::Named {
            // What stays is deleted at the next start.
            let _ = files::remove(&self.temporary);
        }
    }
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ObjectError {
    let name = path.display().to_string();
    move |source| ObjectError::Failed { what, name, source }
}

/// A new file that others see to be in use.
fn create_locked(path: &Path) -> io::Result<DataFile> {
    let file = DataFile::create_new(path)?;
    if let Err(error) = file.as_file().lock() {
        // What stays is deleted at the next start.
        let _ = files::remove(path);
        return Err(error);
    }
    // Whoever looks for left-overs holds the lock for a moment, and may have deleted the file.
    if !path.exists() {
        return Err(io::ErrorKind::Interrupted.into());
    }
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file after a sync that failed, and its folder.
    fn unsynced() -> (LocalUpload, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let temporary = folder.path().join("a.tmp");
        let upload = LocalUpload {
            path: folder.path().join("deep/a"),
            file: create_locked(&temporary).unwrap(),
            temporary,
            size_bytes: 0,
            checksum: Crc::new(),
            state: State::Unknown,
        };
        (upload, folder)
    }

    #[test]
    fn file_is_written_again_after_a_sync_that_failed() {
        let (mut upload, folder) = unsynced();
        upload.append(b"some ").unwrap();
        upload.append(b"bytes").unwrap();
        upload.finish().unwrap();
        assert_eq!(fs::read(folder.path().join("deep/a")).unwrap(), b"some bytes");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn bytes_that_the_disk_lost_are_not_taken_for_written() {
        for damaged in [b"some byte_".as_slice(), b"some byt"] {
            let (mut upload, folder) = unsynced();
            upload.append(b"some bytes").unwrap();
            fs::write(&upload.temporary, damaged).unwrap();
            for _ in 0..2 {
                let error = upload.finish().unwrap_err();
                assert!(matches!(error, ObjectError::Lost { source: None, .. }), "{error:?}");
            }
            drop(upload);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn file_that_cannot_be_read_again_is_lost() {
        let (mut upload, _folder) = unsynced();
        upload.append(b"some bytes").unwrap();
        let unreadable = fs::OpenOptions::new().write(true).open(&upload.temporary).unwrap();
        upload.file = DataFile::of(unreadable);
        for _ in 0..2 {
            let error = upload.finish().unwrap_err();
            assert!(matches!(error, ObjectError::Lost { source: Some(_), .. }), "{error:?}");
        }
    }

    #[test]
    fn file_that_cannot_be_written_again_is_not_lost() {
        let (mut upload, folder) = unsynced();
        upload.append(b"some bytes").unwrap();
        let in_the_way = folder.path().join("a.tmp.again");
        fs::write(&in_the_way, "").unwrap();
        let error = upload.finish().unwrap_err();
        assert!(matches!(error, ObjectError::Failed { .. }), "{error:?}");
        fs::remove_file(&in_the_way).unwrap();
        upload.finish().unwrap();
        assert_eq!(fs::read(folder.path().join("deep/a")).unwrap(), b"some bytes");
    }
}
