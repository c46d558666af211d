//! The archive of one signal: open files, rolling, commits.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use time::OffsetDateTime;
use tracing::{debug, info, warn};

use super::error::ParquetArchiveError;
use super::file::FileWriter;
use super::footer::{CommitId, Footer};
use super::{Format, Retention, Rotation};
use crate::data::{Batch, EntryId, Signal, Time};
use crate::storage::object::{Object, ObjectStore, Upload};

/// The length of the window of arrival time that a folder stands for.
const HOUR: u64 = 3_600_000_000_000;
/// Files that may have a row group in memory; more are open only when arrival times mix.
const MAX_ROW_GROUPS: usize = 2;
/// How often retention is seen to.
const RETENTION_INTERVAL: Duration = Duration::from_secs(60);

/// Settings of an archive.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The signal that it holds.
    pub signal: Signal,
    /// What file names begin with: the node, then an id that no other writer has.
    pub file_prefix: String,
    /// How rows are written.
    pub format: Format,
    /// When a commit is due.
    pub rotation: Rotation,
    /// When files are removed.
    pub retention: Retention,
}

/// Records as Parquet files in a store.
///
/// A file is chosen by the hour in which its records arrived, and is seen when it is committed.
/// The encoder never waits for the store: bytes that the store did not take are kept, and offered
/// again before anything else is done.
pub struct Archive {
    settings: Settings,
    store: Arc<dyn ObjectStore>,
    open: Vec<OpenFile>,
    ended: Vec<EndedFile>,
    num_files: u64,
    next_retention: Time,
    /// While a file is changed, and for ever if that did not end well.
    is_stopped: bool,
}

/// A file that takes records.
struct OpenFile {
    /// Hours since the Unix epoch.
    hour: u64,
    file: FileWriter,
    output: Output,
    parts: BTreeSet<(EntryId, u32)>,
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
            settings,
            store,
            open: Vec::new(),
            ended: Vec::new(),
            num_files: 0,
            next_retention: Time::default(),
            is_stopped: false,
        }
    }

    /// Adds the records of a batch to the file of its arrival time, or of `now` if it has none.
    ///
    /// # Errors
    ///
    /// Fails when the store does not take what it should have before; nothing of the batch is in
    /// the archive then.
    pub fn add(&mut self, batch: &Batch, now: Time) -> Result<(), ParquetArchiveError> {
        self.check()?;
        self.publish()?;
        for file in &mut self.open {
            file.drain()?;
        }
        if batch.is_empty() {
            return Ok(());
        }
        let arrived = Some(batch.context().arrived).filter(|arrived| *arrived != Time::default());
        let index = self.file_of(arrived.unwrap_or(now))?;
        self.is_stopped = true;
        if let Some(open) = self.open.get_mut(index) {
            open.file.add(batch).map_err(ParquetArchiveError::Encode)?;
            open.parts.extend(batch.parts().iter().map(|part| (part.entry, part.route)));
        }
        self.limit_row_groups(index)?;
        self.is_stopped = false;
        // The batch is in; what the store does not take now is offered again with the next call.
        for file in &mut self.open {
            if let Err(error) = file.drain() {
                debug!(%error, name = file.output.name, "the store takes nothing now");
            }
        }
        Ok(())
    }

    /// Whether a commit is due by size, rows or because an hour is over.
    #[must_use]
    pub fn is_commit_due(&self) -> bool {
        let Rotation { max_bytes, max_rows } = self.settings.rotation;
        let is_full = |open: &OpenFile| {
            open.file.num_rows() >= max_rows || open.file.size_bytes() >= max_bytes
        };
        self.open.len() > 1 || !self.ended.is_empty() || self.open.iter().any(is_full)
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

    /// Makes everything that was added be there, durably; then removes what is too old by `now`.
    ///
    /// # Errors
    ///
    /// Fails when the store does; everything is kept and comes with the next call.
    pub fn commit(&mut self, now: Time) -> Result<(), ParquetArchiveError> {
        self.check()?;
        self.publish()?;
        self.end_files()?;
        self.publish()?;
        if self.has_retention() && now >= self.next_retention {
            self.next_retention = now.saturating_add(RETENTION_INTERVAL);
            self.remove_old(now);
        }
        Ok(())
    }

    const fn check(&self) -> Result<(), ParquetArchiveError> {
        if self.is_stopped { Err(ParquetArchiveError::Stopped) } else { Ok(()) }
    }

    /// The index of the open file for what arrived at `arrived`.
    fn file_of(&mut self, arrived: Time) -> Result<usize, ParquetArchiveError> {
        let hour = arrived.as_unix_nanos() / HOUR;
        if let Some(index) = self.open.iter().position(|open| open.hour == hour) {
            return Ok(index);
        }
        let Settings { signal, file_prefix, format, .. } = &self.settings;
        let number = self.num_files + 1;
        let folder = folder(*signal, hour);
        let name = format!("{folder}/{file_prefix}-{number}.parquet");
        let file = FileWriter::try_new(*signal, format).map_err(ParquetArchiveError::Encode)?;
        let upload = self.store.create(&name)?;
        self.num_files = number;
        let output = Output { name, upload, pending: Vec::new(), size_bytes: 0 };
        self.open.push(OpenFile { hour, file, output, parts: BTreeSet::new() });
        Ok(self.open.len() - 1)
    }

    /// Ends row groups of files other than the one in use when many are open.
    fn limit_row_groups(&mut self, in_use: usize) -> Result<(), ParquetArchiveError> {
        if self.open.len() <= MAX_ROW_GROUPS {
            return Ok(());
        }
        for (index, open) in self.open.iter_mut().enumerate() {
            if index != in_use {
                open.file.end_row_group().map_err(ParquetArchiveError::Encode)?;
            }
        }
        Ok(())
    }

    /// Ends all open files as one commit.
    fn end_files(&mut self) -> Result<(), ParquetArchiveError> {
        self.is_stopped = true;
        let commit = CommitId { id: rand::random(), num_files: self.open.len() };
        for OpenFile { file, mut output, parts, .. } in self.open.drain(..) {
            let num_rows = file.num_rows();
            let footer = Footer { commit, parts, times: file.times() };
            let rest = file.finish(&footer).map_err(ParquetArchiveError::Encode)?;
            output.pending.extend_from_slice(&rest);
            self.ended.push(EndedFile { output, num_rows });
        }
        self.is_stopped = false;
        Ok(())
    }

    /// Makes the ended files be there.
    fn publish(&mut self) -> Result<(), ParquetArchiveError> {
        if self.ended.is_empty() {
            return Ok(());
        }
        while let Some(ended) = self.ended.last_mut() {
            ended.output.drain()?;
            ended.output.upload.finish()?;
            let (name, size_bytes) = (&ended.output.name, ended.output.size_bytes);
            debug!(name, size_bytes, num_rows = ended.num_rows, "committed a Parquet file");
            self.ended.pop();
        }
        Ok(())
    }

    /// Removes files that are too old, then the oldest while all take too many bytes.
    fn remove_old(&self, now: Time) {
        let mut files: Vec<(u64, Object)> = match self.store.list(self.settings.signal.as_str()) {
            Ok(objects) => {
                objects.into_iter().filter_map(|file| Some((hour_of(&file.name)?, file))).collect()
            }
            Err(error) => {
                warn!(%error, "cannot list the archive for its retention");
                return;
            }
        };
        files.sort_by(|(left_hour, left), (right_hour, right)| {
            (left_hour, &left.name).cmp(&(right_hour, &right.name))
        });
        let Retention { max_age, max_bytes } = self.settings.retention;
        let mut total: u64 = files.iter().map(|(_, file)| file.size_bytes).sum();
        for (hour, file) in files {
            let end = Time::from_unix_nanos(hour.saturating_add(1).saturating_mul(HOUR));
            let is_old = max_age.is_some_and(|max_age| now.saturating_since(end) > max_age);
            let is_surplus = max_bytes.is_some_and(|max_bytes| total > max_bytes);
            if !is_old && !is_surplus {
                break;
            }
            match self.store.delete(&file.name) {
                Ok(()) => {
                    total = total.saturating_sub(file.size_bytes);
                    info!(name = file.name, "removed a Parquet file by the archive's retention");
                }
                Err(error) => warn!(%error, "cannot remove a Parquet file"),
            }
        }
    }
}

