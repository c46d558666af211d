//! The Common Log Format of web servers, and the Combined one.

use std::sync::LazyLock;

use regex::Regex;

use super::{Answer, Refusal, Tree};

/// Which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `host rfc931 user [date] "request" status bytes`.
    Common,
    /// With a quoted referer and user agent after it.
    Combined,
}

#[expect(clippy::expect_used, reason = "a literal that a test compiles")]
static LINE: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r#"^(\S+) (\S+) (\S+) \[([^\]]*)\] "((?:[^"\\]|\\.)*)" (\d{3}) (\d+|-)(?: "((?:[^"\\]|\\.)*)" "((?:[^"\\]|\\.)*)")?$"#;
    Regex::new(pattern).expect("the pattern is right")
});

/// Reads a line into `clf.remote_host`, `clf.rfc931`, `clf.auth_user`, `clf.timestamp`,
/// `clf.request` with its `clf.method`, `clf.request_uri` and `clf.protocol` if it has them,
/// `clf.status`, `clf.bytes` unless it is `-`, and for [`Format::Combined`] `clf.referer` and
/// `clf.user_agent`.
///
/// # Errors
///
/// Fails for a line of another format.
pub fn parse_clf(text: &str, format: Format) -> Answer<Tree> {
    let refuse = || {
        let name = if format == Format::Common { "Common" } else { "Combined" };
        Refusal::new(format!("the text is not in the {name} Log Format"))
    };
    let captures = LINE.captures(text).ok_or_else(refuse)?;
    let field = |index: usize| captures.get(index).map_or("", |group| group.as_str());
    if captures.get(8).is_some() != (format == Format::Combined) {
        return Err(refuse());
    }
    let request = unescaped(field(5));
    let mut map = vec![
        ("clf.remote_host", Tree::str(field(1))),
        ("clf.rfc931", Tree::str(field(2))),
        ("clf.auth_user", Tree::str(field(3))),
        ("clf.timestamp", Tree::str(field(4))),
        ("clf.request", Tree::str(request.clone())),
    ];
    let parts: Vec<&str> = request.split(' ').filter(|part| !part.is_empty()).collect();
    if let [method, uri, protocol] = parts[..] {
        map.push(("clf.method", Tree::str(method)));
        map.push(("clf.request_uri", Tree::str(uri)));
        map.push(("clf.protocol", Tree::str(protocol)));
    }
    map.push(("clf.status", Tree::Int(field(6).parse().map_err(|_| refuse())?)));
    if field(7) != "-" {
        map.push(("clf.bytes", Tree::Int(field(7).parse().map_err(|_| refuse())?)));
    }
    if format == Format::Combined {
        map.push(("clf.referer", Tree::Str(unescaped(field(8)))));
        map.push(("clf.user_agent", Tree::Str(unescaped(field(9)))));
    }
    Ok(Tree::map(map))
}

/// Undoes the escapes of Apache and nginx.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        bytes.extend_from_slice(before.as_bytes());
        let hexadecimal = after
            .strip_prefix('x')
            .and_then(|digits| digits.get(..2))
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = hexadecimal {
            bytes.push(byte);
            rest = after.get(3..).unwrap_or_default();
            continue;
        }
        let letter = after.bytes().next();
        let plain = match letter {
            Some(b'n') => Some(b'\n'),
            Some(b'r') => Some(b'\r'),
            Some(b't') => Some(b'\t'),
            Some(b'b') => Some(8),
            Some(b'f') => Some(12),
            Some(b'v') => Some(11),
            Some(b'"' | b'\\') => letter,
            _ => None,
        };
        match plain {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(1..).unwrap_or_default();
            }
            None => {
                bytes.push(b'\\');
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_documented() {
        // The Collector's documentation of ParseCLF, and Apache's of its log files.
        let line = "127.0.0.1 - frank [10/Oct/2000:13:55:36 -0700] \"GET /apache_pb.gif HTTP/1.0\" 200 2326";
        let mut expected = vec![
            ("clf.remote_host", Tree::str("127.0.0.1")),
            ("clf.rfc931", Tree::str("-")),
            ("clf.auth_user", Tree::str("frank")),
            ("clf.timestamp", Tree::str("10/Oct/2000:13:55:36 -0700")),
            ("clf.request", Tree::str("GET /apache_pb.gif HTTP/1.0")),
            ("clf.method", Tree::str("GET")),
            ("clf.request_uri", Tree::str("/apache_pb.gif")),
            ("clf.protocol", Tree::str("HTTP/1.0")),
            ("clf.status", Tree::Int(200)),
            ("clf.bytes", Tree::Int(2326)),
        ];
        assert_eq!(parse_clf(line, Format::Common), Ok(Tree::map(expected.clone())));
        assert!(parse_clf(line, Format::Combined).is_err());
        let combined = format!(r#"{line} "http://e.com/" "Mozilla \"x\" \xc3\xa9""#);
        expected.push(("clf.referer", Tree::str("http://e.com/")));
        expected.push(("clf.user_agent", Tree::str("Mozilla \"x\" \u{e9}")));
        assert_eq!(parse_clf(&combined, Format::Combined), Ok(Tree::map(expected)));
        assert!(parse_clf(&combined, Format::Common).is_err());
        let Ok(Tree::Map(map)) = parse_clf("h - - [d] \"-\" 304 -", Format::Common) else {
            panic!()
        };
        assert_eq!(map.len(), 6);
        for wrong in ["", "x", "h - - [d] \"GET\" 20 1", "h - - d \"GET\" 200 1"] {
            assert!(parse_clf(wrong, Format::Common).is_err(), "{wrong}");
        }
    }
}
