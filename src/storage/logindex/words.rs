//! Cuts text into words, the same for what is indexed and what is looked for.
//!
//! A word is a longest run of letters and digits (Unicode's), in lower case. Everything else
//! separates words.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::filter::Row;

/// A term of the index holds at most this many bytes of a word.
pub(crate) const MAX_WORD_BYTES: usize = 128;

const SEPARATOR: u8 = 0;
const DIGIT: u8 = 1;
const LOWER: u8 = 2;
const UPPER: u8 = 3;
const NOT_ASCII: u8 = 4;

/// What each byte is.
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [SEPARATOR; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = match byte {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'z' => LOWER,
            b'A'..=b'Z' => UPPER,
            128..=255 => NOT_ASCII,
            _ => SEPARATOR,
        };
        if byte == u8::MAX {
            return classes;
        }
        byte += 1;
    }
}

/// Whether a word consists of ASCII digits only.
pub(crate) fn is_number(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Walks through the words of a text.
pub(crate) struct Words<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Words<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// Puts the next word in lower case into `word`; says where it stands.
    pub(crate) fn next_into(&mut self, word: &mut String) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        word.clear();
        let mut at = self.at;
        loop {
            match CLASSES[usize::from(*bytes.get(at)?)] {
                SEPARATOR => at += 1,
                NOT_ASCII => {
                    let char = self.text.get(at..)?.chars().next()?;
                    if char.is_alphanumeric() {
                        break;
                    }
                    at += char.len_utf8();
                }
                _ => break,
            }
        }
        let start = at;
        let mut has_upper = false;
        while let Some(byte) = bytes.get(at) {
            match CLASSES[usize::from(*byte)] {
                DIGIT | LOWER => at += 1,
                UPPER => {
                    has_upper = true;
                    at += 1;
                }
                NOT_ASCII => return self.finish_beyond_ascii(start, word),
                _ => break,
            }
        }
        self.at = at;
        word.push_str(self.text.get(start..at)?);
        if has_upper {
            word.make_ascii_lowercase();
        }
        Some((start, at))
    }

    fn finish_beyond_ascii(&mut self, start: usize, word: &mut String) -> Option<(usize, usize)> {
        let rest = self.text.get(start..)?;
        let length = rest.find(|char: char| !char.is_alphanumeric()).unwrap_or(rest.len());
        let original = rest.get(..length)?;
        word.extend(original.chars().flat_map(char::to_lowercase));
        self.at = start + length;
        Some((start, self.at))
    }
}

/// The words of `text`.
pub fn words(text: &str) -> Vec<String> {
    let mut walk = Words::new(text);
    let mut found = Vec::new();
    let mut word = String::new();
    while walk.next_into(&mut word).is_some() {
        found.push(word.clone());
    }
    found
}

/// As much of a word as its term holds.
pub(crate) fn term_of(word: &str) -> &str {
    let mut length = word.len().min(MAX_WORD_BYTES);
    while !word.is_char_boundary(length) {
        length -= 1;
    }
    word.get(..length).unwrap_or(word)
}

/// Whether the words of `row` stand in `text` in a row.
pub(crate) fn contains_row(text: &str, row: &Row) -> bool {
    let wanted = row.words.as_slice();
    if wanted.is_empty() {
        return true;
    }
    let is_at = |index: usize, word: &str| {
        wanted.get(index).is_some_and(|wanted| {
            let may_go_on = row.is_open && index + 1 == row.words.len();
            word == wanted || (may_go_on && word.starts_with(wanted.as_str()))
        })
    };
    let mut walk = Words::new(text);
    let mut word = String::new();
    // How many of `wanted` each row that is still possible has matched.
    let mut matched: Vec<usize> = Vec::new();
    while walk.next_into(&mut word).is_some() {
        matched.retain_mut(|count| {
            let is_next = is_at(*count, &word);
            *count += 1;
            is_next
        });
        if is_at(0, &word) {
            matched.push(1);
        }
        if matched.contains(&wanted.len()) {
            return true;
        }
    }
    false
}

/// Cuts bodies into terms for tantivy.
#[derive(Clone, Default)]
pub(crate) struct BodyTokenizer {
    skips_numbers: bool,
    token: Token,
}

impl BodyTokenizer {
    /// A tokenizer that leaves out words of digits only if it is told so.
    pub(crate) fn new(skips_numbers: bool) -> Self {
        Self { skips_numbers, token: Token::default() }
    }
}

impl Tokenizer for BodyTokenizer {
    type TokenStream<'a> = BodyTokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> BodyTokens<'a> {
        self.token.reset();
        BodyTokens {
            words: Words::new(text),
            skips_numbers: self.skips_numbers,
            token: &mut self.token,
        }
    }
}

/// The terms of one body.
pub(crate) struct BodyTokens<'a> {
    words: Words<'a>,
    skips_numbers: bool,
    token: &'a mut Token,
}

impl TokenStream for BodyTokens<'_> {
    fn advance(&mut self) -> bool {
        loop {
            self.token.position = self.token.position.wrapping_add(1);
            let Some((from, to)) = self.words.next_into(&mut self.token.text) else {
                return false;
            };
            let length = term_of(&self.token.text).len();
            self.token.text.truncate(length);
            if !(self.skips_numbers && is_number(&self.token.text)) {
                self.token.offset_from = from;
                self.token.offset_to = to;
                return true;
            }
        }
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn slow_words(text: &str) -> Vec<String> {
        let runs = text.split(|char: char| !char.is_alphanumeric());
        runs.filter(|run| !run.is_empty())
            .map(|run| run.chars().flat_map(char::to_lowercase).collect())
            .collect()
    }

    #[test]
    fn text_is_cut_at_everything_but_letters_and_digits() {
        assert_eq!(
            words("GET /api/v1?id=42 Größe_x \u{130}!"),
            ["get", "api", "v1", "id", "42", "größe", "x", "i\u{307}"]
        );
        assert_eq!(words(" -,. "), [""; 0]);
    }

    #[test]
    fn row_is_found_only_in_order_and_without_gaps() {
        let row = |text: &str| Row { words: words(text), is_open: false };
        assert!(contains_row("a a b", &row("a b")));
        assert!(contains_row("x Connection refused: 10.0.0.1", &row("connection refused 10 0")));
        assert!(!contains_row("connection was refused", &row("connection refused")));
        assert!(contains_row("a b a b c", &row("a b c")));
        assert!(contains_row("anything", &row("")));
        let open = Row { words: words("was conn"), is_open: true };
        assert!(contains_row("it was connected", &open));
        assert!(!contains_row("was not connected", &open));
    }

    #[test]
    fn tokens_leave_out_numbers_when_told() {
        let mut tokenizer = BodyTokenizer::new(true);
        let mut stream = tokenizer.token_stream("id 42 a1");
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push((token.text.clone(), token.position));
        }
        assert_eq!(found, [("id".to_owned(), 0), ("a1".to_owned(), 2)]);
    }

    proptest! {
        #[test]
        fn words_are_those_of_a_plain_split(text in "[a-zA-Z0-9 _.ßÄİ日-]{0,40}") {
            prop_assert_eq!(words(&text), slow_words(&text));
        }

        #[test]
        fn row_is_found_as_by_comparing_windows(text in "[abA ]{0,20}", row in "[ab ]{0,6}") {
            let (all, wanted) = (words(&text), words(&row));
            let expected = wanted.is_empty() || all.windows(wanted.len()).any(|w| w == wanted);
            prop_assert_eq!(contains_row(&text, &Row { words: wanted, is_open: false }), expected);
        }
    }
}
