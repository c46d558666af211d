//! Patterns with `*`, as `replace_match` takes them.

use regex::Regex;

use super::re2::push_literal;
use super::{Answer, Refusal};

/// Compiles a pattern that a whole text must match.
///
/// `*` and `**` stand for any letters, `?` for one; `[abc]`, `[a-z]` and `[!abc]` for one of some;
/// `{one,two}` for one of several patterns; a backslash takes the meaning from the next letter. As
/// in the Collector, and other than its documentation says, `*` does not stop at `/`.
///
/// # Errors
///
/// Fails for brackets and braces that do not close.
pub fn compile(pattern: &str) -> Answer<Regex> {
    let mut regex = String::from("(?s)^(?:");
    let mut letters = pattern.chars();
    let mut depth = 0usize;
    while let Some(letter) = letters.next() {
        match letter {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' => class(&mut letters, &mut regex).ok_or_else(|| {
                Refusal::new(format!("`[` does not close in the pattern `{pattern}`"))
            })?,
            '{' => {
                depth += 1;
                regex.push_str("(?:");
            }
            '}' if depth > 0 => {
                depth -= 1;
                regex.push(')');
            }
            ',' if depth > 0 => regex.push('|'),
            '\\' => push_literal(&mut regex, letters.next().unwrap_or('\\')),
            _ => push_literal(&mut regex, letter),
        }
    }
    if depth > 0 {
        return Err(Refusal::new(format!("`{{` does not close in the pattern `{pattern}`")));
    }
    regex.push_str(")$");
    Regex::new(&regex).map_err(|_| Refusal::new(format!("`{pattern}` is not a pattern")))
}

/// Translates a class up to its end; nothing if there is none.
fn class(letters: &mut std::str::Chars<'_>, regex: &mut String) -> Option<()> {
    regex.push('[');
    if let Some(rest) = letters.as_str().strip_prefix('!') {
        *letters = rest.chars();
        regex.push('^');
    }
    let mut is_first = true;
    loop {
        match letters.next()? {
            ']' if !is_first => break,
            '-' if !is_first && !letters.as_str().starts_with(']') => regex.push('-'),
            '\\' => push_literal(regex, letters.next()?),
            letter => push_literal(regex, letter),
        }
        is_first = false;
    }
    regex.push(']');
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_whole_texts() {
        // The Collector's documentation of replace_match; the syntax of the library it uses.
        let cases = [
            ("/user/*/list/*", "/user/1/list/2", true),
            ("/user/*/list/*", "/user/1/2/list/3/4", true),
            ("/user/*/list/*", "/user/1/list", false),
            ("*.txt", "a\n.txt", true),
            ("a?c", "a\u{e9}c", true),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]a]", "]", true),
            ("{cat,[bf]at}s", "fats", true),
            ("{cat,[bf]at}s", "hats", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("a.b", "axb", false),
            ("a,b", "a,b", true),
            ("", "", true),
            ("", "x", false),
        ];
        for (pattern, text, matches) in cases {
            assert_eq!(compile(pattern).unwrap().is_match(text), matches, "{pattern} on {text}");
        }
        for wrong in ["[a", "{a", "[b-a]"] {
            assert!(compile(wrong).is_err(), "{wrong}");
        }
    }
}
