//! Columns while they are being filled; memory goes over into the arrays.

use std::sync::Arc;

use arrow::array::NullBufferBuilder;
use arrow::array::{
    Array as _, ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, FixedSizeBinaryArray,
    ListArray, MapArray, PrimitiveArray, StructArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, FieldRef, Fields, Int32Type, TimestampMicrosecondType};

use super::schema;
use crate::data::Time;

/// Arrays of a column, or of columns that belong together.
pub(super) type Arrays = Vec<ArrayRef>;

/// Which rows have a value.
#[derive(Debug)]
struct Presence(NullBufferBuilder);

impl Default for Presence {
    fn default() -> Self {
        Self(NullBufferBuilder::new(0))
    }
}

impl Presence {
    fn push(&mut self, is_there: bool) {
        self.0.append(is_there);
    }

    fn finish(&mut self) -> Option<NullBuffer> {
        self.0.finish()
    }
}

/// Numbers.
#[derive(Debug)]
pub(super) struct Numbers<T: ArrowPrimitiveType> {
    values: Vec<T::Native>,
    presence: Presence,
}

impl<T: ArrowPrimitiveType> Default for Numbers<T> {
    fn default() -> Self {
        Self { values: Vec::new(), presence: Presence::default() }
    }
}

impl<T: ArrowPrimitiveType> Numbers<T> {
    pub(super) fn push(&mut self, value: T::Native) {
        self.values.push(value);
        self.presence.push(true);
    }

    /// Adds a number so many times.
    pub(super) fn push_n(&mut self, value: T::Native, times: usize) {
        self.values.resize(self.values.len() + times, value);
        self.presence.0.append_n_non_nulls(times);
    }

    pub(super) fn push_maybe(&mut self, value: Option<T::Native>) {
        self.values.push(value.unwrap_or_default());
        self.presence.push(value.is_some());
    }

    pub(super) const fn len(&self) -> usize {
        self.values.len()
    }

    fn take(&mut self) -> PrimitiveArray<T> {
        let values = renew(&mut self.values);
        PrimitiveArray::new(ScalarBuffer::from(values), self.presence.finish())
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(self.take())
    }
}

/// Takes the values out, with room for as many in their place.
fn renew<T>(values: &mut Vec<T>) -> Vec<T> {
    let capacity = values.len();
    std::mem::replace(values, Vec::with_capacity(capacity))
}

/// Moments: microseconds, and the nanoseconds that are left.
#[derive(Debug, Default)]
pub(super) struct Times {
    micros: Numbers<TimestampMicrosecondType>,
    nanos: Numbers<Int32Type>,
}

impl Times {
    pub(super) fn push(&mut self, time: Time) {
        let nanos = time.as_unix_nanos();
        let micros = (nanos / 1000).cast_signed();
        self.micros.push_maybe(Some(micros).filter(|_| nanos != 0));
        self.nanos.push(i32::try_from(nanos % 1000).unwrap_or_default());
    }

    pub(super) fn finish(&mut self) -> Arrays {
        vec![Arc::new(self.micros.take().with_timezone("UTC")), self.nanos.finish()]
    }
}

/// Truth values.
#[derive(Debug, Default)]
pub(super) struct Bools(Vec<bool>);

impl Bools {
    pub(super) fn push(&mut self, value: bool) {
        self.0.push(value);
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        Arc::new(BooleanArray::from(renew(&mut self.0)))
    }
}

/// Text or bytes.
#[derive(Debug)]
pub(super) struct Texts {
    ends: Vec<i32>,
    bytes: Vec<u8>,
    presence: Presence,
}

impl Default for Texts {
    fn default() -> Self {
        Self { ends: vec![0], bytes: Vec::new(), presence: Presence::default() }
    }
}

