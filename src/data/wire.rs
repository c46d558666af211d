//! Protobuf's wire format: fields read as borrowed slices, and a writer that fills in lengths.
//!
//! Reading here never fails: what is behind the door was checked there, and anything else simply
//! ends the message early.

use bytes::Bytes;

/// The number of bytes that are kept free for a length until it is known.
const LENGTH_GUESS: usize = 1;

/// What a field holds, by its wire type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Raw<'a> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes, little-endian.
    Fixed64(u64),
    /// Bytes with a length before them: text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes, little-endian.
    Fixed32(u32),
}

/// The payload of the first field called `number` that has a length.
#[must_use]
#[inline]
pub fn payload(message: &[u8], number: u32) -> Option<&[u8]> {
    Search::new(message).bytes(number)
}

/// The bits of the first field called `number` that is a number.
#[must_use]
#[inline]
pub fn number(message: &[u8], number: u32) -> Option<u64> {
    Search::new(message).bits(number)
}

/// A field of a message and where it stands in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// The field's number.
    pub number: u32,
    /// Where its tag begins.
    pub start: usize,
    /// Where its tag ends.
    pub tag_end: usize,
    /// Where the field ends.
    pub end: usize,
    /// What it holds.
    pub value: Raw<'a>,
}

impl<'a> Field<'a> {
    /// The bytes of text, bytes, a message or packed numbers; empty for numbers.
    #[must_use]
    #[inline]
    pub const fn bytes(&self) -> &'a [u8] {
        match self.value {
            Raw::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The number as its bits; 0 for what is no number.
    #[must_use]
    #[inline]
    pub const fn bits(&self) -> u64 {
        match self.value {
            Raw::Varint(bits) | Raw::Fixed64(bits) => bits,
            Raw::Fixed32(bits) => bits as u64,
            Raw::Bytes(_) => 0,
        }
    }

    /// Where the payload begins, behind tag and length.
    #[must_use]
    #[inline]
    pub const fn payload_start(&self) -> usize {
        self.end - self.bytes().len()
    }
}

/// The fields of a message in their order on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    message: &'a [u8],
    position: usize,
}

impl<'a> Fields<'a> {
    /// The fields of an encoded message.
    #[must_use]
    #[inline]
    pub const fn new(message: &'a [u8]) -> Self {
        Self { message, position: 0 }
    }

    /// The first field called `number`.
    #[must_use]
    #[inline]
    pub fn first(self, number: u32) -> Option<Field<'a>> {
        let mut fields = self;
        fields.find(|field| field.number == number)
    }

    #[inline]
    fn read(&self) -> Option<Field<'a>> {
        let start = self.position;
        let (tag, tag_end) = read_varint(self.message, start)?;
        let number = u32::try_from(tag >> 3).ok()?;
        let (value, end) = match tag & 7 {
            0 => {
                let (value, end) = read_varint(self.message, tag_end)?;
                (Raw::Varint(value), end)
            }
            1 => {
                let bytes = self.message.get(tag_end..)?.first_chunk::<8>()?;
                (Raw::Fixed64(u64::from_le_bytes(*bytes)), tag_end + 8)
            }
            2 => {
                let (length, payload) = read_varint(self.message, tag_end)?;
                let end = payload.checked_add(usize::try_from(length).ok()?)?;
                (Raw::Bytes(self.message.get(payload..end)?), end)
            }
            5 => {
                let bytes = self.message.get(tag_end..)?.first_chunk::<4>()?;
                (Raw::Fixed32(u32::from_le_bytes(*bytes)), tag_end + 4)
            }
            _ => return None,
        };
        Some(Field { number, start, tag_end, end, value })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        if self.position >= self.message.len() {
            return None;
        }
        match self.read() {
            Some(field) => {
                self.position = field.end;
                Some(field)
            }
            None => {
                self.position = self.message.len();
                None
            }
        }
    }
}

