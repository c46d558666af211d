//! What is in a node: entries, elements, and a choice among variants.

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor, value::StrDeserializer,
};

use super::{
    Entry, Map, Node,
    de::{NodeDeserializer, Path, Position},
    read_error::ReadError,
};

/// The entries of a map; with `fields`, those that a struct has.
pub(super) struct Fields<'b, 'a> {
    pub(super) outer: &'b NodeDeserializer<'b, 'a>,
    pub(super) entries: &'a [Entry],
    pub(super) value: Option<&'a Entry>,
    pub(super) fields: Option<&'static [&'static str]>,
}

impl Fields<'_, '_> {
    fn is_read(&self, entry: &Entry) -> bool {
        let Some(fields) = self.fields else {
            return self.outer.notes.borrow().left_out(&entry.node).is_none();
        };
        let map = self.outer.node.as_map();
        let splits = map.map(Map::splits).unwrap_or_default();
        let is_taken = splits.iter().any(|split| split.under == entry.key) && !entry.is_split();
        fields.contains(&entry.key.as_str())
            && !is_taken
            && self.outer.notes.borrow().left_out(&entry.node).is_none()
    }
}

impl<'a> MapAccess<'a> for Fields<'_, 'a> {
    type Error = ReadError;

    fn next_key_seed<K: DeserializeSeed<'a>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ReadError> {
        while let Some((entry, rest)) = self.entries.split_first() {
            self.entries = rest;
            if self.is_read(entry) {
                self.value = Some(entry);
                let key: StrDeserializer<'_, ReadError> = entry.key.as_str().into_deserializer();
                let key = seed.deserialize(key);
                return key.map(Some).map_err(|error| {
                    error.at(&entry.node, &Path::Key(&self.outer.path, &entry.key))
                });
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, ReadError> {
        let Some(entry) = self.value.take() else { return Err(ReadError::null()) };
        let position = if self.fields.is_some() { Position::Field } else { Position::Element };
        if entry.is_split() {
            let path = Path::Same(&self.outer.path);
            return self.outer.read_within(seed, (&entry.node, path, position));
        }
        let path = Path::Key(&self.outer.path, &entry.key);
        self.outer.read_within(seed, (&entry.node, path, position))
    }
}

/// The elements of a list.
pub(super) struct Elements<'b, 'a> {
    pub(super) outer: &'b NodeDeserializer<'b, 'a>,
    pub(super) nodes: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'a> SeqAccess<'a> for Elements<'_, 'a> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let notes = self.outer.notes;
        let Some((index, node)) =
            self.nodes.find(|(_, node)| notes.borrow().left_out(node).is_none())
        else {
            return Ok(None);
        };
        let path = Path::Index(&self.outer.path, index);
        self.outer.read_within(seed, (node, path, Position::Element)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.nodes.len())
    }
}

/// A string that was split into a list.
pub(super) struct Parts<'a> {
    pub(super) parts: std::vec::IntoIter<&'a str>,
}

impl<'a> SeqAccess<'a> for Parts<'a> {
    type Error = ReadError;

    fn next_element_seed<T: DeserializeSeed<'a>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ReadError> {
        let Some(part) = self.parts.next() else { return Ok(None) };
        let part: StrDeserializer<'_, ReadError> = part.into_deserializer();
        seed.deserialize(part).map(Some)
    }
}

/// A map with one key that names a variant.
pub(super) struct Choice<'b, 'a> {
    pub(super) outer: &'b NodeDeserializer<'b, 'a>,
    pub(super) entry: &'a Entry,
}

impl<'a> EnumAccess<'a> for Choice<'_, 'a> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Self), ReadError> {
        let key: StrDeserializer<'_, ReadError> = self.entry.key.as_str().into_deserializer();
        Ok((seed.deserialize(key)?, self))
    }
}

impl<'a> Choice<'_, 'a> {
    fn read<S: DeserializeSeed<'a>>(self, seed: S) -> Result<S::Value, ReadError> {
        let path = Path::Key(&self.outer.path, &self.entry.key);
        self.outer.read_within(seed, (&self.entry.node, path, Position::Element))
    }
}

impl<'a> VariantAccess<'a> for Choice<'_, 'a> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        self.read(std::marker::PhantomData::<()>)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, seed: T) -> Result<T::Value, ReadError> {
        self.read(seed)
    }

    fn tuple_variant<V: Visitor<'a>>(self, _len: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.read(Visit(visitor, None))
    }

    fn struct_variant<V: Visitor<'a>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.read(Visit(visitor, Some(fields)))
    }
}

/// Lets a visitor read a list, or a struct of these fields.
pub(super) struct Visit<V>(V, Option<&'static [&'static str]>);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Visit<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        match self.1 {
            Some(fields) => deserializer.deserialize_struct("", fields, self.0),
            None => deserializer.deserialize_seq(self.0),
        }
    }
}
