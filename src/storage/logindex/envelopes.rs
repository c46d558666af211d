//! The resources and scopes of a window, each stored once and named by a number.
//!
//! The file `envelopes` begins with eight bytes of magic and version; then each entry is two
//! lengths (`u32`, little-endian) and so many bytes of resource and of scope. How much of the file
//! counts is said by the commit, so what a crash left behind it is cut off.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::error::LogIndexError;
use super::record::Envelope;
use crate::storage::files::{self, DataFile};

/// Magic, then the version.
const HEADER: [u8; 8] = *b"CMTLENV\x01";

/// The file's name within the window's folder.
const FILE: &str = "envelopes";

/// A window takes at most so many envelopes, then the next index of the same window begins.
pub(crate) const MAX_ENVELOPES: usize = 16 * 1024;

/// A window takes at most so many bytes of envelopes.
const MAX_ENVELOPE_BYTES: u64 = 32 << 20;

/// Envelopes by their numbers.
pub(crate) type EnvelopeList = Arc<Vec<Arc<Envelope>>>;

/// How much of the file belongs to a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
pub(crate) struct Extent {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

/// The envelopes of a window that is being written.
pub(crate) struct EnvelopeTable {
    path: PathBuf,
    file: DataFile,
    /// What is on disk.
    synced: Extent,
    /// What comes next in the file.
    pending: Vec<u8>,
    numbers: HashMap<Arc<Envelope>, u64, foldhash::fast::RandomState>,
    list: EnvelopeList,
}

impl EnvelopeTable {
    /// Opens the file of a window's folder for writing; cuts off what no commit speaks of.
    pub(crate) fn open(folder: &Path, extent: Extent) -> Result<Self, LogIndexError> {
        let list = if extent.count == 0 { EnvelopeList::default() } else { read(folder, extent)? };
        let path = folder.join(FILE);
        let is_there = path.exists();
        let file = if is_there { DataFile::open(&path) } else { DataFile::create_new(&path) };
        let file = file.map_err(LogIndexError::file("open", &path))?;
        if !is_there {
            files::sync_folder(folder).map_err(LogIndexError::file("sync", folder))?;
        }
        file.set_len(extent.bytes).map_err(LogIndexError::file("cut", &path))?;
        let pending = if extent.bytes == 0 { HEADER.to_vec() } else { Vec::new() };
        let numbers = list.iter().cloned().zip(0..).collect();
        Ok(Self { path, file, synced: extent, pending, numbers, list })
    }

    /// The number of an envelope, which is added if it is new.
    pub(crate) fn number(&mut self, envelope: &Envelope) -> u64 {
        if let Some(number) = self.numbers.get(envelope) {
            return *number;
        }
        // The copy lets go of the request that the envelope came in.
        let copy = Arc::new(Envelope {
            resource: Bytes::copy_from_slice(&envelope.resource),
            scope: Bytes::copy_from_slice(&envelope.scope),
        });
        for part in [&copy.resource, &copy.scope] {
            let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
            self.pending.extend_from_slice(&length.to_le_bytes());
        }
        self.pending.extend_from_slice(&copy.resource);
        self.pending.extend_from_slice(&copy.scope);
        let number = self.list.len() as u64;
        self.numbers.insert(Arc::clone(&copy), number);
        Arc::make_mut(&mut self.list).push(copy);
        number
    }

    /// Whether the next index of the window should begin.
    pub(crate) fn is_full(&self) -> bool {
        let size_bytes = self.synced.bytes + self.pending.len() as u64;
        self.list.len() >= MAX_ENVELOPES || size_bytes >= MAX_ENVELOPE_BYTES
    }

    /// All envelopes so far.
    pub(crate) fn list(&self) -> EnvelopeList {
        Arc::clone(&self.list)
    }

