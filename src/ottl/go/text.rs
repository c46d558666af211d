//! Functions on texts, in bytes or letters as Go's `strings` has them.

use super::{Answer, Refusal};

/// `strings.ToUpper`: letter by letter, so that `ß` stays.
#[must_use]
pub fn to_upper(text: &str) -> String {
    text.chars().map(|letter| single(letter, letter.to_uppercase())).collect()
}

/// `strings.ToLower`: letter by letter, so that every `Σ` is `σ`.
#[must_use]
pub fn to_lower(text: &str) -> String {
    let lower = |letter: char| match letter {
        '\u{130}' => 'i',
        _ => single(letter, letter.to_lowercase()),
    };
    text.chars().map(lower).collect()
}

fn single(letter: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => letter,
    }
}

/// Snake case: `CPUUtilizationMetric` becomes `cpu_utilization_metric`, `id3` becomes `id_3`.
#[must_use]
pub fn to_snake(text: &str) -> String {
    let letters: Vec<char> = text.trim().chars().collect();
    let mut snake = String::with_capacity(text.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        let next = letters.get(index + 1);
        let previous = index.checked_sub(1).and_then(|before| letters.get(before));
        let (this, after) =
            (Class::of(*letter), next.map_or(Class::Other, |next| Class::of(*next)));
        let is_boundary = this != Class::Other && after != Class::Other && this != after;
        let is_last_capital = this == Class::Upper && after == Class::Lower;
        if is_last_capital && previous.is_some_and(char::is_ascii_uppercase) {
            snake.push('_');
        }
        match letter {
            ' ' | '_' | '-' | '.' => snake.push('_'),
            _ => snake.push(letter.to_ascii_lowercase()),
        }
        if is_boundary && !is_last_capital {
            snake.push('_');
        }
    }
    snake
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
    Other,
}

impl Class {
    const fn of(letter: char) -> Self {
        match letter {
            'A'..='Z' => Self::Upper,
            'a'..='z' => Self::Lower,
            '0'..='9' => Self::Digit,
            _ => Self::Other,
        }
    }
}

/// Camel case with a capital first: `my_metric` becomes `MyMetric`, `URL` becomes `Url`.
///
/// What is neither an ASCII letter nor a digit is left out.
#[must_use]
pub fn to_camel(text: &str) -> String {
    let mut camel = String::with_capacity(text.len());
    let mut is_next_capital = true;
    let mut was_capital = false;
    for letter in text.trim().chars() {
        match Class::of(letter) {
            Class::Upper | Class::Lower => {
                let is_capital = letter.is_ascii_uppercase();
                camel.push(if is_next_capital {
                    letter.to_ascii_uppercase()
                } else if was_capital && is_capital {
                    letter.to_ascii_lowercase()
                } else {
                    letter
                });
                was_capital = is_capital;
                is_next_capital = false;
            }
            Class::Digit => {
                camel.push(letter);
                (is_next_capital, was_capital) = (true, false);
            }
            Class::Other => {
                is_next_capital = matches!(letter, '_' | ' ' | '-' | '.');
                was_capital = false;
            }
        }
    }
    camel
}

/// `length` bytes of `text` from byte `start` on.
///
/// With `is_utf8_safe` a start within a letter moves to the next one and an end within a letter to
/// the one before. Without it, Go would cut letters to pieces; here each piece becomes U+FFFD, for
/// texts of records are UTF-8.
///
/// # Errors
///
/// Fails for a negative start, a length below 1, and what goes beyond the end.
pub fn substring(text: &str, start: i64, length: i64, is_utf8_safe: bool) -> Answer<String> {
    if length < 1 {
        return Err(Refusal::new(format!(
            "the length of a substring must be 1 or more, not {length}"
        )));
    }
    let Ok(from) = usize::try_from(start) else {
        return Err(Refusal::new(format!("a substring cannot start at {start}")));
    };
    let to = usize::try_from(length).ok().and_then(|length| from.checked_add(length));
    let Some(to) = to.filter(|to| *to <= text.len()) else {
        let message = format!(
            "a substring of {length} bytes from {start} on goes beyond the {} bytes of the text",
            text.len()
        );
        return Err(Refusal::new(message));
    };
    if is_utf8_safe {
        let (from, to) = (text.ceil_char_boundary(from), text.floor_char_boundary(to));
        return Ok(text.get(from..to).unwrap_or_default().to_owned());
    }
    let bytes = text.as_bytes().get(from..to).unwrap_or_default();
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

/// `strings.Trim`: without the letters of `set` at both ends.
#[must_use]
pub fn trim<'t>(text: &'t str, set: &str) -> &'t str {
    text.trim_matches(|letter| set.contains(letter))
}

