//! How a segment looks on disk: a header, then frames one after the other.
//!
//! All numbers are little-endian. A header has 64 bytes: magic (8 bytes), version (4), zeros (4),
//! the log's id (16), the segment's number (8), the first number that no entry before it has (8),
//! zeros (12), CRC-32 of all before (4).
//!
//! A frame begins at a multiple of eight bytes: magic (2 bytes), kind (1), zero (1), length of the
//! payload (4), how many bytes of this segment were durable when it was written (8), CRC-32 of the
//! log's id, the segment's number, the frame's offset, these 16 bytes and the payload (4), zeros
//! (4), the payload, zeros up to the next multiple of eight. As nobody outside knows the log's id,
//! nobody can send a payload that has frames in it.
//!
//! Frames are written in order and become durable in any. So a frame that cannot be read is the end
//! of what was promised, unless a later one says that it had been durable: then it was damaged.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::data::{Signal, Time};

/// The first bytes of a segment.
const MAGIC: [u8; 8] = *b"CATCHLOG";

/// The version that is written.
const VERSION: u32 = 1;

/// The bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 64;

/// The bytes of a frame before its payload.
pub(super) const FRAME_BYTES: usize = 24;

const FRAME_MAGIC: [u8; 2] = [0xca, 0x7c];

/// Frames begin at multiples of this.
const ALIGNMENT: usize = 8;

/// The fixed part of an entry's payload.
pub(super) const ENTRY_BYTES: usize = 40;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log: u128,
    pub(super) segment: u64,
    /// The first number that no entry in an earlier segment has.
    pub(super) next_entry: u64,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// They are something else, or damaged.
    Unreadable,
    /// A later version wrote them.
    Version(u32),
}

impl Header {
    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.log.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.segment.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.next_entry.to_le_bytes());
        let sum = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderError> {
        let is_whole = u32_at(bytes, 60) == Some(crc32fast::hash(&bytes[..60]));
        if bytes[..8] != MAGIC || !is_whole {
            return Err(HeaderError::Unreadable);
        }
        let version = u32_at(bytes, 8).ok_or(HeaderError::Unreadable)?;
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        let read = || {
            let log = u128::from_le_bytes(bytes.get(16..32)?.try_into().ok()?);
            Some(Self { log, segment: u64_at(bytes, 32)?, next_entry: u64_at(bytes, 40)? })
        };
        read().ok_or(HeaderError::Unreadable)
    }
}

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An entry.
    Entry = 1,
    /// Which entries are done with, as JSON: [`Marks`].
    Marks = 2,
}

/// Which entries are done with, on which routes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marks {
    /// Runs of entries, first and last, that are closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) closed: Vec<(u64, u64)>,
    /// By route, runs of entries that are done with on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) routes: Vec<(String, Vec<(u64, u64)>)>,
}

impl Marks {
    /// The highest number that they know.
    pub(super) fn last(&self) -> Option<u64> {
        let routes = self.routes.iter().flat_map(|(_, runs)| runs);
        self.closed.iter().chain(routes).map(|(_, last)| *last).max()
    }
}

/// An entry without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntryHead {
    pub(super) number: u64,
    pub(super) arrived: Time,
    pub(super) hash: u128,
    pub(super) signal: Signal,
    /// Who sent it, as JSON; empty when nothing is known.
    pub(super) origin: Vec<u8>,
}

impl EntryHead {
    /// Appends the payload of an entry.
    pub(super) fn put(&self, body: &[Bytes], out: &mut Vec<u8>) {
        let signal = Signal::ALL.iter().position(|signal| *signal == self.signal);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.arrived.as_unix_nanos().to_le_bytes());
        out.extend_from_slice(&self.hash.to_le_bytes());
        out.extend_from_slice(&small(self.origin.len()).to_le_bytes());
        out.extend_from_slice(&small(signal.unwrap_or_default()).to_le_bytes());
        out.extend_from_slice(&self.origin);
        body.iter().for_each(|piece| out.extend_from_slice(piece));
    }

    /// Reads an entry's payload, and where its body begins.
    pub(super) fn decode(payload: &[u8]) -> Option<(Self, usize)> {
        let hash = u128::from_le_bytes(payload.get(16..32)?.try_into().ok()?);
        let origin_len = usize::try_from(u32_at(payload, 32)?).ok()?;
        let signal = *Signal::ALL.get(usize::try_from(u32_at(payload, 36)?).ok()?)?;
        let body_at = ENTRY_BYTES.checked_add(origin_len)?;
        let head = Self {
            number: u64_at(payload, 0)?,
            arrived: Time::from_unix_nanos(u64_at(payload, 8)?),
            hash,
            signal,
            origin: payload.get(ENTRY_BYTES..body_at)?.to_vec(),
        };
        Some((head, body_at))
    }
}

/// Where a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FramePlace {
    pub(super) log: u128,
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// Appends a frame, whose payload has less than 4 GiB.
pub(super) fn put_frame(
    out: &mut Vec<u8>,
    place: FramePlace,
    kind: Kind,
    durable: u64,
    payload: impl FnOnce(&mut Vec<u8>),
) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_BYTES]);
    payload(out);
    let len = out.len() - start - FRAME_BYTES;
    let mut head = [0; FRAME_BYTES];
    head[..2].copy_from_slice(&FRAME_MAGIC);
    head[2] = kind as u8;
    head[4..8].copy_from_slice(&small(len).to_le_bytes());
    head[8..16].copy_from_slice(&durable.to_le_bytes());
    let (summed, rest) = head.split_at_mut(16);
    let written = out.get(start + FRAME_BYTES..).unwrap_or_default();
    rest[..4].copy_from_slice(&checksum(place, summed, written).to_le_bytes());
    if let Some(bytes) = out.get_mut(start..start + FRAME_BYTES) {
        bytes.copy_from_slice(&head);
    }
    out.resize(start + frame_bytes(len), 0);
}

