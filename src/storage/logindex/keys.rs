//! What hardly ever comes twice - numbers in bodies, ids, long values, fractions - as keys.
//!
//! A component of tantivy's segments of our own (extension `keys`), since an entry in a dictionary
//! of terms costs several times the time and the bytes. A number is a key itself, as is the
//! beginning of a hexadecimal word; of everything else a hash is, so that what is found by it has
//! to be looked at. The file is blocks, then their
//! list, then its end:
//!
//! ```text
//! block    for each key, in order: its distance from the one before (from zero in a new block),
//!          doubled, plus one where several records have it; then how many, where there are several;
//!          then the records: the first, and of each other the distance (all LEB128)
//! list     for each block: its first key (u64), where it begins (u32)
//! end      number of blocks (u32), magic and version (8 bytes)
//! ```
//!
//! All numbers of fixed length are little-endian.

use std::any::Any;
use std::io::{self, Write as _};
use std::ops::RangeInclusive;

use tantivy::directory::{OwnedBytes, TerminatingWrite as _, WritePtr};
use tantivy::index::SegmentComponent;
use tantivy::indexer::DocIdMapping;
use tantivy::schema::Schema;
use tantivy::schema::document::ErasedDocument;
use tantivy::{
    DocId, PluginMergeContext, PluginWriter, PluginWriterContext, Segment, SegmentPlugin,
    SegmentReader, TantivyError,
};
use twox_hash::XxHash64;

use super::schema::LogDocument;

/// The file's extension.
const EXTENSION: &str = "keys";

/// Magic, then the version.
const MAGIC: [u8; 8] = *b"CMTLKEY\x01";

/// A block ends when it has so many bytes.
const BLOCK_BYTES: usize = 2048;

/// Bytes of a block in the list.
const LISTED_BYTES: usize = 12;

/// Of a longer number only so many digits are in its key.
const MAX_DIGITS: usize = 16;

/// So many hexadecimal digits of a word are in its key, before eight bits of a hash.
const HEX_DIGITS: usize = 8;

/// Where the kind of a key begins.
const KIND_SHIFT: u32 = 60;

/// Where the number of digits begins.
const DIGITS_SHIFT: u32 = 54;

/// So much of a hash is kept: among a million records, one in a million of those that are found
/// has something else.
const HASH_MASK: u64 = (1 << 40) - 1;

/// What a key stands for that is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    TraceId = 1,
    SpanId = 2,
    Attribute = 3,
    Hex = 4,
}

impl Kind {
    /// The key of something of this kind; others may have it too.
    pub(crate) fn key(self, bytes: &[u8]) -> u64 {
        ((self as u64) << KIND_SHIFT) | (XxHash64::oneshot(0, bytes) & HASH_MASK)
    }
}

/// The key of a word of digits; whether no other word has it.
pub(crate) fn number_key(digits: &str) -> (u64, bool) {
    let is_whole = digits.len() <= MAX_DIGITS;
    let known = digits.bytes().take(MAX_DIGITS);
    let value = known.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    // Of one length, numbers are in order.
    let num_digits = digits.len().min(MAX_DIGITS + 1) as u64;
    ((num_digits << DIGITS_SHIFT) | value, is_whole)
}

/// The key of a word of hexadecimal digits, of which the first are in it; others may have it too.
pub(crate) fn hex_key(word: &str) -> u64 {
    *hex_keys(word).start() | (XxHash64::oneshot(0, word.as_bytes()) & 0xff)
}

/// The keys of words of hexadecimal digits that begin with `start`; whether of no others.
pub(crate) fn hex_prefix_keys(start: &str) -> (RangeInclusive<u64>, bool) {
    (hex_keys(start), start.len() <= HEX_DIGITS)
}

/// Whatever the hash of the whole word is.
fn hex_keys(start: &str) -> RangeInclusive<u64> {
    let known = start.chars().take(HEX_DIGITS);
    let value =
        known.fold(0, |value, char| (value << 4) | u64::from(char.to_digit(16).unwrap_or(0)));
    let num_open = 4 * HEX_DIGITS.saturating_sub(start.len()) + 8;
    let first = ((Kind::Hex as u64) << KIND_SHIFT) | (value << num_open);
    first..=first | ((1 << num_open) - 1)
}

