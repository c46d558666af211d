//! A message to be written: attributes and single fields, each write a splice.

use std::ops::Range;

use super::super::attributes::{split, value_if_named, write_attribute, write_encoded};
use super::super::value::text_of;
use super::super::wire::{Fields, Hit, Search, Writer};
use super::super::{Attributes, Value};
use super::patch::{New, Patch, Patches};
use super::{AttributeEdit, AttributesMut};

/// A message of a batch that is being rewritten; fields that nobody writes stay byte for byte.
///
/// Reading attributes here shows what was written already.
#[derive(Debug)]
pub struct MessageMut<'a, 'p> {
    message: &'a [u8],
    /// Where the message begins in its chunk.
    at: usize,
    /// The number of the field that holds attributes.
    attributes: u32,
    patches: &'p mut Patches,
    /// The index of this message's first patch.
    first: usize,
}

impl<'a, 'p> MessageMut<'a, 'p> {
    pub(super) fn new(
        message: &'a [u8],
        at: usize,
        attributes: u32,
        patches: &'p mut Patches,
    ) -> Self {
        let first = patches.len();
        Self { message, at, attributes, patches, first }
    }

    /// The message as it was, encoded.
    #[must_use]
    pub const fn original(&self) -> &'a [u8] {
        self.message
    }

    /// Whether anything was written.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.patches.since(self.first).is_empty()
    }

    /// The message with all that was written, encoded; a copy.
    #[must_use]
    pub fn current(&self) -> Vec<u8> {
        let mut patches: Vec<&Patch> = self.patches.since(self.first).iter().collect();
        patches.sort_by_key(|patch| patch.start);
        let mut current = Vec::with_capacity(self.message.len());
        let mut position = 0;
        for patch in patches {
            let (start, end) = (patch.start - self.at, patch.end - self.at);
            current.extend_from_slice(self.message.get(position..start).unwrap_or_default());
            current.extend_from_slice(self.patches.new_bytes(patch.new));
            position = end;
        }
        current.extend_from_slice(self.message.get(position..).unwrap_or_default());
        current
    }

    /// Puts `message`, an encoded message of the same kind, in the place of all of it.
    pub fn replace_message(&mut self, message: &[u8]) {
        self.patches.truncate(self.first);
        let new = self.patches.write(|writer| writer.raw(message));
        let (start, end) = (self.at, self.at + self.message.len());
        self.patches.push(Patch { start, end, number: 0, new });
    }

    /// The attributes, to be written.
    pub const fn attributes_mut(&mut self) -> AttributesMut<'_, 'a, 'p> {
        let number = self.attributes;
        AttributesMut::new(self, number)
    }

    /// Puts `field`, an encoded field called `number`, in the place of the field of that number.
    pub fn set_field(&mut self, number: u32, field: &[u8]) {
        self.write_field(number, |writer| writer.raw(field));
    }

    /// Writes a varint.
    pub fn set_varint(&mut self, number: u32, value: u64) {
        self.write_field(number, |writer| writer.varint_field(number, value));
    }

    /// Writes a number of eight bytes.
    pub fn set_fixed64(&mut self, number: u32, value: u64) {
        self.write_field(number, |writer| writer.fixed64_field(number, value));
    }

    /// Writes a number of four bytes.
    pub fn set_fixed32(&mut self, number: u32, value: u32) {
        self.write_field(number, |writer| writer.fixed32_field(number, value));
    }

    /// Writes text, bytes, or an encoded submessage.
    pub fn set_bytes(&mut self, number: u32, payload: &[u8]) {
        self.write_field(number, |writer| writer.bytes_field(number, payload));
    }

    /// Writes an `AnyValue`.
    pub fn set_value(&mut self, number: u32, value: Value<'_>) {
        self.write_field(number, |writer| value.write_field(number, writer));
    }

    /// Takes out all fields called `number`.
    pub fn clear_field(&mut self, number: u32) {
        let first = self.first;
        for patch in self.patches.since_mut(first).iter_mut().filter(|patch| patch.number == number)
        {
            patch.new = New::Nothing;
        }
        for field in Fields::new(self.message).filter(|field| field.number == number) {
            if !self.is_patched(field.start..field.end) {
                self.replace(field.start..field.end, number, New::Nothing);
            }
        }
    }

    /// Calls `edit` with each submessage called `number`, whose own attributes are its fields
    /// called `attributes`; those for which it returns false are taken out.
    pub fn edit_messages(
        &mut self,
        number: u32,
        attributes: u32,
        mut edit: impl FnMut(&mut MessageMut<'_, '_>) -> bool,
    ) {
        let current = self.current();
        let mut is_changed = false;
        let mut written = Writer::default();
        for field in Fields::new(&current).filter(|field| field.number == number) {
            let message = field.bytes();
            let mut patches = Patches::default();
            let is_kept = edit(&mut MessageMut::new(message, 0, attributes, &mut patches));
            is_changed |= !is_kept || !patches.is_empty();
            if is_kept {
                let growth = patches.seal(0);
                written.bytes_field(number, &patches.apply(message, growth));
            }
        }
        if is_changed {
            self.replace_all(number, written.as_slice());
        }
    }

    /// Puts `encoded`, any number of encoded fields called `number`, in the place of all fields of
    /// that number.
    pub fn replace_all(&mut self, number: u32, encoded: &[u8]) {
        self.clear_field(number);
        if !encoded.is_empty() {
            let new = self.patches.write(|writer| writer.raw(encoded));
            self.append(number, new);
        }
    }

    /// The attributes called `number` as they were.
    pub(super) const fn original_attributes(&self, number: u32) -> Attributes<'a> {
        Attributes::new(self.message, number)
    }

    /// The encoded value of the attribute called `key`, as it is now.
    pub(super) fn attribute(&self, number: u32, key: &str) -> Option<&[u8]> {
        if let Some(index) = self.written_attribute(number, key) {
            let patch = self.patches.since(self.first).get(index)?;
            return pair_of(self.patches.new_bytes(patch.new))
                .and_then(|pair| value_if_named(pair, key.as_bytes()));
        }
        let field = self.unpatched_attributes(number, key).last()?;
        value_if_named(field.payload, key.as_bytes())
    }

    /// Writes an attribute: in the place of the last one of that name, else behind all others.
    pub(super) fn set_attribute(&mut self, number: u32, key: &str, value: Value<'_>) {
        let new = self.patches.write(|writer| write_attribute(number, key, value, writer));
        self.place_attribute(number, key, new);
    }

    /// Writes an attribute with an encoded value.
    pub(super) fn set_encoded_attribute(&mut self, number: u32, key: &str, value: &[u8]) {
        let new = self.patches.write(|writer| write_encoded(number, key, value, writer));
        self.place_attribute(number, key, new);
    }

    /// Gives `to` the value of `from`; returns whether that is there.
    pub(super) fn copy_attribute(&mut self, number: u32, from: &str, to: &str) -> bool {
        if self.written_attribute(number, from).is_some() {
            let Some(value) = self.attribute(number, from).map(<[u8]>::to_vec) else {
                return false;
            };
            self.set_encoded_attribute(number, to, &value);
            return true;
        }
        let field = self.unpatched_attributes(number, from).last();
        let value = field.and_then(|field| value_if_named(field.payload, from.as_bytes()));
        if let Some(value) = value {
            self.set_encoded_attribute(number, to, value);
        }
        value.is_some()
    }

    /// Takes out all attributes called `key`; returns whether there were any.
    pub(super) fn remove_attribute(&mut self, number: u32, key: &str) -> bool {
        let mut is_removed = false;
        while let Some(index) = self.written_attribute(number, key) {
            let first = self.first;
            if let Some(patch) = self.patches.since_mut(first).get_mut(index) {
                patch.new = New::Nothing;
            }
            is_removed = true;
        }
        let wanted = u64::from(number) << 3 | 2;
        let mut search = Search::new(self.message);
        while let Some(field) = search.hit(|tag| tag == wanted) {
            if value_if_named(field.payload, key.as_bytes()).is_some()
                && !self.is_patched(field.start..field.end)
            {
                self.replace(field.start..field.end, number, New::Nothing);
                is_removed = true;
            }
        }
        is_removed
    }

    /// Calls `edit` with each attribute as it was that nothing was written over.
    pub(super) fn edit_attributes(
        &mut self,
        number: u32,
        mut edit: impl FnMut(&'a str, Value<'a>) -> AttributeEdit,
    ) {
        let was_changed = self.is_changed();
        let wanted = u64::from(number) << 3 | 2;
        let mut search = Search::new(self.message);
        while let Some(field) = search.hit(|tag| tag == wanted) {
            let range = field.start..field.end;
            if was_changed && self.is_patched(range.clone()) {
                continue;
            }
            let (key, value) = split(field.payload);
            let key = text_of(key);
            let new = match edit(key, Value::read(value)) {
                AttributeEdit::Keep => continue,
                AttributeEdit::Remove => New::Nothing,
                AttributeEdit::Replace(value) => {
                    self.patches.write(|writer| write_encoded(number, key, &value, writer))
                }
            };
            self.replace(range, number, new);
        }
    }

    fn place_attribute(&mut self, number: u32, key: &str, new: New) {
        if let Some(index) = self.written_attribute(number, key) {
            let first = self.first;
            if let Some(patch) = self.patches.since_mut(first).get_mut(index) {
                patch.new = new;
            }
            return;
        }
        match self.unpatched_attributes(number, key).last() {
            Some(field) => self.replace(field.start..field.end, number, new),
            None => self.append(number, new),
        }
    }

    /// The index of the patch that holds the attribute called `key`.
    fn written_attribute(&self, number: u32, key: &str) -> Option<usize> {
        self.patches.since(self.first).iter().rposition(|patch| {
            patch.number == number
                && pair_of(self.patches.new_bytes(patch.new))
                    .is_some_and(|pair| value_if_named(pair, key.as_bytes()).is_some())
        })
    }

    /// The attributes called `key` that nothing was written over.
    fn unpatched_attributes(&self, number: u32, key: &str) -> impl Iterator<Item = Hit<'a>> {
        let wanted = u64::from(number) << 3 | 2;
        let mut search = Search::new(self.message);
        std::iter::from_fn(move || search.hit(|tag| tag == wanted)).filter(|field| {
            value_if_named(field.payload, key.as_bytes()).is_some()
                && !self.is_patched(field.start..field.end)
        })
    }

    fn is_patched(&self, range: Range<usize>) -> bool {
        let (start, end) = (self.at + range.start, self.at + range.end);
        let patches = self.patches.since(self.first);
        patches.iter().any(|patch| patch.start == start && patch.end == end)
    }

    fn write_field(&mut self, number: u32, write: impl FnOnce(&mut Writer)) {
        let new = self.patches.write(write);
        let first = self.first;
        let mut written = self.patches.since_mut(first).iter_mut();
        if let Some(patch) = written.find(|patch| patch.number == number) {
            patch.new = new;
            return;
        }
        match Fields::new(self.message).first(number) {
            Some(field) => self.replace(field.start..field.end, number, new),
            None => self.append(number, new),
        }
    }

    fn replace(&mut self, range: Range<usize>, number: u32, new: New) {
        let (start, end) = (self.at + range.start, self.at + range.end);
        self.patches.push(Patch { start, end, number, new });
    }

    fn append(&mut self, number: u32, new: New) {
        let end = self.at + self.message.len();
        self.patches.push(Patch { start: end, end, number, new });
    }
}

/// The `KeyValue` in a field that was written.
fn pair_of(field: &[u8]) -> Option<&[u8]> {
    Fields::new(field).next().map(|field| field.bytes())
}
