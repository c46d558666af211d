//! One window's index on disk, as it is searched.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use tantivy::columnar::Column;
use tantivy::index::SegmentId;
use tantivy::{DocId, Index, IndexReader, ReloadPolicy, Searcher};

use super::at_rest;
use super::envelopes::{self, EnvelopeList, MAX_ENVELOPES};
use super::error::LogIndexError;
use super::folder::Folder;
use super::manifest::{CommitPayload, INDEX_FOLDER, WindowManifest, folder_bytes, remove_window};
use super::record::{Envelope, Found};
use super::schema::{ENVELOPE, Fields, TIME, prepare};
use super::stored::StoredRecords;
use super::times::SegmentTimes;

/// An index takes at most so many records, then the next index of the same window begins.
pub(crate) const MAX_RECORDS: u64 = 16_000_000;

/// So often is an index opened, if an agent removes its files just then.
const MAX_ATTEMPTS: usize = 3;

/// How a window's files are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// This process is the one that writes to them.
    Own,
    /// They are another's, which may write to them meanwhile.
    ReadOnly,
}

/// A window's index on disk.
pub(crate) struct Window {
    access: Access,
    pub(crate) folder: PathBuf,
    pub(crate) manifest: WindowManifest,
    state: Mutex<State>,
}

struct State {
    /// What the last commit says.
    payload: CommitPayload,
    /// The index as it is searched, while somebody has use for it.
    opened: Weak<Opened>,
}

/// A window's index opened for searching, as one commit left it.
pub(crate) struct Opened {
    pub(crate) searcher: Searcher,
    pub(crate) fields: Fields,
    pub(crate) envelopes: EnvelopeList,
    pub(crate) manifest: WindowManifest,
    pub(crate) folder: PathBuf,
    /// What the records of each segment are read from, opened when they are asked for.
    segments: Vec<OpenSegment>,
}

/// A segment; what was opened of it serves the next commits too.
#[derive(Clone)]
struct OpenSegment {
    id: SegmentId,
    records: Arc<OnceLock<SegmentRecords>>,
    times: Arc<OnceLock<SegmentTimes>>,
}

/// What the records of a segment are read from.
pub(crate) struct SegmentRecords {
    pub(crate) stored: StoredRecords,
    envelopes: Column<u64>,
}

impl SegmentRecords {
    /// The number of what a record shares with others.
    pub(crate) fn envelope(&self, doc: DocId) -> u64 {
        self.envelopes.values.get_val(doc)
    }
}

impl Opened {
    /// The record at a place.
    pub(crate) fn read(&self, segment: u32, doc: DocId) -> Result<Found, LogIndexError> {
        let records = self.records(segment)?;
        let encoded = records.stored.get(doc);
        let encoded = encoded.map_err(LogIndexError::file("read a record of", &self.folder))?;
        let envelope = Arc::clone(self.envelope(records.envelope(doc))?);
        Ok(Found { envelope, encoded })
    }

    /// What records share, by its number.
    pub(crate) fn envelope(&self, number: u64) -> Result<&Arc<Envelope>, LogIndexError> {
        let envelope = usize::try_from(number).ok().and_then(|number| self.envelopes.get(number));
        envelope.ok_or_else(|| {
            let what = "a record's resource is not in its file of envelopes";
            LogIndexError::Damaged { path: self.folder.clone(), what }
        })
    }

    /// When the records of a segment happened.
    pub(crate) fn times(&self, segment: u32) -> Result<&SegmentTimes, LogIndexError> {
        let slot = &self.segment_at(segment)?.times;
        if let Some(times) = slot.get() {
            return Ok(times);
        }
        let times = self.searcher.segment_reader(segment).fast_fields().i64(TIME);
        let times = times.map_err(LogIndexError::index("read times of", &self.folder))?;
        Ok(slot.get_or_init(|| SegmentTimes::new(times)))
    }

    fn segment_at(&self, segment: u32) -> Result<&OpenSegment, LogIndexError> {
        let found = usize::try_from(segment).ok().and_then(|segment| self.segments.get(segment));
        found.ok_or_else(|| {
            let what = "a segment that was found is not there";
            LogIndexError::Damaged { path: self.folder.clone(), what }
        })
    }

    /// What the records of a segment are read from.
    pub(crate) fn records(&self, segment: u32) -> Result<&SegmentRecords, LogIndexError> {
        let slot = &self.segment_at(segment)?.records;
        if let Some(records) = slot.get() {
            return Ok(records);
        }
        let reader = self.searcher.segment_reader(segment);
        let stored = StoredRecords::open(reader);
        let stored = stored.map_err(LogIndexError::file("read records of", &self.folder))?;
        let envelopes = reader.fast_fields().u64(ENVELOPE);
        let envelopes = envelopes.map_err(LogIndexError::index("read", &self.folder))?;
        Ok(slot.get_or_init(|| SegmentRecords { stored, envelopes }))
    }
}

