//! The segments of a log: begun when there is no room, removed when all in them is closed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::AppendError;
use super::format::{HEADER_BYTES, Header};
use super::head::Head;
use super::log::{Answers, Log, OnFull, Segment};
use crate::data::Time;
use crate::storage::disk::DiskFile;

/// The end of a segment's name.
const SUFFIX: &str = ".log";

/// The extension of a segment that is being made.
pub(super) const TEMPORARY_EXTENSION: &str = "new";

/// The extension of a segment of which something could not be read.
pub(super) const DAMAGED_EXTENSION: &str = "damaged";

impl Log {
    /// Removes segments whose entries are all closed and need not be known again at `now`.
    ///
    /// # Errors
    ///
    /// Fails when some are still there; it may be tried again.
    pub fn collect(&mut self, now: Time) -> Result<(), AppendError> {
        let window = self.settings.dedup_window;
        let closed = self.closed_segments(|segment| segment.newest.saturating_add(window) <= now);
        let (oldest, others) = closed.split_at(self.num_oldest(&closed));
        self.remove(oldest)?;
        if !others.is_empty() {
            self.repeat_marks(others)?;
            self.remove(others)?;
        }
        Ok(())
    }

    /// Sees to it that there is a segment with room for `bytes` behind the buffer; `answers` are
    /// those of what is in the buffer. Marks alone, no bytes, always have room where they are.
    pub(super) fn make_room(
        &mut self,
        bytes: u64,
        answers: &mut Answers,
    ) -> Result<(), AppendError> {
        if let Some(head) = &self.head {
            let end = head.written + self.buffer.len() as u64 + bytes;
            let is_fresh = head.written == HEADER_BYTES as u64 && self.buffer.is_empty();
            if bytes == 0 || is_fresh || end <= self.settings.segment_bytes {
                return Ok(());
            }
            self.write_staged(answers)?;
        }
        self.begin(bytes)
    }

    /// Begins a segment, for marks alone or for at least `bytes`; the one before ends.
    ///
    /// That one stays the one that is written to where this fails, so that marks can still be
    /// written in a log that is full, and segments be removed.
    fn begin(&mut self, bytes: u64) -> Result<(), AppendError> {
        let max_bytes = self.settings.max_bytes;
        let len = self.settings.segment_bytes.max(HEADER_BYTES as u64 + bytes);
        if self.size_bytes() + len > max_bytes {
            // Being full is worse than not to know a request again.
            let closed = self.closed_segments(|_| true);
            let (oldest, _) = closed.split_at(self.num_oldest(&closed));
            self.remove(oldest)?;
        }
        if bytes > 0 && self.settings.on_full == OnFull::DropOldest {
            self.drop_oldest(len)?;
        }
        if bytes > 0 && self.size_bytes() + len > max_bytes {
            return Err(AppendError::Full { path: self.settings.folder.clone(), max_bytes });
        }
        if let Some(head) = &mut self.head {
            // What stands before the last segment is durable: recovery relies on it.
            head.sync()?;
        }
        let number = self.next_segment;
        let path = self.path(number);
        let temporary = path.with_extension(TEMPORARY_EXTENSION);
        let file = self.create(&temporary, &path, number, len).map_err(|error| {
            // What is left of it is removed at the next try, or at the next start.
            let _ = self.disk.remove(&temporary);
            AppendError::file("begin", &path)(error)
        })?;
        self.next_segment += 1;
        self.segments.insert(number, Segment { bytes: len, ..Segment::default() });
        if let Some(mut before) = self.head.replace(Head::new((self.id, number), file, path)) {
            // If it cannot be cut, it takes more room than it needs until it is removed.
            if before.cut().is_ok()
                && let Some(segment) = self.segments.get_mut(&before.segment)
            {
                segment.bytes = before.written;
            }
        }
        Ok(())
    }

    /// Makes room for a segment of `len` bytes, whatever is open in the oldest ones.
    fn drop_oldest(&mut self, len: u64) -> Result<(), AppendError> {
        while self.size_bytes() + len > self.settings.max_bytes && self.segments.len() > 1 {
            let Some(oldest) = self.segments.keys().next().copied() else { break };
            let open = self.open.iter().filter(|(_, place)| place.segment == oldest);
            let numbers: Vec<u64> = open.map(|(number, _)| *number).collect();
            self.dropped.extend_from_slice(&numbers);
            numbers.into_iter().for_each(|number| self.close(number));
            self.remove(&[oldest])?;
        }
        Ok(())
    }

    fn create(
        &self,
        temporary: &Path,
        path: &Path,
        segment: u64,
        len: u64,
    ) -> io::Result<Box<dyn DiskFile>> {
        self.disk.remove(temporary)?;
        let file = self.disk.create(temporary, len)?;
        file.write_at(&Header { log: self.id, segment, next_entry: self.next_entry }.encode(), 0)?;
        file.sync()?;
        self.disk.rename(temporary, path)?;
        self.disk.sync_folder(&self.settings.folder)?;
        Ok(file)
    }

    /// The closed segments that `may_go`, oldest first. The newest never goes: it is written to, or
    /// at least knows the log's id and its numbers.
    fn closed_segments(&self, may_go: impl Fn(&Segment) -> bool) -> Vec<u64> {
        let newest = self.segments.keys().next_back();
        let is_closed = |number: &u64, segment: &Segment| {
            segment.num_open == 0 && Some(number) != newest && may_go(segment)
        };
        let segments = self.segments.iter().filter(|(number, segment)| is_closed(number, segment));
        segments.map(|(number, _)| *number).collect()
    }

    /// How many of these segments are the oldest ones, without a gap.
    fn num_oldest(&self, segments: &[u64]) -> usize {
        segments.iter().zip(self.segments.keys()).take_while(|(one, oldest)| one == oldest).count()
    }

    /// Removes segments, one after the other: an older one that came back after a crash would miss
    /// marks that are in those behind it.
    fn remove(&mut self, segments: &[u64]) -> Result<(), AppendError> {
        for number in segments {
            let path = self.path(*number);
            self.disk
                .remove(&path)
                .and_then(|()| self.disk.sync_folder(&self.settings.folder))
                .map_err(AppendError::file("remove", &path))?;
            self.segments.remove(number);
        }
        Ok(())
    }

    /// Writes again what is known of the entries of the segments that stay: some of it is in those
    /// that go.
    pub(super) fn repeat_marks(&mut self, going: &[u64]) -> Result<(), AppendError> {
        for (number, segment) in &self.segments {
            if !going.contains(number) {
                for (first, last) in segment.closed.iter() {
                    (first..=last).for_each(|number| self.pending_closed.insert(number));
                }
            }
        }
        for (number, place) in &self.open {
            for route in &place.done {
                self.pending.entry(Arc::clone(route)).or_default().insert(*number);
            }
        }
        self.sync()
    }

    pub(super) fn path(&self, segment: u64) -> PathBuf {
        segment_path(&self.settings.folder, segment)
    }
}

/// The file of a segment.
pub(super) fn segment_path(folder: &Path, segment: u64) -> PathBuf {
    folder.join(format!("{segment:016x}{SUFFIX}"))
}

/// Which segment a file of this name is, if it is one.
pub(super) fn segment_of(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_suffix(SUFFIX)?, 16).ok()
}
