//! serde's view of a node.

use std::{cell::RefCell, fmt};

use serde::de::{
    DeserializeSeed, Deserializer, IntoDeserializer, Unexpected, Visitor, value::StrDeserializer,
};

use super::{
    Diagnostic, Entry, Map, Node, Value,
    access::{Choice, Elements, Fields, Parts},
    did_you_mean,
    fields::names,
    print::names_secret,
    quoted_list,
    read::Notes,
    read_error::ReadError,
};

/// So many known keys are listed where none is near.
const MAX_LISTED: usize = 17;

/// Reads a node; errors and unknown keys go to `notes` or come back with their node.
#[derive(Clone, Copy)]
pub(super) struct NodeDeserializer<'p, 'a> {
    pub(super) node: &'a Node,
    pub(super) notes: &'a RefCell<Notes>,
    pub(super) path: Path<'p>,
    pub(super) position: Position,
    /// `enabled` was read by `Optional` already.
    pub(super) ignores_enabled: bool,
}

/// Where a node stands, which decides what null means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// It is the whole.
    Root,
    /// It is the value of a struct's field.
    Field,
    /// It is an element of a list or the value of a map's key.
    Element,
}

/// How messages name a node.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    Root(&'a str),
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
    /// A map that users did not write, made by `Node::split_off`.
    Same(&'a Path<'a>),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root("") => Ok(()),
            Self::Root(path) => out.write_str(path),
            Self::Key(Path::Root(""), key) => out.write_str(key),
            Self::Key(parent, key) => write!(out, "{parent}::{key}"),
            Self::Index(parent, index) => write!(out, "{parent}[{index}]"),
            Self::Same(parent) => parent.fmt(out),
        }
    }
}

impl Path<'_> {
    /// Whether what stands here is probably a secret.
    fn is_secret(&self) -> bool {
        match self {
            Self::Root(_) => false,
            Self::Key(parent, key) => names_secret(key) || parent.is_secret(),
            Self::Index(parent, _) | Self::Same(parent) => parent.is_secret(),
        }
    }

    fn last_key(&self) -> &str {
        match self {
            Self::Root(path) => path,
            Self::Key(_, key) => key,
            Self::Index(parent, _) | Self::Same(parent) => parent.last_key(),
        }
    }
}