/// `logs/date=2026-11-22/hour=07`.
fn folder(signal: Signal, hour: u64) -> String {
    let seconds = i64::try_from(hour.saturating_mul(3600)).unwrap_or(i64::MAX);
    let start = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (year, month, day) = start.to_calendar_date();
    let (signal, month, hour) = (signal.as_str(), u8::from(month), start.hour());
    format!("{signal}/date={year:04}-{month:02}-{day:02}/hour={hour:02}")
}

/// The hour, since the Unix epoch, of a file that an archive wrote.
fn hour_of(name: &str) -> Option<u64> {
    let mut parts = name.split('/').skip(1);
    let date = parts.next()?.strip_prefix("date=")?;
    let hour: u64 = parts.next()?.strip_prefix("hour=")?.parse().ok()?;
    let file = parts.next()?.strip_suffix(".parquet")?;
    if parts.next().is_some() {
        return None;
    }
    let (rest, number) = file.rsplit_once('-')?;
    let (_, id) = rest.rsplit_once('-')?;
    number.parse::<u64>().ok()?;
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let format = time::macros::format_description!("[year]-[month]-[day]");
    let day = time::Date::parse(date, format).ok().filter(|_| is_id)?;
    let seconds = day.midnight().assume_utc().unix_timestamp();
    u64::try_from(seconds / 3600).ok().map(|hours| hours + hour)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hour_of_a_file_is_that_of_its_folder() {
        let id = "0123456789abcdef0123456789abcdef";
        let folder = folder(Signal::Logs, 495_000);
        assert_eq!(folder, "logs/date=2026-06-21/hour=00");
        assert_eq!(hour_of(&format!("{folder}/my-node-{id}-7.parquet")), Some(495_000));
        for name in [
            "logs/date=2026-06-21/hour=00/own.parquet".to_owned(),
            format!("logs/date=2026-06-21/node-{id}-7.parquet"),
            format!("{folder}/node-{id}-7.csv"),
            format!("{folder}/deeper/node-{id}-7.parquet"),
        ] {
            assert_eq!(hour_of(&name), None, "{name}");
        }
    }
}
