//! Lines of the user's files as messages may show them: without secrets.

use super::{SourceText, print::names_secret};

/// The line with this number, each character of what is probably a secret replaced by `*`.
pub(super) fn shown_line(source: &SourceText, number: usize) -> Option<String> {
    let line = source.line(number)?;
    let Some(start) = secret_start(line)
        .or_else(|| is_under_secret(source, number, line).then(|| value_start(line).unwrap_or(0)))
    else {
        return Some(line.to_owned());
    };
    let hide = |(at, char): (usize, char)| match char {
        char if at < start || char.is_whitespace() => char,
        _ => '*',
    };
    Some(line.char_indices().map(hide).collect())
}

/// Where the value of the first key that names a secret starts.
fn secret_start(line: &str) -> Option<usize> {
    let ends = line.char_indices().filter(|(_, char)| matches!(char, ':' | '='));
    let mut secrets = ends.filter(|(at, _)| {
        let (before, _) = line.split_at(*at);
        let key = before.rsplit([' ', '\t', '{', ',', '[']).next().unwrap_or_default();
        key.split([':', '.', '"', '\'']).any(names_secret)
    });
    secrets.next().map(|(at, _)| at + 1)
}

/// Where the value of the line's own key starts.
fn value_start(line: &str) -> Option<usize> {
    line.find(": ").map(|at| at + 1)
}

/// Whether a line around this one, by indentation, has a key that names a secret.
fn is_under_secret(source: &SourceText, number: usize, line: &str) -> bool {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '-']).len();
    let mut width = indent(line);
    for before in (1..number).rev() {
        let Some(line) = source.line(before) else { continue };
        let content = line.trim_start_matches([' ', '-']);
        if content.is_empty() || content.starts_with('#') || indent(line) >= width {
            continue;
        }
        width = indent(line);
        let key = content.split(':').next().unwrap_or_default();
        if names_secret(key.trim_matches(['"', '\''])) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, number: usize) -> String {
        shown_line(&SourceText::new("a.yaml", text, 0), number).unwrap()
    }

    #[test]
    fn values_of_secrets_are_hidden() {
        assert_eq!(shown("  password: [a b]", 1), "  password: ** **");
        assert_eq!(shown("{user: x, token: y, z: 1}", 1), "{user: x, token: ** ** **");
        assert_eq!(shown("a.headers.x-key=abc", 1), "a.headers.x-key=***");
        assert_eq!(shown("headers:\n  # a\n  x-key: abc", 3), "  x-key: ***");
        assert_eq!(shown("inline:\n", 1), "inline:");
        assert_eq!(shown("htpasswd:\n  inline: |\n    ann:abc", 3), "    *******");
        assert_eq!(shown("secrets:\n- abc\n- def", 3), "* ***");
    }

    #[test]
    fn other_lines_are_shown() {
        for line in ["  endpoint: a:1", "bearertokenauth/a:", "  key_file: /a/token", "a: b=c"] {
            assert_eq!(shown(line, 1), line);
        }
        assert_eq!(shown("headers:\n  x: y\nendpoint: a", 3), "endpoint: a");
    }
}
