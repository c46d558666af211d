//! The archive of one signal: open files, rolling, commits.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::{debug, error};

use super::error::ParquetArchiveError;
use super::file::FileWriter;
use super::footer::{CommitId, Footer};
use super::held;
use super::partition::{Partitioner, Partitioning};
use super::recovery::guarded;
use super::retention::{self, HOUR};
use super::{Format, Retention, Rotation};
use crate::data::{Batch, Part, PartRun, Signal, Time};
use crate::storage::object::{ObjectError, ObjectStore, Upload};

/// Row groups that take one part in so many of what they may are ended where memory is short.
const RELIEF_PART: usize = 8;

/// Settings of an archive.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The signal that it holds.
    pub signal: Signal,
    /// What file names begin with: the node, then an id that no other writer has.
    pub file_prefix: String,
    /// How rows are written.
    pub format: Format,
    /// What files are divided by, beside the hour.
    pub partitioning: Partitioning,
    /// When a commit is due.
    pub rotation: Rotation,
    /// When files are removed.
    pub retention: Retention,
}

/// Records as Parquet files in a store.
///
/// A file is chosen by the hour in which its records arrived, and by partition, and is seen when it
/// is committed. The encoder never waits for the store: bytes that the store did not take are kept,
/// and offered again before anything else is done. A record on which the encoder panics is set
/// aside, and the rest goes on; see `recovery`.
pub struct Archive {
    pub(super) settings: Settings,
    store: Arc<dyn ObjectStore>,
    partitioner: Partitioner,
    pub(super) open: Vec<OpenFile>,
    ended: Vec<EndedFile>,
    num_files: u64,
    pub(super) num_envelopes: u64,
    pub(super) lost: Lost,
    next_retention: Time,
}

/// Records that the archive took and cannot keep.
#[derive(Debug, Default)]
pub struct Lost {
    /// How many.
    pub num_records: u64,
    /// Those among them that are known to have done it, one a batch.
    pub set_aside: Vec<Batch>,
}

/// A file that takes records.
pub(super) struct OpenFile {
    /// Hours since the Unix epoch.
    hour: u64,
    /// The folders of its partition, each with `/` before it.
    partition: String,
    pub(super) file: FileWriter,
    output: Output,
    parts: BTreeSet<Part>,
}

/// A file with its footer.
struct EndedFile {
    output: Output,
    num_rows: u64,
}

/// Where a file goes, and what has not gone there yet.
struct Output {
    name: String,
    upload: Box<dyn Upload>,
    pending: Vec<u8>,
    size_bytes: u64,
}

impl Output {
    fn drain(&mut self) -> Result<(), ParquetArchiveError> {
        if !self.pending.is_empty() {
            self.upload.append(&self.pending)?;
            self.size_bytes += self.pending.len() as u64;
            self.pending = Vec::new();
        }
        Ok(())
    }
}

impl OpenFile {
    /// Moves what is encoded on into the store.
    fn drain(&mut self) -> Result<(), ParquetArchiveError> {
        let bytes = self.file.take().map_err(ParquetArchiveError::Encode)?;
        if self.output.pending.is_empty() {
            self.output.pending = bytes;
        } else {
            self.output.pending.extend_from_slice(&bytes);
        }
        self.output.drain()
    }
}

impl Archive {
    /// An archive in `store`, which is open.
    #[must_use]
    pub fn new(settings: Settings, store: Arc<dyn ObjectStore>) -> Self {
        Self {
            partitioner: Partitioner::new(&settings.partitioning.by, &settings.format.promoted),
            settings,
            store,
            open: Vec::new(),
            ended: Vec::new(),
            num_files: 0,
            num_envelopes: 0,
            lost: Lost::default(),
            next_retention: Time::default(),
        }
    }

    /// The entries of a journal that files hold which were written after `since`: those of whole
    /// commits. Files of a commit that was not finished are removed: its entries, which
    /// `are_outstanding`, run again.
    ///
    /// Called before anything is added.
    ///
    /// # Errors
    ///
    /// Fails when files cannot be listed, read or removed.
    pub fn held(
        &self,
        (journal, since): (u128, Time),
        are_outstanding: &dyn Fn(&PartRun) -> bool,
    ) -> Result<Vec<PartRun>, ParquetArchiveError> {
        let signal = self.settings.signal;
        held::held(&*self.store, signal, (journal, since), are_outstanding)
    }

