//! A column chunk of text whose rows repeat: what a row shares with the one before costs a
//! comparison, and however many equal rows follow one another, they are encoded once.
//!
//! The writer of the Parquet library hashes every value and encodes every level. The format of the
//! pages: <https://parquet.apache.org/docs/file-format/data-pages/>.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, BinaryArray, MapArray};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::{Compression, Encoding, EncodingMask, PageType, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter as _};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::writer::{SerializedPageWriter, SerializedRowGroupWriter, TrackedWrite};
use parquet::schema::types::ColumnDescPtr;

use super::dictionary::Dictionary;
use super::hybrid::Hybrid;
use super::range::ValueRange;

/// Stands for a value that is missing, among numbers of values.
const NONE: u32 = u32::MAX;

/// A page ends at so many values, or different rows of together so many.
const MAX_PAGE_VALUES: usize = 1 << 20;
const MAX_PAGE_CELLS: usize = 1 << 18;

/// The values of a column's rows: one each, or a list.
pub(super) struct Cells<'a> {
    lists: Option<&'a OffsetBuffer<i32>>,
    values: &'a BinaryArray,
}

impl<'a> Cells<'a> {
    /// The values of a column of text, or the keys (`index` 0) or values (1) of one of maps.
    pub(super) fn try_of(column: &'a ArrayRef, index: usize) -> Result<Self, ParquetError> {
        let (lists, values) = match column.data_type() {
            DataType::Map(..) => {
                let map = column.as_any().downcast_ref::<MapArray>();
                let values = map.and_then(|map| map.entries().columns().get(index));
                (map.map(MapArray::offsets), values)
            }
            _ => (None, Some(column)),
        };
        let values = values.and_then(|values| values.as_any().downcast_ref::<BinaryArray>());
        let values = values.ok_or_else(|| ParquetError::General("not a column of text".to_owned()));
        Ok(Self { lists, values: values? })
    }

    fn num_rows(&self) -> usize {
        self.lists.map_or(self.values.len(), |lists| lists.len() - 1)
    }

    /// The positions of a row's values.
    fn row(&self, row: usize) -> Range<usize> {
        let Some(lists) = self.lists else { return row..row + 1 };
        let end = |index: usize| lists.get(index).map_or(0, |end| end.unsigned_abs() as usize);
        end(row)..end(row + 1)
    }

    fn value(&self, position: usize) -> Option<&'a [u8]> {
        (!self.values.is_null(position)).then(|| self.values.value(position))
    }

    /// Whether two rows are equal.
    fn are_equal(&self, one: &Range<usize>, other: &Range<usize>) -> bool {
        one.len() == other.len()
            && one
                .clone()
                .zip(other.clone())
                .all(|(one, other)| self.value(one) == self.value(other))
    }
}

/// Equal rows that follow one another.
#[derive(Debug)]
struct Run {
    /// Where the numbers of a row's values are.
    cells: Range<usize>,
    times: usize,
}

/// What is in the page in the making.
#[derive(Debug, Default)]
struct OpenPage {
    cells: Vec<u32>,
    runs: Vec<Run>,
    num_rows: usize,
    num_values: usize,
    num_nulls: usize,
    range: ValueRange,
}

/// A page that is encoded.
struct ReadyPage {
    page: CompressedPage,
    num_rows: usize,
    num_nulls: usize,
    range: ValueRange,
}

/// A column chunk in the making.
pub(super) struct RepeatedColumn {
    column: ColumnDescPtr,
    level: ZstdLevel,
    /// A page ends at so many rows.
    page_rows: usize,
    /// Whether least and greatest values are kept.
    has_range: bool,
    dictionary: Dictionary,
    open: OpenPage,
    ready: Vec<ReadyPage>,
    ready_bytes: usize,
    /// Memory that is used again.
    row: Vec<u32>,
}

