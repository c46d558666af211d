//! Opening a log: what is in its folder becomes its state.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{io, mem, thread};

use bytes::Bytes;
use tracing::warn;

use super::error::OpenError;
use super::format::{
    EntryHead, FRAME_BYTES, FrameHead, FramePlace, HEADER_BYTES, Header, HeaderError, Kind, Marks,
    frame_bytes, next_place,
};
use super::log::{Log, Place, Segment, Settings};
use super::runs::Runs;
use super::segments::{DAMAGED_EXTENSION, TEMPORARY_EXTENSION, segment_of, segment_path};
use crate::data::Time;
use crate::storage::disk::{Disk, DiskFile};

/// Numbers that are left out at every start: an entry that a crash took away may be known to a
/// sink by its number, which must not come again.
const NUMBERS_PER_START: u64 = 1 << 32;

/// How many segments are read at a time.
const READERS: usize = 2;

/// What was found when a log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// The entries that are open, in the order of their numbers.
    pub open: Vec<OpenEntry>,
    /// Bytes behind the last promised entry that were cut off.
    pub torn_bytes: u64,
    /// Bytes that were promised and could not be read, and the files where they are.
    pub damaged_bytes: u64,
    /// Files that were set aside for what could not be read in them.
    pub damaged: Vec<PathBuf>,
}

/// An entry that is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenEntry {
    /// Its number.
    pub number: u64,
    /// When it came.
    pub arrived: Time,
    /// The routes that are done with it.
    pub done: Vec<Arc<str>>,
}

/// A frame that could be read.
pub(super) struct Frame {
    offset: u64,
    end: u64,
    /// How many bytes of the segment were durable when it was written.
    durable: u64,
    content: Content,
}

enum Content {
    /// An entry, and how many bytes its body has.
    Entry(EntryHead, usize),
    Marks(Marks),
}

/// What is found in the segments before it is put together: marks may be in any of them.
#[derive(Default)]
pub(super) struct Findings {
    /// By number.
    pub(super) entries: BTreeMap<u64, FoundEntry>,
    marks: Vec<Marks>,
    /// The first number that no entry has.
    next_entry: u64,
    /// Segments of which something could not be read.
    broken: Vec<u64>,
    pub(super) recovered: Recovered,
}

/// An entry that could be read.
pub(super) struct FoundEntry {
    pub(super) segment: u64,
    /// Of its frame.
    pub(super) offset: u64,
    pub(super) head: EntryHead,
    pub(super) body_bytes: usize,
}

/// What is done with.
pub(super) struct DoneWith {
    /// Entries that are closed.
    pub(super) closed: Runs,
    /// By route, entries that are done with on it.
    pub(super) routes: Vec<(Arc<str>, Runs)>,
}

impl DoneWith {
    /// The routes on which an entry is done with.
    pub(super) fn routes_of(&self, number: u64) -> Vec<Arc<str>> {
        let done = self.routes.iter().filter(|(_, runs)| runs.contains(number));
        done.map(|(route, _)| Arc::clone(route)).collect()
    }
}

impl Log {
    /// Opens the log in a folder, or begins one there with the id `new_id`.
    ///
    /// The caller sees to it that nobody else has it open.
    ///
    /// # Errors
    ///
    /// Fails when the folder cannot be read or written, or holds what this version cannot read.
    pub fn open(
        disk: Arc<dyn Disk>,
        settings: Settings,
        new_id: u128,
        now: Time,
    ) -> Result<(Self, Recovered), OpenError> {
        let folder = settings.folder.clone();
        disk.create_folder(&folder).map_err(OpenError::file("make", &folder))?;
        let names = disk.list(&folder).map_err(OpenError::file("read", &folder))?;
        let numbers = segments_among(&names);
        for name in names.iter().filter(|name| name.ends_with(TEMPORARY_EXTENSION)) {
            let path = folder.join(name);
            disk.remove(&path).map_err(OpenError::file("remove", &path))?;
        }
        // What is seen here may not have been durable.
        disk.sync_folder(&folder).map_err(OpenError::file("sync", &folder))?;
        let id = log_of(&*disk, &folder, &numbers)?;
        let mut findings = Findings::default();
        let mut segments = BTreeMap::new();
        for (number, found) in numbers.iter().zip(read_segments(&*disk, &folder, &numbers, id)?) {
            let path = segment_path(&folder, *number);
            let is_last = Some(number) == numbers.last();
            let bytes = findings.take_segment(*number, found, is_last);
            if is_last {
                let file = disk.open(&path).map_err(OpenError::file("open", &path))?;
                let cut = file.set_len(bytes).and_then(|()| file.sync());
                cut.map_err(OpenError::file("cut", &path))?;
            }
            segments.insert(*number, Segment { bytes, ..Segment::default() });
        }
        let mut log = Self::new(disk, settings, id.unwrap_or(new_id));
        log.next_segment = numbers.last().map_or(1, |last| last + 1);
        log.segments = segments;
        log.take_findings(&findings, now);
        for number in mem::take(&mut findings.broken) {
            log.set_aside(number, &mut findings.recovered);
        }
        let open = log.open.iter().map(|(number, place)| OpenEntry {
            number: *number,
            arrived: findings.entries.get(number).map_or(now, |found| found.head.arrived),
            done: place.done.clone(),
        });
        findings.recovered.open = open.collect();
        Ok((log, findings.recovered))
    }