    /// Adds the records of a batch to the files of its arrival time, or of `now` if it has none.
    ///
    /// # Errors
    ///
    /// Fails when the store does not take what it should have before; nothing of the batch is in
    /// the archive then.
    pub fn add(&mut self, batch: &Batch, now: Time) -> Result<(), ParquetArchiveError> {
        self.publish()?;
        for file in &mut self.open {
            file.drain()?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let arrived = Some(batch.context().arrived).filter(|arrived| *arrived != Time::default());
        let hour = arrived.unwrap_or(now).as_unix_nanos() / HOUR;
        for (index, piece) in self.divide(batch, hour)? {
            self.fill(index, &piece);
            if let Some(open) = self.open.get_mut(index) {
                open.parts.extend(piece.parts().iter().cloned());
            }
        }
        self.limit_memory();
        self.give_up_broken();
        // The batch is in, whatever the store takes now.
        self.drain_open();
        Ok(())
    }

    /// Whether a commit is due by size, rows or because an hour is over.
    #[must_use]
    pub fn is_commit_due(&self) -> bool {
        let Rotation { max_bytes, max_rows } = self.settings.rotation;
        let is_full = |open: &OpenFile| {
            open.file.num_rows() >= max_rows || open.file.size_bytes() >= max_bytes
        };
        let first_hour = self.open.first().map(|open| open.hour);
        let is_other_hour = |open: &OpenFile| Some(open.hour) != first_hour;
        !self.ended.is_empty() || self.open.iter().any(|open| is_other_hour(open) || is_full(open))
    }

    /// Whether there are records that no commit has.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open.is_empty() && self.ended.is_empty()
    }

