//! Least and greatest values of text, cut short as bounds.

use parquet::data_type::ByteArray;
use parquet::file::statistics::{Statistics, ValueStatistics};

/// Bounds have at most so many bytes.
const MAX_BYTES: usize = 64;

/// The least and the greatest of values, byte by byte.
#[derive(Clone, Debug, Default)]
pub(super) struct ValueRange(Option<(Vec<u8>, Vec<u8>)>);

/// A bound, and whether it is a value.
pub(super) type Bound = (Vec<u8>, bool);

impl ValueRange {
    /// Extends it by a value.
    pub(super) fn add(&mut self, value: &[u8]) {
        let Some((least, greatest)) = &mut self.0 else {
            self.0 = Some((value.to_vec(), value.to_vec()));
            return;
        };
        if value < least.as_slice() {
            *least = value.to_vec();
        } else if value > greatest.as_slice() {
            *greatest = value.to_vec();
        }
    }

    /// Extends it by another.
    pub(super) fn join(&mut self, other: &Self) {
        if let Some((least, greatest)) = &other.0 {
            self.add(least);
            self.add(greatest);
        }
    }

    /// What no value is less than, and none greater, in at most 64 bytes where that can be.
    pub(super) fn bounds(&self) -> Option<(Bound, Bound)> {
        let (least, greatest) = self.0.as_ref()?;
        Some((lower(least), upper(greatest)))
    }

    /// What the footer says of a column chunk with such values and so many missing.
    pub(super) fn statistics(&self, num_nulls: u64) -> Statistics {
        let (least, greatest) = self.bounds().unzip();
        let is_exact = |bound: &Option<Bound>| bound.as_ref().is_some_and(|bound| bound.1);
        let (is_least_exact, is_greatest_exact) = (is_exact(&least), is_exact(&greatest));
        let bytes = |bound: Option<Bound>| bound.map(|(bytes, _)| ByteArray::from(bytes));
        let statistics =
            ValueStatistics::new(bytes(least), bytes(greatest), None, Some(num_nulls), false);
        let statistics = statistics.with_min_is_exact(is_least_exact);
        Statistics::from(statistics.with_max_is_exact(is_greatest_exact))
    }
}

/// The beginning of text, at most [`MAX_BYTES`].
fn beginning(text: &str) -> &str {
    text.split_at_checked(text.floor_char_boundary(MAX_BYTES)).map_or("", |(start, _)| start)
}

fn lower(value: &[u8]) -> Bound {
    match std::str::from_utf8(value) {
        Ok(text) if value.len() > MAX_BYTES => (beginning(text).as_bytes().to_vec(), false),
        _ => (value.to_vec(), true),
    }
}

/// A value, or a text that is greater than all which begin as it does.
fn upper(value: &[u8]) -> Bound {
    let exact = || (value.to_vec(), true);
    let Ok(text) = std::str::from_utf8(value) else { return exact() };
    if text.len() <= MAX_BYTES {
        return exact();
    }
    let start = beginning(text);
    for (at, char) in start.char_indices().rev() {
        let next = char::from_u32(u32::from(char) + 1);
        if let Some(next) = next.filter(|next| next.len_utf8() == char.len_utf8()) {
            let mut bound = start.as_bytes().get(..at).unwrap_or_default().to_vec();
            bound.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
            return (bound, false);
        }
    }
    exact()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn short_values_are_bounds_themselves() {
        let mut range = ValueRange::default();
        assert!(range.bounds().is_none());
        for value in ["m", "a", "z", ""] {
            range.add(value.as_bytes());
        }
        assert_eq!(range.bounds(), Some(((vec![], true), (b"z".to_vec(), true))));
    }

    proptest! {
        #[test]
        fn bounds_of_long_values_are_text_and_bounds(
            values in prop::collection::vec("(a|\u{7f}|é|\u{7ff}|\u{d7ff}|\u{10ffff}){20,100}", 1..4),
        ) {
            let mut range = ValueRange::default();
            values.iter().for_each(|value| range.add(value.as_bytes()));
            let (least, greatest) = range.bounds().unwrap();
            for (bound, is_value) in [&least, &greatest] {
                prop_assert!(std::str::from_utf8(bound).is_ok());
                prop_assert_eq!(*is_value, values.iter().any(|value| value.as_bytes() == bound));
            }
            for value in &values {
                prop_assert!(least.0.as_slice() <= value.as_bytes());
                prop_assert!(greatest.0.as_slice() >= value.as_bytes());
            }
            prop_assert!(least.0.len() <= MAX_BYTES);
        }
    }
}