impl<'a> NodeDeserializer<'_, 'a> {
    /// Reads something in this node with `seed`; an error without a place gets that node's.
    pub(super) fn read_within<S: DeserializeSeed<'a>>(
        &self,
        seed: S,
        (node, path, position): (&'a Node, Path<'_>, Position),
    ) -> Result<S::Value, ReadError> {
        let inner =
            NodeDeserializer { node, notes: self.notes, path, position, ignores_enabled: false };
        seed.deserialize(inner).map_err(|error| error.at(node, &path))
    }

    /// A null of a field counts as not written.
    fn refuse_null_field(&self) -> Result<(), ReadError> {
        if self.position == Position::Field && self.node.is_null() {
            return Err(ReadError::null());
        }
        Ok(())
    }

    fn wrong_type<'de, V: Visitor<'de>>(&self, visitor: &V) -> ReadError {
        let found = match self.node.value() {
            Value::String(_) if self.path.is_secret() => Unexpected::Other("a string"),
            _ => unexpected(self.node),
        };
        let error: ReadError = serde::de::Error::invalid_type(found, visitor);
        let is_number = |text: &str| {
            matches!(super::scalar::resolve(text), Value::Int(_) | Value::Float(_) | Value::Bool(_))
        };
        let hint = match self.node.as_str() {
            Some(text) if is_number(text) => Some("write it without quotes"),
            Some("yes" | "on" | "Yes" | "On" | "YES" | "ON") => Some("write `true`"),
            Some("no" | "off" | "No" | "Off" | "NO" | "OFF") => Some("write `false`"),
            _ => None,
        };
        error.hint(hint.map(str::to_owned))
    }

    fn read_int<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.refuse_null_field()?;
        let number = match self.node.value() {
            Value::Int(number) => Some(*number),
            Value::Float(number) => whole(*number),
            _ => None,
        };
        match number {
            Some(number) => visit_int(number, visitor),
            None => Err(self.wrong_type(&visitor)),
        }
    }

    fn read_float<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.refuse_null_field()?;
        match self.node.value() {
            #[expect(clippy::cast_precision_loss, reason = "a fraction is wanted, not all digits")]
            Value::Int(number) => visitor.visit_f64(*number as f64),
            Value::Float(number) => visitor.visit_f64(*number),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    /// The original text where there is one, so that `0123` and `true` stay what they are.
    fn read_text<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if let Some(text) = self.node.text().or_else(|| self.node.as_str()) {
            return visitor.visit_str(text);
        }
        self.refuse_null_field()?;
        match self.node.value() {
            Value::Null if self.position == Position::Element => visitor.visit_str(""),
            Value::Bool(value) => visitor.visit_str(&value.to_string()),
            Value::Int(value) => visitor.visit_str(&value.to_string()),
            Value::Float(value) => visitor.visit_str(&value.to_string()),
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    fn read_struct<V: Visitor<'a>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.refuse_null_field()?;
        let entries: &[Entry] = match self.node.value() {
            Value::Map(map) => {
                self.report_unknown(map, fields);
                map.entries()
            }
            Value::Null => &[],
            _ => return Err(self.wrong_type(&visitor)),
        };
        visitor.visit_map(Fields { outer: &self, entries, value: None, fields: Some(fields) })
    }

    /// Reports the keys of a map that are no field.
    fn report_unknown(&self, map: &Map, fields: &'static [&'static str]) {
        let splits = map.splits();
        let is_split = |key: &str| splits.iter().any(|split| split.under == key);
        for entry in map.entries() {
            let key = entry.key.as_str();
            let is_known = fields.contains(&key) && (entry.is_split() || !is_split(key));
            if is_known || entry.is_split() || (self.ignores_enabled && key == "enabled") {
                continue;
            }
            let own = fields.iter().copied().filter(|field| !is_split(field));
            let split = splits.iter().flat_map(|split| split.keys.iter().copied());
            let known: Vec<&str> =
                own.chain(split).chain(map.elsewhere().iter().copied()).collect();
            self.notes.borrow_mut().report_once(&entry.node, || {
                let hint = did_you_mean(key, known.iter().copied()).or_else(|| match known.len() {
                    1 => Some(format!("only `{}` is known here", known[0])),
                    2..=MAX_LISTED => Some(format!("known here: {}", quoted_list(&known))),
                    _ => None,
                });
                let problem = Diagnostic::error(format!("unknown key `{key}`")).at(&entry.place);
                problem.in_path(self.path.to_string()).maybe_hint(hint)
            });
        }
    }

    /// Reads a block that is there or not: null and a map switch it on, `enabled: false` off.
    fn read_optional<V: Visitor<'a>>(mut self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.value() {
            Value::Map(map) => {
                if let Some(enabled) = map.get("enabled").filter(|node| !node.is_null()) {
                    let Some(enabled) = enabled.as_bool() else {
                        let message = "expected `true` or `false`";
                        let path = Path::Key(&self.path, "enabled");
                        return Err(ReadError::wrong(message).at(enabled, &path));
                    };
                    if !enabled {
                        return visitor.visit_none();
                    }
                }
            }
            Value::Null => {}
            Value::Bool(false) => return visitor.visit_none(),
            _ => return Err(self.wrong_type(&visitor)),
        }
        self.ignores_enabled = true;
        self.position = Position::Element;
        visitor.visit_some(self)
    }

    /// Takes only what switches an unsupported option off.
    fn read_refused<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let is_off = match self.node.value() {
            Value::Null | Value::Bool(false) => true,
            Value::List(nodes) => nodes.is_empty(),
            Value::String(text) => text.is_empty(),
            Value::Map(map) => {
                map.is_empty() || map.get("enabled").and_then(Node::as_bool) == Some(false)
            }
            _ => false,
        };
        if is_off {
            return visitor.visit_unit();
        }
        Err(ReadError::wrong(format!("`{}` is not supported", self.path.last_key())))
    }
}

