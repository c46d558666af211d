//! Rows back as data points.

use arrow::array::{BinaryArray, BooleanArray, ListArray};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type};

use super::super::error::ParquetArchiveError;
use super::access::{
    Attributes, Ids, Numbers, Table, Texts, Times, numbers_of, range, rows_of, write_varint,
};
use super::foreign;
use super::logs::write_unknown;
use crate::data::wire::Writer;
use crate::data::{DataKind, MetricsBuilder};

/// A metric whose points are being gathered.
#[derive(Default)]
pub(super) struct Open {
    /// The metric's fields other than its data.
    about: Vec<u8>,
    /// The fields of its data other than points.
    about_data: Vec<u8>,
    kind: Option<DataKind>,
    points: Writer,
    num_points: usize,
}

impl Open {
    /// Adds the metric to the request, if it has points.
    pub(super) fn end(&mut self, builder: &mut MetricsBuilder) {
        if let Some(kind) = self.kind.filter(|_| self.num_points > 0) {
            let mut writer = Writer::append_to(std::mem::take(&mut self.about));
            self.points.raw(&self.about_data);
            writer.bytes_field(kind.field_number(), self.points.as_slice());
            builder.encoded(writer.as_slice(), self.num_points);
        }
        *self = Self::default();
    }
}

/// The columns of data points.
pub(super) struct Reader<'a> {
    metric: Metrics<'a>,
    time: Times<'a>,
    start_time: Times<'a>,
    value_int: Numbers<'a, Int64Type>,
    value_double: Numbers<'a, Float64Type>,
    flags: Numbers<'a, Int64Type>,
    count: Numbers<'a, Int64Type>,
    sum: Numbers<'a, Float64Type>,
    min: Numbers<'a, Float64Type>,
    max: Numbers<'a, Float64Type>,
    bucket_counts: &'a ListArray,
    explicit_bounds: &'a ListArray,
    scale: Numbers<'a, Int32Type>,
    zero_count: Numbers<'a, Int64Type>,
    zero_threshold: Numbers<'a, Float64Type>,
    positive: Side<'a>,
    negative: Side<'a>,
    quantiles: Quantiles<'a>,
    exemplars: Exemplars<'a>,
    attributes: Attributes<'a>,
    unknown: &'a BinaryArray,
}

impl<'a> Reader<'a> {
    pub(super) fn try_new(table: &Table<'a>) -> Result<Self, ParquetArchiveError> {
        Ok(Self {
            metric: Metrics::try_new(table)?,
            time: table.times("time")?,
            start_time: table.times("start_time")?,
            value_int: table.numbers("value_int")?,
            value_double: table.numbers("value_double")?,
            flags: table.numbers("flags")?,
            count: table.numbers("count")?,
            sum: table.numbers("sum")?,
            min: table.numbers("min")?,
            max: table.numbers("max")?,
            bucket_counts: table.lists("bucket_counts")?,
            explicit_bounds: table.lists("explicit_bounds")?,
            scale: table.numbers("scale")?,
            zero_count: table.numbers("zero_count")?,
            zero_threshold: table.numbers("zero_threshold")?,
            positive: Side::try_new(table, "positive")?,
            negative: Side::try_new(table, "negative")?,
            quantiles: Quantiles::try_new(table.lists("quantiles")?)?,
            exemplars: Exemplars::try_new(table.lists("exemplars")?)?,
            attributes: table.attributes("attributes", "attribute_kinds")?,
            unknown: table.bytes("unknown_fields")?,
        })
    }

    /// Adds the point of a row to the open metric, or to a new one.
    pub(super) fn write(
        &self,
        row: usize,
        open: &mut Open,
        builder: &mut MetricsBuilder,
    ) -> Result<(), ParquetArchiveError> {
        let (about, about_data, kind) = self.metric.about(row)?;
        if (&open.about, &open.about_data, open.kind) != (&about, &about_data, Some(kind)) {
            open.end(builder);
            *open = Open { about, about_data, kind: Some(kind), ..Open::default() };
        }
        let point = open.points.begin(1);
        match kind {
            DataKind::Gauge | DataKind::Sum => self.number(row, &mut open.points)?,
            DataKind::Histogram => self.histogram(row, &mut open.points)?,
            DataKind::ExponentialHistogram => self.exponential(row, &mut open.points)?,
            DataKind::Summary => self.summary(row, &mut open.points)?,
        }
        write_unknown(self.unknown, row, &mut open.points);
        open.points.end(point);
        open.num_points += 1;
        Ok(())
    }

