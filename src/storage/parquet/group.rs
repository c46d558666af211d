//! The columns of a row group in the making: by the Parquet library, or as [`super::repeated`].

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use parquet::arrow::arrow_writer::{
    ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves,
};
use parquet::basic::ZstdLevel;
use parquet::errors::ParquetError;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::repeated::{Cells, RepeatedChunk, RepeatedColumn};
use super::schema::{Layout, Leaf};

/// How columns are written.
pub(super) struct GroupFactory {
    pub(super) library: ArrowRowGroupWriterFactory,
    pub(super) leaves: Vec<Leaf>,
    pub(super) level: ZstdLevel,
    pub(super) page_rows: usize,
}

impl GroupFactory {
    /// The columns of the next row group of a file.
    pub(super) fn create(
        &self,
        file: &SerializedFileWriter<Vec<u8>>,
    ) -> Result<Group, ParquetError> {
        let by_library = self.library.create_column_writers(file.flushed_row_groups().len())?;
        let columns = file.schema_descr().columns().iter();
        let columns = columns.zip(&self.leaves).zip(by_library).map(|((column, leaf), writer)| {
            if leaf.is_repeated {
                let (level, page_rows) = (self.level, self.page_rows);
                let column = column.clone();
                let writer = RepeatedColumn::new(column, level, page_rows, leaf.has_range);
                return ColumnWriter::Repeated(Box::new(writer));
            }
            let is_delta = leaf.layout == Layout::Delta;
            ColumnWriter::Library { writer: Box::new(writer), is_delta }
        });
        Ok(Group(columns.collect()))
    }
}

enum ColumnWriter {
    Library { writer: Box<ArrowColumnWriter>, is_delta: bool },
    Repeated(Box<RepeatedColumn>),
}

/// Columns that are ready.
pub(super) enum Chunk {
    Library(ArrowColumnChunk),
    Repeated(RepeatedChunk),
}

impl Chunk {
    /// Moves it into a row group of a file.
    pub(super) fn append_to(
        self,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Library(chunk) => chunk.append_to_row_group(group),
            Self::Repeated(chunk) => chunk.append_to(group),
        }
    }
}

/// The columns of a row group; none before it has rows.
#[derive(Default)]
pub(super) struct Group(Vec<ColumnWriter>);

impl Group {
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Encodes rows.
    pub(super) fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        let mut rest = self.0.as_mut_slice();
        for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
            let (writers, behind) =
                rest.split_at_mut(num_leaves(field.data_type()).min(rest.len()));
            rest = behind;
            let is_library = |writer: &ColumnWriter| matches!(writer, ColumnWriter::Library { .. });
            let mut leaves = Vec::new();
            if writers.iter().any(is_library) {
                leaves = compute_leaves(field, column)?;
            }
            for (index, writer) in writers.iter_mut().enumerate() {
                match writer {
                    ColumnWriter::Repeated(writer) => {
                        writer.write(&Cells::try_of(column, index)?)?;
                    }
                    ColumnWriter::Library { writer, .. } => {
                        leaves.get(index).map_or(Ok(()), |leaf| writer.write(leaf))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// About the bytes that it would have in the file now.
    pub(super) fn size_bytes(&self) -> usize {
        let sizes = self.0.iter().map(|column| match column {
            ColumnWriter::Library { writer, .. } => writer.get_estimated_total_bytes(),
            ColumnWriter::Repeated(writer) => writer.size_bytes(),
        });
        sizes.sum()
    }

    /// About the memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        let sizes = self.0.iter().map(|column| match column {
            // The encoder of DELTA_BINARY_PACKED sets aside a MiB, of which it touches what is
            // encoded.
            ColumnWriter::Library { writer, is_delta: true } => writer.get_estimated_total_bytes(),
            ColumnWriter::Library { writer, is_delta: false } => writer.memory_size(),
            ColumnWriter::Repeated(writer) => writer.memory_bytes(),
        });
        sizes.sum()
    }

    /// Ends the columns, and begins without.
    pub(super) fn end(&mut self) -> Result<Vec<Chunk>, ParquetError> {
        let chunks = self.0.drain(..).map(|column| match column {
            ColumnWriter::Library { writer, .. } => writer.close().map(Chunk::Library),
            ColumnWriter::Repeated(writer) => writer.close().map(Chunk::Repeated),
        });
        chunks.collect()
    }
}

