//! One row of comma-separated values as Go's `encoding/csv` reads it.

use super::tree::set;
use super::{Answer, Refusal, Tree};

/// How quotes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quotes {
    /// They enclose a whole field or are doubled.
    Strict,
    /// One in an unquoted field, or not doubled in a quoted one, is itself.
    Lazy,
    /// They are letters as others.
    Ignored,
}

/// Reads a row into a map by the names of `headers`.
///
/// Newlines at the ends are left out, those within the row belong to the field they are in.
///
/// # Errors
///
/// Fails for delimiters that are not one letter, wrong quotes, and another number of fields than
/// of headers.
pub fn parse_csv(
    row: &str,
    headers: &str,
    (delimiter, header_delimiter): (&str, &str),
    quotes: Quotes,
) -> Answer<Tree> {
    let mut letters = delimiter.chars();
    let (Some(comma), None) = (letters.next(), letters.next()) else {
        return Err(Refusal::new(format!("the delimiter must be one letter, not `{delimiter}`")));
    };
    if header_delimiter.chars().count() != 1 {
        let message =
            format!("the delimiter of headers must be one letter, not `{header_delimiter}`");
        return Err(Refusal::new(message));
    }
    if headers.is_empty() {
        return Err(Refusal::new("there are no headers"));
    }
    let row = row.trim_matches(['\r', '\n']);
    if row.is_empty() && quotes != Quotes::Ignored {
        return Err(Refusal::new("there is no row"));
    }
    let fields = match quotes {
        Quotes::Ignored => row.split(comma).map(str::to_owned).collect(),
        Quotes::Strict => read_row(row, comma, false)?,
        Quotes::Lazy => read_row(row, comma, true)?,
    };
    let headers: Vec<&str> = headers.split(header_delimiter).collect();
    if headers.len() != fields.len() {
        let message = format!("{} fields for {} headers", fields.len(), headers.len());
        return Err(Refusal::new(message));
    }
    let mut map = Vec::with_capacity(fields.len());
    for (header, field) in headers.into_iter().zip(fields) {
        set(&mut map, header.to_owned(), Tree::Str(field));
    }
    Ok(Tree::Map(map))
}

fn read_row(row: &str, comma: char, is_lazy: bool) -> Answer<Vec<String>> {
    let mut fields = Vec::new();
    let mut rest = row;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted, comma, is_lazy)?,
            None => {
                let end = rest.find(comma).unwrap_or(rest.len());
                let (field, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                if !is_lazy && field.contains('"') {
                    let message = format!("`{field}` has a quote but is not quoted");
                    return Err(Refusal::new(message));
                }
                (field.replace("\r\n", "\n"), after)
            }
        };
        fields.push(field);
        match after.strip_prefix(comma) {
            Some(after) => rest = after,
            None => return Ok(fields),
        }
    }
}

/// The field after its opening quote, and what follows: a comma, or nothing.
fn quoted_field(text: &str, comma: char, is_lazy: bool) -> Answer<(String, &str)> {
    let mut field = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('"') {
        field.push_str(before);
        rest = if let Some(doubled) = after.strip_prefix('"') {
            field.push('"');
            doubled
        } else if after.is_empty() || after.starts_with(comma) {
            return Ok((field.replace("\r\n", "\n"), after));
        } else if is_lazy {
            field.push('"');
            after
        } else {
            return Err(Refusal::new("a quote in a quoted field is not doubled"));
        };
    }
    if !is_lazy {
        return Err(Refusal::new("a quoted field does not end"));
    }
    field.push_str(rest);
    Ok((field.replace("\r\n", "\n"), ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(row: &str, quotes: Quotes) -> Answer<Vec<String>> {
        let tree = parse_csv(row, "a,b", (",", ","), quotes)?;
        let Tree::Map(map) = tree else { panic!("no map") };
        let text = |value| match value {
            Tree::Str(text) => text,
            other => panic!("{other:?}"),
        };
        Ok(map.into_iter().map(|(_, value)| text(value)).collect())
    }

    #[test]
    fn reads_rows_as_documented() {
        // The Collector's documentation of ParseCSV.
        let row = "999-999-9999,Joe Smith,joe.smith@example.com";
        let map = parse_csv(row, "phone,name,email", (",", ","), Quotes::Strict).unwrap();
        let expected = [
            ("phone", Tree::str("999-999-9999")),
            ("name", Tree::str("Joe Smith")),
            ("email", Tree::str("joe.smith@example.com")),
        ];
        assert_eq!(map, Tree::map(expected));
        let row = "\"555-555-5556,Joe Smith\",joe.smith@example.com";
        let map = parse_csv(row, "phone,name,email", (",", ","), Quotes::Ignored).unwrap();
        let expected = [
            ("phone", Tree::str("\"555-555-5556")),
            ("name", Tree::str("Joe Smith\"")),
            ("email", Tree::str("joe.smith@example.com")),
        ];
        assert_eq!(map, Tree::map(expected));
    }

    #[test]
    fn quotes_are_read_as_go_reads_them() {
        // The rules of encoding/csv: documentation of Reader and LazyQuotes.
        let strict = Quotes::Strict;
        assert_eq!(read("\"x,\"\"y\"\"\",z", strict).unwrap(), ["x,\"y\"", "z"]);
        assert_eq!(read("\n x\ny,\r\n", strict).unwrap(), [" x\ny", ""]);
        assert_eq!(read("\"x\r\ny\",z", strict).unwrap(), ["x\ny", "z"]);
        assert!(read("a \"word\",b", strict).is_err());
        assert!(read("\"x\"y,b", strict).is_err());
        assert!(read("\"x,b", strict).is_err());
        assert!(read("x", strict).is_err());
        assert_eq!(
            read("a \"word\",\"1\"2\",", Quotes::Lazy).unwrap_err().to_string(),
            "3 fields for 2 headers"
        );
        assert_eq!(read("a \"word\",\"1\"2\"", Quotes::Lazy).unwrap(), ["a \"word\"", "1\"2"]);
        assert_eq!(read("x,\"y", Quotes::Lazy).unwrap(), ["x", "y"]);
        assert!(parse_csv("a", "a", (",,", ","), strict).is_err());
        assert!(parse_csv("a", "", (",", ","), strict).is_err());
    }
}