impl Texts {
    pub(super) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.end();
    }

    /// Adds a value that is missing when it is empty, as in Protocol Buffers.
    pub(super) fn push_unless_empty(&mut self, value: &[u8]) {
        if value.is_empty() {
            return self.push_none();
        }
        self.push(value);
    }

    pub(super) fn push_none(&mut self) {
        self.ends.push(self.position());
        self.presence.push(false);
    }

    /// What the value that is being written is appended to; [`Texts::end`] ends it.
    pub(super) const fn open(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(super) fn end(&mut self) {
        self.ends.push(self.position());
        self.presence.push(true);
    }

    /// Adds the last `count` values again, so many times.
    pub(super) fn repeat(&mut self, count: usize, times: usize) {
        let first = self.len().saturating_sub(count);
        let start = self.ends.get(first).map_or(0, |end| offset(*end));
        let end = self.bytes.len();
        let length = i32::try_from(end - start).unwrap_or(i32::MAX);
        self.bytes.reserve((end - start) * times);
        self.ends.reserve(count * times);
        for _ in 0..times {
            self.bytes.extend_from_within(start..end);
            for index in self.ends.len() - count..self.ends.len() {
                let end = self.ends.get(index).copied().unwrap_or_default();
                self.ends.push(end.saturating_add(length));
            }
        }
        let is_there = |index: usize| self.presence.0.is_valid(index);
        if (first..first + count).all(is_there) {
            return self.presence.0.append_n_non_nulls(count * times);
        }
        for _ in 0..times {
            for index in first..first + count {
                let is_there = self.presence.0.is_valid(index);
                self.presence.push(is_there);
            }
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.ends.len() - 1
    }

    pub(super) const fn size_bytes(&self) -> usize {
        self.bytes.len() + self.len() * size_of::<i32>()
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let capacity = self.ends.len();
        let ends = std::mem::replace(&mut self.ends, Vec::with_capacity(capacity));
        self.ends.push(0);
        // They begin with 0 and never fall.
        let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
        let bytes = Buffer::from_vec(renew(&mut self.bytes));
        Arc::new(BinaryArray::new(ends, bytes, self.presence.finish()))
    }

    fn position(&self) -> i32 {
        // Rows are written long before that; see the limits of `Rows`.
        i32::try_from(self.bytes.len()).unwrap_or(i32::MAX)
    }
}

fn offset(end: i32) -> usize {
    usize::try_from(end).unwrap_or_default()
}

/// Ids of `N` bytes, or none.
#[derive(Debug, Default)]
pub(super) struct Ids<const N: usize> {
    bytes: Vec<u8>,
    presence: Presence,
}

impl<const N: usize> Ids<N> {
    /// Adds an id; what has another length is none.
    pub(super) fn push(&mut self, id: &[u8]) {
        match <&[u8; N]>::try_from(id) {
            Ok(id) => {
                self.bytes.extend_from_slice(id);
                self.presence.push(true);
            }
            Err(_) => {
                self.bytes.extend_from_slice(&[0; N]);
                self.presence.push(false);
            }
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let bytes = Buffer::from_vec(renew(&mut self.bytes));
        let length = i32::try_from(N).unwrap_or_default();
        Arc::new(FixedSizeBinaryArray::new(length, bytes, self.presence.finish()))
    }
}

/// Where lists end among their elements.
#[derive(Debug)]
pub(super) struct Lists(Vec<i32>);

impl Default for Lists {
    fn default() -> Self {
        Self(vec![0])
    }
}

impl Lists {
    /// Ends a list behind the first `length` elements.
    pub(super) fn end(&mut self, length: usize) {
        self.0.push(i32::try_from(length).unwrap_or(i32::MAX));
    }

    /// Adds the last list again, so many times; answers how many elements it has.
    pub(super) fn repeat(&mut self, times: usize) -> usize {
        let count = self.last_len();
        let end = offset(self.0.last().copied().unwrap_or_default());
        for number in 1..=times {
            self.end(end + count * number);
        }
        count
    }

    /// How many elements the last list has.
    fn last_len(&self) -> usize {
        let mut last = self.0.iter().rev();
        let (end, start) = (last.next().copied(), last.next().copied());
        offset(end.unwrap_or_default().saturating_sub(start.unwrap_or_default()))
    }

    fn take(&mut self) -> OffsetBuffer<i32> {
        let ends = renew(&mut self.0);
        self.0.push(0);
        OffsetBuffer::new(ScalarBuffer::from(ends))
    }

    pub(super) fn finish(&mut self, element: FieldRef, elements: ArrayRef) -> ArrayRef {
        let elements = self.cut(elements);
        Arc::new(ListArray::new(element, self.take(), elements, None))
    }

    /// The elements up to the last end; a panic may have left more.
    fn cut(&self, elements: ArrayRef) -> ArrayRef {
        let end = offset(self.0.last().copied().unwrap_or_default());
        if elements.len() > end { elements.slice(0, end) } else { elements }
    }

    pub(super) fn finish_rows(&mut self, fields: Fields, columns: Arrays) -> ArrayRef {
        let columns = columns.into_iter().map(|column| self.cut(column)).collect();
        let rows = StructArray::new(fields, columns, None);
        let element = arrow::datatypes::Field::new("element", rows.data_type().clone(), false);
        self.finish(Arc::new(element), Arc::new(rows))
    }

    pub(super) fn finish_map(&mut self, keys: ArrayRef, values: ArrayRef) -> ArrayRef {
        let entries = schema::map_entries();
        let DataType::Struct(fields) = entries.data_type() else {
            return arrow::array::new_empty_array(entries.data_type());
        };
        let pairs = StructArray::new(fields.clone(), vec![self.cut(keys), self.cut(values)], None);
        Arc::new(MapArray::new(entries, self.take(), pairs, None, false))
    }
}

/// Lists of numbers.
#[derive(Debug)]
pub(super) struct NumberLists<T: ArrowPrimitiveType> {
    lists: Lists,
    numbers: Numbers<T>,
}

impl<T: ArrowPrimitiveType> Default for NumberLists<T> {
    fn default() -> Self {
        Self { lists: Lists::default(), numbers: Numbers::default() }
    }
}

impl<T: ArrowPrimitiveType> NumberLists<T> {
    pub(super) fn push(&mut self, numbers: impl Iterator<Item = T::Native>) {
        for number in numbers {
            self.numbers.push(number);
        }
        self.lists.end(self.numbers.len());
    }

    pub(super) fn finish(&mut self, element: FieldRef) -> ArrayRef {
        let numbers = self.numbers.finish();
        self.lists.finish(element, numbers)
    }
}