/// The keys of all words of digits that begin with `digits`.
pub(crate) fn prefix_keys(digits: &str) -> Vec<RangeInclusive<u64>> {
    let (first, is_whole) = number_key(digits);
    if !is_whole {
        return vec![first..=first];
    }
    let value = first & ((1 << DIGITS_SHIFT) - 1);
    let mut ranges = Vec::new();
    let mut scale = 1;
    for num_digits in digits.len()..=MAX_DIGITS + 1 {
        let start = ((num_digits as u64) << DIGITS_SHIFT) | (value * scale);
        ranges.push(start..=start + scale - 1);
        if num_digits < MAX_DIGITS {
            scale *= 10;
        }
    }
    ranges
}

/// Makes tantivy write and merge the keys with its segments.
pub(crate) struct KeysPlugin;

impl SegmentPlugin for KeysPlugin {
    fn extensions(&self) -> &[&str] {
        &[EXTENSION]
    }

    fn create_writer(
        &self,
        context: &PluginWriterContext<'_>,
    ) -> tantivy::Result<Box<dyn PluginWriter>> {
        let to = context.segment.open_write(component())?;
        Ok(Box::new(KeysWriter { to, pairs: Vec::new() }))
    }

    fn merge(&self, context: PluginMergeContext<'_>) -> tantivy::Result<()> {
        let mut encoder = Encoder::new(context.target_segment.open_write(component())?);
        let mut sources = Vec::with_capacity(context.readers.len());
        let mut first_doc = 0;
        for reader in context.readers {
            let mut source = Source { cursor: Keys::open(reader)?.cursor(0)?, first_doc };
            source.cursor.advance()?;
            sources.push(source);
            first_doc += reader.max_doc();
        }
        let mut docs = Vec::new();
        while let Some(key) = sources.iter().filter_map(|source| source.cursor.key).min() {
            docs.clear();
            for source in sources.iter_mut().filter(|source| source.cursor.key == Some(key)) {
                docs.extend(source.cursor.docs.iter().map(|doc| doc + source.first_doc));
                source.cursor.advance()?;
            }
            encoder.push(key, &docs)?;
        }
        encoder.finish()?;
        Ok(())
    }
}

/// A segment that is merged.
struct Source {
    cursor: Cursor,
    /// What its first record becomes.
    first_doc: DocId,
}

fn component() -> SegmentComponent {
    SegmentComponent::Custom(EXTENSION.to_owned())
}

/// Collects the keys of a segment.
struct KeysWriter {
    to: WritePtr,
    pairs: Vec<(u64, DocId)>,
}

impl PluginWriter for KeysWriter {
    fn add_document(
        &mut self,
        doc: DocId,
        document: &dyn ErasedDocument,
        _schema: &Schema,
    ) -> tantivy::Result<()> {
        let Some(document) = document.as_any().downcast_ref::<LogDocument>() else {
            return Err(TantivyError::SchemaError("not a document of a log index".to_owned()));
        };
        self.pairs.extend(document.keys().iter().map(|key| (*key, doc)));
        Ok(())
    }

    fn serialize(
        self: Box<Self>,
        _segment: &Segment,
        _mapping: Option<&DocIdMapping>,
    ) -> tantivy::Result<()> {
        let Self { to, mut pairs } = *self;
        pairs.sort_unstable();
        pairs.dedup();
        let mut encoder = Encoder::new(to);
        let mut docs = Vec::new();
        for of_key in pairs.chunk_by(|(one, _), (other, _)| one == other) {
            docs.clear();
            docs.extend(of_key.iter().map(|(_, doc)| *doc));
            if let Some((key, _)) = of_key.first() {
                encoder.push(*key, &docs)?;
            }
        }
        encoder.finish()?;
        Ok(())
    }

