//! The Extended Log Format of the W3C.

use super::{Answer, Refusal, Tree};

/// Reads a block with its directives and lines into `elf.version`, those of `elf.software`,
/// `elf.date`, `elf.start_date`, `elf.end_date` and `elf.remark` that are there, `elf.fields` and
/// `elf.entries`. A field that a line does not have is `-`.
///
/// # Errors
///
/// Fails for a block without `#Version`, and for a line before any `#Fields`.
pub fn parse_elf(text: &str) -> Answer<Tree> {
    let mut directives: Vec<(&'static str, Tree)> = Vec::new();
    let mut fields: Vec<&str> = Vec::new();
    let mut entries = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let Some(directive) = line.strip_prefix('#') else {
            if fields.is_empty() {
                return Err(Refusal::new("there is no `#Fields` before the first line"));
            }
            entries.push(entry(line, &fields));
            continue;
        };
        let Some((name, value)) = directive.split_once(':') else { continue };
        let value = value.trim();
        let key = match &*name.trim().to_ascii_lowercase() {
            "fields" => {
                fields = value.split_whitespace().collect();
                continue;
            }
            "version" => "elf.version",
            "software" => "elf.software",
            "date" => "elf.date",
            "start-date" => "elf.start_date",
            "end-date" => "elf.end_date",
            "remark" => "elf.remark",
            _ => continue,
        };
        directives.retain(|(other, _)| *other != key);
        directives.push((key, Tree::str(value)));
    }
    if !directives.iter().any(|(key, value)| *key == "elf.version" && *value != Tree::str("")) {
        return Err(Refusal::new("the text has no `#Version`"));
    }
    let names = fields.into_iter().map(Tree::str).collect();
    directives.push(("elf.fields", Tree::List(names)));
    directives.push(("elf.entries", Tree::List(entries)));
    Ok(Tree::map(directives))
}

fn entry(line: &str, fields: &[&str]) -> Tree {
    let mut values = values(line).into_iter();
    let pairs = fields.iter().map(|field| {
        let value = values.next().unwrap_or_else(|| "-".to_owned());
        (*field, Tree::Str(value))
    });
    Tree::map(pairs.collect::<Vec<_>>())
}

/// Values between spaces; one in double quotes may have spaces, and doubled quotes.
fn values(line: &str) -> Vec<String> {
    let mut values = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let (value, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted),
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                let (value, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                (value.to_owned(), after)
            }
        };
        values.push(value);
        rest = after.trim_start();
    }
    values
}

fn quoted_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        value.push_str(before);
        let Some(doubled) = after.strip_prefix('"') else { return (value, after) };
        value.push('"');
        rest = doubled;
    }
    value.push_str(rest);
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_as_documented() {
        // The Collector's documentation of ParseELF.
        let text = "#Version: 1.0\n#Fields: time cs-method cs-uri\n00:34:23 GET /foo/bar.html";
        let entry = Tree::map([
            ("time", Tree::str("00:34:23")),
            ("cs-method", Tree::str("GET")),
            ("cs-uri", Tree::str("/foo/bar.html")),
        ]);
        let names = ["time", "cs-method", "cs-uri"].map(Tree::str).to_vec();
        let expected = Tree::map([
            ("elf.version", Tree::str("1.0")),
            ("elf.fields", Tree::List(names)),
            ("elf.entries", Tree::List(vec![entry])),
        ]);
        assert_eq!(parse_elf(text), Ok(expected));
        let text = "#Version: 1.0\r\n#Software: x y\r\n#Fields: a b\r\n\"1 \"\"2\"\"\"\r\n#Fields: c\r\n3 4\r\n";
        let first = Tree::map([("a", Tree::str("1 \"2\"")), ("b", Tree::str("-"))]);
        let expected = Tree::map([
            ("elf.version", Tree::str("1.0")),
            ("elf.software", Tree::str("x y")),
            ("elf.fields", Tree::List(vec![Tree::str("c")])),
            ("elf.entries", Tree::List(vec![first, Tree::map([("c", Tree::str("3"))])])),
        ]);
        assert_eq!(parse_elf(text), Ok(expected));
        for wrong in ["", "#Fields: a\n1", "#Version: 1.0\n1 2"] {
            assert!(parse_elf(wrong).is_err(), "{wrong}");
        }
    }
}
