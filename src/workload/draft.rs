//! Drafting a request: what stays is written, what changes is noted with its place.

use rand::Rng;
use rand::rngs::SmallRng;

use super::fill::Fill;
use crate::data::wire::Writer;
use crate::data::{Value, write_attribute};

/// The bytes of a record's number: room for 34 thousand million records.
pub const ID_BYTES: usize = 5;
/// Field numbers of a `KeyValue`, and of text, numbers and doubles in an `AnyValue`.
const KEY: u32 = 1;
const VALUE: u32 = 2;
const STRING_VALUE: u32 = 1;
const INT_VALUE: u32 = 3;
const DOUBLE_VALUE: u32 = 4;
/// In texts, `#` stands for a digit and `~` for a hexadecimal one.
const DIGIT: u8 = b'#';
const HEX_DIGIT: u8 = b'~';

/// A place in a message that is filled anew in each request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Where it begins.
    pub(super) at: u32,
    /// What goes there.
    pub(super) fill: Fill,
}

/// A message that is being drafted.
#[derive(Debug, Default)]
pub(super) struct Draft {
    writer: Writer,
    slots: Vec<Slot>,
}

impl Draft {
    /// The message with its places.
    pub(super) fn finish(self) -> (Vec<u8>, Vec<Slot>) {
        (self.writer.into_vec(), self.slots)
    }

    /// What stays.
    pub(super) const fn writer(&mut self) -> &mut Writer {
        &mut self.writer
    }

    /// A submessage.
    pub(super) fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let mut inner = Self::default();
        write(&mut inner);
        self.writer.length_prefix(number, inner.writer.len());
        let base = self.position();
        self.writer.raw(inner.writer.as_slice());
        self.slots
            .extend(inner.slots.iter().map(|slot| Slot { at: base + slot.at, fill: slot.fill }));
    }

    /// A field of eight bytes that changes.
    pub(super) fn fixed64(&mut self, number: u32, fill: Fill) {
        self.writer.fixed64_field(number, 0);
        self.note(fill);
    }

    /// An id that changes.
    pub(super) fn id(&mut self, number: u32, fill: Fill) {
        self.writer.length_prefix(number, fill.num_bytes());
        self.place(fill);
    }

    /// Bare bytes that change.
    pub(super) fn place(&mut self, fill: Fill) {
        self.writer.raw(&[0_u8; 16][..fill.num_bytes()]);
        self.note(fill);
    }

    /// An attribute that stays.
    pub(super) fn constant(&mut self, number: u32, key: &str, value: Value<'_>) {
        write_attribute(number, key, value, &mut self.writer);
    }

    /// An attribute with a whole number that changes.
    pub(super) fn int(&mut self, number: u32, key: &str, fill: Fill) {
        self.attribute(number, key, |value| {
            value.writer.varint(u64::from(INT_VALUE) << 3);
            value.place(fill);
        });
    }

    /// An attribute with a double that changes.
    pub(super) fn double(&mut self, number: u32, key: &str, fill: Fill) {
        self.attribute(number, key, |value| value.fixed64(DOUBLE_VALUE, fill));
    }

    /// An attribute with text of which digits change.
    pub(super) fn text(&mut self, number: u32, key: &str, pattern: &str) {
        self.attribute(number, key, |value| value.pattern(STRING_VALUE, pattern));
    }

    /// A field with text of which digits change.
    pub(super) fn pattern(&mut self, number: u32, pattern: &str) {
        self.writer.length_prefix(number, pattern.len());
        for run in pattern.as_bytes().chunk_by(|left, right| left == right) {
            match *run {
                [DIGIT, ..] => self.run(run.len(), Fill::Digits),
                [HEX_DIGIT, ..] => self.run(run.len(), Fill::Hex),
                _ => self.writer.raw(run),
            }
        }
    }

    fn run(&mut self, length: usize, fill: fn(u8) -> Fill) {
        let mut left = length;
        while left > 0 {
            let part = left.min(16);
            self.place(fill(u8::try_from(part).unwrap_or_default()));
            left -= part;
        }
    }

    fn attribute(&mut self, number: u32, key: &str, write: impl FnOnce(&mut Self)) {
        self.message(number, |pair| {
            pair.writer.str_field(KEY, key);
            pair.message(VALUE, write);
        });
    }

    /// The bytes just written change.
    fn note(&mut self, fill: Fill) {
        let length = u32::try_from(fill.num_bytes()).unwrap_or_default();
        self.slots.push(Slot { at: self.position() - length, fill });
    }

    #[expect(clippy::cast_possible_truncation, reason = "requests are far smaller than 4 GiB")]
    const fn position(&self) -> u32 {
        self.writer.len() as u32
    }
}

/// A text that stays: the pattern with digits of one's own.
pub(super) fn settled(pattern: &str, random: &mut SmallRng) -> String {
    let settle = |c| match c {
        '#' => char::from(b'0' + random.random_range(0..10)),
        '~' => char::from(super::fill::HEX[random.random_range(0..16)]),
        other => other,
    };
    pattern.chars().map(settle).collect()
}
