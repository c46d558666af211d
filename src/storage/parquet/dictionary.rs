//! Values of a column, each once.

use std::collections::HashMap;
use std::ops::Range;

use foldhash::fast::RandomState;

/// About what the tables hold of a value, beside its bytes.
const ENTRY_BYTES: usize = 48;

/// Different values, numbered in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    numbers: HashMap<Box<[u8]>, u32, RandomState>,
    /// The values as a Parquet page has them: the length of each before it.
    page: Vec<u8>,
    places: Vec<Range<usize>>,
}

impl Dictionary {
    /// The number of a value.
    pub(super) fn number(&mut self, value: &[u8]) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        // A row group has fewer rows, and a value at most 2 GiB.
        let number = u32::try_from(self.places.len()).unwrap_or(u32::MAX);
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.page.extend_from_slice(&length.to_le_bytes());
        self.places.push(self.page.len()..self.page.len() + value.len());
        self.page.extend_from_slice(value);
        self.numbers.insert(value.into(), number);
        number
    }

    /// The value that has this number.
    pub(super) fn value(&self, number: u32) -> &[u8] {
        let place = self.places.get(number as usize).cloned();
        place.and_then(|place| self.page.get(place)).unwrap_or_default()
    }

    /// How many bits the greatest number has.
    pub(super) fn width(&self) -> u32 {
        usize::BITS - self.places.len().saturating_sub(1).leading_zeros()
    }

    /// How many values there are.
    pub(super) const fn len(&self) -> usize {
        self.places.len()
    }

    /// The page.
    pub(super) fn page(&self) -> &[u8] {
        &self.page
    }

    /// About the memory that it takes.
    pub(super) fn memory_bytes(&self) -> usize {
        self.page.capacity() + self.page.len() + self.places.len() * ENTRY_BYTES
    }
}
