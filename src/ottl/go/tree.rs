//! Values without anything of a record.

/// A value, with all that is in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Tree {
    /// Nothing.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Double(f64),
    /// A length of time in nanoseconds.
    Duration(i64),
    /// Text.
    Str(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Self>),
    /// A map; names are unique and in the order of their source.
    Map(Vec<(String, Self)>),
}

impl Tree {
    /// A text.
    #[must_use]
    pub fn str(text: impl Into<String>) -> Self {
        Self::Str(text.into())
    }

    /// A map of texts.
    #[must_use]
    pub fn map<K: Into<String>>(pairs: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

/// Sets `key`, in the place where it is if it is there.
pub(super) fn set(pairs: &mut Vec<(String, Tree)>, key: String, value: Tree) {
    match pairs.iter_mut().find(|(other, _)| *other == key) {
        Some((_, old)) => *old = value,
        None => pairs.push((key, value)),
    }
}
