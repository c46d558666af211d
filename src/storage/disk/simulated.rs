//! A disk in memory that forgets at a crash what was not synced, in any order and in pieces.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

use super::{Disk, DiskFile};

/// How much of a write the hardware keeps or loses as a whole.
const SECTOR_BYTES: usize = 512;

/// A disk whose crashes follow from a seed. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    random: SmallRng,
    /// What a process sees.
    names: BTreeMap<PathBuf, usize>,
    /// What a crash leaves, before what is lost or kept by chance.
    durable_names: BTreeMap<PathBuf, usize>,
    files: Vec<Content>,
    /// Calls that change the disk until the power fails; none: it does not.
    calls_left: Option<u64>,
    is_off: bool,
    /// Bytes that files may have in all.
    capacity: u64,
}

/// A file's bytes: those that are seen, and those that a crash leaves, before what is kept by chance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    /// Ranges of `seen` written since the last sync.
    unsynced: Vec<(usize, usize)>,
}

impl SimulatedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let state = State {
            random: SmallRng::seed_from_u64(seed),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            files: Vec::new(),
            calls_left: None,
            is_off: false,
            capacity: u64::MAX,
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// After so many calls that change something, every call fails until [`Self::restart`].
    pub(crate) fn fail_after(&self, calls: u64) {
        self.state().calls_left = Some(calls);
    }

    /// Files may have so many bytes in all.
    pub(crate) fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    /// Turns the power off and on: of what was not synced some sectors and names are kept.
    pub(crate) fn restart(&self) {
        let mut guard = self.state();
        let State { random, names, durable_names, files, calls_left, is_off, .. } = &mut *guard;
        (*calls_left, *is_off) = (None, false);
        // Names that were made, changed or removed since their folder was synced: each by chance.
        let seen = std::mem::take(names);
        durable_names.retain(|path, file| seen.get(path) == Some(file) || random.random_bool(0.5));
        for (path, file) in seen {
            let is_taken = durable_names.contains_key(&path);
            if !is_taken && random.random_bool(0.5) {
                durable_names.insert(path, file);
            }
        }
        for content in files.iter_mut() {
            content.crash(random);
        }
        *names = durable_names.clone();
    }

    /// Changes one bit of a file at a place that `random` chooses; where it was.
    pub(crate) fn flip_bit(&self, path: &Path, from: usize) -> Option<usize> {
        let mut guard = self.state();
        let State { random, names, files, .. } = &mut *guard;
        let content = files.get_mut(*names.get(path)?)?;
        let offset = random.random_range(from..content.seen.len().max(from + 1));
        let bit = 1 << random.random_range(0..8);
        *content.seen.get_mut(offset)? ^= bit;
        content.durable = content.seen.clone();
        Some(offset)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.seen
    }

    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let start = usize::try_from(offset).expect("a small file");
        let end = start + bytes.len();
        if self.seen.len() < end {
            self.seen.resize(end, 0);
        }
        self.seen[start..end].copy_from_slice(bytes);
        self.unsynced.push((start, end));
    }

    pub(crate) fn set_len(&mut self, len: u64) {
        let len = usize::try_from(len).expect("a small file");
        self.seen.resize(len, 0);
        for (start, end) in &mut self.unsynced {
            (*start, *end) = ((*start).min(len), (*end).min(len));
        }
    }

    pub(crate) fn sync(&mut self) {
        self.durable.resize(self.seen.len(), 0);
        for (start, end) in self.unsynced.drain(..) {
            self.durable[start..end].copy_from_slice(&self.seen[start..end]);
        }
    }

    /// Of what was not synced some sectors are kept.
    pub(crate) fn crash(&mut self, random: &mut SmallRng) {
        if self.seen.len() != self.durable.len() && random.random_bool(0.5) {
            self.durable.resize(self.seen.len(), 0);
        }
        for (start, end) in std::mem::take(&mut self.unsynced) {
            let mut at = start;
            while at < end {
                let until = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(end);
                if random.random_bool(0.5) && until <= self.seen.len() {
                    if self.durable.len() < until {
                        self.durable.resize(until, 0);
                    }
                    self.durable[at..until].copy_from_slice(&self.seen[at..until]);
                }
                at = until;
            }
        }
        self.seen.clone_from(&self.durable);
    }
}

impl State {
    /// Counts a call that changes something.
    fn change(&mut self) -> io::Result<()> {
        match &mut self.calls_left {
            None => return Ok(()),
            Some(0) => self.is_off = true,
            Some(left) => {
                *left -= 1;
                return Ok(());
            }
        }
        Err(io::Error::other("the power is off"))
    }

    fn used(&self) -> u64 {
        self.names.values().map(|file| self.files[*file].seen.len() as u64).sum()
    }

    fn file(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for SimulatedDisk {
    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        let state = self.state();
        let below = state.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(below.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path, len: u64) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.state();
        state.change()?;
        if state.names.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        if state.used() + len > state.capacity {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = state.files.len();
        let seen = vec![0; usize::try_from(len).expect("a small file")];
        state.files.push(Content { seen, ..Content::default() });
        state.names.insert(path.to_owned(), file);
        Ok(Box::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = self.state().file(path)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        let file = state.file(from)?;
        state.names.remove(from);
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change()?;
        state.names.remove(path);
        Ok(())
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut guard = self.state();
        guard.change()?;
        let State { names, durable_names, .. } = &mut *guard;
        durable_names.retain(|path, _| path.parent() != Some(folder));
        let here = names.iter().filter(|(path, _)| path.parent() == Some(folder));
        durable_names.extend(here.map(|(path, file)| (path.clone(), *file)));
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
}

impl SimulatedFile {
    fn with<T>(&self, work: impl FnOnce(&mut Content) -> T) -> T {
        work(&mut self.disk.state().files[self.file])
    }
}

impl DiskFile for SimulatedFile {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.with(|content| content.seen.len() as u64))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).expect("a small file");
        self.with(|content| {
            let source = content.seen.get(start..start + bytes.len());
            bytes.copy_from_slice(source.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let changed = {
            let mut state = self.disk.state();
            if state.is_off {
                return state.change();
            }
            state.change()
        };
        // When the power fails just then, a part of it may have been written.
        let written = if changed.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        self.with(|content| content.write(offset, written));
        changed
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.state().change()?;
        self.with(|content| content.set_len(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state().change()?;
        self.with(Content::sync);
        Ok(())
    }
}
