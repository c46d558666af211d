//! Power cuts: the changes of a folder in their order, and what is left of them at any moment.

use std::collections::BTreeMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use crate::storage::disk::simulated::Content;

/// The folders whose changes are recorded.
static RECORDED: Mutex<Vec<Power>> = Mutex::new(Vec::new());

/// The changes of a folder. Clones are the same; [`Power::end`] ends recording.
#[derive(Clone, Debug)]
pub(crate) struct Power {
    root: PathBuf,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What processes see now; folders have a number, too.
    names: BTreeMap<PathBuf, usize>,
    num_files: usize,
    changes: Vec<Change>,
    /// So many changes made what was there when recording began.
    num_before: usize,
}

/// A change of files, each of which has a number, or something that a test notes.
#[derive(Clone, Debug)]
enum Change {
    /// An empty file, or a folder.
    Link {
        path: PathBuf,
        file: usize,
        is_folder: bool,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
        file: usize,
    },
    Unlink {
        path: PathBuf,
    },
    Write {
        file: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        file: usize,
        len: u64,
    },
    Sync {
        file: usize,
    },
    SyncFolder {
        folder: PathBuf,
    },
    Note(u64),
}

impl Change {
    /// Whether it is a change of a name below a folder.
    fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::Link { path, .. } | Self::Unlink { path } => path.starts_with(folder),
            Self::Rename { to, .. } => to.starts_with(folder),
            _ => false,
        }
    }
}

/// A file whose changes are recorded.
#[derive(Debug)]
pub(crate) struct RecordedFile {
    power: Power,
    file: usize,
}

impl RecordedFile {
    pub(crate) fn create(path: &Path) -> Option<Self> {
        let power = of(path)?;
        let file = power.link(path, false);
        Some(Self { power, file })
    }

    pub(crate) fn open(path: &Path) -> Option<Self> {
        let power = of(path)?;
        let file = *power.state().names.get(path)?;
        Some(Self { power, file })
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) {
        self.add(Change::Write { file: self.file, offset, bytes: bytes.to_vec() });
    }

    pub(crate) fn set_len(&self, len: u64) {
        self.add(Change::SetLen { file: self.file, len });
    }

    pub(crate) fn sync(&self) {
        self.add(Change::Sync { file: self.file });
    }

    fn add(&self, change: Change) {
        self.power.state().changes.push(change);
    }
}

fn of(path: &Path) -> Option<Power> {
    let recorded = RECORDED.lock().unwrap_or_else(PoisonError::into_inner);
    recorded.iter().find(|power| path.starts_with(&power.root)).cloned()
}

/// Notes a change at a path, if somebody records there.
pub(crate) fn note(path: &Path, what: impl FnOnce(&Power)) {
    if let Some(power) = of(path) {
        what(&power);
    }
}

impl Power {
    /// Records what changes in a folder from now on; what is in it is durable.
    pub(crate) fn record(root: &Path) -> Self {
        let power = Self { root: root.to_owned(), state: Arc::default() };
        power.scan(root);
        let num_before = power.state().changes.len();
        power.state().num_before = num_before;
        RECORDED.lock().unwrap_or_else(PoisonError::into_inner).push(power.clone());
        power
    }

