//! Which attributes have values that hardly ever come twice.

use std::collections::HashMap;

use twox_hash::XxHash64;

/// Values that are remembered of an attribute, each in the place that its hash tells.
const PLACES: usize = 256;

/// Before so many values were seen, it is not known how varied they are.
const MIN_SEEN: u32 = 256;

/// Then all counts are halved, so that what came long ago counts less.
const MAX_SEEN: u32 = 4096;

/// Attributes that are watched.
const MAX_NAMES: usize = 64;

/// What was seen of the values of some attributes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Varieties {
    by_name: HashMap<u64, Variety, foldhash::fast::RandomState>,
}

/// What was seen of the values of an attribute.
#[derive(Clone, Debug)]
struct Variety {
    places: Box<[u64; PLACES]>,
    seen: u32,
    /// Those of them that were not remembered.
    new: u32,
}

impl Varieties {
    /// Takes notice of a value; whether most values of this attribute are new.
    pub(crate) fn is_varied(&mut self, name: &str, value: &[u8]) -> bool {
        let name = XxHash64::oneshot(0, name.as_bytes());
        if self.by_name.len() >= MAX_NAMES && !self.by_name.contains_key(&name) {
            return false;
        }
        let none = || Variety { places: Box::new([0; PLACES]), seen: 0, new: 0 };
        self.by_name.entry(name).or_insert_with(none).see(XxHash64::oneshot(0, value))
    }
}

impl Variety {
    fn see(&mut self, hash: u64) -> bool {
        let place = usize::from(hash.to_le_bytes()[0]);
        if let Some(known) = self.places.get_mut(place)
            && *known != hash
        {
            *known = hash;
            self.new += 1;
        }
        self.seen += 1;
        if self.seen >= MAX_SEEN {
            self.seen /= 2;
            self.new /= 2;
        }
        self.seen >= MIN_SEEN && self.new > self.seen / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_varied_where_most_are_new() {
        let mut varieties = Varieties::default();
        for number in 0..10_000_u32 {
            let is_varied = varieties.is_varied("all new", &number.to_le_bytes());
            assert_eq!(is_varied, number + 1 >= MIN_SEEN);
            assert!(!varieties.is_varied("some", &(number % 50).to_le_bytes()));
        }
        for number in 0..10_000_u32 {
            varieties.is_varied("all new", &(number % 7).to_le_bytes());
        }
        assert!(!varieties.is_varied("all new", &[1]));
        for number in 0..1000_u32 {
            let name = number.to_string();
            assert!(!varieties.is_varied(&name, &number.to_le_bytes()));
        }
        assert_eq!(varieties.by_name.len(), MAX_NAMES);
    }
}
