//! Changes of files and folders: all that storage makes come through here, so that tests see them in
//! their order, and what a power cut between any two of them leaves.
//!
//! A file's bytes are durable once it is synced, its name once its folder is.

#[cfg(test)]
pub(crate) mod test_power;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;

#[cfg(test)]
use self::test_power::{RecordedFile, note};

/// A file that is read and written.
#[derive(Debug)]
pub(super) struct DataFile {
    file: File,
    #[cfg(test)]
    recorded: Option<RecordedFile>,
}

impl DataFile {
    /// Makes a new file.
    pub(super) fn create_new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Ok(Self {
            file,
            #[cfg(test)]
            recorded: RecordedFile::create(path),
        })
    }

    /// Opens a file that is there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Self {
            file,
            #[cfg(test)]
            recorded: RecordedFile::open(path),
        })
    }

    /// Opens a file that is there; the system refuses to write to it.
    pub(super) fn open_to_read(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: File::open(path)?,
            #[cfg(test)]
            recorded: None,
        })
    }

    /// The file, to read and to lock.
    pub(super) const fn as_file(&self) -> &File {
        &self.file
    }

    /// Makes it `len` bytes long, which have room on the disk then.
    pub(super) fn reserve(&self, len: u64) -> io::Result<()> {
        match fallocate(&self.file, FallocateFlags::empty(), 0, len) {
            // Some file systems cannot; the disk's being full shows at writing then.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.file.set_len(len)?,
            reserved => reserved?,
        }
        #[cfg(test)]
        self.note(|recorded| recorded.set_len(len));
        Ok(())
    }

    /// Cuts it, or makes it longer with zeros.
    pub(super) fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)?;
        #[cfg(test)]
        self.note(|recorded| recorded.set_len(len));
        Ok(())
    }

    /// Writes `bytes` at `offset`.
    pub(super) fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        #[cfg(test)]
        self.note(|recorded| recorded.write(offset, bytes));
        Ok(())
    }

    /// Makes its bytes and its length durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()?;
        #[cfg(test)]
        self.note(RecordedFile::sync);
        Ok(())
    }

    /// Another's file, of which nothing is recorded.
    #[cfg(test)]
    pub(super) const fn of(file: File) -> Self {
        Self { file, recorded: None }
    }

    #[cfg(test)]
    fn note(&self, what: impl FnOnce(&RecordedFile)) {
        if let Some(recorded) = &self.recorded {
            what(recorded);
        }
    }
}

/// Gives a file another name, in the place of a file that has it.
pub(super) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    #[cfg(test)]
    note(from, |power| power.rename(from, to));
    Ok(())
}

/// Removes a file.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    #[cfg(test)]
    note(path, |power| power.remove(path));
    Ok(())
}

/// Removes a folder in which nothing is.
pub(super) fn remove_empty_folder(folder: &Path) -> io::Result<()> {
    fs::remove_dir(folder)?;
    #[cfg(test)]
    note(folder, |power| power.remove(folder));
    Ok(())
}

/// Removes a folder with everything in it.
pub(super) fn remove_folder(folder: &Path) -> io::Result<()> {
    fs::remove_dir_all(folder)?;
    #[cfg(test)]
    note(folder, |power| power.remove(folder));
    Ok(())
}

/// Makes a folder, and those above it that are missing, durably.
pub(super) fn create_folder(folder: &Path) -> io::Result<()> {
    create_folder_with(folder, 0o777)
}

/// The same, all with the permissions `mode` less the umask.
pub(super) fn create_folder_with(folder: &Path, mode: u32) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    create_folder_with(parent, mode)?;
    match DirBuilder::new().mode(mode).create(folder) {
        Ok(()) => {
            #[cfg(test)]
            note(folder, |power| power.create_folder(folder));
        }
        // Somebody else may have made it meanwhile; a file of that name is no folder.
        Err(error) if !folder.is_dir() => return Err(error),
        Err(_) => {}
    }
    sync_folder(parent)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    #[cfg(test)]
    note(folder, |power| power.sync_folder(folder));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_above_are_made_and_existing_ones_are_fine() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b/c");
        create_folder(&folder).unwrap();
        create_folder(&folder).unwrap();
        assert!(folder.is_dir());
    }

    #[test]
    fn file_in_the_place_of_a_folder_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a");
        fs::write(&file, "").unwrap();
        assert_eq!(create_folder(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        create_folder(&file.join("b")).unwrap_err();
    }
}
