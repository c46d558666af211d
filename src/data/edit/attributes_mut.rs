//! Attributes to be written.

use super::super::wire::Writer;
use super::super::{Attributes, Value};
use super::MessageMut;

/// The attributes of a message that is being rewritten; reading shows what was written already.
#[derive(Debug)]
pub struct AttributesMut<'e, 'a, 'p> {
    message: &'e mut MessageMut<'a, 'p>,
    number: u32,
}

/// What becomes of one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeEdit {
    /// It stays byte for byte.
    Keep,
    /// It is taken out.
    Remove,
    /// It gets this encoded value, an `AnyValue` such as [`Value::write`] makes.
    Replace(Vec<u8>),
}

impl<'e, 'a, 'p> AttributesMut<'e, 'a, 'p> {
    pub(super) const fn new(message: &'e mut MessageMut<'a, 'p>, number: u32) -> Self {
        Self { message, number }
    }

    /// The attributes as they were.
    #[must_use]
    pub const fn original(&self) -> Attributes<'a> {
        self.message.original_attributes(self.number)
    }

    /// The value of the last attribute called `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'_>> {
        self.message.attribute(self.number, key).map(Value::read)
    }

    /// Whether there is an attribute called `key`.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        self.message.attribute(self.number, key).is_some()
    }

    /// Gives `key` a value, whether it is there or not (`upsert`). Where it is, it keeps its place;
    /// where it is there more than once, the last one is written, which lookups answer.
    pub fn set(&mut self, key: &str, value: Value<'_>) {
        self.message.set_attribute(self.number, key, value);
    }

    /// Gives `key` an encoded value, an `AnyValue` such as [`Value::write`] makes; as
    /// [`AttributesMut::set`].
    pub fn set_encoded(&mut self, key: &str, value: &[u8]) {
        self.message.set_encoded_attribute(self.number, key, value);
    }

    /// Gives `key` a value if it is not there; returns whether it was not.
    pub fn insert(&mut self, key: &str, value: Value<'_>) -> bool {
        let is_new = !self.contains(key);
        if is_new {
            self.set(key, value);
        }
        is_new
    }

    /// Gives `key` another value if it is there; returns whether it was.
    pub fn update(&mut self, key: &str, value: Value<'_>) -> bool {
        let is_there = self.contains(key);
        if is_there {
            self.set(key, value);
        }
        is_there
    }

    /// Takes `key` out, as often as it is there; returns whether it was.
    pub fn remove(&mut self, key: &str) -> bool {
        self.message.remove_attribute(self.number, key)
    }

    /// Gives `to` the value of `from`; returns whether that is there.
    pub fn copy(&mut self, from: &str, to: &str) -> bool {
        self.message.copy_attribute(self.number, from, to)
    }

    /// Takes out the attributes for which `keep` does not hold, a name that is there more than once
    /// with all its values; returns whether there were any.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, Value<'_>) -> bool) -> bool {
        if !self.message.is_changed() {
            return self.remove_all(self.original(), keep);
        }
        let current = self.message.current();
        self.remove_all(Attributes::new(&current, self.number), &mut keep)
    }

    /// Calls `edit` once with each name that is there, in order, and the attributes to be written.
    pub fn for_each_name(&mut self, mut edit: impl FnMut(&str, &mut Self)) {
        if !self.message.is_changed() {
            return self.for_each_name_of(self.original(), edit);
        }
        let current = self.message.current();
        self.for_each_name_of(Attributes::new(&current, self.number), &mut edit);
    }

    /// Calls `edit` with each attribute in order as it was, also with those of a name that is there
    /// more than once; what was written before is not shown.
    pub fn edit_each(&mut self, edit: impl FnMut(&'a str, Value<'a>) -> AttributeEdit) {
        self.message.edit_attributes(self.number, edit);
    }

    fn remove_all(
        &mut self,
        attributes: Attributes<'_>,
        mut keep: impl FnMut(&str, Value<'_>) -> bool,
    ) -> bool {
        let mut is_changed = false;
        for (key, value) in attributes.iter() {
            if !keep(key, value) {
                is_changed |= self.remove(key);
            }
        }
        is_changed
    }

    fn for_each_name_of(
        &mut self,
        attributes: Attributes<'_>,
        mut edit: impl FnMut(&str, &mut Self),
    ) {
        for (index, (key, _)) in attributes.iter().enumerate() {
            if !attributes.iter().take(index).any(|(earlier, _)| earlier == key) {
                edit(key, self);
            }
        }
    }

    /// Puts these attributes in the place of all.
    pub fn replace_all(&mut self, attributes: Attributes<'_>) {
        let mut encoded = Writer::default();
        for pair in attributes.raw() {
            encoded.bytes_field(self.number, pair);
        }
        self.message.replace_all(self.number, encoded.as_slice());
    }
}