    fn write_times(&self, row: usize, writer: &mut Writer) {
        self.start_time.write(row, 2, writer);
        self.time.write(row, 3, writer);
    }

    fn number(&self, row: usize, writer: &mut Writer) -> Result<(), ParquetArchiveError> {
        self.write_times(row, writer);
        write_maybe_double(4, self.value_double.maybe(row), writer);
        self.exemplars.write(row, 5, writer)?;
        if let Some(value) = self.value_int.maybe(row) {
            writer.fixed64_field(6, value.cast_unsigned());
        }
        self.attributes.write(row, 7, writer)?;
        write_varint(8, self.flags.number(row), writer);
        Ok(())
    }

    fn histogram(&self, row: usize, writer: &mut Writer) -> Result<(), ParquetArchiveError> {
        self.write_times(row, writer);
        write_fixed64(4, self.count.number(row), writer);
        write_maybe_double(5, self.sum.maybe(row), writer);
        let counts = numbers_of::<Int64Type>(self.bucket_counts)?;
        let counts = range(self.bucket_counts.value_offsets(), row).map(|at| counts.value(at));
        write_packed(6, counts.map(i64::cast_unsigned), writer);
        let bounds = numbers_of::<Float64Type>(self.explicit_bounds)?;
        let bounds = range(self.explicit_bounds.value_offsets(), row).map(|at| bounds.value(at));
        write_packed(7, bounds.map(f64::to_bits), writer);
        self.exemplars.write(row, 8, writer)?;
        self.attributes.write(row, 9, writer)?;
        write_varint(10, self.flags.number(row), writer);
        write_maybe_double(11, self.min.maybe(row), writer);
        write_maybe_double(12, self.max.maybe(row), writer);
        Ok(())
    }

    fn exponential(&self, row: usize, writer: &mut Writer) -> Result<(), ParquetArchiveError> {
        self.attributes.write(row, 1, writer)?;
        self.write_times(row, writer);
        write_fixed64(4, self.count.number(row), writer);
        write_maybe_double(5, self.sum.maybe(row), writer);
        writer.sint_field(6, self.scale.number(row));
        write_fixed64(7, self.zero_count.number(row), writer);
        self.positive.write(row, 8, writer)?;
        self.negative.write(row, 9, writer)?;
        write_varint(10, self.flags.number(row), writer);
        self.exemplars.write(row, 11, writer)?;
        write_maybe_double(12, self.min.maybe(row), writer);
        write_maybe_double(13, self.max.maybe(row), writer);
        writer.double_field(14, self.zero_threshold.number(row));
        Ok(())
    }

    fn summary(&self, row: usize, writer: &mut Writer) -> Result<(), ParquetArchiveError> {
        self.write_times(row, writer);
        write_fixed64(4, self.count.number(row), writer);
        writer.double_field(5, self.sum.number(row));
        self.quantiles.write(row, writer);
        self.attributes.write(row, 7, writer)?;
        write_varint(8, self.flags.number(row), writer);
        Ok(())
    }
}

fn write_maybe_double(number: u32, value: Option<f64>, writer: &mut Writer) {
    if let Some(value) = value {
        writer.double_field(number, value);
    }
}

fn write_fixed64(number: u32, value: i64, writer: &mut Writer) {
    if value != 0 {
        writer.fixed64_field(number, value.cast_unsigned());
    }
}

fn write_packed(number: u32, values: impl ExactSizeIterator<Item = u64>, writer: &mut Writer) {
    if values.len() > 0 {
        writer.length_prefix(number, values.len() * 8);
        values.for_each(|value| writer.raw(&value.to_le_bytes()));
    }
}

/// The columns of what points of a metric share.
struct Metrics<'a> {
    name: Texts<'a>,
    description: Texts<'a>,
    unit: Texts<'a>,
    data_kind: Texts<'a>,
    temporality: Numbers<'a, Int32Type>,
    is_monotonic: &'a BooleanArray,
    metadata: Attributes<'a>,
}

impl<'a> Metrics<'a> {
    fn try_new(table: &Table<'a>) -> Result<Self, ParquetArchiveError> {
        Ok(Self {
            name: table.texts("metric_name")?,
            description: table.texts("metric_description")?,
            unit: table.texts("metric_unit")?,
            data_kind: table.texts("metric_type")?,
            temporality: table.numbers("aggregation_temporality")?,
            is_monotonic: table.bools("is_monotonic")?,
            metadata: table.attributes("metric_metadata", "metric_metadata_kinds")?,
        })
    }