/// How many columns of the file a column is.
fn num_leaves(kind: &DataType) -> usize {
    match kind {
        DataType::Map(inner, _) | DataType::List(inner) => num_leaves(inner.data_type()),
        DataType::Struct(fields) => fields.iter().map(|field| num_leaves(field.data_type())).sum(),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::ArrayRef;
    use arrow::datatypes::Int64Type;
    use bytes::Bytes;
    use parquet::arrow::arrow_reader::{
        ArrowReaderOptions, ParquetRecordBatchReaderBuilder as Reader, RowSelection, RowSelector,
    };
    use parquet::basic::Compression;
    use parquet::file::metadata::{ColumnChunkMetaData, PageIndexPolicy, RowGroupMetaData};
    use parquet::file::properties::{EnabledStatistics, WriterProperties};
    use parquet::schema::types::ColumnPath;
    use proptest::prelude::*;

    use super::super::columns::{Lists, Numbers, Texts};
    use super::super::schema::{Column, Kind, arrow_schema, leaves, parquet_schema};
    use super::*;

    type Text = Option<String>;

    /// A row; the maps share their names.
    #[derive(Clone, Debug)]
    struct Row {
        number: Option<i64>,
        text: Text,
        bytes: Vec<u8>,
        list: Vec<(String, Text)>,
    }

    fn columns() -> [Column; 5] {
        [
            Column::new("number", Kind::Int64, "").optional(),
            Column::new("text", Kind::Text, "").optional().ranged(),
            Column::new("bytes", Kind::Binary, "").with(Layout::Dictionary),
            Column::new("map", Kind::Map, "").with(Layout::Dictionary),
            // The library writes its values.
            Column::new("plain", Kind::Map, ""),
        ]
    }

    fn push(column: &mut Texts, value: Option<&str>) {
        match value {
            Some(value) => column.push(value.as_bytes()),
            None => column.push_none(),
        }
    }

    fn map(rows: &[Row]) -> ArrayRef {
        let (mut keys, mut values, mut lists) =
            (Texts::default(), Texts::default(), Lists::default());
        for row in rows {
            for (key, value) in &row.list {
                keys.push(key.as_bytes());
                push(&mut values, value.as_deref());
            }
            lists.end(keys.len());
        }
        let (keys, values) = (keys.finish(), values.finish());
        lists.finish_map(keys, values)
    }

    fn arrays(rows: &[Row]) -> RecordBatch {
        let (mut numbers, mut text, mut bytes) =
            (Numbers::<Int64Type>::default(), Texts::default(), Texts::default());
        for row in rows {
            numbers.push_maybe(row.number);
            push(&mut text, row.text.as_deref());
            bytes.push(&row.bytes);
        }
        let arrays = vec![numbers.finish(), text.finish(), bytes.finish(), map(rows), map(rows)];
        RecordBatch::try_new(Arc::new(arrow_schema(&columns())), arrays).unwrap()
    }

    /// A file whose row groups are made of these batches; or the library writes all of it.
    fn file(groups: &[Vec<RecordBatch>], page_rows: usize, is_library: bool) -> Bytes {
        let (columns, level) = (columns(), ZstdLevel::default());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_data_page_row_count_limit(page_rows)
            .set_write_batch_size(1)
            .set_statistics_enabled(EnabledStatistics::None)
            .set_column_statistics_enabled(ColumnPath::from("text"), EnabledStatistics::Page);
        let root = parquet_schema(&columns).unwrap().root_schema_ptr();
        let properties = Arc::new(properties.build());
        let mut file = SerializedFileWriter::new(Vec::new(), root, properties).unwrap();
        let mut leaves = leaves(&columns);
        assert_eq!(leaves.iter().filter(|leaf| leaf.is_repeated).count(), 5);
        leaves.iter_mut().for_each(|leaf| leaf.is_repeated &= !is_library);
        let library = ArrowRowGroupWriterFactory::new(&file, Arc::new(arrow_schema(&columns)));
        let factory = GroupFactory { library, leaves, level, page_rows };
        for batches in groups {
            let mut group = factory.create(&file).unwrap();
            batches.iter().for_each(|rows| group.write(rows).unwrap());
            let chunks = group.end().unwrap();
            let mut in_file = file.next_row_group().unwrap();
            chunks.into_iter().for_each(|chunk| chunk.append_to(&mut in_file).unwrap());
            in_file.close().unwrap();
        }
        file.finish().unwrap();
        Bytes::from(std::mem::take(file.inner_mut()))
    }

    fn open(file: Bytes) -> Reader<Bytes> {
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
        Reader::try_new_with_options(file, options).unwrap()
    }

    /// All rows, or those of a selection, which the reader finds by the index of pages.
    fn read(file: &Bytes, selection: Option<RowSelection>) -> Vec<RecordBatch> {
        let mut reader = open(file.clone()).with_batch_size(1 << 20);
        if let Some(selection) = selection {
            reader = reader.with_row_selection(selection);
        }
        reader.build().unwrap().collect::<Result<_, _>>().unwrap()
    }

    /// What the footer says of the columns.
    fn told(file: &Bytes) -> Vec<String> {
        let reader = open(file.clone());
        let columns = reader.metadata().row_groups().iter().flat_map(RowGroupMetaData::columns);
        let told = |column: &ColumnChunkMetaData| {
            let (path, statistics) = (column.column_path(), column.statistics());
            format!("{path}: {} values, {statistics:?}", column.num_values())
        };
        columns.map(told).collect()
    }

    fn text() -> impl Strategy<Value = Text> {
        let long = "(abc|\u{e9}|\u{7ff}|\u{10ffff}|z){30,70}";
        let text = prop_oneof![4 => "", 4 => "[ab]", 4 => "[a-z]{1,9}", 1 => long];
        prop::option::weighted(0.8, text)
    }

    fn row() -> impl Strategy<Value = Row> {
        let bytes = prop::collection::vec(any::<u8>(), 0..3);
        let list = prop::collection::vec(("[a-c]", text()), 0..4);
        (any::<Option<i64>>(), text(), bytes, list).prop_map(|(number, text, bytes, list)| Row {
            number,
            text,
            bytes,
            list,
        })
    }

    /// Rows of which some repeat, and of which a few are cut off at either end.
    fn batch() -> impl Strategy<Value = RecordBatch> {
        let runs = prop::collection::vec((row(), prop_oneof![Just(1_usize), 1..60_usize]), 0..8);
        (runs, 0..4_usize, 0..4_usize).prop_map(|(runs, front, back)| {
            let rows = runs.into_iter().map(|(row, times)| vec![row; times]);
            let rows = arrays(&rows.flatten().collect::<Vec<_>>());
            let front = front.min(rows.num_rows());
            rows.slice(front, rows.num_rows() - front)
                .slice(0, (rows.num_rows() - front).saturating_sub(back))
        })
    }

    proptest! {
        #[test]
        fn files_have_the_rows_and_the_statistics_that_the_library_writes(
            groups in prop::collection::vec(prop::collection::vec(batch(), 1..4), 1..3),
            page_rows in 1_usize..100,
            selectors in prop::collection::vec((any::<bool>(), 1_usize..50), 1..12),
        ) {
            let has_rows = |batches: &Vec<RecordBatch>| batches.iter().any(|rows| rows.num_rows() > 0);
            prop_assume!(groups.iter().all(has_rows));
            let [ours, library] = [false, true].map(|is_library| file(&groups, page_rows, is_library));
            let all = read(&ours, None);
            prop_assert_eq!(&all, &read(&library, None));
            let num_rows: usize = groups.iter().flatten().map(RecordBatch::num_rows).sum();
            prop_assert_eq!(all.iter().map(RecordBatch::num_rows).sum::<usize>(), num_rows);
            let mut selection = Vec::new();
            let mut left = num_rows;
            for (is_skipped, count) in selectors {
                let count = count.min(left);
                left -= count;
                selection.push(RowSelector { row_count: count, skip: is_skipped });
            }
            let selection = RowSelection::from(selection);
            prop_assert_eq!(read(&ours, Some(selection.clone())), read(&library, Some(selection)));
            prop_assert_eq!(told(&ours), told(&library));
        }
    }

    #[test]
    fn pages_end_before_long_maps_make_them_too_large() {
        let list: Vec<_> =
            (0..50).map(|key| (format!("key {key}"), Some("same".to_owned()))).collect();
        let row = |number: i64, list: &[(String, Text)]| Row {
            number: Some(number),
            text: None,
            bytes: number.to_be_bytes().to_vec(),
            list: list.to_vec(),
        };
        let own = |number: i64| row(number, &[("key".to_owned(), Some(number.to_string()))]);
        let (equal, different) = (vec![row(1, &list); 30_000], (0..30_000).map(own));
        let batches = vec![arrays(&equal), arrays(&different.collect::<Vec<_>>())];
        let groups = [batches];
        let [ours, library] = [false, true].map(|is_library| file(&groups, 65_536, is_library));
        assert_eq!(read(&ours, None), read(&library, None));
        let reader = open(ours);
        let pages = &reader.metadata().offset_index().unwrap()[0];
        let num_pages: Vec<_> = pages.iter().map(|pages| pages.page_locations().len()).collect();
        assert_eq!(num_pages[3..5], [2, 2]);
    }
}
