//! Fills one window's index: records become documents of a segment, a commit makes it visible.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tantivy::indexer::{AddOperation, IndexWriterOptions, LogMergePolicy, SegmentWriter};
use tantivy::{Index, IndexReader, IndexWriter, Segment};

use super::envelopes::EnvelopeTable;
use super::error::LogIndexError;
use super::folder::Folder;
use super::manifest::{CommitPayload, INDEX_FOLDER, VERSION, WindowManifest};
use super::schema::{Draft, Fields, LogDocument, open_index};
use super::walk::walk;
use super::window::{MAX_RECORDS, Opened, Window, reader};
use crate::data::{Batch, Part, Time};
use crate::storage::files;
use crate::storage::parts::{RouteRuns, to_runs};

/// The least memory that tantivy takes for a segment; enough for its own indexing thread, which is
/// never given a document.
const MIN_MEMORY_BYTES: usize = 16_000_000;

/// Segments of more records are not merged any more.
const MAX_MERGED_RECORDS: usize = 200_000;

/// So many segments of about one size are merged into one.
const MERGED_SEGMENTS: usize = 8;

/// What a commit made.
pub(crate) struct Commit {
    /// What it says.
    pub(crate) payload: CommitPayload,
    /// The index with it.
    pub(crate) opened: Arc<Opened>,
}

/// Fills one window's index.
pub(crate) struct WindowWriter {
    pub(crate) window: Arc<Window>,
    path: PathBuf,
    draft: Arc<Draft>,
    writer: IndexWriter<LogDocument>,
    reader: IndexReader,
    table: EnvelopeTable,
    segment: Option<(Segment, SegmentWriter)>,
    memory_bytes: usize,
    /// What the commit that comes next will say.
    next: CommitPayload,
    held: HeldParts,
}

/// The journal entries that commits tell of: as long as the journal may not know that they are
/// done with.
struct HeldParts {
    /// Those since the last commit.
    new: BTreeSet<Part>,
    /// Those of commits, with a time when these had been answered for; nothing if that is not
    /// known yet.
    committed: Vec<(Option<Time>, Vec<RouteRuns>)>,
}

impl HeldParts {
    /// What the commit that begins `now` tells; what the journal knew before `settled` is left out.
    fn commit(&mut self, now: Time, settled: Time) -> Vec<RouteRuns> {
        // A commit begins when the one before was answered for.
        for (answered, _) in &mut self.committed {
            answered.get_or_insert(now);
        }
        self.committed.retain(|(answered, runs)| {
            !runs.is_empty() && answered.is_none_or(|answered| answered >= settled)
        });
        self.committed.push((None, to_runs(&std::mem::take(&mut self.new))));
        self.committed.iter().flat_map(|(_, runs)| runs.iter().cloned()).collect()
    }
}

impl WindowWriter {
    /// Makes a new window's folder and opens it for writing.
    pub(crate) fn create(
        manifest: WindowManifest,
        folder: &Path,
        memory_bytes: usize,
    ) -> Result<Self, LogIndexError> {
        let made = Self::try_create(manifest, folder.to_owned(), memory_bytes);
        if made.is_err() {
            // What could be made is of no use; what cannot be removed is, at the next attempt.
            let _ = files::remove_folder(folder);
        }
        made
    }

    fn try_create(
        manifest: WindowManifest,
        folder: PathBuf,
        memory_bytes: usize,
    ) -> Result<Self, LogIndexError> {
        let path = folder.join(INDEX_FOLDER);
        if folder.exists() {
            // What an attempt that failed left.
            files::remove_folder(&folder).map_err(LogIndexError::file("remove", &folder))?;
        }
        files::create_folder(&path).map_err(LogIndexError::file("make", &path))?;
        let fields = Fields::new();
        let files = Folder::open(&path).map_err(Into::into);
        let index =
            files.and_then(|files| fields.index_builder(manifest.detail).open_or_create(files));
        let index = index.map_err(LogIndexError::index("make", &path))?;
        manifest.write(&folder)?;
        let payload = CommitPayload::read(None, &folder)?;
        let window = Arc::new(Window::new(folder, manifest, payload.clone()));
        Self::over(window, &index, payload, memory_bytes)
    }

    /// Opens a window that is on disk for writing; what no commit speaks of is left behind.
    pub(crate) fn open(window: Arc<Window>, memory_bytes: usize) -> Result<Self, LogIndexError> {
        let path = window.folder.join(INDEX_FOLDER);
        let index = open_index(&path, window.manifest.detail);
        let index = index.map_err(LogIndexError::index("open", &path))?;
        let metas = index.load_metas().map_err(LogIndexError::index("read", &path))?;
        let payload = CommitPayload::read(metas.payload.as_deref(), &window.folder)?;
        Self::over(window, &index, payload, memory_bytes)
    }