    /// Puts together what was found.
    fn take_findings(&mut self, findings: &Findings, now: Time) {
        let done_with = findings.done_with();
        let window = self.settings.dedup_window;
        for (number, found) in &findings.entries {
            let FoundEntry { segment: segment_number, offset, head, .. } = found;
            let Some(segment) = self.segments.get_mut(segment_number) else { continue };
            segment.newest = segment.newest.max(head.arrived);
            if head.arrived.saturating_add(window) >= now && !window.is_zero() {
                self.recent.insert(head.hash, *number, head.arrived);
            }
            if done_with.closed.contains(*number) {
                segment.closed.insert(*number);
                continue;
            }
            segment.num_open += 1;
            let done = done_with.routes_of(*number);
            self.open.insert(*number, Place { segment: *segment_number, offset: *offset, done });
        }
        let entries = findings.entries.keys().next_back().copied();
        let marks = findings.marks.iter().filter_map(Marks::last).max();
        let used = entries.max(marks).max(findings.next_entry.checked_sub(1));
        self.next_entry = used.map_or(1, |used| (used | (NUMBERS_PER_START - 1)) + 1);
    }

    /// Gives a damaged segment another name, once its open entries are in a new one.
    fn set_aside(&mut self, number: u64, recovered: &mut Recovered) {
        let path = self.path(number);
        match self.try_set_aside(number) {
            Ok(damaged) => {
                warn!(path = %damaged.display(), "something in a segment cannot be read, it is set aside");
                recovered.damaged.push(damaged);
            }
            Err(error) => {
                warn!(path = %path.display(), %error, "a damaged segment cannot be set aside, it stays");
            }
        }
    }

    fn try_set_aside(&mut self, number: u64) -> io::Result<PathBuf> {
        let here = self.open.iter().filter(|(_, place)| place.segment == number);
        let entries: Vec<u64> = here.map(|(number, _)| *number).collect();
        for entry in entries {
            self.store_again(entry)?;
        }
        let mut answers = Vec::new();
        self.write_staged(&mut answers).map_err(io::Error::other)?;
        self.repeat_marks(&[number]).map_err(io::Error::other)?;
        let path = self.path(number);
        let damaged = path.with_extension(DAMAGED_EXTENSION);
        self.disk.rename(&path, &damaged)?;
        self.disk.sync_folder(&self.settings.folder)?;
        self.segments.remove(&number);
        Ok(damaged)
    }
}

impl Findings {
    /// Takes what was found in a segment; how many bytes of it count.
    pub(super) fn take_segment(&mut self, number: u64, found: Found, is_last: bool) -> u64 {
        let Found { frames, len, has_tail, header } = found;
        self.next_entry = self.next_entry.max(header.map_or(0, |header| header.next_entry));
        let durable = frames.iter().map(|frame| frame.durable).max().unwrap_or_default();
        let mut end = HEADER_BYTES as u64;
        let mut damaged = if header.is_some() { 0 } else { end };
        let mut is_torn = is_last && has_tail;
        for Frame { offset, end: frame_end, content, .. } in frames {
            // Frames become durable in any order; what no later one calls durable was not promised.
            if offset > end && is_last && end >= durable {
                is_torn = true;
                break;
            }
            damaged += offset - end;
            end = frame_end;
            match content {
                Content::Entry(head, body_bytes) => {
                    let segment = number;
                    let found = FoundEntry { segment, offset, head, body_bytes };
                    self.entries.insert(found.head.number, found);
                }
                Content::Marks(marks) => self.marks.push(marks),
            }
        }
        if is_torn {
            self.recovered.torn_bytes += len - end;
        } else if has_tail {
            damaged += len - end;
        }
        if damaged > 0 {
            self.recovered.damaged_bytes += damaged;
            self.broken.push(number);
        }
        end
    }

    /// Puts all marks together: what they say may be of an entry in any segment.
    pub(super) fn done_with(&self) -> DoneWith {
        let mut closed = Runs::default();
        let mut routes: BTreeMap<&str, Runs> = BTreeMap::new();
        for marks in &self.marks {
            marks.closed.iter().for_each(|(first, last)| closed.insert_run(*first, *last));
            for (route, runs) in &marks.routes {
                let done = routes.entry(route).or_default();
                runs.iter().for_each(|(first, last)| done.insert_run(*first, *last));
            }
        }
        let routes = routes.into_iter().map(|(route, runs)| (route.into(), runs)).collect();
        DoneWith { closed, routes }
    }
}

/// What could be read of a segment.
pub(super) struct Found {
    /// In order.
    frames: Vec<Frame>,
    pub(super) len: u64,
    /// Whether there is something behind the last frame.
    has_tail: bool,
    /// None when it cannot be read.
    header: Option<Header>,
}

