//! What threads execute, in a file beside the log: after the death of a process it tells of what it may
//! have died.
//!
//! The file has a slot for its magic, version and log, then one for each thread. Nothing is synced:
//! the file is there for deaths of the process, not of the machine.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The file's name.
const NAME: &str = "executing";
const MAGIC: &[u8; 8] = b"CTCHEXEC";
const VERSION: u32 = 1;
/// A slot: the number of entries, the length of the name, the name, the entries.
const SLOT_BYTES: usize = 1024;
const NAME_BYTES: usize = 64;
const ENTRIES_AT: usize = 8 + NAME_BYTES;
/// The most entries of a slot; of a batch of more, the others are not noted.
const MAX_ENTRIES: usize = (SLOT_BYTES - ENTRIES_AT) / 8;

/// What a thread was executing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// The component.
    pub what: String,
    /// The numbers of the entries.
    pub entries: Vec<u64>,
}

/// The file of a process that runs.
#[derive(Debug)]
pub struct Executing {
    file: File,
    log: u128,
    num_slots: AtomicU64,
    /// How many threads have something to do later with what they were given.
    num_holding: AtomicUsize,
}

/// A thread's place in the file.
#[derive(Debug)]
pub struct Slot {
    executing: Arc<Executing>,
    offset: u64,
    buffer: Vec<u8>,
    is_set: bool,
    is_holding: bool,
}

