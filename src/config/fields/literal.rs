//! Values of attributes that are written in the file.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

use crate::data::wire::Writer;
use crate::data::{Attributes, Value, write_attribute};

/// An attribute's value as the file has it: text, a number, a truth value, a list or a map.
#[derive(Clone, PartialEq, Eq)]
pub struct Literal {
    encoded: Vec<u8>,
}

impl Literal {
    /// The value.
    #[must_use]
    pub fn value(&self) -> Value<'_> {
        Value::read(&self.encoded)
    }

    /// The encoded `AnyValue`.
    #[must_use]
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }
}

impl From<Value<'_>> for Literal {
    fn from(value: Value<'_>) -> Self {
        let mut writer = Writer::default();
        value.write(&mut writer);
        Self { encoded: writer.into_vec() }
    }
}

impl fmt::Debug for Literal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.value().to_text())
    }
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LiteralVisitor)
    }
}

struct LiteralVisitor;

impl<'de> de::Visitor<'de> for LiteralVisitor {
    type Value = Literal;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("text, a number, a truth value, a list or a map")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Literal, E> {
        Ok(Value::Empty.into())
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Literal, E> {
        Ok(Value::Bool(flag).into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Literal, E> {
        Ok(Value::Int(number).into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Literal, E> {
        match i64::try_from(number) {
            Ok(number) => Ok(Value::Int(number).into()),
            Err(_) => Err(E::custom("the number does not fit into 64 bits with a sign")),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Literal, E> {
        Ok(Value::Double(number).into())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Literal, E> {
        Ok(Value::Str(text).into())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Literal, A::Error> {
        let mut array = Writer::default();
        while let Some(element) = list.next_element::<Literal>()? {
            element.value().write_field(1, &mut array);
        }
        let array = crate::data::Array::of_encoded(array.as_slice());
        Ok(Value::Array(array).into())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Literal, A::Error> {
        let mut list = Writer::default();
        while let Some((key, value)) = map.next_entry::<String, Literal>()? {
            write_attribute(1, &key, value.value(), &mut list);
        }
        Ok(Value::KvList(Attributes::of_kvlist(list.as_slice())).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Node, from_node};

    fn read(text: &str) -> Literal {
        from_node(&Node::parse("x.yaml", text).unwrap(), "").unwrap()
    }

    #[test]
    fn values_have_the_kind_that_they_are_written_as() {
        assert_eq!(read("7").value(), Value::Int(7));
        assert_eq!(read("-7").value(), Value::Int(-7));
        assert_eq!(read("0.5").value(), Value::Double(0.5));
        assert_eq!(read("true").value(), Value::Bool(true));
        assert_eq!(read("\"7\"").value(), Value::Str("7"));
        let nested = read("{a: [1, x], b: {c: false}}");
        assert_eq!(nested.value().to_text(), r#"{"a":[1,"x"],"b":{"c":false}}"#);
    }

    #[test]
    fn numbers_that_are_too_large_are_refused() {
        let node = Node::parse("x.yaml", "18446744073709551615").unwrap();
        let problems = from_node::<Literal>(&node, "").unwrap_err();
        assert!(problems[0].message().contains("64 bits"), "{problems:?}");
    }
}
