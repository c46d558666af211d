//! JSON texts.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::tree::set;
use super::{Answer, Refusal, Tree};

/// Reads a JSON object or array. Every number is a double; of a name that is there more than once,
/// the last value counts. Objects and arrays nest up to 127 deep.
///
/// # Errors
///
/// Fails for what is no JSON, and for JSON of another type.
pub fn parse_json(text: &str) -> Answer<Tree> {
    let Parsed(tree) = serde_json::from_str(text)
        .map_err(|error| Refusal::new(format!("the text is not JSON: {error}")))?;
    match tree {
        Tree::Map(_) | Tree::List(_) => Ok(tree),
        _ => Err(Refusal::new("the JSON is neither an object nor an array")),
    }
}

struct Parsed(Tree);

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor).map(Self)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Nil)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(flag))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are doubles")]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Double(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "numbers are doubles")]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Double(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Tree, E> {
        Ok(Tree::Double(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::str(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(Parsed(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Tree, A::Error> {
        let mut map = Vec::new();
        while let Some((key, Parsed(value))) = pairs.next_entry::<String, Parsed>()? {
            set(&mut map, key, value);
        }
        Ok(Tree::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_documented() {
        // The table of types in the Collector's documentation of ParseJSON.
        let tree = parse_json(r#"{"attr":true,"n":3,"f":0.1,"s":"x","z":null,"l":["a",-2],"n":4}"#)
            .unwrap();
        let expected = [
            ("attr", Tree::Bool(true)),
            ("n", Tree::Double(4.0)),
            ("f", Tree::Double(0.1)),
            ("s", Tree::str("x")),
            ("z", Tree::Nil),
            ("l", Tree::List(vec![Tree::str("a"), Tree::Double(-2.0)])),
        ];
        assert_eq!(tree, Tree::map(expected));
        assert_eq!(parse_json("[]"), Ok(Tree::List(Vec::new())));
        for wrong in ["", "1", "\"x\"", "null", "{", "[1,]", "{} x", "{'a':1}", &"[".repeat(10_000)]
        {
            assert!(parse_json(wrong).is_err(), "{wrong}");
        }
    }
}
