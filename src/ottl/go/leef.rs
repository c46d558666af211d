//! Log Event Extended Format of IBM QRadar, versions 1.0 and 2.0.

use super::tree::set;
use super::{Answer, Refusal, Tree};

/// Reads a message from its first `LEEF:` on into `leef.version`, `leef.vendor`,
/// `leef.product.name`, `leef.product.version`, `leef.event.id` and `leef.attributes`.
///
/// Attributes without `=` or without a key are left out; of equal keys the last counts.
///
/// # Errors
///
/// Fails for another format or version, a missing field, and a delimiter that is not one letter.
pub fn parse_leef(text: &str) -> Answer<Tree> {
    let (_, message) =
        text.split_once("LEEF:").ok_or_else(|| Refusal::new("`LEEF:` is not in the text"))?;
    let mut fields = message.splitn(6, '|');
    let mut header = |name: &str| {
        fields.next().ok_or_else(|| Refusal::new(format!("the LEEF header has no {name}")))
    };
    let version = header("version")?;
    let mut map = vec![("leef.version", Tree::str(version))];
    map.push(("leef.vendor", Tree::str(header("vendor")?)));
    map.push(("leef.product.name", Tree::str(header("product name")?)));
    map.push(("leef.product.version", Tree::str(header("product version")?)));
    map.push(("leef.event.id", Tree::str(header("event id")?)));
    let rest = fields.next().unwrap_or_default();
    let (delimiter, attributes) = match version {
        "1.0" => ('\t', rest),
        "2.0" => delimiter(rest)?,
        _ => return Err(Refusal::new(format!("LEEF version `{version}` is neither 1.0 nor 2.0"))),
    };
    let mut pairs = Vec::new();
    for (key, value) in attributes.split(delimiter).filter_map(|pair| pair.split_once('=')) {
        if !key.is_empty() {
            set(&mut pairs, key.to_owned(), Tree::str(value));
        }
    }
    map.push(("leef.attributes", Tree::Map(pairs)));
    Ok(Tree::map(map))
}

/// The delimiter of version 2.0, and the attributes after it.
fn delimiter(rest: &str) -> Answer<(char, &str)> {
    let (field, attributes) = rest.split_once('|').unwrap_or((rest, ""));
    if field.is_empty() {
        return Ok(('\t', attributes));
    }
    if field.chars().count() > 1 && field.contains('=') {
        return Ok(('\t', rest));
    }
    let digits = field.strip_prefix("0x").or_else(|| field.strip_prefix("0X"));
    let mut letters = field.chars();
    let letter = match (digits, letters.next(), letters.next()) {
        (Some(digits), ..) => u8::from_str_radix(digits, 16).ok().map(char::from),
        (None, Some(letter), None) => Some(letter),
        _ => None,
    };
    let letter = letter.ok_or_else(|| {
        Refusal::new(format!(
            "the LEEF delimiter `{field}` is neither one letter nor one byte as 0x09"
        ))
    })?;
    Ok((letter, attributes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(text: &str) -> Vec<(String, String)> {
        let Tree::Map(mut map) = parse_leef(text).unwrap() else { panic!("no map") };
        let Some((_, Tree::Map(pairs))) = map.pop() else { panic!("no attributes") };
        let text = |tree| if let Tree::Str(text) = tree { text } else { panic!("no text") };
        pairs.into_iter().map(|(key, value)| (key, text(value))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn messages_are_read_as_documented() {
        // The Collector's documentation and tests of ParseLEEF.
        let text = "<30>Aug 19 12:33:31 host: LEEF:1.0|Microsoft|MSExchange|4.0 SP1|15345|src=10.50.1.1\tdst=2.10.20.20\tsev=5";
        let expected = Tree::map([
            ("leef.version", Tree::str("1.0")),
            ("leef.vendor", Tree::str("Microsoft")),
            ("leef.product.name", Tree::str("MSExchange")),
            ("leef.product.version", Tree::str("4.0 SP1")),
            ("leef.event.id", Tree::str("15345")),
            (
                "leef.attributes",
                Tree::map([
                    ("src", Tree::str("10.50.1.1")),
                    ("dst", Tree::str("2.10.20.20")),
                    ("sev", Tree::str("5")),
                ]),
            ),
        ]);
        assert_eq!(parse_leef(text), Ok(expected));
        let both = pairs(&[("key1", "val1"), ("key2", "val2")]);
        for rest in [
            "^|key1=val1^key2=val2",
            "0x5e|key1=val1^^key2=val2",
            "0X5E|key1=val1^key2=val2^",
            "0x09|key1=val1\tkey2=val2",
            "|key1=val1\tkey2=val2",
            "key1=val1\tkey2=val2",
            "^|key1=x^key1=val1^key2=val2^nothing^=x",
        ] {
            assert_eq!(attributes(&format!("LEEF:2.0|V|P|1.0|100|{rest}")), both, "{rest}");
        }
        let text = "LEEF:1.0|V|P|1.0|E|url=http://example.com?foo=bar\tempty=";
        assert_eq!(
            attributes(text),
            pairs(&[("url", "http://example.com?foo=bar"), ("empty", "")])
        );
        for text in ["LEEF:1.0|V|P|1.0|E|", "LEEF:1.0|V|P|1.0|E", "LEEF:2.0|V|P|1.0|E|^|"] {
            assert!(attributes(text).is_empty(), "{text}");
        }
        for text in [
            "",
            "CEF:0|a",
            "LEEF:1.0|V|P|1.0",
            "LEEF:3.0|V|P|1.0|E|",
            "LEEF:2.0|V|P|1|E|ab|x",
            "LEEF:2.0|V|P|1|E|0xzz|x",
        ] {
            assert!(parse_leef(text).is_err(), "{text}");
        }
    }
}
