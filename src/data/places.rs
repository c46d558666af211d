//! Where the attributes of a message stand, for many lookups in one message.

use std::ops::Range;

use super::attributes::{split, value_if_named};
use super::wire::Search;

/// Where the attributes of one message stand.
///
/// The message is handed in at every call, and may be changed in between if that is told.
#[derive(Clone, Debug, Default)]
pub struct AttributePlaces {
    /// The number of their fields; 0 when nothing is known.
    number: u32,
    /// The number of the fields that were asked for last.
    asked: u32,
    places: Vec<Place>,
}

/// Where an attribute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    start: usize,
    end: usize,
    /// Of the name.
    key: (usize, usize),
    /// Of the encoded `AnyValue`.
    value: (usize, usize),
}

impl Place {
    /// The place of a `KeyValue` in a message.
    fn new(message: &[u8], (start, end): (usize, usize), pair: &[u8]) -> Self {
        let range = |part: &[u8]| {
            let start = part.as_ptr().addr().wrapping_sub(message.as_ptr().addr());
            if part.is_empty() { (0, 0) } else { (start, start + part.len()) }
        };
        let (key, value) = split(pair);
        Self { start, end, key: range(key), value: range(value) }
    }

    /// Bytes before it became fewer or more.
    fn shift(&mut self, from: usize, to: usize) {
        let shift = |place: &mut usize| *place = *place + to - from;
        let Self { start, end, key, value } = self;
        [start, end].into_iter().for_each(shift);
        for (start, end) in [key, value] {
            if start < end {
                [start, end].into_iter().for_each(shift);
            }
        }
    }
}

/// The place of the last attribute called `key`.
fn scan(message: &[u8], number: u32, key: &str) -> Option<Place> {
    let wanted = u64::from(number) << 3 | 2;
    let mut search = Search::new(message);
    let mut found = None;
    while let Some(hit) = search.hit(|tag| tag == wanted) {
        if value_if_named(hit.payload, key.as_bytes()).is_some() {
            found = Some(Place::new(message, (hit.start, hit.end), hit.payload));
        }
    }
    found
}

impl AttributePlaces {
    /// Forgets what was seen.
    #[inline]
    pub fn forget(&mut self) {
        (self.number, self.asked) = (0, 0);
        self.places.clear();
    }

    /// The encoded `AnyValue` of the last attribute called `key` in the fields of a message that are
    /// called `number`.
    #[must_use]
    #[inline]
    pub fn value(&mut self, message: &[u8], number: u32, key: &str) -> Option<Range<usize>> {
        self.find(message, number, key).map(|place| place.value.0..place.value.1)
    }

    /// The field of that attribute, with its tag.
    #[must_use]
    #[inline]
    pub fn field(&mut self, message: &[u8], number: u32, key: &str) -> Option<Range<usize>> {
        self.find(message, number, key).map(|place| place.start..place.end)
    }

    #[inline]
    fn find(&mut self, message: &[u8], number: u32, key: &str) -> Option<Place> {
        if self.number != number {
            if self.asked != number {
                // Who asks once needs no places.
                self.asked = number;
                return scan(message, number, key);
            }
            self.look(message, number);
        }
        let is_named = |place: &&Place| {
            let (start, end) = place.key;
            end - start == key.len() && message.get(start..end) == Some(key.as_bytes())
        };
        self.places.iter().rfind(is_named).copied()
    }

    fn look(&mut self, message: &[u8], number: u32) {
        self.number = number;
        self.places.clear();
        let wanted = u64::from(number) << 3 | 2;
        let mut search = Search::new(message);
        while let Some(hit) = search.hit(|tag| tag == wanted) {
            self.places.push(Place::new(message, (hit.start, hit.end), hit.payload));
        }
    }

    /// The bytes at `old` made room for `len` others, which are no attributes.
    pub fn replaced(&mut self, old: &Range<usize>, len: usize) {
        if self.number == 0 {
            return;
        }
        self.places.retain(|place| place.end <= old.start || place.start >= old.end);
        let behind = self.places.iter_mut().filter(|place| place.start >= old.end);
        behind.for_each(|place| place.shift(old.len(), len));
    }

    /// `message` has a new attribute at `field`.
    pub fn added(&mut self, message: &[u8], field: Range<usize>) {
        if self.number == 0 {
            return;
        }
        let hit = Search::new(message.get(field.clone()).unwrap_or_default()).hit(|_| true);
        if let Some(hit) = hit {
            let place = Place::new(message, (field.start, field.end), hit.payload);
            let before = self.places.partition_point(|place| place.start < field.start);
            self.places.insert(before, place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::data::wire::Writer;
    use crate::data::{Attributes, Value, write_attribute};

    const NUMBER: u32 = 6;

    fn field(key: &str, value: i64) -> Vec<u8> {
        let mut writer = Writer::default();
        write_attribute(NUMBER, key, Value::Int(value), &mut writer);
        writer.as_slice().to_vec()
    }

    proptest! {
        #[test]
        fn places_are_those_of_a_fresh_look(
            edits in prop::collection::vec((0..4usize, 0..6usize, any::<i64>()), 0..40),
        ) {
            const KEYS: [&str; 6] = ["", "a", "ab", "ba", "long enough for no short form", "b"];
            let mut message = vec![0x08, 1];
            let mut places = AttributePlaces::default();
            for (kind, key, value) in edits {
                let key = KEYS[key];
                let found = places.field(&message, NUMBER, key);
                let new = field(key, value);
                match (kind, found) {
                    (0, Some(old)) => {
                        message.splice(old.clone(), []);
                        places.replaced(&old, 0);
                    }
                    (1, Some(old)) => {
                        let at = old.start..old.start + new.len();
                        places.replaced(&old, new.len());
                        message.splice(old, new);
                        places.added(&message, at);
                    }
                    (2, _) => {
                        let start = message.len();
                        message.extend_from_slice(&new);
                        places.added(&message, start..message.len());
                    }
                    _ => {
                        // A field of another number, in front.
                        message.splice(2..2, [0x08, 2]);
                        places.replaced(&(2..2), 2);
                    }
                }
                let mut fresh = AttributePlaces::default();
                fresh.look(&message, NUMBER);
                prop_assert!(places.number == 0 || places.places == fresh.places);
                let attributes = Attributes::of_message(&message, NUMBER);
                for key in KEYS {
                    let value = places.value(&message, NUMBER, key).map(|range| Value::read(&message[range]));
                    prop_assert_eq!(value, attributes.get(key));
                }
            }
        }
    }
}
