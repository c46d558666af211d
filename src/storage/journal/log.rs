//! The log itself: groups in, marks, segments that come and go. One thread at a time works on it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use std::{io, mem, slice};

use bytes::Bytes;
use twox_hash::XxHash3_128;

use super::error::AppendError;
use super::format::{ENTRY_BYTES, EntryHead, FramePlace, Kind, Marks, frame_bytes};
use super::head::Head;
use super::recent::Recent;
use super::recover::read_entry;
use super::runs::Runs;
use crate::data::{Signal, Time};
use crate::storage::disk::Disk;

/// When an appended entry counts as stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sync {
    /// When it is durable.
    #[default]
    Always,
    /// When it is written; [`Log::sync`] makes it durable later.
    Later,
}

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder.
    pub folder: PathBuf,
    /// Bytes that a segment has at most, unless a single entry is longer.
    pub segment_bytes: u64,
    /// Bytes that all segments have at most.
    pub max_bytes: u64,
    /// When entries count as stored.
    pub sync: Sync,
    /// How long a request is known again; zero: never.
    pub dedup_window: Duration,
    /// What happens to a request for which there is no room.
    pub on_full: OnFull,
}

/// What happens to a request for which there is no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFull {
    /// It is not stored.
    #[default]
    Refuse,
    /// The oldest segments go, with open entries that are in them.
    DropOldest,
}

/// A request to be stored.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// When it came.
    pub arrived: Time,
    /// Of what it consists.
    pub signal: Signal,
    /// Who sent it, as the caller writes it.
    pub origin: Vec<u8>,
    /// To whom it belongs: equal requests of different owners are not repeats.
    pub owner: Vec<u8>,
    /// The message, in pieces.
    pub body: Vec<Bytes>,
    /// What is written and read in its place: the same, compressed.
    pub packed: Option<Bytes>,
}

/// What became of a request that was to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is the entry of this number.
    Stored(u64),
    /// It was stored before as the entry of this number, which may be closed already.
    Repeated(u64),
}

/// A stored request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; later ones have higher numbers.
    pub number: u64,
    /// When it came.
    pub arrived: Time,
    /// Of what it consists.
    pub signal: Signal,
    /// Who sent it.
    pub origin: Vec<u8>,
    /// The routes on which it is done with.
    pub done: Vec<Arc<str>>,
    /// The message.
    pub body: Bytes,
}

/// A log of requests in a folder.
#[derive(Debug)]
pub struct Log {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) settings: Settings,
    pub(super) id: u128,
    /// Makes hashes unlike those of other logs, so that nobody can prepare requests that collide.
    seed: u64,
    pub(super) segments: BTreeMap<u64, Segment>,
    pub(super) open: BTreeMap<u64, Place>,
    pub(super) recent: Recent,
    pub(super) next_segment: u64,
    pub(super) next_entry: u64,
    pub(super) head: Option<Head>,
    /// Marks that are not written yet.
    pub(super) pending: BTreeMap<Arc<str>, Runs>,
    pub(super) pending_closed: Runs,
    pub(super) buffer: Vec<u8>,
    staged: Vec<Staged>,
    /// Open entries that went for want of room.
    pub(super) dropped: Vec<u64>,
}

/// A segment on disk.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) bytes: u64,
    pub(super) num_open: usize,
    pub(super) newest: Time,
    /// Those of its entries that are closed.
    pub(super) closed: Runs,
}

/// Where an open entry is, and on which routes it is done with.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) segment: u64,
    /// Of its frame.
    pub(super) offset: u64,
    pub(super) done: Vec<Arc<str>>,
}

/// What became of the requests of a group so far.
pub(super) type Answers = Vec<Result<Appended, AppendError>>;

/// An entry in the buffer.
#[derive(Debug)]
struct Staged {
    number: u64,
    arrived: Time,
    hash: u128,
    /// Of its frame in the segment.
    offset: u64,
}

impl Log {
    /// An empty log; [`Log::open`] fills it with what is there.
    pub(super) fn new(disk: Arc<dyn Disk>, settings: Settings, id: u128) -> Self {
        let seed = u64::try_from(id & u128::from(u64::MAX)).unwrap_or_default();
        Self {
            disk,
            settings,
            id,
            seed,
            segments: BTreeMap::new(),
            open: BTreeMap::new(),
            recent: Recent::default(),
            next_segment: 1,
            next_entry: 1,
            head: None,
            pending: BTreeMap::new(),
            pending_closed: Runs::default(),
            buffer: Vec::new(),
            staged: Vec::new(),
            dropped: Vec::new(),
        }
    }

    /// The id that was made with the folder.
    #[must_use]
    pub const fn id(&self) -> u128 {
        self.id
    }

    /// How many entries are open.
    #[must_use]
    pub fn num_open(&self) -> usize {
        self.open.len()
    }

