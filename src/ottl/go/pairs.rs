//! Texts of keys and values.

use super::tree::set;
use super::{Answer, Refusal, Tree};

/// Reads `k1=v1 k2="v 2"`.
///
/// Pairs are separated by `pairs`, keys from values by `values`. Neither separates within single or
/// double quotes, which are left out unless escaped by a backslash, and backslashes stay.
///
/// # Errors
///
/// Fails for an empty text, equal separators, a quote without end, and a pair without a value.
pub fn parse_key_value(text: &str, values: &str, pairs: &str) -> Answer<Tree> {
    if text.is_empty() {
        return Err(Refusal::new("there are no pairs in an empty text"));
    }
    if values == pairs {
        return Err(Refusal::new(format!(
            "pairs and values cannot both be separated by `{pairs}`"
        )));
    }
    let mut map = Vec::new();
    for pair in split_outside_quotes(text, pairs)? {
        let Some((key, value)) = pair.split_once(values) else {
            return Err(Refusal::new(format!("`{pair}` has no `{values}`")));
        };
        set(&mut map, key.trim().to_owned(), Tree::str(value.trim()));
    }
    Ok(Tree::Map(map))
}

fn split_outside_quotes(text: &str, separator: &str) -> Answer<Vec<String>> {
    let mut parts = Vec::new();
    let mut current = String::new();
    let mut open_quote = None;
    let mut is_escaped = false;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let after = rest.strip_prefix(separator).filter(|_| open_quote.is_none());
        if let Some(after) = after.filter(|_| !separator.is_empty()) {
            if !current.is_empty() {
                parts.push(std::mem::take(&mut current));
            }
            rest = after;
            continue;
        }
        rest = rest.get(letter.len_utf8()..).unwrap_or_default();
        if !is_escaped && open_quote.is_none() && matches!(letter, '"' | '\'') {
            open_quote = Some(letter);
            continue;
        }
        if !is_escaped && open_quote == Some(letter) {
            open_quote = None;
            continue;
        }
        is_escaped = !is_escaped && letter == '\\';
        current.push(letter);
    }
    if let Some(quote) = open_quote {
        return Err(Refusal::new(format!("a value that starts with {quote} does not end")));
    }
    if !current.is_empty() {
        parts.push(current);
    }
    Ok(parts)
}

/// Writes keys and values, already as texts, as `k1=v1 k2=v2`.
///
/// Double quotes are escaped, and what contains one of the separators is put between double quotes.
///
/// # Errors
///
/// Fails for equal separators.
pub fn to_key_value<K: AsRef<str>, V: AsRef<str>>(
    map: impl IntoIterator<Item = (K, V)>,
    values: &str,
    pairs: &str,
    is_sorted: bool,
) -> Answer<String> {
    if values == pairs {
        return Err(Refusal::new(format!(
            "pairs and values cannot both be separated by `{pairs}`"
        )));
    }
    let quoted = |text: &str| {
        let escaped = text.replace('"', "\\\"");
        if text.contains(values) || text.contains(pairs) {
            return format!("\"{escaped}\"");
        }
        escaped
    };
    let mut map: Vec<(K, V)> = map.into_iter().collect();
    if is_sorted {
        map.sort_by(|left, right| left.0.as_ref().cmp(right.0.as_ref()));
    }
    let texts: Vec<String> = map
        .iter()
        .map(|(key, value)| format!("{}{values}{}", quoted(key.as_ref()), quoted(value.as_ref())))
        .collect();
    Ok(texts.join(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Answer<Tree> {
        Ok(Tree::map(pairs.iter().map(|(key, value)| (*key, Tree::str(*value)))))
    }

    #[test]
    fn reads_pairs_as_documented() {
        // The Collector's documentation of ParseKeyValue.
        let expected = map(&[("k1", "v1"), ("k2", "v2"), ("k3", "v3")]);
        assert_eq!(parse_key_value("k1=v1 k2=v2 k3=v3", "=", " "), expected);
        assert_eq!(parse_key_value("k1!v1_k2!v2_k3!v3", "!", "_"), expected);
        let quoted = parse_key_value(r#"a="b c"  d='e "f"' g=h\"i"#, "=", " ");
        assert_eq!(quoted, map(&[("a", "b c"), ("d", "e \"f\""), ("g", r#"h\"i"#)]));
        assert_eq!(parse_key_value("a= b|", "=", "|"), map(&[("a", "b")]));
        for wrong in ["", "a", "a=\"b", "a=1 b"] {
            assert!(parse_key_value(wrong, "=", " ").is_err(), "{wrong}");
        }
        assert!(parse_key_value("a=1", "=", "=").is_err());
    }

    #[test]
    fn writes_pairs_as_documented() {
        // The Collector's documentation of ToKeyValueString.
        let map = [("k1", "v1"), ("k2", "v=2"), ("k3", "\"v=3\"")];
        let text = to_key_value(map, "=", " ", true).unwrap();
        assert_eq!(text, r#"k1=v1 k2="v=2" k3="\"v=3\"""#);
        let text = to_key_value([("b", "2"), ("a", "1")], ":", ",", false).unwrap();
        assert_eq!(text, "b:2,a:1");
        assert!(to_key_value([("a", "1")], "=", "=", false).is_err());
    }
}