    fn over(
        window: Arc<Window>,
        index: &Index,
        payload: CommitPayload,
        memory_bytes: usize,
    ) -> Result<Self, LogIndexError> {
        let path = window.folder.join(INDEX_FOLDER);
        let table = EnvelopeTable::open(&window.folder, payload.envelopes)?;
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(MIN_MEMORY_BYTES)
            .build();
        let writer = index.writer_with_options(options);
        let writer: IndexWriter<LogDocument> =
            writer.map_err(LogIndexError::index("write to", &path))?;
        let mut policy = LogMergePolicy::default();
        policy.set_min_num_segments(MERGED_SEGMENTS);
        policy.set_max_docs_before_merge(MAX_MERGED_RECORDS);
        writer.set_merge_policy(Box::new(policy));
        let reader = reader(index).map_err(LogIndexError::index("open", &path))?;
        let draft = Arc::new(Draft::new(&Fields::new(), window.manifest.detail));
        let segment = None;
        Ok(Self {
            window,
            path,
            draft,
            writer,
            reader,
            table,
            segment,
            memory_bytes,
            held: HeldParts {
                new: BTreeSet::new(),
                committed: vec![(None, payload.parts.clone())],
            },
            next: payload,
        })
    }

    /// Makes documents of a batch's records.
    pub(crate) fn add(&mut self, batch: &Batch) -> Result<(), LogIndexError> {
        self.held.new.extend(batch.parts().iter().cloned());
        for chunk in batch.chunks() {
            self.add_chunk(chunk, batch.context().arrived.as_unix_nanos())?;
        }
        Ok(())
    }

    fn add_chunk(&mut self, chunk: &Bytes, arrived: u64) -> Result<(), LogIndexError> {
        let Self { table, segment, writer, memory_bytes, path, next, draft, .. } = self;
        let (_, segment) = match segment {
            Some(segment) => segment,
            None => {
                let new = writer.new_segment();
                let made =
                    SegmentWriter::for_segment((*memory_bytes).max(MIN_MEMORY_BYTES), new.clone());
                segment
                    .insert((new, made.map_err(LogIndexError::index("begin a segment of", path))?))
            }
        };
        walk(
            chunk,
            |envelope| Ok(table.number(&envelope)),
            |envelope, record| {
                let record = chunk.slice_ref(record);
                let (document, time) = Draft::fill(draft, *envelope, arrived, record);
                next.num_records += 1;
                next.min_time = next.min_time.min(time);
                next.max_time = next.max_time.max(time);
                segment
                    .add_document(AddOperation { opstamp: next.num_records, document })
                    // Only a failure is worth a copy of the path.
                    .map_err(|error| LogIndexError::index("add to", path)(error))
            },
        )
    }

    /// About the memory that documents take until they are committed.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.segment.as_ref().map_or(0, |(_, segment)| segment.mem_usage())
    }

    /// Whether the next index of the window should begin.
    pub(crate) fn is_full(&self) -> bool {
        self.table.is_full() || self.next.num_records >= MAX_RECORDS
    }

    /// What is on disk, before the first record is added.
    pub(crate) const fn payload(&self) -> &CommitPayload {
        &self.next
    }

    /// Waits for merges and lets go of the folder.
    pub(crate) fn close(self) -> Result<(), LogIndexError> {
        self.writer.wait_merging_threads().map_err(LogIndexError::index("close", &self.path))
    }

    /// Makes everything that was added durable and visible; `commit` is its id, `now` when all
    /// commits before were answered for, and what was marked in the journal before `settled` is
    /// durable there.
    pub(crate) fn commit(
        &mut self,
        commit: u64,
        (now, settled): (Time, Time),
    ) -> Result<Commit, LogIndexError> {
        self.next.version = VERSION;
        self.next.commit = commit;
        self.next.parts = self.held.commit(now, settled);
        self.next.envelopes = self.table.sync()?;
        let failed = |what| LogIndexError::index(what, &self.path);
        if let Some((segment, segment_writer)) = self.segment.take() {
            let num_records = segment_writer.max_doc();
            segment_writer.finalize().map_err(failed("write a segment of"))?;
            let segment = segment.with_max_doc(num_records);
            self.writer.add_segment(segment.meta().clone()).map_err(failed("add to"))?;
        }
        let payload = serde_json::to_string(&self.next).unwrap_or_default();
        let mut prepared = self.writer.prepare_commit().map_err(failed("commit"))?;
        prepared.set_payload(&payload);
        prepared.commit().map_err(failed("commit"))?;
        Ok(Commit { payload: self.next.clone(), opened: self.refresh()? })
    }

    /// Opens what is committed, as merges left it.
    pub(crate) fn refresh(&self) -> Result<Arc<Opened>, LogIndexError> {
        self.reader.reload().map_err(LogIndexError::index("reload", &self.path))?;
        Ok(Arc::new(self.window.opened(self.reader.searcher(), self.table.list())))
    }
}