/// The numbers of the segments among the files of a folder, in order.
pub(super) fn segments_among(names: &[String]) -> Vec<u64> {
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
    numbers.sort_unstable();
    numbers
}

/// The id that the segments agree on; nothing where no header can be read.
pub(super) fn log_of(
    disk: &dyn Disk,
    folder: &Path,
    numbers: &[u64],
) -> Result<Option<u128>, OpenError> {
    let mut id = None;
    for number in numbers {
        let path = segment_path(folder, *number);
        let mut bytes = [0; HEADER_BYTES];
        let file = disk.open(&path).map_err(OpenError::file("open", &path))?;
        // A file that is shorter has no header.
        if file.read_at(&mut bytes, 0).is_err() {
            continue;
        }
        match Header::decode(&bytes) {
            Ok(header) if header.log != *id.get_or_insert(header.log) => {
                return Err(OpenError::Mixed { path });
            }
            Err(HeaderError::Version(found)) => return Err(OpenError::Version { path, found }),
            Ok(_) | Err(HeaderError::Unreadable) => {}
        }
    }
    Ok(id)
}

/// Reads segments of the log `id`, several at a time; each is in memory while it is read.
fn read_segments(
    disk: &dyn Disk,
    folder: &Path,
    numbers: &[u64],
    id: Option<u128>,
) -> Result<Vec<Found>, OpenError> {
    let next = AtomicUsize::new(0);
    let read = || {
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(number) = numbers.get(index) else { return Ok(found) };
            let path = segment_path(folder, *number);
            let file = disk.open(&path).map_err(OpenError::file("open", &path))?;
            found.push((index, read_segment(&*file, (&path, *number), id)?));
        }
    };
    let mut all = Vec::new();
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS.min(numbers.len())).map(|_| scope.spawn(read)).collect();
        for reader in readers {
            all.extend(reader.join().unwrap_or_else(|panic| resume_unwind(panic))?);
        }
        Ok(())
    })?;
    all.sort_unstable_by_key(|(index, _)| *index);
    Ok(all.into_iter().map(|(_, found)| found).collect())
}

/// Reads a segment of the log `id`.
pub(super) fn read_segment(
    file: &dyn DiskFile,
    (path, segment): (&Path, u64),
    id: Option<u128>,
) -> Result<Found, OpenError> {
    let len = file.size_bytes().map_err(OpenError::file("read", path))?;
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX)];
    file.read_at(&mut bytes, 0).map_err(OpenError::file("read", path))?;
    let header = bytes.first_chunk().and_then(|bytes| Header::decode(bytes).ok());
    // Without an id nothing can be read.
    let frames = id.map(|log| read_frames(&bytes, log, segment)).unwrap_or_default();
    let end = frames.last().map_or(HEADER_BYTES as u64, |frame| frame.end);
    let tail = bytes.get(usize::try_from(end).unwrap_or(usize::MAX)..).unwrap_or_default();
    let has_tail = tail.iter().any(|byte| *byte != 0);
    Ok(Found { frames, len: len.max(end), has_tail, header })
}

/// All frames that can be read, also those behind something that cannot.
fn read_frames(bytes: &[u8], log: u128, segment: u64) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut offset = HEADER_BYTES as u64;
    while offset < bytes.len() as u64 {
        offset = match read_frame(bytes, FramePlace { log, segment, offset }) {
            Some(frame) => {
                let end = frame.end;
                frames.push(frame);
                end
            }
            None => next_place(offset),
        };
    }
    frames
}

fn read_frame(bytes: &[u8], place: FramePlace) -> Option<Frame> {
    let offset = place.offset;
    let rest = bytes.get(usize::try_from(offset).ok()?..)?;
    let (head, rest) = rest.split_first_chunk::<FRAME_BYTES>()?;
    let head = FrameHead::decode(head)?;
    let payload = rest.get(..head.payload_bytes)?;
    if !head.is_of(place, payload) {
        return None;
    }
    let content = match head.kind {
        Kind::Entry => {
            let (entry, body_at) = EntryHead::decode(payload)?;
            Content::Entry(entry, payload.len() - body_at)
        }
        Kind::Marks => Content::Marks(serde_json::from_slice(payload).ok()?),
    };
    let end = (offset + frame_bytes(head.payload_bytes) as u64).min(bytes.len() as u64);
    Some(Frame { offset, end, durable: head.durable, content })
}

/// Reads the entry at a place.
pub(super) fn read_entry(file: &dyn DiskFile, place: FramePlace) -> io::Result<(EntryHead, Bytes)> {
    let mut head = [0; FRAME_BYTES];
    file.read_at(&mut head, place.offset)?;
    let head = FrameHead::decode(&head).ok_or(io::ErrorKind::InvalidData)?;
    let mut payload = vec![0; head.payload_bytes];
    file.read_at(&mut payload, place.offset + FRAME_BYTES as u64)?;
    if head.kind != Kind::Entry || !head.is_of(place, &payload) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let (entry, body_at) = EntryHead::decode(&payload).ok_or(io::ErrorKind::InvalidData)?;
    Ok((entry, Bytes::from(payload).slice(body_at..)))
}
