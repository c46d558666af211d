//! A message that statements read and write: its bytes, copied when it is written first.

use std::cell::RefCell;
use std::ops::Range;

use crate::data::AttributePlaces;
use crate::data::wire::{Fields, Writer};

/// A message.
///
/// Reading costs what reading a view costs; a write moves the bytes behind it, which for messages
/// of some hundred bytes is less than keeping track of changes.
#[derive(Debug, Default)]
pub struct Slot<'a> {
    original: &'a [u8],
    buffer: Vec<u8>,
    is_edited: bool,
    places: RefCell<AttributePlaces>,
}

impl<'a> Slot<'a> {
    /// Looks at another message.
    #[inline]
    pub fn load(&mut self, message: &'a [u8]) {
        self.original = message;
        self.is_edited = false;
        self.places.get_mut().forget();
    }

    /// Puts another message in the place of this one.
    pub fn replace_message(&mut self, message: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(message);
        self.is_edited = true;
        self.places.get_mut().forget();
    }

    /// The message as it is now.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        if self.is_edited { &self.buffer } else { self.original }
    }

    /// The message as it was.
    #[must_use]
    pub const fn original(&self) -> &'a [u8] {
        self.original
    }

    /// Whether anything was written.
    #[must_use]
    pub const fn is_edited(&self) -> bool {
        self.is_edited
    }

    /// The message, if anything was written.
    #[must_use]
    pub fn edited(&self) -> Option<&[u8]> {
        self.is_edited.then_some(&self.buffer)
    }

    /// Empties the message.
    pub fn clear(&mut self) {
        self.load(&[]);
    }

    /// Puts `field`, an encoded field called `number`, in the place of the field of that number.
    pub fn set_field(&mut self, number: u32, field: &[u8]) {
        let found = Fields::new(self.bytes()).first(number);
        match found.map(|found| found.start..found.end) {
            Some(range) => self.replace(range.start, range.end, field),
            None => self.append(field),
        }
    }

    /// Takes out all fields called `number`.
    pub fn clear_field(&mut self, number: u32) {
        while let Some(field) = Fields::new(self.bytes()).first(number) {
            let (start, end) = (field.start, field.end);
            self.replace(start, end, &[]);
        }
    }

    /// Puts any number of encoded fields called `number` in the place of all of that number.
    pub fn replace_all(&mut self, number: u32, fields: &[u8]) {
        self.clear_field(number);
        self.append(fields);
        self.places.get_mut().forget();
    }

    /// The encoded `AnyValue` of an attribute in a field called `number`.
    #[must_use]
    #[inline]
    pub fn attribute(&self, number: u32, key: &str) -> Option<&[u8]> {
        let bytes = self.bytes();
        bytes.get(self.places.borrow_mut().value(bytes, number, key)?)
    }

    /// Gives an attribute in a field called `number` an encoded `AnyValue`.
    pub fn set_attribute(&mut self, number: u32, key: &str, value: &[u8], scratch: &mut Writer) {
        scratch.clear();
        crate::data::write_encoded(number, key, value, scratch);
        let new = scratch.as_slice();
        let start = match self.find(number, key) {
            Some(old) => {
                self.replace(old.start, old.end, new);
                old.start
            }
            None => {
                self.append(new);
                self.buffer.len() - new.len()
            }
        };
        self.places.get_mut().added(&self.buffer, start..start + new.len());
    }

    /// Takes out an attribute, as often as it is there; returns whether it was.
    pub fn remove_attribute(&mut self, number: u32, key: &str) -> bool {
        let mut was_there = false;
        while let Some(field) = self.find(number, key) {
            self.replace(field.start, field.end, &[]);
            was_there = true;
        }
        was_there
    }

    /// Where the last attribute of a name stands.
    fn find(&mut self, number: u32, key: &str) -> Option<Range<usize>> {
        let bytes = if self.is_edited { &self.buffer } else { self.original };
        self.places.get_mut().field(bytes, number, key)
    }

    fn append(&mut self, new: &[u8]) {
        if !new.is_empty() {
            self.edit().extend_from_slice(new);
        }
    }

    fn replace(&mut self, start: usize, end: usize, new: &[u8]) {
        self.places.get_mut().replaced(&(start..end), new.len());
        let buffer = self.edit();
        let (old_len, old_end) = (end - start, buffer.len());
        if new.len() > old_len {
            buffer.resize(old_end + new.len() - old_len, 0);
        }
        if new.len() != old_len {
            buffer.copy_within(end..old_end, start + new.len());
            buffer.truncate(old_end + new.len() - old_len);
        }
        if let Some(place) = buffer.get_mut(start..start + new.len()) {
            place.copy_from_slice(new);
        }
    }

    fn edit(&mut self) -> &mut Vec<u8> {
        if !self.is_edited {
            self.buffer.clear();
            self.buffer.extend_from_slice(self.original);
            self.is_edited = true;
        }
        &mut self.buffer
    }
}