impl<'de> Deserializer<'de> for NodeDeserializer<'_, 'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.refuse_null_field()?;
        match self.node.value() {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Int(value) => visit_int(*value, visitor),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::String(text) => visitor.visit_str(text),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.refuse_null_field()?;
        match self.node.as_bool() {
            Some(value) => visitor.visit_bool(value),
            None => Err(self.wrong_type(&visitor)),
        }
    }

    fn deserialize_i8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_int(visitor)
    }

    fn deserialize_i16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_int(visitor)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_int(visitor)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_int(visitor)
    }

    fn deserialize_u8<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_int(visitor)
    }

    fn deserialize_u16<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_int(visitor)
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_int(visitor)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_int(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_float(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_float(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_text(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_text(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_text(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.read_text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ReadError> {
        self.refuse_null_field()?;
        if self.node.is_null() {
            return visitor.visit_none();
        }
        self.position = Position::Element;
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        if self.node.is_null() { visitor.visit_unit() } else { Err(self.wrong_type(&visitor)) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            names::OPTIONAL => return self.read_optional(visitor),
            names::REFUSED => return self.read_refused(visitor),
            names::SECRET => self.notes.borrow_mut().mark_secret(self.node.place()),
            names::DURATION => {
                if let Value::Int(number) = self.node.value()
                    && *number != 0
                {
                    self.notes.borrow_mut().report_once(self.node, || {
                        let message = format!("`{number}` has no unit and is taken as nanoseconds");
                        let hint = format!("write `{number}s` or `{number}ms`");
                        let problem = Diagnostic::warning(message).at(self.node.place());
                        problem.in_path(self.path.to_string()).hint(hint)
                    });
                }
            }
            _ => {}
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.refuse_null_field()?;
        match self.node.value() {
            Value::List(nodes) => {
                visitor.visit_seq(Elements { outer: &self, nodes: nodes.iter().enumerate() })
            }
            Value::Null => {
                visitor.visit_seq(Elements { outer: &self, nodes: [].iter().enumerate() })
            }
            Value::String(text) => {
                let parts = if text.is_empty() { Vec::new() } else { text.split(',').collect() };
                visitor.visit_seq(Parts { parts: parts.into_iter() })
            }
            _ => Err(self.wrong_type(&visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.refuse_null_field()?;
        let entries: &[Entry] = match self.node.value() {
            Value::Map(map) => map.entries(),
            Value::Null => &[],
            _ => return Err(self.wrong_type(&visitor)),
        };
        visitor.visit_map(Fields { outer: &self, entries, value: None, fields: None })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.read_struct(fields, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if self.node.text().is_none() {
            self.refuse_null_field()?;
        }
        if let Value::Map(map) = self.node.value()
            && let [entry] = map.entries()
        {
            return visitor.visit_enum(Choice { outer: &self, entry });
        }
        if let Some(text) = self.node.text().or_else(|| self.node.as_str()) {
            let variant: StrDeserializer<'_, ReadError> = text.into_deserializer();
            return visitor.visit_enum(variant);
        }
        let message = format!(
            "expected one of {}, here is {}",
            quoted_list(variants),
            self.node.value().kind()
        );
        Err(ReadError::wrong(message))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! { i128 u128 }
}

fn visit_int<'de, V: Visitor<'de>>(number: i128, visitor: V) -> Result<V::Value, ReadError> {
    if let Ok(number) = u64::try_from(number) {
        return visitor.visit_u64(number);
    }
    match i64::try_from(number) {
        Ok(number) => visitor.visit_i64(number),
        Err(_) => Err(ReadError::wrong("the number does not fit into 64 bits")),
    }
}

/// The whole number that a float is, if it is one and exact.
fn whole(number: f64) -> Option<i128> {
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and within 2^53")]
    (number.fract() == 0.0 && number.abs() <= MAX_EXACT).then_some(number as i128)
}

fn unexpected(node: &Node) -> Unexpected<'_> {
    match node.value() {
        Value::Null => Unexpected::Unit,
        Value::Bool(value) => Unexpected::Bool(*value),
        Value::Int(value) => match (u64::try_from(*value), i64::try_from(*value)) {
            (Ok(value), _) => Unexpected::Unsigned(value),
            (_, Ok(value)) => Unexpected::Signed(value),
            _ => Unexpected::Other("a large number"),
        },
        Value::Float(value) => Unexpected::Float(*value),
        Value::String(text) => Unexpected::Str(text),
        Value::List(_) => Unexpected::Seq,
        Value::Map(_) => Unexpected::Map,
    }
}
