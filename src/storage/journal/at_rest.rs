//! A log that no process has open: what is in it, read without changing anything.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::error::OpenError;
use super::format::FramePlace;
use super::recover::{Findings, FoundEntry, log_of, read_entry, read_segment, segments_among};
use super::segments::{DAMAGED_EXTENSION, segment_path};
use crate::data::{Signal, Time};
use crate::storage::disk::Disk;

/// What is in the folder of a log. A process that opens the log finds the same.
#[derive(Debug)]
pub struct AtRest {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    id: Option<u128>,
    /// Its files, oldest first.
    pub segments: Vec<SegmentAtRest>,
    /// What can be read in them, in the order of the numbers.
    pub entries: Vec<EntryAtRest>,
    /// Files that were set aside because something in them could not be read. All else that was in
    /// them and open is in the segments.
    pub set_aside: Vec<PathBuf>,
}

/// A file of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentAtRest {
    /// The file.
    pub path: PathBuf,
    /// Its bytes, with those that are only reserved.
    pub size_bytes: u64,
    /// Bytes at its end that were written and never promised; the next start cuts them off.
    pub torn_bytes: u64,
    /// Bytes that were promised and cannot be read.
    pub damaged_bytes: u64,
    /// Entries in it.
    pub num_entries: usize,
    /// Those of them that are open.
    pub num_open: usize,
}

/// An entry of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryAtRest {
    /// Its number.
    pub number: u64,
    /// When it came.
    pub arrived: Time,
    /// Of what it consists.
    pub signal: Signal,
    /// Who sent it, as it was stored.
    pub origin: Vec<u8>,
    /// The length of the message.
    pub body_bytes: usize,
    /// Whether it runs again at the next start.
    pub is_open: bool,
    /// The routes on which it is done with.
    pub done: Vec<Arc<str>>,
    segment: u64,
    offset: u64,
}

impl AtRest {
    /// Reads what is in a folder; [`super::Lock::check`] says whether a process has it open.
    ///
    /// Takes the memory of the largest file, and some hundred bytes for each entry.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be read, or holds what this version cannot read.
    pub fn read(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, OpenError> {
        let mut names = disk.list(folder).map_err(OpenError::file("read", folder))?;
        names.sort_unstable();
        let numbers = segments_among(&names);
        let id = log_of(&*disk, folder, &numbers)?;
        let mut findings = Findings::default();
        let mut segments = BTreeMap::new();
        for number in &numbers {
            let path = segment_path(folder, *number);
            let file = disk.open(&path).map_err(OpenError::file("open", &path))?;
            let found = read_segment(&*file, (&path, *number), id)?;
            let size_bytes = found.len;
            let torn_before = findings.recovered.torn_bytes;
            let damaged_before = findings.recovered.damaged_bytes;
            findings.take_segment(*number, found, Some(number) == numbers.last());
            let segment = SegmentAtRest {
                path,
                size_bytes,
                torn_bytes: findings.recovered.torn_bytes - torn_before,
                damaged_bytes: findings.recovered.damaged_bytes - damaged_before,
                num_entries: 0,
                num_open: 0,
            };
            segments.insert(*number, segment);
        }
        let entries = entries_of(findings);
        for entry in &entries {
            if let Some(segment) = segments.get_mut(&entry.segment) {
                segment.num_entries += 1;
                segment.num_open += usize::from(entry.is_open);
            }
        }
        let is_set_aside =
            |path: &PathBuf| path.extension().is_some_and(|e| e == DAMAGED_EXTENSION);
        let paths = names.iter().map(|name| folder.join(name));
        let set_aside = paths.filter(is_set_aside).collect();
        let segments = segments.into_values().collect();
        Ok(Self { disk, folder: folder.to_owned(), id, segments, entries, set_aside })
    }

    /// The id that was made with the folder; nothing where no file says it.
    #[must_use]
    pub const fn id(&self) -> Option<u128> {
        self.id
    }

    /// Reads the message of one of its entries.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or was changed since.
    pub fn body(&self, entry: &EntryAtRest) -> io::Result<Bytes> {
        let log = self.id.ok_or(io::ErrorKind::NotFound)?;
        let file = self.disk.open(&segment_path(&self.folder, entry.segment))?;
        let place = FramePlace { log, segment: entry.segment, offset: entry.offset };
        Ok(read_entry(&*file, place)?.1)
    }
}

fn entries_of(findings: Findings) -> Vec<EntryAtRest> {
    let done_with = findings.done_with();
    let entry = |(number, found): (u64, FoundEntry)| {
        let FoundEntry { segment, offset, head, body_bytes } = found;
        EntryAtRest {
            number,
            arrived: head.arrived,
            signal: head.signal,
            origin: head.origin,
            body_bytes,
            is_open: !done_with.closed.contains(number),
            done: done_with.routes_of(number),
            segment,
            offset,
        }
    };
    findings.entries.into_iter().map(entry).collect()
}