/// A field with a length and where it stands in its message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit<'a> {
    pub(super) number: u64,
    pub(super) start: usize,
    pub(super) tag_end: usize,
    pub(super) payload_start: usize,
    pub(super) end: usize,
    pub(super) payload: &'a [u8],
}

/// Goes through a message for fields of one number; faster than [`Fields`], which tells more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    message: &'a [u8],
    position: usize,
}

impl<'a> Search<'a> {
    /// A search from the beginning of an encoded message.
    #[inline]
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { message, position: 0 }
    }

    /// The payload of the next field called `number` that has a length.
    #[inline]
    pub(super) fn bytes(&mut self, number: u32) -> Option<&'a [u8]> {
        let wanted = u64::from(number) << 3 | 2;
        self.hit(|tag| tag == wanted).map(|hit| hit.payload)
    }

    /// The next field with a length for whose tag `is_wanted` holds.
    #[inline]
    pub(super) fn hit(&mut self, is_wanted: impl Fn(u64) -> bool) -> Option<Hit<'a>> {
        while let Some((tag, tag_end)) = read_varint(self.message, self.position) {
            let start = self.position;
            if tag & 7 != 2 {
                self.position = self.skip_number(tag, tag_end)?;
                continue;
            }
            let (length, payload_start) = read_varint(self.message, tag_end)?;
            let end = payload_start.checked_add(usize::try_from(length).ok()?)?;
            self.position = end;
            if is_wanted(tag) {
                let payload = self.message.get(payload_start..end)?;
                return Some(Hit { number: tag >> 3, start, tag_end, payload_start, end, payload });
            }
        }
        None
    }

    /// The bits of the next field called `number` that is a number.
    #[inline]
    pub(super) fn bits(&mut self, number: u32) -> Option<u64> {
        while let Some((tag, position)) = read_varint(self.message, self.position) {
            if tag & 7 == 2 {
                let (length, start) = read_varint(self.message, position)?;
                self.position = start.checked_add(usize::try_from(length).ok()?)?;
                continue;
            }
            self.position = self.skip_number(tag, position)?;
            if tag >> 3 == u64::from(number) {
                return self.number_at(tag, position);
            }
        }
        None
    }

    /// Where the number behind `tag` ends.
    #[inline]
    fn skip_number(&self, tag: u64, position: usize) -> Option<usize> {
        match tag & 7 {
            0 => read_varint(self.message, position).map(|(_, end)| end),
            1 => Some(position + 8),
            5 => Some(position + 4),
            _ => None,
        }
    }

    #[inline]
    fn number_at(&self, tag: u64, position: usize) -> Option<u64> {
        match tag & 7 {
            0 => read_varint(self.message, position).map(|(value, _)| value),
            1 => {
                let bytes = self.message.get(position..)?.first_chunk::<8>()?;
                Some(u64::from_le_bytes(*bytes))
            }
            5 => {
                let bytes = self.message.get(position..)?.first_chunk::<4>()?;
                Some(u64::from(u32::from_le_bytes(*bytes)))
            }
            _ => None,
        }
    }
}

/// Reads a varint at `position`; returns it and where it ends.
#[inline]
pub fn read_varint(bytes: &[u8], position: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(position)?;
    if first < 0x80 {
        return Some((u64::from(first), position + 1));
    }
    let second = *bytes.get(position + 1)?;
    if second < 0x80 {
        return Some((u64::from(first & 0x7f) | u64::from(second) << 7, position + 2));
    }
    read_long_varint(bytes, position)
}