impl RepeatedColumn {
    pub(super) fn new(
        column: ColumnDescPtr,
        level: ZstdLevel,
        page_rows: usize,
        has_range: bool,
    ) -> Self {
        Self {
            column,
            level,
            page_rows,
            has_range,
            dictionary: Dictionary::default(),
            open: OpenPage::default(),
            ready: Vec::new(),
            ready_bytes: 0,
            row: Vec::new(),
        }
    }

    /// Adds rows.
    pub(super) fn write(&mut self, cells: &Cells<'_>) -> Result<(), ParquetError> {
        let num_rows = cells.num_rows();
        let mut start = 0;
        let mut before = 0..0;
        while start < num_rows {
            let row = cells.row(start);
            let room = self.page_rows.saturating_sub(self.open.num_rows).max(1);
            let most = num_rows.min(start + room);
            let mut end = start + 1;
            while end < most && cells.are_equal(&row, &cells.row(end)) {
                end += 1;
            }
            self.number(cells, &row, &before);
            self.push_run(end - start);
            before = row;
            start = end;
            if self.is_page_full() {
                self.end_page()?;
            }
        }
        Ok(())
    }

    /// Numbers the values of a row into `self.row`, where those of the row before it are.
    fn number(&mut self, cells: &Cells<'_>, row: &Range<usize>, before: &Range<usize>) {
        self.row.resize(row.len(), NONE);
        for ((index, position), number) in row.clone().enumerate().zip(&mut self.row) {
            let value = cells.value(position);
            let is_as_before = index < before.len() && cells.value(before.start + index) == value;
            if !is_as_before {
                *number = value.map_or(NONE, |value| self.dictionary.number(value));
            }
        }
    }

    /// Adds the row that is in `self.row` so many times.
    fn push_run(&mut self, times: usize) {
        let open = &mut self.open;
        let num_nulls = self.row.iter().filter(|number| **number == NONE).count();
        open.num_rows += times;
        open.num_values += times * self.row.len().max(1);
        open.num_nulls += times * num_nulls;
        let is_last = |run: &&mut Run| open.cells.get(run.cells.clone()) == Some(&self.row[..]);
        if let Some(run) = open.runs.last_mut().filter(is_last) {
            run.times += times;
            return;
        }
        if self.has_range {
            for number in self.row.iter().filter(|number| **number != NONE) {
                open.range.add(self.dictionary.value(*number));
            }
        }
        let start = open.cells.len();
        open.cells.extend_from_slice(&self.row);
        open.runs.push(Run { cells: start..open.cells.len(), times });
    }

    const fn is_page_full(&self) -> bool {
        let open = &self.open;
        open.num_rows >= self.page_rows
            || open.num_values >= MAX_PAGE_VALUES
            || open.cells.len() + open.runs.len() >= MAX_PAGE_CELLS
    }