    /// About the memory that is taken.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let open =
            self.open.iter().map(|open| open.file.memory_bytes() + open.output.pending.capacity());
        let ended = self.ended.iter().map(|ended| ended.output.pending.capacity());
        open.chain(ended).sum()
    }

    /// Whether old files are ever removed.
    #[must_use]
    pub const fn has_retention(&self) -> bool {
        let Retention { max_age, max_bytes } = self.settings.retention;
        max_age.is_some() || max_bytes.is_some()
    }

    /// Takes out what was lost since the last call.
    pub fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// Makes everything that was added be there, durably; removes what is too old by `now`, also
    /// when that fails, for a full disk gets room by it.
    ///
    /// # Errors
    ///
    /// Fails when the store does; everything is kept and comes with the next call.
    pub fn commit(&mut self, now: Time) -> Result<(), ParquetArchiveError> {
        let published = self.publish_all();
        self.see_to_retention(now);
        published
    }

    fn publish_all(&mut self) -> Result<(), ParquetArchiveError> {
        self.publish()?;
        self.end_files();
        self.publish()
    }

    fn see_to_retention(&mut self, now: Time) {
        if self.has_retention() && now >= self.next_retention {
            self.next_retention = now.saturating_add(retention::INTERVAL);
            let Settings { signal, retention, .. } = self.settings;
            retention::remove_old(&*self.store, signal, retention, now);
        }
    }

    /// The pieces of a batch by the index of the file that they go to.
    fn divide(
        &mut self,
        batch: &Batch,
        hour: u64,
    ) -> Result<Vec<(usize, Batch)>, ParquetArchiveError> {
        if self.partitioner.is_empty() {
            return Ok(vec![(self.file_of(hour, String::new())?, batch.clone())]);
        }
        let (partitions, of_records) = self.partitioner.partitions(batch);
        let files = partitions.into_iter().map(|partition| self.file_of(hour, partition));
        let files = files.collect::<Result<Vec<usize>, _>>()?;
        let used: Vec<usize> = files.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let mut of_records = of_records.into_iter();
        let pieces = batch.partition(used.len(), |_| {
            let file = of_records.next().and_then(|partition| files.get(partition));
            file.and_then(|file| used.binary_search(file).ok()).unwrap_or_default()
        });
        Ok(used.into_iter().zip(pieces).collect())
    }

    /// The index of the open file of an hour and a partition; of the one for the rest when as many
    /// partitions are open as may be.
    fn file_of(&mut self, hour: u64, mut partition: String) -> Result<usize, ParquetArchiveError> {
        let is_it = |open: &OpenFile, name: &str| open.hour == hour && open.partition == name;
        if let Some(index) = self.open.iter().position(|open| is_it(open, &partition)) {
            return Ok(index);
        }
        if !partition.is_empty() && self.open.len() >= self.settings.partitioning.max_open {
            partition = self.partitioner.other();
            if let Some(index) = self.open.iter().position(|open| is_it(open, &partition)) {
                return Ok(index);
            }
        }
        let Settings { signal, file_prefix, format, .. } = &self.settings;
        let number = self.num_files + 1;
        let folder = retention::folder(*signal, hour);
        let name = format!("{folder}{partition}/{file_prefix}-{number}.parquet");
        let file = FileWriter::try_new(*signal, format, self.max_open())
            .map_err(ParquetArchiveError::Encode)?;
        let upload = self.store.create(&name)?;
        self.num_files = number;
        let output = Output { name, upload, pending: Vec::new(), size_bytes: 0 };
        self.open.push(OpenFile { hour, partition, file, output, parts: BTreeSet::new() });
        Ok(self.open.len() - 1)
    }

    /// How many files of an hour may be open, with the one for the rest.
    fn max_open(&self) -> usize {
        if self.partitioner.is_empty() {
            return 1;
        }
        self.settings.partitioning.max_open + 1
    }

    /// Ends the largest row groups while those of several files take more than one may.
    fn limit_memory(&mut self) {
        let max_bytes = self.settings.format.row_group.max_bytes;
        let mut sizes: Vec<(usize, usize)> =
            self.open.iter().map(|open| open.file.memory_bytes()).enumerate().collect();
        if sizes.len() < 2 {
            return;
        }
        sizes.sort_by_key(|(_, size)| *size);
        let mut total: usize = sizes.iter().map(|(_, size)| size).sum();
        while let Some((index, size)) = sizes.pop()
            && total > max_bytes
        {
            self.end_row_group(index);
            total -= size;
        }
    }

    /// Ends row groups that take much, which makes room in memory and smaller row groups.
    pub fn relieve(&mut self) {
        let much = self.settings.format.row_group.max_bytes / RELIEF_PART;
        for index in 0..self.open.len() {
            if self.open.get(index).is_some_and(|open| open.file.memory_bytes() >= much) {
                self.end_row_group(index);
            }
        }
        self.give_up_broken();
        self.drain_open();
    }

    /// Moves on what is encoded; what the store does not take is offered again with the next call.
    fn drain_open(&mut self) {
        for file in &mut self.open {
            if let Err(error) = file.drain() {
                debug!(%error, name = file.output.name, "the store takes nothing now");
            }
        }
    }

    /// Ends all open files as one commit; one that cannot be ended is lost alone.
    fn end_files(&mut self) {
        for index in 0..self.open.len() {
            self.end_row_group(index);
        }
        self.give_up_broken();
        let commit = CommitId { id: rand::random(), num_files: self.open.len() };
        for OpenFile { file, mut output, parts, .. } in self.open.drain(..) {
            let num_rows = file.num_rows();
            let footer = Footer { commit, parts, times: file.times() };
            match guarded(|| file.finish(&footer)) {
                Ok(rest) => {
                    output.pending.extend_from_slice(&rest);
                    self.ended.push(EndedFile { output, num_rows });
                }
                Err(why) => {
                    error!(why, name = output.name, num_rows, "a Parquet file is lost");
                    self.lost.num_records += num_rows;
                }
            }
        }
    }

    /// Lets go of files that cannot be ended, and of those without rows.
    fn give_up_broken(&mut self) {
        let lost = &mut self.lost;
        self.open.retain_mut(|OpenFile { file, output, .. }| {
            if file.is_broken() {
                let behind = file.take_broken_rows().map_or(0, |rows| rows.num_rows());
                let num_rows = file.num_rows() + behind as u64;
                error!(name = output.name, num_rows, "a Parquet file is lost");
                lost.num_records += num_rows;
            }
            !file.is_broken() && file.num_rows() > 0
        });
    }

    /// Makes the ended files be there.
    fn publish(&mut self) -> Result<(), ParquetArchiveError> {
        while let Some(EndedFile { output, num_rows }) = self.ended.last_mut() {
            output.drain()?;
            let (name, size_bytes, num_rows) = (&output.name, output.size_bytes, *num_rows);
            match output.upload.finish() {
                Ok(()) => debug!(name, size_bytes, num_rows, "committed a Parquet file"),
                Err(error @ ObjectError::Lost { .. }) => {
                    error!(%error, name, num_rows, "a Parquet file is lost");
                    self.lost.num_records += num_rows;
                }
                Err(error) => return Err(error.into()),
            }
            self.ended.pop();
        }
        Ok(())
    }
}