/// `strings.Split`: an empty separator separates all letters.
#[must_use]
pub fn split<'t>(text: &'t str, separator: &str) -> Vec<&'t str> {
    if separator.is_empty() {
        return text.split("").filter(|letter| !letter.is_empty()).collect();
    }
    text.split(separator).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_are_those_of_the_collector() {
        // The Collector's tests of ConvertCase, and what the library it uses (strcase 0.3) makes.
        let cases = [
            ("simpleString", "simple_string", "SimpleString"),
            ("CPUUtilizationMetric", "cpu_utilization_metric", "CpuutilizationMetric"),
            ("simple-string", "simple_string", "SimpleString"),
            ("my_metric_name", "my_metric_name", "MyMetricName"),
            ("MyMetricName", "my_metric_name", "MyMetricName"),
            ("a.b c", "a_b_c", "ABC"),
            ("HTTP2Server", "http_2_server", "Http2Server"),
            ("id3", "id_3", "Id3"),
            ("MY_METRIC", "my_metric", "MyMetric"),
            ("", "", ""),
            ("x1Y2", "x_1_y_2", "X1Y2"),
            ("fooBar_baz", "foo_bar_baz", "FooBarBaz"),
            ("ABC", "abc", "Abc"),
            ("aB1c", "a_b_1_c", "AB1C"),
            ("getURLFor", "get_url_for", "GetUrlfor"),
            ("user ID", "user_id", "UserId"),
            ("1abc", "1_abc", "1Abc"),
            ("a__b", "a__b", "AB"),
            (" lead ", "lead", "Lead"),
            ("\u{e9}a_b", "\u{e9}a_b", "aB"),
        ];
        for (text, snake, camel) in cases {
            assert_eq!(to_snake(text), snake, "{text}");
            assert_eq!(to_camel(text), camel, "{text}");
        }
        // Go 1.26: strings.ToUpper and strings.ToLower.
        assert_eq!(to_upper("\u{1c6}\u{df}"), "\u{1c4}\u{df}");
        assert_eq!(to_lower("\u{130}\u{3a3}"), "i\u{3c3}");
    }

    #[test]
    fn substrings_are_in_bytes() {
        // The Collector's documentation of Substring.
        assert_eq!(substring("123456789", 0, 3, false), Ok("123".to_owned()));
        assert_eq!(substring("\u{4e00}\u{4e8c}\u{4e09}", 0, 4, true), Ok("\u{4e00}".to_owned()));
        assert_eq!(substring("\u{4e00}\u{4e8c}\u{4e09}", 1, 6, true), Ok("\u{4e8c}".to_owned()));
        assert_eq!(substring("\u{4e00}\u{4e8c}", 1, 1, true), Ok(String::new()));
        assert_eq!(substring("\u{e9}a", 1, 2, false), Ok("\u{fffd}a".to_owned()));
        for (start, length) in [(-1, 1), (0, 0), (0, 4), (3, 1), (i64::MAX, i64::MAX)] {
            assert!(substring("abc", start, length, false).is_err(), "{start}, {length}");
        }
    }

    #[test]
    fn trims_and_splits_as_go() {
        // The Collector's documentation of Trim.
        assert_eq!(trim(" this is a test ", " "), "this is a test");
        assert_eq!(trim("!!this is a test!!", "!!"), "this is a test");
        assert_eq!(split("A|B|C", "|"), ["A", "B", "C"]);
        assert_eq!(split("h\u{e9}", ""), ["h", "\u{e9}"]);
        assert_eq!(split("", ","), [""]);
        assert!(split("", "").is_empty());
    }
}
