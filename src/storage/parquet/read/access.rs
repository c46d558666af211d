//! Reading values of columns by name and row.

use arrow::array::{
    Array, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeBinaryArray, ListArray,
    MapArray, PrimitiveArray, StringArray, StructArray,
};
use arrow::datatypes::{Int32Type, TimestampMicrosecondType};

use super::super::error::ParquetArchiveError;
use super::super::text::{kind, write_value};
use super::foreign;
use crate::data::wire::Writer;

/// Rows with columns.
pub(super) struct Table<'a> {
    rows: &'a StructArray,
}

impl<'a> Table<'a> {
    pub(super) const fn new(rows: &'a StructArray) -> Self {
        Self { rows }
    }

    pub(super) fn num_rows(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn texts(&self, name: &str) -> Result<Texts<'a>, ParquetArchiveError> {
        Ok(Texts(self.column::<StringArray>(name)?))
    }

    pub(super) fn bytes(&self, name: &str) -> Result<&'a BinaryArray, ParquetArchiveError> {
        self.column(name)
    }

    pub(super) fn ids(&self, name: &str) -> Result<Ids<'a>, ParquetArchiveError> {
        Ok(Ids(self.column::<FixedSizeBinaryArray>(name)?))
    }

    pub(super) fn bools(&self, name: &str) -> Result<&'a BooleanArray, ParquetArchiveError> {
        self.column(name)
    }

    pub(super) fn numbers<T: ArrowPrimitiveType>(
        &self,
        name: &str,
    ) -> Result<Numbers<'a, T>, ParquetArchiveError> {
        Ok(Numbers(self.column::<PrimitiveArray<T>>(name)?))
    }

    pub(super) fn times(&self, name: &str) -> Result<Times<'a>, ParquetArchiveError> {
        Ok(Times { micros: self.numbers(name)?, nanos: self.numbers(&format!("{name}_nanos"))? })
    }

    pub(super) fn lists(&self, name: &str) -> Result<&'a ListArray, ParquetArchiveError> {
        self.column(name)
    }

    pub(super) fn attributes(
        &self,
        name: &str,
        kinds: &str,
    ) -> Result<Attributes<'a>, ParquetArchiveError> {
        let maps = self.column::<MapArray>(name)?;
        let text = |array: &'a dyn Array| {
            array.as_any().downcast_ref::<StringArray>().ok_or_else(|| wrong_type(name))
        };
        let (keys, values) = (text(maps.keys().as_ref())?, text(maps.values().as_ref())?);
        Ok(Attributes { maps, keys, values, kinds: self.column(kinds)? })
    }

    fn column<A: Array + 'static>(&self, name: &str) -> Result<&'a A, ParquetArchiveError> {
        let column = self.rows.column_by_name(name);
        let column = column.ok_or_else(|| foreign(format!("there is no column `{name}`")))?;
        column.as_any().downcast_ref().ok_or_else(|| wrong_type(name))
    }
}

fn wrong_type(name: &str) -> ParquetArchiveError {
    foreign(format!("column `{name}` has another type"))
}

/// The rows of a list.
pub(super) fn rows_of(lists: &ListArray) -> Result<&StructArray, ParquetArchiveError> {
    let rows = lists.values().as_any().downcast_ref();
    rows.ok_or_else(|| foreign("a list of something else than rows"))
}

/// The numbers of a list.
pub(super) fn numbers_of<T: ArrowPrimitiveType>(
    lists: &ListArray,
) -> Result<&PrimitiveArray<T>, ParquetArchiveError> {
    let numbers = lists.values().as_any().downcast_ref();
    numbers.ok_or_else(|| foreign("a list of something else than numbers"))
}

/// Where a list's elements are.
pub(super) fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |index: usize| {
        offsets.get(index).and_then(|offset| usize::try_from(*offset).ok()).unwrap_or_default()
    };
    at(row)..at(row + 1)
}

/// Numbers, or none.
pub(super) struct Numbers<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>);

impl<T: ArrowPrimitiveType> Numbers<'_, T> {
    pub(super) fn maybe(&self, row: usize) -> Option<T::Native> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }

    pub(super) fn number(&self, row: usize) -> T::Native {
        self.maybe(row).unwrap_or_default()
    }
}

/// Text; what is missing is empty.
pub(super) struct Texts<'a>(&'a StringArray);

impl<'a> Texts<'a> {
    pub(super) fn text(&self, row: usize) -> &'a str {
        if self.0.is_valid(row) { self.0.value(row) } else { "" }
    }

    /// Writes the field unless it is empty.
    pub(super) fn write(&self, row: usize, number: u32, writer: &mut Writer) {
        let text = self.text(row);
        if !text.is_empty() {
            writer.str_field(number, text);
        }
    }
}

/// Ids; what is missing is empty.
pub(super) struct Ids<'a>(&'a FixedSizeBinaryArray);

impl Ids<'_> {
    /// Writes the field unless there is none.
    pub(super) fn write(&self, row: usize, number: u32, writer: &mut Writer) {
        if self.0.is_valid(row) {
            writer.bytes_field(number, self.0.value(row));
        }
    }
}

/// Moments.
pub(super) struct Times<'a> {
    micros: Numbers<'a, TimestampMicrosecondType>,
    nanos: Numbers<'a, Int32Type>,
}

impl Times<'_> {
    /// Nanoseconds since the Unix epoch; 0 if it is not known.
    pub(super) fn nanos(&self, row: usize) -> u64 {
        let micros = self.micros.number(row).cast_unsigned();
        let rest = u64::from(self.nanos.number(row).unsigned_abs());
        micros.wrapping_mul(1000).wrapping_add(rest)
    }

    /// Writes the field unless it is not known.
    pub(super) fn write(&self, row: usize, number: u32, writer: &mut Writer) {
        let nanos = self.nanos(row);
        if nanos != 0 {
            writer.fixed64_field(number, nanos);
        }
    }
}

/// Writes a number of variable length unless it is 0.
pub(super) fn write_varint(number: u32, value: i64, writer: &mut Writer) {
    if value != 0 {
        writer.varint_field(number, value.cast_unsigned());
    }
}

/// Writes the four bytes of flags unless they are 0.
pub(super) fn write_fixed32(number: u32, value: i64, writer: &mut Writer) {
    match u32::try_from(value) {
        Ok(bits) if bits != 0 => writer.fixed32_field(number, bits),
        _ => {}
    }
}

/// Attributes with the kinds of their values.
pub(super) struct Attributes<'a> {
    maps: &'a MapArray,
    keys: &'a StringArray,
    values: &'a StringArray,
    kinds: &'a BinaryArray,
}

impl Attributes<'_> {
    /// Writes the attributes of a row as fields called `number`.
    pub(super) fn write(
        &self,
        row: usize,
        number: u32,
        writer: &mut Writer,
    ) -> Result<(), ParquetArchiveError> {
        let range = range(self.maps.value_offsets(), row);
        let kinds = self.kinds.value(row);
        if kinds.len() != range.len() {
            return Err(foreign("attributes and their kinds differ in number"));
        }
        for (index, value_kind) in range.zip(kinds) {
            let pair = writer.begin(number);
            let key = self.keys.value(index);
            if !key.is_empty() {
                writer.str_field(1, key);
            }
            if *value_kind != kind::ABSENT {
                let value = writer.begin(2);
                let text = if self.values.is_valid(index) { self.values.value(index) } else { "" };
                write_value(*value_kind, text, writer)
                    .map_err(|error| foreign(error.to_string()))?;
                writer.end(value);
            }
            writer.end(pair);
        }
        Ok(())
    }
}
