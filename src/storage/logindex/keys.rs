//! What hardly ever comes twice - numbers in bodies, ids, long values, fractions - as keys.
//!
//! A component of tantivy's segments of our own (extension `keys`), since an entry in a dictionary
//! of terms costs several times the time and the bytes; `key` says what they are. The file is blocks,
//! then their list, then its end:
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

use super::schema::LogDocument;

/// The file's extension.
const EXTENSION: &str = "keys";

/// Magic, then the version.
const MAGIC: [u8; 8] = *b"CMTLKEY\x01";

/// A block ends when it has so many bytes.
const BLOCK_BYTES: usize = 2048;

/// Bytes of a block in the list.
const LISTED_BYTES: usize = 12;

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

    /// Calls `each` with every key of `range`, in order, and the records that have it.
    pub(crate) fn find(
        &self,
        range: &RangeInclusive<u64>,
        mut each: impl FnMut(u64, &[DocId]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut cursor = self.cursor(self.block_of(*range.start())?)?;
        cursor.advance()?;
        while let Some(key) = cursor.key.filter(|key| key <= range.end()) {
            if range.contains(&key) {
                each(key, &cursor.docs)?;
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