impl Window {
    /// A window whose last commit says `payload`.
    pub(crate) fn new(folder: PathBuf, manifest: WindowManifest, payload: CommitPayload) -> Self {
        let state = Mutex::new(State { payload, opened: Weak::new() });
        Self { access: Access::Own, folder, manifest, state }
    }

    /// A window that is on disk already.
    pub(crate) fn load(
        folder: PathBuf,
        manifest: WindowManifest,
        access: Access,
    ) -> Result<Self, LogIndexError> {
        let path = folder.join(INDEX_FOLDER);
        let index = access.open(&path).map_err(LogIndexError::index("open", &path))?;
        let payload = read_payload(&index, &folder)?;
        Ok(Self { access, ..Self::new(folder, manifest, payload) })
    }

    /// What the last commit says.
    pub(crate) fn payload(&self) -> CommitPayload {
        self.state().payload.clone()
    }

    /// Takes over what a commit made.
    pub(crate) fn publish(&self, payload: CommitPayload, opened: &Arc<Opened>) {
        let mut state = self.state();
        state.payload = payload;
        state.opened = Arc::downgrade(opened);
    }

    /// Whether the next index of the window should begin.
    pub(crate) fn is_full(&self) -> bool {
        let payload = self.payload();
        payload.num_records >= MAX_RECORDS || payload.envelopes.count >= MAX_ENVELOPES as u64
    }

    /// The index for searching, opened if it is not.
    pub(crate) fn open(&self) -> Result<Arc<Opened>, LogIndexError> {
        let mut state = self.state();
        if let Some(opened) = state.opened.upgrade() {
            return Ok(opened);
        }
        let mut attempt = 1;
        let (searcher, envelopes) = loop {
            match self.open_files(&state.payload) {
                Err(LogIndexError::Index { .. })
                    if self.access == Access::ReadOnly && attempt < MAX_ATTEMPTS =>
                {
                    attempt += 1;
                }
                opened => break opened?,
            }
        };
        let opened = Arc::new(self.opened_after(None, searcher, envelopes));
        state.opened = Arc::downgrade(&opened);
        Ok(opened)
    }

    fn open_files(
        &self,
        payload: &CommitPayload,
    ) -> Result<(Searcher, EnvelopeList), LogIndexError> {
        let path = self.folder.join(INDEX_FOLDER);
        let index = self.access.open(&path).map_err(LogIndexError::index("open", &path))?;
        let index = prepare(index, self.manifest.detail);
        let reader = reader(&index).map_err(LogIndexError::index("open", &path))?;
        let envelopes = match self.access {
            Access::Own => payload.envelopes,
            // At least what the reader needs, for envelopes are only ever added.
            Access::ReadOnly => read_payload(&index, &self.folder)?.envelopes,
        };
        Ok((reader.searcher(), envelopes::read(&self.folder, envelopes)?))
    }

    /// The index as `searcher` sees it.
    pub(crate) fn opened(&self, searcher: Searcher, envelopes: EnvelopeList) -> Opened {
        let before = self.state().opened.upgrade();
        self.opened_after(before.as_deref(), searcher, envelopes)
    }

    fn opened_after(
        &self,
        before: Option<&Opened>,
        searcher: Searcher,
        envelopes: EnvelopeList,
    ) -> Opened {
        let before = before.map_or(&[][..], |opened| &opened.segments);
        let segments = searcher.segment_readers().iter().map(|reader| {
            let id = reader.segment_id();
            let known = before.iter().find(|segment| segment.id == id).cloned();
            let new = || OpenSegment { id, records: Arc::default(), times: Arc::default() };
            known.unwrap_or_else(new)
        });
        let segments = segments.collect();
        Opened {
            searcher,
            segments,
            fields: Fields::new(),
            envelopes,
            manifest: self.manifest.clone(),
            folder: self.folder.clone(),
        }
    }

    /// The bytes that it takes on disk.
    pub(crate) fn size_bytes(&self) -> u64 {
        folder_bytes(&self.folder)
    }

    /// Removes it from disk; searches that have it open go on.
    pub(crate) fn remove(&self) -> Result<(), LogIndexError> {
        remove_window(&self.folder)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Access {
    fn open(self, path: &Path) -> tantivy::Result<Index> {
        match self {
            Self::Own => Ok(Index::open(Folder::open(path)?)?),
            Self::ReadOnly => at_rest::open_files(path),
        }
    }
}

/// What the last commit of an index says.
fn read_payload(index: &Index, folder: &Path) -> Result<CommitPayload, LogIndexError> {
    let metas = index.load_metas();
    let metas = metas.map_err(LogIndexError::index("read", &folder.join(INDEX_FOLDER)))?;
    CommitPayload::read(metas.payload.as_deref(), folder)
}

/// A reader that is reloaded only when it is told to.
pub(crate) fn reader(index: &Index) -> tantivy::Result<IndexReader> {
    index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .doc_store_cache_num_blocks(0)
        .try_into()
}