fn checksum(place: FramePlace, head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&place.log.to_le_bytes());
    hasher.update(&place.segment.to_le_bytes());
    hasher.update(&place.offset.to_le_bytes());
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

/// The bytes of the frame of a payload.
pub(super) const fn frame_bytes(payload_bytes: usize) -> usize {
    (FRAME_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// A length that was looked at before.
fn small(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// What a frame says before its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) kind: Kind,
    pub(super) payload_bytes: usize,
    /// How many bytes of the segment were durable when it was written.
    pub(super) durable: u64,
    sum: u32,
    summed: [u8; 16],
}

impl FrameHead {
    /// Reads the beginning of a frame; `None` when it is none.
    pub(super) fn decode(bytes: &[u8; FRAME_BYTES]) -> Option<Self> {
        let kind = match bytes.get(..4)? {
            [0xca, 0x7c, 1, 0] => Kind::Entry,
            [0xca, 0x7c, 2, 0] => Kind::Marks,
            _ => return None,
        };
        Some(Self {
            kind,
            payload_bytes: usize::try_from(u32_at(bytes, 4)?).ok()?,
            durable: u64_at(bytes, 8)?,
            sum: u32_at(bytes, 16)?,
            summed: bytes.get(..16)?.try_into().ok()?,
        })
    }

    /// Whether the payload is the one that was written.
    pub(super) fn is_of(&self, place: FramePlace, payload: &[u8]) -> bool {
        checksum(place, &self.summed, payload) == self.sum
    }
}

/// The next place, after `offset`, where a frame may begin.
pub(super) const fn next_place(offset: u64) -> u64 {
    (offset + 1).next_multiple_of(ALIGNMENT as u64)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: FramePlace = FramePlace { log: 5, segment: 6, offset: 64 };

    fn head() -> EntryHead {
        EntryHead {
            number: 7,
            arrived: Time::from_unix_nanos(8),
            hash: 9,
            signal: Signal::Traces,
            origin: b"{}".to_vec(),
        }
    }

    #[test]
    fn header_is_read_as_it_was_written_and_no_bit_may_differ() {
        let header = Header { log: 1 << 100, segment: 3, next_entry: 4 };
        let bytes = header.encode();
        assert_eq!(Header::decode(&bytes), Ok(header));
        for bit in 0..8 * HEADER_BYTES {
            let mut damaged = bytes;
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Header::decode(&damaged), Err(HeaderError::Unreadable), "{bit}");
        }
    }

    #[test]
    fn later_version_is_told() {
        let mut bytes = Header { log: 1, segment: 3, next_entry: 4 }.encode();
        bytes[8] = 2;
        let sum = crc32fast::hash(&bytes[..60]);
        bytes[60..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(Header::decode(&bytes), Err(HeaderError::Version(2)));
    }

    #[test]
    fn frame_is_read_as_it_was_written_and_no_bit_may_differ() {
        let mut bytes = Vec::new();
        let body = [Bytes::from_static(b"abc"), Bytes::from_static(b"de")];
        put_frame(&mut bytes, PLACE, Kind::Entry, 64, |out| head().put(&body, out));
        assert_eq!(bytes.len() % ALIGNMENT, 0);
        let (first, rest) = bytes.split_first_chunk().unwrap();
        let frame = FrameHead::decode(first).unwrap();
        assert_eq!(
            (frame.kind, frame.durable, frame_bytes(frame.payload_bytes)),
            (Kind::Entry, 64, bytes.len())
        );
        let payload = &rest[..frame.payload_bytes];
        assert!(frame.is_of(PLACE, payload));
        let elsewhere = FramePlace { offset: 72, ..PLACE };
        assert!(!frame.is_of(elsewhere, payload));
        let (read, body_at) = EntryHead::decode(payload).unwrap();
        assert_eq!((read, &payload[body_at..]), (head(), &b"abcde"[..]));
        for bit in
            (0..8 * (FRAME_BYTES + frame.payload_bytes)).filter(|bit| bit / 8 < 20 || bit / 8 > 23)
        {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (first, rest) = damaged.split_first_chunk().unwrap();
            let is_read = FrameHead::decode(first).is_some_and(|frame| {
                rest.get(..frame.payload_bytes).is_some_and(|payload| frame.is_of(PLACE, payload))
            });
            assert!(!is_read, "{bit}");
        }
    }

    #[test]
    fn marks_are_read_as_they_were_written() {
        let routes = vec![("otlp/logs/parquet".to_owned(), vec![(8, 9)])];
        let marks = Marks { closed: vec![(1, 3), (5, 5)], routes };
        let mut bytes = Vec::new();
        let text = serde_json::to_vec(&marks).unwrap();
        put_frame(&mut bytes, PLACE, Kind::Marks, 0, |out| out.extend_from_slice(&text));
        let (first, rest) = bytes.split_first_chunk().unwrap();
        let frame = FrameHead::decode(first).unwrap();
        let read: Marks = serde_json::from_slice(&rest[..frame.payload_bytes]).unwrap();
        assert_eq!((frame.kind, read), (Kind::Marks, marks));
    }
}