    /// The metric's fields other than its data, those of its data other than points, its kind.
    fn about(&self, row: usize) -> Result<(Vec<u8>, Vec<u8>, DataKind), ParquetArchiveError> {
        let mut writer = Writer::default();
        self.name.write(row, 1, &mut writer);
        self.description.write(row, 2, &mut writer);
        self.unit.write(row, 3, &mut writer);
        self.metadata.write(row, 12, &mut writer)?;
        let kind = match self.data_kind.text(row) {
            "gauge" => DataKind::Gauge,
            "sum" => DataKind::Sum,
            "histogram" => DataKind::Histogram,
            "exponential_histogram" => DataKind::ExponentialHistogram,
            "summary" => DataKind::Summary,
            other => return Err(foreign(format!("`{other}` is no type of metric"))),
        };
        let mut data = Writer::default();
        write_varint(2, i64::from(self.temporality.number(row)), &mut data);
        write_varint(3, i64::from(self.is_monotonic.value(row)), &mut data);
        Ok((writer.into_vec(), data.into_vec(), kind))
    }
}

/// The columns of buckets on one side of 0.
struct Side<'a> {
    offset: Numbers<'a, Int32Type>,
    counts: &'a ListArray,
}

impl<'a> Side<'a> {
    fn try_new(table: &Table<'a>, side: &str) -> Result<Self, ParquetArchiveError> {
        Ok(Self {
            offset: table.numbers(&format!("{side}_offset"))?,
            counts: table.lists(&format!("{side}_bucket_counts"))?,
        })
    }

    fn write(
        &self,
        row: usize,
        number: u32,
        writer: &mut Writer,
    ) -> Result<(), ParquetArchiveError> {
        let Some(offset) = self.offset.maybe(row) else { return Ok(()) };
        let buckets = writer.begin(number);
        writer.sint_field(1, offset);
        let range = range(self.counts.value_offsets(), row);
        if !range.is_empty() {
            let counts = numbers_of::<Int64Type>(self.counts)?;
            let packed = writer.begin(2);
            range.for_each(|at| writer.varint(counts.value(at).cast_unsigned()));
            writer.end(packed);
        }
        writer.end(buckets);
        Ok(())
    }
}

/// The columns of quantiles.
struct Quantiles<'a> {
    lists: &'a ListArray,
    quantile: Numbers<'a, Float64Type>,
    value: Numbers<'a, Float64Type>,
}

impl<'a> Quantiles<'a> {
    fn try_new(lists: &'a ListArray) -> Result<Self, ParquetArchiveError> {
        let table = Table::new(rows_of(lists)?);
        Ok(Self { lists, quantile: table.numbers("quantile")?, value: table.numbers("value")? })
    }

    fn write(&self, row: usize, writer: &mut Writer) {
        for index in range(self.lists.value_offsets(), row) {
            writer.message(6, |writer| {
                writer.double_field(1, self.quantile.number(index));
                writer.double_field(2, self.value.number(index));
            });
        }
    }
}

/// The columns of exemplars.
struct Exemplars<'a> {
    lists: &'a ListArray,
    time: Times<'a>,
    value_int: Numbers<'a, Int64Type>,
    value_double: Numbers<'a, Float64Type>,
    trace_id: Ids<'a>,
    span_id: Ids<'a>,
    attributes: Attributes<'a>,
}

impl<'a> Exemplars<'a> {
    fn try_new(lists: &'a ListArray) -> Result<Self, ParquetArchiveError> {
        let table = Table::new(rows_of(lists)?);
        Ok(Self {
            lists,
            time: table.times("time")?,
            value_int: table.numbers("value_int")?,
            value_double: table.numbers("value_double")?,
            trace_id: table.ids("trace_id")?,
            span_id: table.ids("span_id")?,
            attributes: table.attributes("filtered_attributes", "filtered_attribute_kinds")?,
        })
    }

    fn write(
        &self,
        row: usize,
        number: u32,
        writer: &mut Writer,
    ) -> Result<(), ParquetArchiveError> {
        for index in range(self.lists.value_offsets(), row) {
            let exemplar = writer.begin(number);
            self.time.write(index, 2, writer);
            write_maybe_double(3, self.value_double.maybe(index), writer);
            self.span_id.write(index, 4, writer);
            self.trace_id.write(index, 5, writer);
            if let Some(value) = self.value_int.maybe(index) {
                writer.fixed64_field(6, value.cast_unsigned());
            }
            self.attributes.write(index, 7, writer)?;
            writer.end(exemplar);
        }
        Ok(())
    }
}
