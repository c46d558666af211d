//! The tree that configuration is read into: values, their original text and their places.

use std::fmt::Write as _;
use std::sync::Arc;

use super::{Diagnostic, Place, SourceText, parse};

/// A value in the file.
#[derive(Clone, Debug)]
pub struct Node {
    value: Value,
    text: Option<Arc<str>>,
    place: Place,
}

/// What a [`Node`] holds.
#[derive(Clone, Debug)]
pub enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number that fits into an `i64` or a `u64`.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// Text.
    String(String),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(Map),
}

impl Value {
    /// "a list", "a map", …: for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::String(_) => "a string",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

impl Node {
    /// A value that was written at `place`.
    #[must_use]
    pub const fn new(value: Value, place: Place) -> Self {
        Self { value, text: None, place }
    }

    /// A map without entries.
    #[must_use]
    pub fn empty_map(place: Place) -> Self {
        Self::new(Value::Map(Map::default()), place)
    }

    /// Keeps the text that the value was read from, which a string target takes instead of it.
    #[must_use]
    pub fn with_text(mut self, text: Option<Arc<str>>) -> Self {
        self.text = text;
        self
    }

    /// Reads YAML; `name` is what users know the text as. Nothing is interpolated.
    ///
    /// # Errors
    ///
    /// Fails when `text` is not one YAML document of scalars, lists and maps with unique keys.
    pub fn parse(name: &str, text: &str) -> Result<Self, Vec<Diagnostic>> {
        parse::parse(&SourceText::new(name, text, 0))
    }

    /// What it holds.
    #[must_use]
    pub const fn value(&self) -> &Value {
        &self.value
    }

    /// What it holds, to be changed.
    pub const fn value_mut(&mut self) -> &mut Value {
        &mut self.value
    }

    /// What it holds.
    #[must_use]
    pub fn into_value(self) -> Value {
        self.value
    }

    /// Gives the value, and all in it, another place.
    pub(super) fn move_to(&mut self, place: &Place) {
        self.place = place.clone();
        match &mut self.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.move_to(place)),
            Value::Map(map) => {
                for entry in &mut map.entries {
                    entry.place = place.clone();
                    entry.node.move_to(place);
                }
            }
            _ => {}
        }
    }

    /// The original text of a scalar, or of what an interpolation inserted.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Writes all that it says, and not where that was written: equal text, equal settings.
    pub fn spell(&self, out: &mut String) {
        let _ = match &self.value {
            Value::Null => write!(out, "~"),
            Value::Bool(value) => write!(out, "{value}"),
            Value::Int(value) => write!(out, "{value}"),
            Value::Float(value) => write!(out, "{value:?}"),
            Value::String(text) => write!(out, "{text:?}"),
            Value::List(nodes) => {
                out.push('[');
                for node in nodes {
                    node.spell(out);
                    out.push(',');
                }
                out.push(']');
                Ok(())
            }
            Value::Map(map) => {
                out.push('{');
                for entry in map.entries() {
                    let _ = write!(out, "{:?}:", entry.key);
                    entry.node.spell(out);
                    out.push(',');
                }
                out.push('}');
                Ok(())
            }
        };
        // What a string target would take.
        if let Some(text) = &self.text {
            let _ = write!(out, "<{text:?}>");
        }
    }

    /// Where it was written.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether it is `null`.
    #[must_use]
    pub const fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The text, if it is a string.
    #[must_use]
    pub const fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    #[must_use]
    pub const fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The elements, if it is a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            Value::List(nodes) => Some(nodes),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    #[must_use]
    pub const fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The entries, if it is a map.
    pub const fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The value of `key`, if it is a map that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_map()?.get(key)
    }

    /// The value at a path such as `tls::cert_file`.
    #[must_use]
    pub fn at_path(&self, path: &str) -> Option<&Self> {
        path.split("::").try_fold(self, |node, key| node.get(key))
    }

    /// The first scalar in it that is written or inserted as `text`.
    #[must_use]
    pub fn find_text(&self, text: &str) -> Option<&Self> {
        match self.value() {
            Value::List(nodes) => nodes.iter().find_map(|node| node.find_text(text)),
            Value::Map(map) => map.entries().iter().find_map(|entry| entry.node.find_text(text)),
            _ => (self.text().or(self.as_str()) == Some(text)).then_some(self),
        }
    }

    /// Takes an entry out of a map, so that somebody else reads it.
    ///
    /// The key stays known for did-you-mean. A value that is not a map has no entries.
    pub fn remove(&mut self, key: &'static str) -> Option<Entry> {
        let map = self.as_map_mut()?;
        map.elsewhere.push(key);
        let index = map.entries.iter().position(|entry| entry.key == key && !entry.is_split)?;
        Some(map.entries.remove(index))
    }

    /// Takes `keys` out of a map, into a map of their own at the same place.
    ///
    /// The result is an empty map when none of them is there. See [`Node::remove`].
    #[must_use]
    pub fn take_off(&mut self, keys: &[&'static str]) -> Self {
        let entries = keys.iter().filter_map(|key| self.remove(key)).collect();
        Self::new(Value::Map(Map { entries, ..Map::default() }), self.place.clone())
    }

    /// Moves `keys` of a map under a new entry `under`, so that a struct field of that name reads them.
    ///
    /// Without any of the keys there is no such entry, so that the field has its default. For users
    /// the keys stay where they wrote them: paths leave `under` out, and a literal `under` is an unknown key.
    pub fn split_off(&mut self, keys: &'static [&'static str], under: &'static str) {
        let place = self.place.clone();
        let Some(map) = self.as_map_mut() else { return };
        let is_split = |entry: &Entry| !entry.is_split && keys.contains(&entry.key.as_str());
        let (moved, kept) = std::mem::take(&mut map.entries).into_iter().partition(is_split);
        map.entries = kept;
        map.splits.push(Split { under, keys });
        let moved: Vec<Entry> = moved;
        if moved.is_empty() {
            return;
        }
        let value = Value::Map(Map { entries: moved, ..Map::default() });
        let node = Self::new(value, place.clone());
        map.entries.push(Entry { key: under.to_owned(), place, node, is_split: true });
    }
}