    /// Bytes on disk.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Bytes of the segments that cannot go, since entries in them are open.
    #[must_use]
    pub fn needed_bytes(&self) -> u64 {
        let needed = self.segments.values().filter(|segment| segment.num_open > 0);
        needed.map(|segment| segment.bytes).sum()
    }

    /// The numbers of open entries that went for want of room ([`OnFull::DropOldest`]) since the
    /// last call.
    pub fn take_dropped(&mut self) -> Vec<u64> {
        mem::take(&mut self.dropped)
    }

    /// Stores a group of requests, in order, and says what became of each.
    pub fn append(&mut self, now: Time, group: &[NewEntry]) -> Vec<Result<Appended, AppendError>> {
        self.recent.expire(now, self.settings.dedup_window);
        let mut answers = Vec::with_capacity(group.len());
        for entry in group {
            let answer = self.stage(entry, &mut answers);
            answers.push(answer);
        }
        // Whose entries are lost by a failure is told it there.
        let _ = self.write_staged(&mut answers);
        answers
    }

    /// An entry is done with on every route: it does not run again.
    pub fn close(&mut self, number: u64) {
        if let Some(place) = self.open.remove(&number) {
            self.pending_closed.insert(number);
            if let Some(segment) = self.segments.get_mut(&place.segment) {
                segment.num_open -= 1;
                segment.closed.insert(number);
            }
        }
    }

    /// An entry is done with on a route.
    pub fn mark_done(&mut self, number: u64, route: &Arc<str>) {
        if let Some(place) = self.open.get_mut(&number)
            && !place.done.contains(route)
        {
            place.done.push(Arc::clone(route));
            self.pending.entry(Arc::clone(route)).or_default().insert(number);
        }
    }

    /// Those entries from `first` to `last` that are open are done with on a route.
    pub fn mark_all_done(&mut self, (first, last): (u64, u64), route: &Arc<str>) {
        let open: Vec<u64> = self.open.range(first..=last).map(|(number, _)| *number).collect();
        open.into_iter().for_each(|number| self.mark_done(number, route));
    }

    /// Writes what was closed and marked since the last entry.
    ///
    /// # Errors
    ///
    /// Fails when it is not written; it may be tried again.
    pub fn write_marks(&mut self) -> Result<(), AppendError> {
        let marks = self.marks()?;
        if !marks.is_empty() {
            self.make_room(0, &mut Vec::new())?;
            if let Some(head) = &self.head {
                head.put(&mut self.buffer, Kind::Marks, |out| out.extend_from_slice(&marks));
            }
        }
        self.write_staged(&mut Vec::new())
    }

    /// Writes what was closed and marked since the last entry, and makes everything durable.
    ///
    /// # Errors
    ///
    /// Fails when that is not so; it may be tried again.
    pub fn sync(&mut self) -> Result<(), AppendError> {
        self.write_marks()?;
        let Some(head) = &mut self.head else { return Ok(()) };
        head.sync()
    }

    /// Reads an open entry.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or is not what was written.
    pub fn read(&self, number: u64) -> io::Result<Entry> {
        let (head, body, place) = self.read_with_head(number)?;
        let EntryHead { number, arrived, signal, origin, .. } = head;
        Ok(Entry { number, arrived, signal, origin, done: place.done.clone(), body })
    }

    fn read_with_head(&self, number: u64) -> io::Result<(EntryHead, Bytes, &Place)> {
        let place = self.open.get(&number).ok_or(io::ErrorKind::NotFound)?;
        let file = self.disk.open(&self.path(place.segment))?;
        let at = self.frame_place(place.segment, place.offset);
        let (head, body) = read_entry(&*file, at)?;
        Ok((head, body, place))
    }

    /// Puts an entry in the buffer.
    fn stage(&mut self, entry: &NewEntry, answers: &mut Answers) -> Result<Appended, AppendError> {
        let hash = self.hash(entry);
        if let Some(number) = self.known(hash) {
            return Ok(Appended::Repeated(number));
        }
        let NewEntry { arrived, signal, origin, .. } = entry;
        let body = entry.packed.as_ref().map_or(&entry.body[..], slice::from_ref);
        let (number, origin) = (self.next_entry, origin.clone());
        let head = EntryHead { number, arrived: *arrived, hash, signal: *signal, origin };
        self.put(&head, body, answers)?;
        Ok(Appended::Stored(number))
    }

