//! The records of a segment, whole, in blocks that are compressed together.
//!
//! A component of tantivy's segments of our own (extension `records`), since tantivy's document
//! store writes and reads bytes one by one. The file is blocks, then their list, then its end:
//!
//! ```text
//! block    zstd of: the end of each record in what follows (u32 each), then the records
//! list     for each block: records, compressed bytes, inflated bytes (u32 each)
//! end      number of blocks (u32), magic and version (8 bytes)
//! ```
//!
//! All numbers are little-endian.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tantivy::directory::{FileSlice, TerminatingWrite as _, WritePtr};
use tantivy::index::SegmentComponent;
use tantivy::indexer::DocIdMapping;
use tantivy::schema::Schema;
use tantivy::schema::document::ErasedDocument;
use tantivy::{
    DocId, HasLen as _, PluginMergeContext, PluginWriter, PluginWriterContext, Segment,
    SegmentPlugin, SegmentReader, TantivyError,
};

use super::schema::LogDocument;

/// The file's extension.
const EXTENSION: &str = "records";

/// Magic, then the version.
const MAGIC: [u8; 8] = *b"CMTLREC\x01";

/// Bytes that are compressed together, at least.
const BLOCK_BYTES: usize = 64 * 1024;

/// More is never inflated at once: the largest record, and what a block has before it.
const MAX_BLOCK_BYTES: usize = 128 << 20;

/// The level of compression; higher ones hardly save anything here.
const LEVEL: i32 = 1;

/// Blocks that are kept inflated per segment while searching.
const CACHED_BLOCKS: usize = 4;

/// Files of fewer blocks are not joined as they are, so that small blocks do not stay small.
const MIN_JOINED_BLOCKS: usize = 6;

/// Makes tantivy write and merge the records with its segments.
pub(crate) struct RecordsPlugin;

impl SegmentPlugin for RecordsPlugin {
    fn extensions(&self) -> &[&str] {
        &[EXTENSION]
    }

    fn create_writer(
        &self,
        context: &PluginWriterContext<'_>,
    ) -> tantivy::Result<Box<dyn PluginWriter>> {
        Ok(Box::new(RecordsWriter::new(context.segment)?))
    }

    fn merge(&self, context: PluginMergeContext<'_>) -> tantivy::Result<()> {
        let mut writer = RecordsWriter::new(context.target_segment)?;
        for reader in context.readers {
            let records = StoredRecords::open(reader)?;
            if records.blocks.len() >= MIN_JOINED_BLOCKS {
                writer.join(&records)?;
                continue;
            }
            for doc in 0..reader.max_doc() {
                writer.push(&records.get(doc)?)?;
            }
        }
        writer.finish()?;
        Ok(())
    }
}

fn component() -> SegmentComponent {
    SegmentComponent::Custom(EXTENSION.to_owned())
}

/// What the list of blocks says of one.
#[derive(Clone, Copy)]
struct Listed {
    num_records: u32,
    compressed_bytes: u32,
    raw_bytes: u32,
}

/// Writes a file of records.
struct RecordsWriter {
    to: WritePtr,
    compressor: zstd::bulk::Compressor<'static>,
    /// Where the records of the block under way end.
    ends: Vec<u32>,
    /// The records of the block under way.
    records: Vec<u8>,
    /// The block as it is compressed.
    raw: Vec<u8>,
    blocks: Vec<Listed>,
}

impl RecordsWriter {
    fn new(segment: &Segment) -> tantivy::Result<Self> {
        let compressor = zstd::bulk::Compressor::new(LEVEL)?;
        let to = segment.open_write(component())?;
        let (ends, records, raw) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { to, compressor, ends, records, raw, blocks: Vec::new() })
    }

    fn push(&mut self, record: &[u8]) -> io::Result<()> {
        self.records.extend_from_slice(record);
        self.ends.push(length(self.records.len())?);
        let size_bytes = self.records.len() + self.ends.len() * 4;
        if size_bytes >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.ends.is_empty() {
            return Ok(());
        }
        self.raw.clear();
        for end in &self.ends {
            self.raw.extend_from_slice(&end.to_le_bytes());
        }
        self.raw.extend_from_slice(&self.records);
        let compressed = self.compressor.compress(&self.raw)?;
        self.to.write_all(&compressed)?;
        self.blocks.push(Listed {
            num_records: length(self.ends.len())?,
            compressed_bytes: length(compressed.len())?,
            raw_bytes: length(self.raw.len())?,
        });
        self.ends.clear();
        self.records.clear();
        Ok(())
    }

    /// Appends the blocks of another file as they are.
    fn join(&mut self, records: &StoredRecords) -> io::Result<()> {
        self.end_block()?;
        for block in &records.blocks {
            self.to.write_all(&records.compressed(block)?)?;
            self.blocks.push(block.listed);
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.end_block()?;
        let mut end = Vec::with_capacity(self.blocks.len() * 12 + 12);
        for block in &self.blocks {
            for number in [block.num_records, block.compressed_bytes, block.raw_bytes] {
                end.extend_from_slice(&number.to_le_bytes());
            }
        }
        end.extend_from_slice(&length(self.blocks.len())?.to_le_bytes());
        end.extend_from_slice(&MAGIC);
        self.to.write_all(&end)?;
        self.to.terminate()
    }
}