/// The entries of a map, in the order of the file, with unique keys.
#[derive(Clone, Debug, Default)]
pub struct Map {
    entries: Vec<Entry>,
    splits: Vec<Split>,
    elsewhere: Vec<&'static str>,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key's text.
    pub key: String,
    /// Where the key was written.
    pub place: Place,
    /// The value.
    pub node: Node,
    is_split: bool,
}

/// Keys that [`Node::split_off`] has moved, or would have moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split {
    pub(super) under: &'static str,
    pub(super) keys: &'static [&'static str],
}

impl Entry {
    /// A key that was written at `place`, and its value.
    #[must_use]
    pub const fn new(key: String, place: Place, node: Node) -> Self {
        Self { key, place, node, is_split: false }
    }

    /// Whether [`Node::split_off`] made it; users do not see such a key.
    pub(super) const fn is_split(&self) -> bool {
        self.is_split
    }
}

impl Map {
    /// A map of these entries; their keys are unique.
    #[must_use]
    pub fn new(entries: Vec<Entry>) -> Self {
        Self { entries, ..Self::default() }
    }

    /// In the order of the file.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// In the order of the file, to be changed; keys must stay unique.
    pub const fn entries_mut(&mut self) -> &mut Vec<Entry> {
        &mut self.entries
    }

    /// In the order of the file.
    #[must_use]
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.node)
    }

    /// The entry with this key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The keys, in the order of the file.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    /// Whether there are no entries.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What [`Node::split_off`] was asked for.
    pub(super) fn splits(&self) -> &[Split] {
        &self.splits
    }

    /// Keys that are read by somebody else: taken out by [`Node::remove`].
    pub(super) fn elsewhere(&self) -> &[&'static str] {
        &self.elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(node: &Node) -> Vec<&str> {
        node.as_map().unwrap().keys().collect()
    }

    #[test]
    fn keys_can_be_taken_off() {
        let mut node = Node::parse("x", "{a: 1, b: 2, c: 3}").unwrap();
        let taken = node.take_off(&["c", "a", "d"]);
        assert_eq!(keys(&taken), ["c", "a"]);
        assert_eq!(keys(&node), ["b"]);
        assert!(node.remove("b").is_some());
        assert!(node.remove("b").is_none());
        assert_eq!(keys(&Node::parse("x", "").unwrap().take_off(&["a"])), Vec::<&str>::new());
    }

    #[test]
    fn keys_can_be_split_off() {
        let mut node = Node::parse("x", "{a: 1, client: 2, c: 3}").unwrap();
        node.split_off(&["c", "e"], "client");
        node.split_off(&["f"], "server");
        assert_eq!(keys(&node), ["a", "client", "client"]);
        let made = &node.as_map().unwrap().entries()[2];
        assert!(made.is_split());
        assert_eq!(keys(&made.node), ["c"]);
    }
}