    fn end_page(&mut self) -> Result<(), ParquetError> {
        let open = std::mem::take(&mut self.open);
        if open.num_rows == 0 {
            return Ok(());
        }
        let body = self.encode(&open);
        let packed = zstd::bulk::compress(&body, self.level.compression_level())?;
        let page = Page::DataPage {
            buf: Bytes::from(packed),
            num_values: count(open.num_values)?,
            encoding: Encoding::RLE_DICTIONARY,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let page = CompressedPage::new(page, body.len());
        let OpenPage { num_rows, num_nulls, range, .. } = open;
        self.ready_bytes += page.compressed_size();
        self.ready.push(ReadyPage { page, num_rows, num_nulls, range });
        Ok(())
    }

    /// The page in the making, not compressed: levels, then the numbers of the values.
    fn encode(&self, open: &OpenPage) -> Vec<u8> {
        let (max_repetition, max_definition) = (
            self.column.max_rep_level().unsigned_abs(),
            self.column.max_def_level().unsigned_abs(),
        );
        let mut body = Vec::new();
        let mut levels = Vec::new();
        if max_repetition > 0 {
            push_levels(&mut body, max_repetition, |hybrid| {
                for run in &open.runs {
                    levels.clear();
                    levels.resize(run.cells.len().max(1), 1);
                    levels.first_mut().into_iter().for_each(|level| *level = 0);
                    hybrid.push_row(&levels, run.times);
                }
            });
        }
        if max_definition > 0 {
            let there = u32::from(max_definition);
            push_levels(&mut body, max_definition, |hybrid| {
                for run in &open.runs {
                    let cells = open.cells.get(run.cells.clone()).unwrap_or_default();
                    levels.clear();
                    let level = |number: &u32| if *number == NONE { there - 1 } else { there };
                    levels.extend(cells.iter().map(level));
                    if levels.is_empty() {
                        levels.push(0);
                    }
                    hybrid.push_row(&levels, run.times);
                }
            });
        }
        let width = self.dictionary.width();
        body.extend(width.to_le_bytes().first());
        let mut hybrid = Hybrid::new(width, body);
        for run in &open.runs {
            let cells = open.cells.get(run.cells.clone()).unwrap_or_default();
            levels.clear();
            levels.extend(cells.iter().filter(|number| **number != NONE));
            hybrid.push_row(&levels, run.times);
        }
        hybrid.finish()
    }

    /// About the bytes that it would have in the file now.
    pub(super) fn size_bytes(&self) -> usize {
        self.ready_bytes + self.dictionary.page().len() + self.open_bytes()
    }

    /// About the memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.ready_bytes + self.dictionary.memory_bytes() + self.open_bytes()
    }

    const fn open_bytes(&self) -> usize {
        self.open.cells.len() * size_of::<u32>() + self.open.runs.len() * size_of::<Run>()
    }

    /// Ends the chunk.
    pub(super) fn close(mut self) -> Result<RepeatedChunk, ParquetError> {
        self.end_page()?;
        let mut sink = TrackedWrite::new(Vec::new());
        let mut written = Written::default();
        let mut pages = SerializedPageWriter::new(&mut sink);
        let level = self.level.compression_level();
        let dictionary = Page::DictionaryPage {
            buf: Bytes::from(zstd::bulk::compress(self.dictionary.page(), level)?),
            num_values: count(self.dictionary.len())?,
            encoding: Encoding::PLAIN,
            is_sorted: false,
        };
        let dictionary = CompressedPage::new(dictionary, self.dictionary.page().len());
        written.add(&pages.write_page(dictionary)?);
        let data_offset = written.packed_bytes;
        let num_pages = self.ready.len();
        let mut offsets = OffsetIndexBuilder::new();
        let mut index = ColumnIndexBuilder::new(Type::BYTE_ARRAY);
        let mut range = ValueRange::default();
        for ReadyPage { page, num_rows, num_nulls, range: of_page } in self.ready.drain(..) {
            let num_values = page.num_values() as usize;
            let spec = pages.write_page(page)?;
            offsets.append_row_count(long(num_rows));
            offsets.append_offset_and_size(
                spec.offset.cast_signed(),
                i32::try_from(spec.compressed_size)?,
            );
            let (least, greatest) = of_page.bounds().unwrap_or_default();
            index.append(num_nulls == num_values, least.0, greatest.0, long(num_nulls));
            range.join(&of_page);
            written.add(&spec);
            written.num_values += num_values;
            written.num_nulls += num_nulls;
            written.num_rows += num_rows;
        }
        pages.close()?;
        let metadata = self.metadata(&written, data_offset, num_pages, &range)?;
        let close = ColumnCloseResult {
            bytes_written: written.packed_bytes as u64,
            rows_written: written.num_rows as u64,
            metadata,
            bloom_filter: None,
            column_index: if self.has_range { Some(index.build()?) } else { None },
            offset_index: Some(offsets.build()),
        };
        Ok(RepeatedChunk { bytes: sink.into_inner()?.into(), close })
    }

