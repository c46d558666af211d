//! The files of an index, changed so that they outlive a power cut.

use std::io;
use std::path::Path;
use std::sync::Arc;

use tantivy::Directory;
use tantivy::directory::error::{
    DeleteError, LockError, OpenDirectoryError, OpenReadError, OpenWriteError,
};
use tantivy::directory::{
    DirectoryLock, FileHandle, Lock, MmapDirectory, WatchCallback, WatchHandle, WritePtr,
};

#[cfg(test)]
use self::recorded::Recorded;

/// The file that says what belongs to the index.
const COMMIT: &str = "meta.json";

/// The folder of an index.
///
/// tantivy makes a commit by giving a new `meta.json` the name of the old one, and deletes files
/// that the old one speaks of after that; it does not sync the folder in between. Here it is synced.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    files: MmapDirectory,
    #[cfg(test)]
    recorded: Recorded,
}

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self, OpenDirectoryError> {
        Ok(Self {
            files: MmapDirectory::open(path)?,
            #[cfg(test)]
            recorded: Recorded(path.to_owned()),
        })
    }
}

impl Directory for Folder {
    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.files.get_file_handle(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.files.delete(path)?;
        #[cfg(test)]
        self.recorded.delete(path);
        Ok(())
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.files.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        let file = self.files.open_write(path)?;
        #[cfg(test)]
        let file = self.recorded.writer(path, file);
        Ok(file)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.files.atomic_read(path)
    }

    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.files.atomic_write(path, data)?;
        #[cfg(test)]
        self.recorded.replace(path, data);
        // The list of files matters only to those that look for left-overs.
        if path == Path::new(COMMIT) { self.sync_directory() } else { Ok(()) }
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.files.sync_directory()?;
        #[cfg(test)]
        self.recorded.sync();
        Ok(())
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.files.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.files.watch(callback)
    }
}

/// What tests see of an index's files.
#[cfg(test)]
mod recorded {
    use std::io::{BufWriter, Write};
    use std::path::PathBuf;

    use tantivy::directory::{AntiCallToken, TerminatingWrite};

    use super::*;
    use crate::storage::files::test_power::{RecordedFile, note};

    #[derive(Clone, Debug)]
    pub(super) struct Recorded(pub(super) PathBuf);

    impl Recorded {
        pub(super) fn delete(&self, path: &Path) {
            let path = self.0.join(path);
            note(&path, |power| power.remove(&path));
        }

        pub(super) fn replace(&self, path: &Path, data: &[u8]) {
            let path = self.0.join(path);
            note(&path, |power| power.replace(&path, data));
        }

        pub(super) fn sync(&self) {
            note(&self.0, |power| power.sync_folder(&self.0));
        }

        pub(super) fn writer(&self, path: &Path, file: WritePtr) -> WritePtr {
            let Some(recorded) = RecordedFile::create(&self.0.join(path)) else {
                return file;
            };
            BufWriter::new(Box::new(Writer { file, recorded, written: 0 }))
        }
    }

    struct Writer {
        file: WritePtr,
        recorded: RecordedFile,
        written: u64,
    }

    impl Write for Writer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = self.file.write(bytes)?;
            self.recorded.write(self.written, &bytes[..count]);
            self.written += count as u64;
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            self.file.flush()
        }
    }

    impl TerminatingWrite for Writer {
        fn terminate_ref(&mut self, token: AntiCallToken) -> io::Result<()> {
            self.file.flush()?;
            self.file.get_mut().terminate_ref(token)?;
            self.recorded.sync();
            Ok(())
        }
    }
}