    /// Puts an entry with its number in the buffer, in a segment that has room for it.
    fn put(
        &mut self,
        entry: &EntryHead,
        body: &[Bytes],
        answers: &mut Answers,
    ) -> Result<(), AppendError> {
        let bytes = body.iter().map(Bytes::len).sum::<usize>() + entry.origin.len();
        let marks = self.marks()?;
        let frames = frame_bytes(ENTRY_BYTES + bytes) + frame_bytes(marks.len());
        if u32::try_from(frames).is_err() {
            return Err(AppendError::TooLong { bytes });
        }
        self.make_room(frames as u64, answers)?;
        let Some(head) = &self.head else { return Ok(()) };
        if self.buffer.is_empty() && !marks.is_empty() {
            head.put(&mut self.buffer, Kind::Marks, |out| out.extend_from_slice(&marks));
        }
        let offset = head.written + self.buffer.len() as u64;
        head.put(&mut self.buffer, Kind::Entry, |out| entry.put(body, out));
        let EntryHead { number, arrived, hash, .. } = *entry;
        self.staged.push(Staged { number, arrived, hash, offset });
        self.next_entry = self.next_entry.max(number + 1);
        Ok(())
    }

    fn hash(&self, entry: &NewEntry) -> u128 {
        let mut hasher = XxHash3_128::with_seed(self.seed);
        hasher.write(&(entry.owner.len() as u64).to_le_bytes());
        hasher.write(&entry.owner);
        hasher.write(&[entry.signal as u8]);
        entry.body.iter().for_each(|piece| hasher.write(piece));
        hasher.finish_128()
    }

    /// The number of an entry that was stored of late, or is being stored.
    fn known(&self, hash: u128) -> Option<u64> {
        if self.settings.dedup_window.is_zero() {
            return None;
        }
        let staged = self.staged.iter().find(|staged| staged.hash == hash);
        staged.map(|staged| staged.number).or_else(|| self.recent.number(hash))
    }

    /// The marks that are neither written nor in the buffer; empty when there are none.
    fn marks(&self) -> Result<Vec<u8>, AppendError> {
        let has_none = self.pending.is_empty() && self.pending_closed.is_empty();
        if has_none || !self.buffer.is_empty() {
            return Ok(Vec::new());
        }
        let runs = |runs: &Runs| runs.iter().collect();
        let routes = self.pending.iter().map(|(route, done)| (route.to_string(), runs(done)));
        let marks = Marks { closed: runs(&self.pending_closed), routes: routes.collect() };
        let text = serde_json::to_vec(&marks).map_err(io::Error::from);
        text.map_err(AppendError::file("write marks to", &self.settings.folder))
    }

    /// Writes the buffer; takes answers back where that fails.
    pub(super) fn write_staged(&mut self, answers: &mut Answers) -> Result<(), AppendError> {
        let staged = mem::take(&mut self.staged);
        let buffer = mem::take(&mut self.buffer);
        let written = match &mut self.head {
            Some(head) if !buffer.is_empty() => head.write(&buffer, self.settings.sync),
            _ => Ok(()),
        };
        let is_empty = buffer.is_empty();
        self.buffer = buffer;
        self.buffer.clear();
        if let Err(error) = written {
            let is_lost = |number| staged.iter().any(|entry| entry.number == number);
            for answer in answers {
                if let Ok(Appended::Stored(number) | Appended::Repeated(number)) = *answer
                    && is_lost(number)
                {
                    *answer = Err(error.clone());
                }
            }
            return Err(error);
        }
        if !is_empty {
            self.pending.clear();
            self.pending_closed = Runs::default();
            self.measure_head();
            staged.iter().for_each(|entry| self.register(entry));
        }
        Ok(())
    }

    /// A segment with a single long entry is longer than others.
    fn measure_head(&mut self) {
        if let Some(head) = &self.head
            && let Some(segment) = self.segments.get_mut(&head.segment)
        {
            segment.bytes = segment.bytes.max(head.written);
        }
    }

    /// An entry is stored, and open.
    fn register(&mut self, entry: &Staged) {
        let Some(head) = &self.head else { return };
        // One that is stored again moves here.
        let before = self.open.remove(&entry.number);
        if let Some(segment) =
            before.as_ref().and_then(|place| self.segments.get_mut(&place.segment))
        {
            segment.num_open -= 1;
        }
        let done = before.map(|place| place.done).unwrap_or_default();
        self.open.insert(entry.number, Place { segment: head.segment, offset: entry.offset, done });
        if let Some(segment) = self.segments.get_mut(&head.segment) {
            segment.num_open += 1;
            segment.newest = segment.newest.max(entry.arrived);
        }
        if !self.settings.dedup_window.is_zero() {
            self.recent.insert(entry.hash, entry.number, entry.arrived);
        }
    }

    /// What a frame's checksum is bound to.
    pub(super) const fn frame_place(&self, segment: u64, offset: u64) -> FramePlace {
        FramePlace { log: self.id, segment, offset }
    }

    /// Stores an open entry once more, with its number, in the segment that is written to.
    pub(super) fn store_again(&mut self, number: u64) -> io::Result<()> {
        let (head, body, _) = self.read_with_head(number)?;
        self.put(&head, &[body], &mut Vec::new()).map_err(io::Error::other)
    }
}