    fn metadata(
        &self,
        written: &Written,
        data_offset: usize,
        num_pages: usize,
        range: &ValueRange,
    ) -> Result<ColumnChunkMetaData, ParquetError> {
        let encodings = [Encoding::PLAIN, Encoding::RLE, Encoding::RLE_DICTIONARY];
        let pages = |page_type: PageType, encoding: Encoding, count: usize| {
            let count = i32::try_from(count)?;
            Ok::<_, ParquetError>(PageEncodingStats { page_type, encoding, count })
        };
        let mut builder = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(Compression::ZSTD(self.level))
            .set_encodings_mask(EncodingMask::new_from_encodings(encodings.iter()))
            .set_page_encoding_stats(vec![
                pages(PageType::DICTIONARY_PAGE, Encoding::PLAIN, 1)?,
                pages(PageType::DATA_PAGE, Encoding::RLE_DICTIONARY, num_pages)?,
            ])
            .set_total_compressed_size(long(written.packed_bytes))
            .set_total_uncompressed_size(long(written.plain_bytes))
            .set_num_values(long(written.num_values))
            .set_data_page_offset(long(data_offset))
            .set_dictionary_page_offset(Some(0));
        if self.has_range {
            builder = builder.set_statistics(range.statistics(written.num_nulls as u64));
        }
        builder.build()
    }
}

/// Sums over the pages of a chunk.
#[derive(Debug, Default)]
struct Written {
    packed_bytes: usize,
    plain_bytes: usize,
    num_rows: usize,
    num_values: usize,
    num_nulls: usize,
}

impl Written {
    const fn add(&mut self, spec: &parquet::column::page::PageWriteSpec) {
        self.packed_bytes += spec.compressed_size;
        self.plain_bytes += spec.uncompressed_size;
    }
}

/// A column chunk that is encoded.
pub(super) struct RepeatedChunk {
    bytes: Bytes,
    close: ColumnCloseResult,
}

impl RepeatedChunk {
    /// Moves it into a row group of a file.
    pub(super) fn append_to<W: std::io::Write + Send>(
        self,
        group: &mut SerializedRowGroupWriter<'_, W>,
    ) -> Result<(), ParquetError> {
        group.append_column(&self.bytes, self.close)
    }
}