    /// Writes and syncs what is new; says how much of the file counts then.
    pub(crate) fn sync(&mut self) -> Result<Extent, LogIndexError> {
        if self.pending.is_empty() {
            return Ok(self.synced);
        }
        let written = self
            .file
            .write_all_at(&self.pending, self.synced.bytes)
            .and_then(|()| self.file.sync());
        written.map_err(LogIndexError::file("write", &self.path))?;
        self.synced.bytes += self.pending.len() as u64;
        self.synced.count = self.list.len() as u64;
        self.pending.clear();
        Ok(self.synced)
    }
}

/// Reads the envelopes of a window's folder.
pub(crate) fn read(folder: &Path, extent: Extent) -> Result<EnvelopeList, LogIndexError> {
    let path = folder.join(FILE);
    if extent.count == 0 {
        return Ok(EnvelopeList::default());
    }
    let bytes = Bytes::from(std::fs::read(&path).map_err(LogIndexError::file("read", &path))?);
    let damaged = |what| LogIndexError::Damaged { path: path.clone(), what };
    if bytes.get(..7) != HEADER.get(..7) {
        return Err(damaged("it does not begin like a file of envelopes"));
    }
    let version = bytes.get(7).copied().unwrap_or_default();
    if version != HEADER[7] {
        let (found, known) = (u32::from(version), u32::from(HEADER[7]));
        return Err(LogIndexError::Version { path, found, known });
    }
    let mut at = HEADER.len();
    let mut list = Vec::new();
    for _ in 0..extent.count {
        let entry = entry_at(&bytes, at).ok_or_else(|| damaged("it is too short"))?;
        at += 8 + entry.resource.len() + entry.scope.len();
        list.push(Arc::new(entry));
    }
    Ok(Arc::new(list))
}

fn entry_at(bytes: &Bytes, at: usize) -> Option<Envelope> {
    let length = |at: usize| {
        let four = bytes.get(at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*four)).ok()
    };
    let (resource, scope) = (length(at)?, length(at + 4)?);
    let start = at + 8;
    let (middle, end) = (start.checked_add(resource)?, start.checked_add(resource + scope)?);
    if end > bytes.len() {
        return None;
    }
    Some(Envelope { resource: bytes.slice(start..middle), scope: bytes.slice(middle..end) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(name: &'static str) -> Envelope {
        Envelope { resource: Bytes::from_static(name.as_bytes()), scope: Bytes::new() }
    }

    #[test]
    fn what_was_synced_is_read_and_the_rest_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let mut table = EnvelopeTable::open(folder.path(), Extent::default()).unwrap();
        assert_eq!(table.number(&envelope("a")), 0);
        assert_eq!(table.number(&envelope("b")), 1);
        assert_eq!(table.number(&envelope("a")), 0);
        let extent = table.sync().unwrap();
        table.number(&envelope("lost"));
        table.sync().unwrap();
        drop(table);

        let mut table = EnvelopeTable::open(folder.path(), extent).unwrap();
        assert_eq!(table.list().len(), 2);
        assert_eq!(table.number(&envelope("b")), 1);
        assert_eq!(table.number(&envelope("c")), 2);
        let extent = table.sync().unwrap();
        let list = read(folder.path(), extent).unwrap();
        assert_eq!(
            list.iter().map(|entry| &entry.resource[..]).collect::<Vec<_>>(),
            [b"a", b"b", b"c"]
        );
    }

    #[test]
    fn short_or_foreign_file_is_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let extent = Extent { count: 1, bytes: 20 };
        std::fs::write(folder.path().join(FILE), b"something else").unwrap();
        assert!(matches!(read(folder.path(), extent), Err(LogIndexError::Damaged { .. })));
        std::fs::write(folder.path().join(FILE), b"CMTLENV\x02").unwrap();
        assert!(matches!(read(folder.path(), extent), Err(LogIndexError::Version { .. })));
        std::fs::write(folder.path().join(FILE), b"CMTLENV\x01\x09\0\0\0\0\0\0\0x").unwrap();
        assert!(matches!(read(folder.path(), extent), Err(LogIndexError::Damaged { .. })));
    }
}
