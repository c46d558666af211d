//! The records of a segment, whole, in blocks whose parts are compressed together.
//!
//! A component of tantivy's segments of our own (extension `records`), since tantivy's document
//! store writes and reads bytes one by one. The file is blocks, then their list, then its end:
//!
//! ```text
//! block    what was taken out of each record (u8 each), the ids;
//!          zstd of the rests: the end of each in what follows (u32 each), then the rests;
//!          zstd of the bodies: the end of each in what follows (u32 each), then the bodies
//! list     for each block (u32 each): records, how many of them have a body or ids in their rest,
//!          bytes of ids, bytes of the rests compressed and inflated, those of the bodies
//! end      number of blocks (u32), magic and version (8 bytes)
//! ```
//!
//! All numbers are little-endian. `parts` says what is taken out of a record.

use std::any::Any;
use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tantivy::directory::{FileSlice, OwnedBytes, TerminatingWrite as _, WritePtr};
use tantivy::index::SegmentComponent;
use tantivy::indexer::DocIdMapping;
use tantivy::schema::Schema;
use tantivy::schema::document::ErasedDocument;
use tantivy::{
    DocId, HasLen as _, PluginMergeContext, PluginWriter, PluginWriterContext, Segment,
    SegmentPlugin, SegmentReader, TantivyError,
};
use zstd::bulk::{Compressor, Decompressor};

use super::block::Block;
use super::parts::{Cut, Kinds};
use super::schema::LogDocument;

/// The file's extension.
const EXTENSION: &str = "records";

/// Magic, then the version.
const MAGIC: [u8; 8] = *b"CMTLREC\x02";

/// Bytes of records that make up a block, at least.
const BLOCK_BYTES: usize = 64 * 1024;

/// More is never inflated at once: the largest record, and what a block has before it.
const MAX_BLOCK_BYTES: usize = 128 << 20;

/// The level of compression; higher ones hardly save anything here.
const LEVEL: i32 = 1;

/// Blocks that are kept inflated per segment while searching.
const CACHED_BLOCKS: usize = 4;

/// Files of fewer blocks are not joined as they are, so that small blocks do not stay small.
const MIN_JOINED_BLOCKS: usize = 6;

/// Numbers that the list has of each block, and their bytes.
const LISTED: usize = 7;
const LISTED_BYTES: usize = LISTED * 4;

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
pub(crate) struct Listed {
    pub(crate) num_records: usize,
    /// Records that have a body or ids in what is left of them.
    pub(crate) num_whole: usize,
    ids_bytes: usize,
    rests: Packed,
    bodies: Packed,
}

/// Bytes that are compressed together.
#[derive(Clone, Copy)]
struct Packed {
    bytes: usize,
    raw_bytes: usize,
}

impl Listed {
    const fn bytes(&self) -> usize {
        self.num_records + self.ids_bytes + self.rests.bytes + self.bodies.bytes
    }

    const fn numbers(&self) -> [usize; LISTED] {
        let Self { num_records, num_whole, ids_bytes, rests, bodies } = *self;
        let (rests, bodies) = ([rests.bytes, rests.raw_bytes], [bodies.bytes, bodies.raw_bytes]);
        [num_records, num_whole, ids_bytes, rests[0], rests[1], bodies[0], bodies[1]]
    }

    fn read(list: &[u8], at: usize) -> Option<Self> {
        let mut numbers = [0; LISTED];
        for (index, number) in numbers.iter_mut().enumerate() {
            *number = number_at(list, at + index * 4)?;
        }
        let [num_records, num_whole, ids_bytes, rests, raw_rests, bodies, raw_bodies] = numbers;
        let rests = Packed { bytes: rests, raw_bytes: raw_rests };
        let bodies = Packed { bytes: bodies, raw_bytes: raw_bodies };
        Some(Self { num_records, num_whole, ids_bytes, rests, bodies })
    }
}

/// Writes a file of records.
struct RecordsWriter {
    to: WritePtr,
    compressor: Compressor<'static>,
    /// The block under way: what was taken out of each record, and where its parts end.
    kinds: Vec<u8>,
    rest_ends: Vec<u32>,
    body_ends: Vec<u32>,
    rests: Vec<u8>,
    bodies: Vec<u8>,
    ids: Vec<u8>,
    num_whole: usize,
    /// What is compressed.
    raw: Vec<u8>,
    list: Vec<Listed>,
}