/// Appends levels, their length in bytes before them.
fn push_levels(body: &mut Vec<u8>, max: u16, push: impl FnOnce(&mut Hybrid)) {
    let start = body.len();
    body.extend_from_slice(&[0; 4]);
    let mut hybrid = Hybrid::new(u16::BITS - max.leading_zeros(), std::mem::take(body));
    push(&mut hybrid);
    *body = hybrid.finish();
    let length = u32::try_from(body.len() - start - 4).unwrap_or(u32::MAX);
    if let Some(place) = body.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

fn count(number: usize) -> Result<u32, ParquetError> {
    Ok(u32::try_from(number)?)
}

fn long(number: usize) -> i64 {
    (number as u64).cast_signed()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder as Reader,
    };
    use parquet::file::metadata::PageIndexPolicy;
    use parquet::file::page_index::column_index::ColumnIndexMetaData;
    use parquet::file::statistics::Statistics;
    use parquet::file::writer::SerializedFileWriter;

    use super::super::columns::{Lists, Texts};
    use super::super::schema::{Column, Kind, Layout, parquet_schema};
    use super::*;

    type Text = Option<&'static str>;
    type Row = (Text, Vec<Text>);

    const PAGE_ROWS: usize = 7;

    /// Columns of text and of a map, in which names are as long as the text.
    fn arrays(rows: &[Row]) -> [ArrayRef; 2] {
        let (mut text, mut keys, mut values) =
            (Texts::default(), Texts::default(), Texts::default());
        let mut maps = Lists::default();
        let push = |column: &mut Texts, value: &Text| match value {
            Some(value) => column.push(value.as_bytes()),
            None => column.push_none(),
        };
        for (own, list) in rows {
            push(&mut text, own);
            list.iter().for_each(|value| push(&mut values, value));
            list.iter().for_each(|value| keys.push(value.unwrap_or("none").as_bytes()));
            maps.end(keys.len());
        }
        let (keys, values) = (keys.finish(), values.finish());
        [text.finish(), maps.finish_map(keys, values)]
    }

    /// A file of a row group for each of `groups`, whose rows come in several batches.
    fn write(groups: &[Vec<Vec<Row>>]) -> Bytes {
        let columns = [
            Column::new("text", Kind::Text, "").optional().ranged(),
            Column::new("map", Kind::Map, "").with(Layout::Dictionary),
        ];
        let root = parquet_schema(&columns).unwrap().root_schema_ptr();
        let mut file = SerializedFileWriter::new(Vec::new(), root, Arc::default()).unwrap();
        for batches in groups {
            let leaves = file.schema_descr().columns().to_vec();
            let new = |(index, leaf): (usize, ColumnDescPtr)| {
                RepeatedColumn::new(leaf, ZstdLevel::default(), PAGE_ROWS, index == 0)
            };
            let mut writers: Vec<_> = leaves.into_iter().enumerate().map(new).collect();
            for rows in batches {
                let [text, map] = arrays(rows);
                for (writer, (column, index)) in
                    writers.iter_mut().zip([(&text, 0), (&map, 0), (&map, 1)])
                {
                    writer.write(&Cells::try_of(column, index).unwrap()).unwrap();
                }
            }
            let mut group = file.next_row_group().unwrap();
            for writer in writers {
                writer.close().unwrap().append_to(&mut group).unwrap();
            }
            group.close().unwrap();
        }
        file.finish().unwrap();
        Bytes::from(std::mem::take(file.inner_mut()))
    }

    fn open(file: Bytes) -> Reader<Bytes> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        Reader::try_new_with_options(file, options).unwrap()
    }

    #[test]
    fn ranges_of_pages_and_chunks_are_told() {
        let row = |text| (text, vec![]);
        let page = |first, rest| [vec![row(first)], vec![row(rest); PAGE_ROWS - 1]].concat();
        let (low, none, high) =
            (page(Some("b"), Some("a")), page(None, None), page(Some("z"), None));
        let file = write(&[vec![[low, none].concat(), high], vec![page(None, None)]]);
        let reader = open(file);
        let metadata = reader.metadata();
        let statistics = |group| metadata.row_group(group).column(0).statistics().cloned();
        let Some(Statistics::ByteArray(of_first)) = statistics(0) else { panic!("no range") };
        let bounds = (of_first.min_bytes_opt(), of_first.max_bytes_opt());
        assert_eq!(bounds, (Some(&b"a"[..]), Some(&b"z"[..])));
        assert_eq!(of_first.null_count_opt(), Some(2 * PAGE_ROWS as u64 - 1));
        let of_second = statistics(1).unwrap();
        assert_eq!((of_second.min_bytes_opt(), of_second.null_count_opt()), (None, Some(7)));
        let pages = &metadata.column_index().unwrap()[0][0];
        let ColumnIndexMetaData::BYTE_ARRAY(pages) = pages else { panic!("no index") };
        let ranges: Vec<_> = pages.min_values_iter().zip(pages.max_values_iter()).collect();
        let (a, b, z) = (&b"a"[..], &b"b"[..], &b"z"[..]);
        assert_eq!(ranges, [(Some(a), Some(b)), (None, None), (Some(z), Some(z))]);
        let offsets = &metadata.offset_index().unwrap()[0][0].page_locations;
        let firsts: Vec<_> = offsets.iter().map(|page| page.first_row_index).collect();
        assert_eq!(firsts, [0, 7, 14]);
    }

    #[test]
    fn rows_that_repeat_take_no_room() {
        let row = (Some("the same"), vec![Some("once"), Some("more"), None]);
        let rows = vec![row; 100_000];
        let size = |num_rows: usize| write(&[vec![rows[..num_rows].to_vec()]]).len();
        let (few, many) = (size(PAGE_ROWS), size(100_000));
        assert!(few < 2_000 && many < 100_000 / PAGE_ROWS * 700, "{few} {many}");
    }
}
