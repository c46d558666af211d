//! Folders that are there after a power cut.

use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Makes a folder, and those above it that are missing, durably.
pub(super) fn create(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    create(parent)?;
    match fs::create_dir(folder) {
        // Somebody else may have made it meanwhile; a file of that name is no folder.
        Err(error) if !folder.is_dir() => return Err(error),
        _ => {}
    }
    sync(parent)
}

/// Makes the names in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_above_are_made_and_existing_ones_are_fine() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("a/b/c");
        create(&folder).unwrap();
        create(&folder).unwrap();
        assert!(folder.is_dir());
    }

    #[test]
    fn file_in_the_place_of_a_folder_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a");
        fs::write(&file, "").unwrap();
        assert_eq!(create(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        create(&file.join("b")).unwrap_err();
    }
}