impl PluginWriter for RecordsWriter {
    fn add_document(
        &mut self,
        _doc: DocId,
        document: &dyn ErasedDocument,
        _schema: &Schema,
    ) -> tantivy::Result<()> {
        let Some(document) = document.as_any().downcast_ref::<LogDocument>() else {
            return Err(TantivyError::SchemaError("not a document of a log index".to_owned()));
        };
        self.push(document.record())?;
        Ok(())
    }

    fn serialize(
        self: Box<Self>,
        _segment: &Segment,
        _mapping: Option<&DocIdMapping>,
    ) -> tantivy::Result<()> {
        self.finish()?;
        Ok(())
    }

    fn mem_usage(&self) -> usize {
        self.records.capacity() + self.raw.capacity() + self.ends.capacity() * 4
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// Reads a file of records.
pub(crate) struct StoredRecords {
    file: FileSlice,
    blocks: Vec<BlockAt>,
    /// Inflated blocks, the one used last at the end.
    cache: Mutex<VecDeque<Arc<Block>>>,
}

/// A block and where it stands.
struct BlockAt {
    first: DocId,
    offset: usize,
    listed: Listed,
}

/// An inflated block.
struct Block {
    first: DocId,
    num_records: usize,
    raw: Bytes,
}

impl StoredRecords {
    /// Opens the records of a segment.
    pub(crate) fn open(reader: &SegmentReader) -> io::Result<Self> {
        let file = reader.open_read(component()).map_err(io::Error::other)?;
        let damaged = || damaged("the list of blocks");
        let (body, end) = split_end(file, 12).ok_or_else(damaged)?;
        let end = end.read_bytes()?;
        if end.get(4..) != Some(&MAGIC[..]) {
            return Err(self::damaged("the end of the file"));
        }
        let num_blocks = number_at(&end, 0).ok_or_else(damaged)? as usize;
        let (body, list) = split_end(body, num_blocks * 12).ok_or_else(damaged)?;
        let list = list.read_bytes()?;
        let mut blocks = Vec::with_capacity(num_blocks);
        let (mut first, mut offset) = (0_u32, 0_usize);
        for index in 0..num_blocks {
            let number = |at: usize| number_at(&list, index * 12 + at).ok_or_else(damaged);
            let listed = Listed {
                num_records: number(0)?,
                compressed_bytes: number(4)?,
                raw_bytes: number(8)?,
            };
            blocks.push(BlockAt { first, offset, listed });
            first = first.checked_add(listed.num_records).ok_or_else(damaged)?;
            offset += listed.compressed_bytes as usize;
        }
        if first != reader.max_doc() || offset != body.len() {
            return Err(damaged());
        }
        Ok(Self { file: body, blocks, cache: Mutex::default() })
    }

    /// A record; a part of its block, which it keeps in memory.
    pub(crate) fn get(&self, doc: DocId) -> io::Result<Bytes> {
        let block = self.block(doc)?;
        block.record(doc).ok_or_else(|| damaged("a block of records"))
    }

    fn block(&self, doc: DocId) -> io::Result<Arc<Block>> {
        let index = self.blocks.partition_point(|block| block.first <= doc).checked_sub(1);
        let at = index.and_then(|index| self.blocks.get(index));
        let at = at.ok_or_else(|| damaged("the list of blocks"))?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = cache.iter().position(|block| block.first == at.first)
            && let Some(block) = cache.remove(found)
        {
            cache.push_back(Arc::clone(&block));
            return Ok(block);
        }
        drop(cache);
        let block = Arc::new(self.inflate(at)?);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_BLOCKS {
            cache.pop_front();
        }
        cache.push_back(Arc::clone(&block));
        Ok(block)
    }

    fn compressed(&self, at: &BlockAt) -> io::Result<tantivy::directory::OwnedBytes> {
        self.file.read_bytes_slice(at.offset..at.offset + at.listed.compressed_bytes as usize)
    }

    fn inflate(&self, at: &BlockAt) -> io::Result<Block> {
        let raw_bytes = at.listed.raw_bytes as usize;
        if raw_bytes > MAX_BLOCK_BYTES {
            return Err(damaged("the list of blocks"));
        }
        let compressed = self.compressed(at)?;
        let raw = zstd::bulk::Decompressor::new()?.decompress(&compressed, raw_bytes)?;
        let num_records = at.listed.num_records as usize;
        Ok(Block { first: at.first, num_records, raw: Bytes::from(raw) })
    }
}

impl Block {
    fn record(&self, doc: DocId) -> Option<Bytes> {
        let index = doc.checked_sub(self.first)? as usize;
        let end_at = |index: usize| number_at(&self.raw, index * 4).map(|end| end as usize);
        let start = index.checked_sub(1).map_or(Some(0), end_at)?;
        let end = end_at(index)?;
        let records = self.num_records * 4;
        let (start, end) = (records.checked_add(start)?, records.checked_add(end)?);
        let is_sound = index < self.num_records && start <= end && end <= self.raw.len();
        is_sound.then(|| self.raw.slice(start..end))
    }
}

fn split_end(file: FileSlice, length: usize) -> Option<(FileSlice, FileSlice)> {
    (file.len() >= length).then(|| file.split_from_end(length))
}

fn number_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?))
}

fn length(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::Error::other("a block of records is too large"))
}

fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is damaged"))
}