impl RecordsWriter {
    fn new(segment: &Segment) -> tantivy::Result<Self> {
        Ok(Self {
            to: segment.open_write(component())?,
            compressor: Compressor::new(LEVEL)?,
            kinds: Vec::new(),
            rest_ends: Vec::new(),
            body_ends: Vec::new(),
            rests: Vec::new(),
            bodies: Vec::new(),
            ids: Vec::new(),
            num_whole: 0,
            raw: Vec::new(),
            list: Vec::new(),
        })
    }

    fn push(&mut self, record: &[u8]) -> io::Result<()> {
        let cut = Cut::of(record);
        cut.push(record, &mut self.rests, &mut self.bodies, &mut self.ids);
        self.kinds.push(cut.kinds.0);
        self.num_whole += usize::from(cut.kinds.has(Kinds::WHOLE));
        self.rest_ends.push(length(self.rests.len())?);
        self.body_ends.push(length(self.bodies.len())?);
        let size_bytes = self.rests.len() + self.bodies.len() + self.ids.len();
        if size_bytes >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.kinds.is_empty() {
            return Ok(());
        }
        self.to.write_all(&self.kinds)?;
        self.to.write_all(&self.ids)?;
        self.raw.clear();
        self.raw.extend(self.rest_ends.iter().flat_map(|end| end.to_le_bytes()));
        self.raw.extend_from_slice(&self.rests);
        let rests = self.pack()?;
        self.raw.clear();
        self.raw.extend(self.body_ends.iter().flat_map(|end| end.to_le_bytes()));
        self.raw.extend_from_slice(&self.bodies);
        let bodies = self.pack()?;
        let (num_records, num_whole) = (self.kinds.len(), self.num_whole);
        let ids_bytes = self.ids.len();
        self.list.push(Listed { num_records, num_whole, ids_bytes, rests, bodies });
        for part in [&mut self.kinds, &mut self.rests, &mut self.bodies, &mut self.ids] {
            part.clear();
        }
        self.rest_ends.clear();
        self.body_ends.clear();
        self.num_whole = 0;
        Ok(())
    }

    fn pack(&mut self) -> io::Result<Packed> {
        let compressed = self.compressor.compress(&self.raw)?;
        self.to.write_all(&compressed)?;
        Ok(Packed { bytes: compressed.len(), raw_bytes: self.raw.len() })
    }