    fn scan(&self, folder: &Path) {
        let mut folders = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let file = self.link(&path, path.is_dir());
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let content = [Change::Write { file, offset: 0, bytes }, Change::Sync { file }];
            self.state().changes.extend(content);
        }
        self.sync_folder(folder);
        folders.iter().for_each(|folder| self.scan(folder));
    }

    /// Ends recording.
    pub(crate) fn end(&self) {
        let mut recorded = RECORDED.lock().unwrap_or_else(PoisonError::into_inner);
        recorded.retain(|power| !Arc::ptr_eq(&power.state, &self.state));
    }

    /// Adds something that a test wants to find among the changes.
    pub(crate) fn note(&self, what: u64) {
        self.state().changes.push(Change::Note(what));
    }

    /// When the power can fail: after how many changes.
    pub(crate) fn moments(&self) -> RangeInclusive<usize> {
        let state = self.state();
        state.num_before..=state.changes.len()
    }

    /// What was noted among the first changes.
    pub(crate) fn notes(&self, num_changes: usize) -> Vec<u64> {
        let state = self.state();
        let notes = state.changes[..num_changes].iter().filter_map(|change| match change {
            Change::Note(what) => Some(*what),
            _ => None,
        });
        notes.collect()
    }

    fn link(&self, path: &Path, is_folder: bool) -> usize {
        let mut state = self.state();
        let file = state.num_files;
        state.num_files += 1;
        state.names.insert(path.to_owned(), file);
        state.changes.push(Change::Link { path: path.to_owned(), file, is_folder });
        file
    }

    pub(crate) fn create_folder(&self, path: &Path) {
        self.link(path, true);
    }

    pub(crate) fn rename(&self, from: &Path, to: &Path) {
        let mut state = self.state();
        let file = state.names.remove(from).expect("a file that was recorded");
        let (from, to) = (from.to_owned(), to.to_owned());
        state.names.insert(to.clone(), file);
        state.changes.push(Change::Rename { from, to, file });
    }

    /// A file in the place of another, whose bytes are durable and whose name is not.
    pub(crate) fn replace(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let file = state.num_files;
        state.num_files += 1;
        state.names.insert(path.to_owned(), file);
        let changes = [
            Change::Write { file, offset: 0, bytes: bytes.to_vec() },
            Change::Sync { file },
            Change::Rename { from: PathBuf::new(), to: path.to_owned(), file },
        ];
        state.changes.extend(changes);
    }

    /// Removes a file, or a folder with everything in it.
    pub(crate) fn remove(&self, path: &Path) {
        let mut state = self.state();
        let gone: Vec<PathBuf> =
            state.names.keys().filter(|name| name.starts_with(path)).cloned().collect();
        for path in gone.into_iter().rev() {
            state.names.remove(&path);
            state.changes.push(Change::Unlink { path });
        }
    }

    pub(crate) fn sync_folder(&self, folder: &Path) {
        self.state().changes.push(Change::SyncFolder { folder: folder.to_owned() });
    }

    /// Puts into `to` what is left when the power fails after so many changes: what was not synced
    /// by then is there or not, in pieces, as `seed` has it.
    pub(crate) fn cut(&self, num_changes: usize, seed: u64, to: &Path) {
        let mut disk = Disk::default();
        let state = self.state();
        state.changes[..num_changes].iter().for_each(|change| disk.apply(change));
        disk.crash(&mut SmallRng::seed_from_u64(seed));
        for (path, (file, is_folder)) in &disk.durable {
            let path = to.join(path.strip_prefix(&self.root).unwrap());
            // Whose folder is lost is lost.
            if !path.parent().is_some_and(Path::is_dir) {
                continue;
            }
            if *is_folder {
                fs::create_dir(path).unwrap();
            } else {
                fs::write(path, disk.files.get(file).map_or(&[][..], Content::bytes)).unwrap();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a disk has, and what it may have.
#[derive(Default)]
struct Disk {
    files: BTreeMap<usize, Content>,
    /// A file's number, and whether it is a folder.
    durable: BTreeMap<PathBuf, (usize, bool)>,
    /// Changes of names since their folders were synced.
    pending: Vec<Change>,
}

impl Disk {
    fn apply(&mut self, change: &Change) {
        match change {
            Change::Link { .. } | Change::Rename { .. } | Change::Unlink { .. } => {
                self.pending.push(change.clone());
            }
            Change::Write { file, offset, bytes } => {
                self.files.entry(*file).or_default().write(*offset, bytes);
            }
            Change::SetLen { file, len } => self.files.entry(*file).or_default().set_len(*len),
            Change::Sync { file } => self.files.entry(*file).or_default().sync(),
            Change::SyncFolder { folder } => self.sync_folder(folder),
            Change::Note(_) => {}
        }
    }

    fn sync_folder(&mut self, folder: &Path) {
        let is_in = |path: &Path| path.parent() == Some(folder);
        for change in std::mem::take(&mut self.pending) {
            let is_due = match &change {
                Change::Link { path, .. } | Change::Unlink { path } => is_in(path),
                Change::Rename { from, to, .. } => is_in(from) || is_in(to),
                _ => false,
            };
            if !is_due {
                self.pending.push(change);
                continue;
            }
            if let Change::Rename { from, file: renamed, .. } = &change {
                // Its first name cannot come later any more.
                self.pending.retain(|before| {
                    !matches!(before, Change::Link { path, file, .. } if path == from && file == renamed)
                });
            }
            self.rename(&change);
        }
    }

    fn rename(&mut self, change: &Change) {
        if let Change::Link { path, .. } | Change::Unlink { path } = change {
            // What was in a folder went with it.
            self.durable.retain(|name, _| !name.starts_with(path));
            self.pending.retain(|before| !before.is_in(path));
        }
        match change {
            Change::Link { path, file, is_folder } => {
                self.durable.insert(path.clone(), (*file, *is_folder));
            }
            Change::Rename { from, to, file } => {
                self.durable.remove(from);
                self.durable.insert(to.clone(), (*file, false));
            }
            Change::Unlink { path } => {
                self.durable.remove(path);
            }
            _ => {}
        }
    }

    /// Names as some disks keep them, the first changes only; or as any may, some of them.
    fn crash(&mut self, random: &mut SmallRng) {
        let pending = std::mem::take(&mut self.pending);
        let are_in_order = random.random_bool(0.5);
        let num_kept = random.random_range(0..=pending.len());
        for (number, change) in pending.iter().enumerate() {
            if if are_in_order { number < num_kept } else { random.random_bool(0.5) } {
                self.rename(change);
            }
        }
        self.files.values_mut().for_each(|content| content.crash(random));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::*;
    use super::Power;

    /// What 200 cuts at the end leave of a file.
    fn left(power: &Power, name: &str) -> BTreeSet<Option<Vec<u8>>> {
        let cut = |seed| {
            let folder = tempfile::tempdir().unwrap();
            power.cut(*power.moments().end(), seed, folder.path());
            fs::read(folder.path().join(name)).ok()
        };
        (0..200).map(cut).collect()
    }

    fn is(text: &str) -> Option<Vec<u8>> {
        Some(text.as_bytes().to_vec())
    }

    #[test]
    fn what_is_not_synced_may_be_lost_and_what_is_synced_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("before"), "before").unwrap();
        let power = Power::record(folder.path());
        let file = DataFile::create_new(&path("a")).unwrap();
        file.write_all_at(b"one", 0).unwrap();
        assert_eq!(left(&power, "before"), [is("before")].into());
        assert_eq!(left(&power, "a"), [None, is(""), is("\0\0\0"), is("one")].into());
        file.sync().unwrap();
        assert_eq!(left(&power, "a"), [None, is("one")].into());
        sync_folder(folder.path()).unwrap();
        assert_eq!(left(&power, "a"), [is("one")].into());
        rename(&path("a"), &path("before")).unwrap();
        assert_eq!(left(&power, "a"), [None, is("one")].into());
        assert_eq!(left(&power, "before"), [is("before"), is("one")].into());
        sync_folder(folder.path()).unwrap();
        assert_eq!(
            (left(&power, "a"), left(&power, "before")),
            ([None].into(), [is("one")].into())
        );
        create_folder(&path("b/c")).unwrap();
        let file = DataFile::create_new(&path("b/c/d")).unwrap();
        sync_folder(&path("b/c")).unwrap();
        assert_eq!(left(&power, "b/c/d"), [is("")].into());
        drop(file);
        remove_folder(&path("b")).unwrap();
        assert_eq!(left(&power, "b/c/d"), [None, is("")].into());
        power.end();
        fs::write(path("e"), "").unwrap();
        assert_eq!(left(&power, "e"), [None].into());
    }
}
