//! Common Event Format of ArcSight.

use super::tree::set;
use super::{Answer, Refusal, Tree};

const HEADER: [&str; 6] = [
    "cef.device_vendor",
    "cef.device_product",
    "cef.device_version",
    "cef.device_event_class_id",
    "cef.name",
    "cef.severity",
];

/// Reads a message from its first `CEF:` on into `cef.version`, the six fields of its header and
/// `cef.extensions`. A value of an extension ends before the next key.
///
/// # Errors
///
/// Fails for another format, a version that is not a number, and a header with too few fields.
pub fn parse_cef(text: &str) -> Answer<Tree> {
    let (_, message) =
        text.split_once("CEF:").ok_or_else(|| Refusal::new("`CEF:` is not in the text"))?;
    let (version, mut rest) = header_field(message)
        .ok_or_else(|| Refusal::new("the CEF header ends after its version"))?;
    if version.is_empty() || !version.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(Refusal::new(format!("the CEF version `{version}` is not a number")));
    }
    let mut map = vec![("cef.version", Tree::Str(version))];
    for name in HEADER {
        let (field, after) = header_field(rest)
            .ok_or_else(|| Refusal::new(format!("the CEF header ends before `{name}`")))?;
        map.push((name, Tree::Str(field)));
        rest = after;
    }
    map.push(("cef.extensions", Tree::Map(extensions(rest))));
    Ok(Tree::map(map))
}

/// A field up to its `|`, with its escapes undone, and what follows.
fn header_field(text: &str) -> Option<(String, &str)> {
    let mut field = String::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '|' => return Some((field, letters.as_str())),
            '\\' if letters.as_str().starts_with(['|', '\\']) => field.extend(letters.next()),
            _ => field.push(letter),
        }
    }
    None
}

fn extensions(text: &str) -> Vec<(String, Tree)> {
    let starts: Vec<(usize, usize)> = equal_signs(text);
    let mut pairs = Vec::new();
    for (index, (key_start, equals)) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(text.len(), |(next, _)| *next);
        let key = text.get(*key_start..*equals).unwrap_or_default();
        let value = text.get(equals + 1..end).unwrap_or_default().trim_end_matches(' ');
        set(&mut pairs, key.to_owned(), Tree::Str(unescaped(value)));
    }
    pairs
}

/// Where keys start and their `=` stand.
fn equal_signs(text: &str) -> Vec<(usize, usize)> {
    let is_in_key = |letter: char| {
        letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-' | '[' | ']')
    };
    let mut found = Vec::new();
    let mut is_escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == '=' && !is_escaped {
            let before = text.get(..at).unwrap_or_default();
            let start = before.trim_end_matches(is_in_key).len();
            let is_first =
                before.get(..start).is_some_and(|rest| rest.is_empty() || rest.ends_with(' '));
            if start < at && is_first {
                found.push((start, at));
            }
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    found
}

fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            text.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => text.push('\n'),
            Some('r') => text.push('\r'),
            Some(escaped @ ('\\' | '=')) => text.push(escaped),
            Some(other) => text.extend(['\\', other]),
            None => text.push('\\'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str, key: &str) -> String {
        let Tree::Map(map) = parse_cef(text).unwrap() else { panic!("no map") };
        let Some((_, Tree::Map(extensions))) = map.last() else { panic!("no extensions") };
        let mut all = map.iter().chain(extensions);
        match all.find(|(name, _)| name == key) {
            Some((_, Tree::Str(text))) => text.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn messages_are_read_as_documented() {
        // The Collector's documentation of ParseCEF; escapes as in the format's description.
        let text = "<134>Sep 19 08:26:10 host CEF:0|Security|threatmanager|1.0|100|worm successfully stopped|10|src=10.0.0.1 dst=2.1.2.2 spt=1232";
        let expected = Tree::map([
            ("cef.version", Tree::str("0")),
            ("cef.device_vendor", Tree::str("Security")),
            ("cef.device_product", Tree::str("threatmanager")),
            ("cef.device_version", Tree::str("1.0")),
            ("cef.device_event_class_id", Tree::str("100")),
            ("cef.name", Tree::str("worm successfully stopped")),
            ("cef.severity", Tree::str("10")),
            (
                "cef.extensions",
                Tree::map([
                    ("src", Tree::str("10.0.0.1")),
                    ("dst", Tree::str("2.1.2.2")),
                    ("spt", Tree::str("1232")),
                ]),
            ),
        ]);
        assert_eq!(parse_cef(text), Ok(expected));
        let text = r"CEF:0|Ven\\dor|Product\|X|1.0|100|Event|5|act=blocked a \\ dst=1.1.1.1 msg=line1\nline2 x\=y  fname=a b.txt ";
        assert_eq!(value(text, "cef.device_vendor"), r"Ven\dor");
        assert_eq!(value(text, "cef.device_product"), "Product|X");
        assert_eq!(value(text, "act"), r"blocked a \");
        assert_eq!(value(text, "dst"), "1.1.1.1");
        assert_eq!(value(text, "msg"), "line1\nline2 x=y");
        assert_eq!(value(text, "fname"), "a b.txt");
        assert_eq!(value("CEF:0|V|P|1|1|N|5|url=http://h/?a=b x=1", "url"), "http://h/?a=b");
        for text in
            ["", "LEEF:1.0|a", "CEF:0|V|P|1.0|100|Event", "CEF:|V|P|1|1|N|5|", "CEF:x|V|P|1|1|N|5|"]
        {
            assert!(parse_cef(text).is_err(), "{text}");
        }
    }
}