    /// Appends the blocks of another file as they are.
    fn join(&mut self, records: &StoredRecords) -> io::Result<()> {
        self.end_block()?;
        for block in &records.blocks {
            let end = block.offset + block.listed.bytes();
            self.to.write_all(&records.file.read_bytes_slice(block.offset..end)?)?;
            self.list.push(block.listed);
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.end_block()?;
        let mut end = Vec::with_capacity(self.list.len() * LISTED_BYTES + 12);
        for number in self.list.iter().flat_map(Listed::numbers) {
            end.extend_from_slice(&length(number)?.to_le_bytes());
        }
        end.extend_from_slice(&length(self.list.len())?.to_le_bytes());
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
        let bytes = [&self.kinds, &self.rests, &self.bodies, &self.ids, &self.raw];
        let ends = [&self.rest_ends, &self.body_ends];
        bytes.map(Vec::capacity).iter().sum::<usize>()
            + ends.map(Vec::capacity).iter().sum::<usize>() * 4
            + self.list.capacity() * size_of::<Listed>()
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
#[derive(Clone, Copy)]
pub(crate) struct BlockAt {
    pub(crate) first: DocId,
    offset: usize,
    pub(crate) listed: Listed,
}

impl BlockAt {
    /// Behind its last record.
    pub(crate) fn end(&self) -> DocId {
        self.first.saturating_add(DocId::try_from(self.listed.num_records).unwrap_or(DocId::MAX))
    }
}

/// Inflates blocks.
pub(crate) type Inflater = Decompressor<'static>;

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
        let num_blocks = number_at(&end, 0).ok_or_else(damaged)?;
        let (body, list) = split_end(body, num_blocks * LISTED_BYTES).ok_or_else(damaged)?;
        let list = list.read_bytes()?;
        let mut blocks = Vec::with_capacity(num_blocks);
        let (mut first, mut offset) = (0_u32, 0_usize);
        for index in 0..num_blocks {
            let listed = Listed::read(&list, index * LISTED_BYTES).ok_or_else(damaged)?;
            blocks.push(BlockAt { first, offset, listed });
            let num_records = u32::try_from(listed.num_records).map_err(|_| damaged())?;
            first = first.checked_add(num_records).ok_or_else(damaged)?;
            offset += listed.bytes();
        }
        if first != reader.max_doc() || offset != body.len() {
            return Err(damaged());
        }
        Ok(Self { file: body, blocks, cache: Mutex::default() })
    }

    /// A record as it came.
    pub(crate) fn get(&self, doc: DocId) -> io::Result<Bytes> {
        self.cached(doc)?.record(doc)
    }

    /// The block of a record, inflated.
    fn cached(&self, doc: DocId) -> io::Result<Arc<Block>> {
        let at = self.block_of(doc)?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = cache.iter().position(|block| block.first() == at.first)
            && let Some(block) = cache.remove(found)
        {
            cache.push_back(Arc::clone(&block));
            return Ok(block);
        }
        drop(cache);
        let mut inflater = Inflater::new()?;
        let mut block = Block::new();
        block.begin(self, at)?;
        block.inflate_rests(self, &mut inflater)?;
        block.inflate_bodies(self, &mut inflater)?;
        let block = Arc::new(block);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED_BLOCKS {
            cache.pop_front();
        }
        cache.push_back(Arc::clone(&block));
        Ok(block)
    }

    /// The block that a record is in.
    pub(crate) fn block_of(&self, doc: DocId) -> io::Result<BlockAt> {
        let index = self.blocks.partition_point(|block| block.first <= doc).checked_sub(1);
        let found = index.and_then(|index| self.blocks.get(index));
        found.copied().ok_or_else(|| damaged("the list of blocks"))
    }

    /// What was taken out of the records of a block, and their ids.
    pub(super) fn kinds_and_ids(&self, at: BlockAt) -> io::Result<(OwnedBytes, OwnedBytes)> {
        let kinds_end = at.offset + at.listed.num_records;
        let kinds = self.file.read_bytes_slice(at.offset..kinds_end)?;
        Ok((kinds, self.file.read_bytes_slice(kinds_end..kinds_end + at.listed.ids_bytes)?))
    }

    /// Inflates the rests of a block's records.
    pub(super) fn rests(
        &self,
        at: BlockAt,
        with: &mut Inflater,
        to: &mut Vec<u8>,
    ) -> io::Result<()> {
        let offset = at.offset + at.listed.num_records + at.listed.ids_bytes;
        self.unpack(offset, at.listed.rests, with, to)
    }

    /// Inflates the bodies of a block's records.
    pub(super) fn bodies(
        &self,
        at: BlockAt,
        with: &mut Inflater,
        to: &mut Vec<u8>,
    ) -> io::Result<()> {
        let offset = at.offset + at.listed.bytes() - at.listed.bodies.bytes;
        self.unpack(offset, at.listed.bodies, with, to)
    }

    fn unpack(
        &self,
        offset: usize,
        packed: Packed,
        with: &mut Inflater,
        to: &mut Vec<u8>,
    ) -> io::Result<()> {
        if packed.raw_bytes > MAX_BLOCK_BYTES {
            return Err(damaged("the list of blocks"));
        }
        let compressed = self.file.read_bytes_slice(offset..offset + packed.bytes)?;
        to.clear();
        to.reserve(packed.raw_bytes);
        with.decompress_to_buffer(&compressed, to)?;
        if to.len() == packed.raw_bytes { Ok(()) } else { Err(damaged("a block of records")) }
    }
}

fn split_end(file: FileSlice, length: usize) -> Option<(FileSlice, FileSlice)> {
    (file.len() >= length).then(|| file.split_from_end(length))
}

pub(super) fn number_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = u32::from_le_bytes(*bytes.get(at..)?.first_chunk::<4>()?);
    usize::try_from(number).ok()
}

fn length(length: usize) -> io::Result<u32> {
    u32::try_from(length).map_err(|_| io::Error::other("a block of records is too large"))
}

pub(super) fn damaged(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} is damaged"))
}