/// What was being executed when the process before ended that had a log open; nothing if it ended
/// well.
///
/// # Errors
///
/// Fails when the file is there and cannot be read.
pub fn executed(folder: &Path, log: u128) -> io::Result<Vec<Noted>> {
    match fs::read(folder.join(NAME)) {
        Ok(bytes) => Ok(parse(&bytes, log)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Executing {
    /// Begins the file anew.
    ///
    /// # Errors
    ///
    /// Fails when it cannot be made.
    pub fn begin(folder: &Path, log: u128) -> io::Result<Self> {
        let path = folder.join(NAME);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        let file = options.open(path)?;
        let mut header = vec![0; SLOT_BYTES];
        let parts: [&[u8]; 3] = [MAGIC, &VERSION.to_le_bytes(), &log.to_le_bytes()];
        let parts = parts.concat();
        header.splice(..parts.len(), parts);
        file.write_all_at(&header, 0)?;
        let (num_slots, num_holding) = (AtomicU64::new(1), AtomicUsize::new(0));
        Ok(Self { file, log, num_slots, num_holding })
    }

    /// A place for another thread.
    pub fn slot(self: &Arc<Self>) -> Slot {
        let number = self.num_slots.fetch_add(1, Ordering::Relaxed);
        let offset = number * SLOT_BYTES as u64;
        let (executing, buffer) = (Arc::clone(self), Vec::new());
        Slot { executing, offset, buffer, is_set: false, is_holding: false }
    }

    /// Whether a thread has something to do later with what it was given.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.num_holding.load(Ordering::Relaxed) > 0
    }

    /// Whether an entry is being executed.
    #[must_use]
    pub fn has(&self, number: u64) -> bool {
        let num_slots = self.num_slots.load(Ordering::Relaxed);
        let mut bytes = vec![0; usize::try_from(num_slots).unwrap_or_default() * SLOT_BYTES];
        let mut read = 0;
        // The last slots are not there before something was noted in them.
        while let Some(rest) = bytes.get_mut(read..).filter(|rest| !rest.is_empty())
            && let Ok(count @ 1..) = self.file.read_at(rest, read as u64)
        {
            read += count;
        }
        let noted = parse(&bytes, self.log);
        noted.iter().any(|noted| noted.entries.contains(&number))
    }
}

impl Slot {
    /// Notes that the thread executes a component on something of these entries. What cannot be
    /// noted goes without.
    pub fn note(&mut self, what: &str, entries: &[u64]) {
        let name = what.as_bytes();
        let name = name.get(..NAME_BYTES).unwrap_or(name);
        let entries = entries.get(..MAX_ENTRIES).unwrap_or(entries);
        self.buffer.clear();
        for number in [entries.len(), name.len()] {
            self.buffer.extend(u32::try_from(number).unwrap_or_default().to_le_bytes());
        }
        self.buffer.extend(name);
        self.buffer.resize(ENTRIES_AT, 0);
        entries.iter().for_each(|number| self.buffer.extend(number.to_le_bytes()));
        let _ = self.executing.file.write_all_at(&self.buffer, self.offset);
        self.is_set = true;
    }

    /// Says whether the thread has something to do later with what it was given; for this process
    /// only.
    pub fn hold(&mut self, is_holding: bool) {
        if is_holding == self.is_holding {
            return;
        }
        self.is_holding = is_holding;
        match is_holding {
            true => self.executing.num_holding.fetch_add(1, Ordering::Relaxed),
            false => self.executing.num_holding.fetch_sub(1, Ordering::Relaxed),
        };
    }

    /// Notes that the thread executes nothing.
    pub fn clear(&mut self) {
        if std::mem::take(&mut self.is_set) {
            let _ = self.executing.file.write_all_at(&[0; 4], self.offset);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.clear();
        self.hold(false);
    }
}

/// The slots of a file that are set; none of a file of another log or of a later version.
fn parse(bytes: &[u8], log: u128) -> Vec<Noted> {
    let mut slots = bytes.chunks(SLOT_BYTES);
    let header: [&[u8]; 3] = [MAGIC, &VERSION.to_le_bytes(), &log.to_le_bytes()];
    if !slots.next().is_some_and(|first| first.starts_with(&header.concat())) {
        return Vec::new();
    }
    slots.filter_map(parse_slot).collect()
}

fn parse_slot(slot: &[u8]) -> Option<Noted> {
    let number = |at: usize| {
        let bytes = slot.get(at..)?.first_chunk()?;
        usize::try_from(u32::from_le_bytes(*bytes)).ok()
    };
    let (num_entries, name_len) = (number(0)?, number(4)?);
    if num_entries == 0 || num_entries > MAX_ENTRIES || name_len > NAME_BYTES {
        return None;
    }
    let what = String::from_utf8_lossy(slot.get(8..8 + name_len)?).into_owned();
    let entries = slot.get(ENTRIES_AT..)?.as_chunks().0.iter().take(num_entries);
    let entries = entries.map(|bytes| u64::from_le_bytes(*bytes)).collect();
    Some(Noted { what, entries })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_executed_is_there_after_a_death_and_not_after_an_end() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(executed(folder.path(), 7).unwrap(), []);
        let executing = Arc::new(Executing::begin(folder.path(), 7).unwrap());
        let (mut one, mut idle, mut other) = (executing.slot(), executing.slot(), executing.slot());
        one.note("filter/a", &[3]);
        one.note("batch", &[3, 4]);
        idle.note("filter/a", &[5]);
        idle.clear();
        let many: Vec<u64> = (100..1000).collect();
        other.note(&"x".repeat(100), &many);
        let noted = executed(folder.path(), 7).unwrap();
        assert_eq!(noted[0], Noted { what: "batch".to_owned(), entries: vec![3, 4] });
        let (what, entries) = ("x".repeat(NAME_BYTES), many[..MAX_ENTRIES].to_vec());
        assert_eq!(noted[1..], [Noted { what, entries }]);
        assert!(executing.has(4) && executing.has(100) && !executing.has(5));
        one.hold(true);
        one.hold(true);
        other.hold(true);
        other.hold(false);
        assert!(executing.is_held());
        // It is nobody else's.
        assert_eq!(executed(folder.path(), 8).unwrap(), []);
        drop((one, idle, other));
        assert!(!executing.is_held());
        assert_eq!(executed(folder.path(), 7).unwrap(), []);
    }

    #[test]
    fn file_of_something_else_tells_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b""[..], b"CTCH", &[0xFF; 5000]] {
            fs::write(folder.path().join(NAME), bytes).unwrap();
            assert_eq!(executed(folder.path(), 7).unwrap(), []);
        }
        drop(Executing::begin(folder.path(), 7).unwrap());
        let mut bytes = fs::read(folder.path().join(NAME)).unwrap();
        bytes.extend([0xFF; 3000]);
        fs::write(folder.path().join(NAME), bytes).unwrap();
        assert_eq!(executed(folder.path(), 7).unwrap(), []);
    }
}