#[inline(never)]
fn read_long_varint(bytes: &[u8], position: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for (index, byte) in bytes.get(position..)?.iter().take(10).enumerate() {
        // The tenth byte has room for one bit.
        if index == 9 && *byte > 1 {
            return None;
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if *byte < 0x80 {
            return Some((value, position + index + 1));
        }
    }
    None
}

/// How many bytes a varint takes.
#[must_use]
#[inline]
pub const fn varint_len(value: u64) -> usize {
    ((63 - (value | 1).leading_zeros()) as usize * 9 + 73) / 64
}

/// How many bytes a field with a length takes: tag, length and payload.
#[must_use]
#[inline]
pub const fn bytes_field_len(number: u32, payload: usize) -> usize {
    varint_len((number as u64) << 3) + varint_len(payload as u64) + payload
}

/// A submessage that is being written.
#[derive(Debug)]
#[must_use = "a message that is begun must be ended"]
pub struct Mark {
    length_at: usize,
    reserved: usize,
}

/// Writes fields into a growing buffer.
#[derive(Clone, Debug, Default)]
pub struct Writer {
    buffer: Vec<u8>,
}

impl Writer {
    /// An empty writer with room for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { buffer: Vec::with_capacity(capacity) }
    }

    /// A writer that goes on behind the contents of `buffer`.
    #[must_use]
    pub const fn append_to(buffer: Vec<u8>) -> Self {
        Self { buffer }
    }

    /// The number of bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The number of bytes that there is memory for.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// What was written.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.buffer
    }

    /// Forgets what was written; keeps the memory.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Takes out what was written.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.buffer
    }

    /// Takes out what was written.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        Bytes::from(self.buffer)
    }

    /// Writes bytes that are encoded already.
    #[inline]
    pub fn raw(&mut self, encoded: &[u8]) {
        self.buffer.extend_from_slice(encoded);
    }

    /// Writes a bare varint.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    pub fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.buffer.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.buffer.push(value as u8);
    }

    /// Writes a varint field.
    #[inline]
    pub fn varint_field(&mut self, number: u32, value: u64) {
        self.tag(number, 0);
        self.varint(value);
    }

    /// Writes a signed number as a zigzag varint field.
    pub fn sint_field(&mut self, number: u32, value: i32) {
        let bits = (value << 1) ^ (value >> 31);
        self.varint_field(number, u64::from(bits.cast_unsigned()));
    }

    /// Writes a field of eight bytes.
    #[inline]
    pub fn fixed64_field(&mut self, number: u32, value: u64) {
        self.tag(number, 1);
        self.raw(&value.to_le_bytes());
    }

    /// Writes a double.
    pub fn double_field(&mut self, number: u32, value: f64) {
        self.fixed64_field(number, value.to_bits());
    }

    /// Writes a field of four bytes.
    pub fn fixed32_field(&mut self, number: u32, value: u32) {
        self.tag(number, 5);
        self.raw(&value.to_le_bytes());
    }

    /// Writes text, bytes, or a message that is encoded already.
    #[inline]
    pub fn bytes_field(&mut self, number: u32, payload: &[u8]) {
        self.length_prefix(number, payload.len());
        self.raw(payload);
    }

    /// Writes text.
    #[inline]
    pub fn str_field(&mut self, number: u32, text: &str) {
        self.bytes_field(number, text.as_bytes());
    }

    /// Writes tag and length of a field whose payload comes next.
    #[inline]
    pub fn length_prefix(&mut self, number: u32, length: usize) {
        self.tag(number, 2);
        self.varint(length as u64);
    }

    /// Begins a submessage of unknown length; end it with [`Writer::end`].
    pub fn begin(&mut self, number: u32) -> Mark {
        self.begin_sized(number, LENGTH_GUESS)
    }

    /// Begins a submessage of about `expected` bytes; a good guess saves moving them at the end.
    pub fn begin_about(&mut self, number: u32, expected: usize) -> Mark {
        self.begin_sized(number, varint_len(expected as u64))
    }

    /// Ends the submessage that was begun last.
    #[expect(clippy::needless_pass_by_value, reason = "a mark is used once")]
    pub fn end(&mut self, mark: Mark) {
        let payload = mark.length_at + mark.reserved;
        let length = self.buffer.len().saturating_sub(payload);
        let needed = varint_len(length as u64);
        if needed > mark.reserved {
            let missing = needed - mark.reserved;
            self.buffer.resize(self.buffer.len() + missing, 0);
            self.buffer.copy_within(payload..payload + length, payload + missing);
        }
        if needed < mark.reserved {
            self.buffer.copy_within(payload..payload + length, mark.length_at + needed);
            self.buffer.truncate(mark.length_at + needed + length);
        }
        let mut value = length as u64;
        for (index, byte) in self.buffer.iter_mut().skip(mark.length_at).take(needed).enumerate() {
            let more = if index + 1 < needed { 0x80 } else { 0 };
            *byte = (value & 0x7f) as u8 | more;
            value >>= 7;
        }
    }

    /// Writes a submessage whose fields `write` writes.
    pub fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        let mark = self.begin(number);
        write(self);
        self.end(mark);
    }

    #[inline]
    fn tag(&mut self, number: u32, wire_type: u64) {
        self.varint(u64::from(number) << 3 | wire_type);
    }

    fn begin_sized(&mut self, number: u32, reserved: usize) -> Mark {
        self.tag(number, 2);
        let length_at = self.buffer.len();
        self.buffer.resize(length_at + reserved, 0);
        Mark { length_at, reserved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varint_length_is_that_of_the_written_varint() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1_u64 << shift) - 1, u64::MAX >> shift] {
                let mut writer = Writer::default();
                writer.varint(value);
                assert_eq!(writer.len(), varint_len(value), "{value}");
                assert_eq!(read_varint(writer.as_slice(), 0), Some((value, writer.len())));
            }
        }
    }

    #[test]
    fn varint_over_64_bits_is_not_read() {
        assert_eq!(read_varint(&[0xff; 11], 0), None);
        let mut overflow = [0xff; 10];
        overflow[9] = 2;
        assert_eq!(read_varint(&overflow, 0), None);
        overflow[9] = 1;
        assert_eq!(read_varint(&overflow, 0), Some((u64::MAX, 10)));
    }

    #[test]
    fn ended_message_has_the_shortest_length_whatever_was_expected() {
        for length in [0, 1, 127, 128, 16_383, 16_384, 70_000] {
            for expected in [0, 200, 20_000, 3_000_000] {
                let mut writer = Writer::default();
                let mark = writer.begin_about(3, expected);
                writer.raw(&vec![7; length]);
                writer.end(mark);
                let mut plain = Writer::default();
                plain.bytes_field(3, &vec![7; length]);
                assert_eq!(writer.as_slice(), plain.as_slice());
                assert_eq!(writer.len(), bytes_field_len(3, length));
            }
        }
    }

    #[test]
    fn fields_tell_where_they_stand() {
        let mut writer = Writer::default();
        writer.varint_field(1, 300);
        writer.fixed64_field(2, 5);
        writer.str_field(20, "ab");
        writer.fixed32_field(4, 6);
        let fields: Vec<Field<'_>> = Fields::new(writer.as_slice()).collect();
        assert_eq!(fields.len(), 4);
        assert_eq!(fields[0].value, Raw::Varint(300));
        assert_eq!((fields[1].start, fields[1].bits(), fields[1].end), (3, 5, 12));
        assert_eq!((fields[2].number, fields[2].bytes()), (20, b"ab".as_slice()));
        assert_eq!((fields[2].start, fields[2].tag_end, fields[2].payload_start()), (12, 14, 15));
        assert_eq!(fields[3].value, Raw::Fixed32(6));
    }

    #[test]
    fn cut_off_message_ends_early() {
        let mut writer = Writer::default();
        writer.varint_field(1, 1);
        writer.str_field(2, "hello");
        let cut = &writer.as_slice()[..6];
        assert_eq!(Fields::new(cut).count(), 1);
    }
}