    fn mem_usage(&self) -> usize {
        self.pairs.capacity() * size_of::<(u64, DocId)>()
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Writes a file of keys.
struct Encoder {
    to: WritePtr,
    block: Vec<u8>,
    last_key: u64,
    list: Vec<u8>,
    written_bytes: usize,
}

impl Encoder {
    const fn new(to: WritePtr) -> Self {
        Self { to, block: Vec::new(), last_key: 0, list: Vec::new(), written_bytes: 0 }
    }

    /// Adds the next key with its records, both in order and each once.
    fn push(&mut self, key: u64, docs: &[DocId]) -> io::Result<()> {
        if self.block.is_empty() {
            let start = u32::try_from(self.written_bytes);
            let start = start.map_err(|_| io::Error::other("a segment has too many keys"))?;
            self.list.extend_from_slice(&key.to_le_bytes());
            self.list.extend_from_slice(&start.to_le_bytes());
            self.last_key = 0;
        }
        let has_several = docs.len() > 1;
        push_varint(((key - self.last_key) << 1) | u64::from(has_several), &mut self.block);
        if has_several {
            push_varint(docs.len() as u64, &mut self.block);
        }
        let mut last = 0;
        for doc in docs {
            push_varint(u64::from(doc - last), &mut self.block);
            last = *doc;
        }
        self.last_key = key;
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        self.to.write_all(&self.block)?;
        self.written_bytes += self.block.len();
        self.block.clear();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.end_block()?;
        let num_blocks = u32::try_from(self.list.len() / LISTED_BYTES).unwrap_or(u32::MAX);
        self.list.extend_from_slice(&num_blocks.to_le_bytes());
        self.list.extend_from_slice(&MAGIC);
        self.to.write_all(&self.list)?;
        self.to.terminate()
    }
}

/// The keys of a segment.
pub(crate) struct Keys {
    blocks: OwnedBytes,
    list: OwnedBytes,
}

impl Keys {
    /// Opens the keys of a segment.
    pub(crate) fn open(reader: &SegmentReader) -> io::Result<Self> {
        let bytes = reader.open_read(component()).map_err(io::Error::other)?.read_bytes()?;
        let end = bytes.len().checked_sub(12).ok_or_else(damaged)?;
        let (body, end) = bytes.split(end);
        if end.get(4..) != Some(&MAGIC[..]) {
            return Err(damaged());
        }
        let num_blocks = fixed::<4>(&end, 0).map(u32::from_le_bytes).ok_or_else(damaged)?;
        let list_bytes = (num_blocks as usize).checked_mul(LISTED_BYTES).ok_or_else(damaged)?;
        let list = body.len().checked_sub(list_bytes).ok_or_else(damaged)?;
        let (blocks, list) = body.split(list);
        Ok(Self { blocks, list })
    }

    /// Calls `each` with the records that have a key of `range`, for each key in order.
    pub(crate) fn find(
        &self,
        range: &RangeInclusive<u64>,
        mut each: impl FnMut(&[DocId]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut cursor = self.cursor(self.block_of(*range.start())?)?;
        cursor.advance()?;
        while let Some(key) = cursor.key.filter(|key| key <= range.end()) {
            if range.contains(&key) {
                each(&cursor.docs)?;
            }
            cursor.advance()?;
        }
        Ok(())
    }

    fn num_blocks(&self) -> usize {
        self.list.len() / LISTED_BYTES
    }

    /// The block that a key would be in.
    fn block_of(&self, key: u64) -> io::Result<usize> {
        let (mut low, mut high) = (0, self.num_blocks());
        while low < high {
            let middle = low.midpoint(high);
            if self.first_key(middle).ok_or_else(damaged)? <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }

    fn first_key(&self, block: usize) -> Option<u64> {
        fixed(&self.list, block * LISTED_BYTES).map(u64::from_le_bytes)
    }

    fn start(&self, block: usize) -> Option<usize> {
        let start = fixed(&self.list, block * LISTED_BYTES + 8).map(u32::from_le_bytes)?;
        usize::try_from(start).ok().filter(|start| *start <= self.blocks.len())
    }

    /// Stands before the first key of a block.
    fn cursor(&self, block: usize) -> io::Result<Cursor> {
        let at = if block < self.num_blocks() {
            self.start(block).ok_or_else(damaged)?
        } else {
            self.blocks.len()
        };
        let keys = Self { blocks: self.blocks.clone(), list: self.list.clone() };
        Ok(Cursor { keys, block, at, end: at, key: None, docs: Vec::new() })
    }
}

/// Walks through the keys of a segment.
struct Cursor {
    keys: Keys,
    /// The block that comes next.
    block: usize,
    at: usize,
    /// Where the block under way ends.
    end: usize,
    /// The key that it stands at; nothing before the first and behind the last.
    key: Option<u64>,
    /// The records that have it.
    docs: Vec<DocId>,
}

impl Cursor {
    fn advance(&mut self) -> io::Result<()> {
        self.docs.clear();
        let mut last_key = self.key.take().unwrap_or_default();
        if self.at >= self.end {
            if self.block >= self.keys.num_blocks() {
                return Ok(());
            }
            self.block += 1;
            let end = if self.block < self.keys.num_blocks() {
                self.keys.start(self.block)
            } else {
                Some(self.keys.blocks.len())
            };
            self.end = end.filter(|end| *end > self.at).ok_or_else(damaged)?;
            last_key = 0;
        }
        self.key = Some(self.read(last_key).ok_or_else(damaged)?);
        Ok(())
    }

    fn read(&mut self, last_key: u64) -> Option<u64> {
        let block = self.keys.blocks.get(..self.end)?;
        let distance = read_varint(block, &mut self.at)?;
        let num_docs = if distance & 1 == 1 { read_varint(block, &mut self.at)? } else { 1 };
        let mut doc: DocId = 0;
        for _ in 0..num_docs {
            let distance = u32::try_from(read_varint(block, &mut self.at)?).ok()?;
            doc = doc.checked_add(distance)?;
            self.docs.push(doc);
        }
        last_key.checked_add(distance >> 1)
    }
}

fn push_varint(mut value: u64, to: &mut Vec<u8>) {
    while value >= 0x80 {
        to.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    to.push(value.to_le_bytes()[0]);
}

fn read_varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn fixed<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a file of keys is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_keys_in_order_that_tell_them_apart() {
        let key = |digits: &str| number_key(digits).0;
        assert!(key("7") < key("007") && key("007") < key("010"));
        assert_ne!(key("7"), key("07"));
        assert!(number_key("1234567890123456").1);
        assert!(!number_key("12345678901234567").1);
        assert_eq!(key("12345678901234567"), key("123456789012345699"));
        assert!(key(&"9".repeat(200)) < Kind::TraceId.key(b"x"));
    }

    #[test]
    fn prefix_covers_the_numbers_that_begin_so() {
        for prefix in ["1", "10", "007", "1234567890123456", "12345678901234567"] {
            let ranges = prefix_keys(prefix);
            let covers =
                |digits: &str| ranges.iter().any(|range| range.contains(&number_key(digits).0));
            for end in ["", "0", "9", "00", "512", "0000000000000000000"] {
                assert!(covers(&format!("{prefix}{end}")), "{prefix} {end}");
            }
            assert!(!covers("2") && !covers("11") && !covers("0071") || prefix != "10");
            assert!(!covers("2345"));
        }
    }

    #[test]
    fn keys_of_hexadecimal_words_are_in_the_order_of_their_beginnings() {
        let word = "6af3b2c19d";
        for length in 1..=word.len() {
            let (range, is_exact) = hex_prefix_keys(&word[..length]);
            assert!(length > 8 || range.contains(&hex_key(word)), "{length}");
            assert_eq!(range.contains(&hex_key("6af3b2c29d")), length < 8, "{length}");
            assert_eq!(is_exact, length <= 8);
        }
        assert!(hex_prefix_keys("6af3b2c19").0.contains(&hex_key(word)));
        assert!(hex_prefix_keys("0").0.start() > &Kind::Attribute.key(b"x"));
    }

    #[test]
    fn varints_are_read_as_they_were_written() {
        let values = [0, 1, 127, 128, 300, 1 << 40, u64::MAX];
        let mut bytes = Vec::new();
        for value in values {
            push_varint(value, &mut bytes);
        }
        let mut at = 0;
        for value in values {
            assert_eq!(read_varint(&bytes, &mut at), Some(value));
        }
        assert_eq!(read_varint(&bytes, &mut at), None);
        assert_eq!(read_varint(&[0xff; 20], &mut 0), None);
    }
}
