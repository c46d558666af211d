//! One window's index on disk, as it is searched.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tantivy::{Index, IndexReader, ReloadPolicy, Searcher};

use super::envelopes::{self, EnvelopeList, MAX_ENVELOPES};
use super::error::LogIndexError;
use super::manifest::{CommitPayload, INDEX_FOLDER, WindowManifest, folder_bytes};
use super::schema::{Fields, tokenizers};

/// Blocks of records that are kept inflated per segment while searching.
const STORE_CACHE_BLOCKS: usize = 4;

/// An index takes at most so many records, then the next index of the same window begins.
pub(crate) const MAX_RECORDS: u64 = 16_000_000;

/// A window's index on disk.
pub(crate) struct Window {
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
}

impl Window {
    /// A window whose last commit says `payload`.
    pub(crate) fn new(folder: PathBuf, manifest: WindowManifest, payload: CommitPayload) -> Self {
        let state = Mutex::new(State { payload, opened: Weak::new() });
        Self { folder, manifest, state }
    }

    /// A window that is on disk already.
    pub(crate) fn load(folder: PathBuf, manifest: WindowManifest) -> Result<Self, LogIndexError> {
        let path = folder.join(INDEX_FOLDER);
        let index = Index::open_in_dir(&path).map_err(LogIndexError::index("open", &path))?;
        let metas = index.load_metas().map_err(LogIndexError::index("read", &path))?;
        let payload = CommitPayload::read(metas.payload.as_deref(), &folder)?;
        Ok(Self::new(folder, manifest, payload))
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
        let path = self.folder.join(INDEX_FOLDER);
        let mut index = Index::open_in_dir(&path).map_err(LogIndexError::index("open", &path))?;
        index.set_tokenizers(tokenizers(self.manifest.detail));
        let reader = reader(&index).map_err(LogIndexError::index("open", &path))?;
        let envelopes = envelopes::read(&self.folder, state.payload.envelopes)?;
        let opened = Arc::new(self.opened(reader.searcher(), envelopes));
        state.opened = Arc::downgrade(&opened);
        Ok(opened)
    }

    /// The index as `searcher` sees it.
    pub(crate) fn opened(&self, searcher: Searcher, envelopes: EnvelopeList) -> Opened {
        Opened {
            searcher,
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
        fs::remove_dir_all(&self.folder).map_err(LogIndexError::file("remove", &self.folder))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader that is reloaded only when it is told to.
pub(crate) fn reader(index: &Index) -> tantivy::Result<IndexReader> {
    index
        .reader_builder()
        .reload_policy(ReloadPolicy::Manual)
        .doc_store_cache_num_blocks(STORE_CACHE_BLOCKS)
        .try_into()
}
