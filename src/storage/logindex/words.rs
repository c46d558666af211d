//! Cuts text into words, the same for what is indexed and what is looked for.
//!
//! A word is a longest run of letters and digits (Unicode's), in lower case. Everything else
//! separates words.

use smallvec::SmallVec;
use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::filter::Row;

/// A term of the index holds at most this many bytes of a word.
pub(crate) const MAX_WORD_BYTES: usize = 128;

/// A word of hexadecimal digits is an identifier when it has so many, digits and letters.
const MIN_HEX_BYTES: usize = 8;

const SEPARATOR: u8 = 0;
const DIGIT: u8 = 1;
/// A letter that is a hexadecimal digit.
const HEX: u8 = 2;
const LETTER: u8 = 4;
const UPPER: u8 = 8;
const NOT_ASCII: u8 = 16;

/// What each byte is.
const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [SEPARATOR; 256];
    let mut byte = 0_u8;
    loop {
        classes[byte as usize] = match byte {
            b'0'..=b'9' => DIGIT,
            b'a'..=b'f' => HEX,
            b'g'..=b'z' => LETTER,
            b'A'..=b'F' => HEX | UPPER,
            b'G'..=b'Z' => LETTER | UPPER,
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

/// Whether a part of a word could be one of a number or of a hexadecimal word.
pub(crate) fn is_hex(part: &str) -> bool {
    part.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What a word consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WordKind {
    /// ASCII digits only.
    Number,
    /// Hexadecimal digits, at least eight, some of them letters and some not.
    Hex,
    /// Anything else.
    Other,
}

impl WordKind {
    /// What a word in lower case is.
    pub(crate) fn of(word: &str) -> Self {
        let classes = word.bytes().map(|byte| CLASSES[usize::from(byte)]);
        Self::of_classes(classes.fold(0, |all, class| all | class), word.len())
    }

    const fn of_classes(classes: u8, length: usize) -> Self {
        const MIXED: u8 = DIGIT | HEX;
        match classes & !UPPER {
            DIGIT => Self::Number,
            MIXED if length >= MIN_HEX_BYTES => Self::Hex,
            _ => Self::Other,
        }
    }
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

    /// Puts the next word in lower case into `word`.
    pub(crate) fn next_into(&mut self, word: &mut String) -> Option<WordKind> {
        word.clear();
        let (run, classes) = self.next_run()?;
        if classes & NOT_ASCII > 0 {
            push_lower(run, word);
            return Some(WordKind::of(word));
        }
        word.push_str(run);
        if classes & UPPER > 0 {
            word.make_ascii_lowercase();
        }
        Some(WordKind::of_classes(classes, word.len()))
    }

    /// The next word as it stands there, and the classes of its bytes.
    fn next_run(&mut self) -> Option<(&'a str, u8)> {
        let bytes = self.text.as_bytes();
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
        let mut classes = 0;
        while let Some(byte) = bytes.get(at) {
            match CLASSES[usize::from(*byte)] {
                SEPARATOR => break,
                NOT_ASCII => {
                    let rest = self.text.get(start..)?;
                    let end = rest.find(|char: char| !char.is_alphanumeric());
                    let run = rest.get(..end.unwrap_or(rest.len()))?;
                    self.at = start + run.len();
                    return Some((run, NOT_ASCII));
                }
                class => classes |= class,
            }
            at += 1;
        }
        self.at = at;
        Some((self.text.get(start..at)?, classes))
    }
}

fn push_lower(run: &str, word: &mut String) {
    word.extend(run.chars().flat_map(char::to_lowercase));
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
    // What is not ASCII is in lower case already.
    let is_at = |index: usize, word: &str| {
        wanted.get(index).is_some_and(|wanted| {
            let may_go_on = row.is_open && index + 1 == row.words.len();
            let (word, wanted) = (word.as_bytes(), wanted.as_bytes());
            (word.len() == wanted.len() || (may_go_on && word.len() > wanted.len()))
                && word.get(..wanted.len()).is_some_and(|start| start.eq_ignore_ascii_case(wanted))
        })
    };
    let mut walk = Words::new(text);
    let mut lower = String::new();
    // How many of `wanted` each row that is still possible has matched.
    let mut matched: SmallVec<[usize; 8]> = SmallVec::new();
    while let Some((mut word, classes)) = walk.next_run() {
        if classes & NOT_ASCII > 0 {
            lower.clear();
            push_lower(word, &mut lower);
            word = &lower;
        }
        matched.retain(|count| {
            let is_next = is_at(*count, word);
            *count += 1;
            is_next
        });
        if is_at(0, word) {
            matched.push(1);
        }
        if matched.contains(&wanted.len()) {
            return true;
        }
    }
    false
}

/// Hands words that stand one behind the other, a space behind each, to tantivy.
#[derive(Clone, Default)]
pub(crate) struct CutWords {
    token: Token,
}

impl Tokenizer for CutWords {
    type TokenStream<'a> = CutWordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> CutWordStream<'a> {
        self.token.reset();
        CutWordStream { rest: text, token: &mut self.token }
    }
}

/// The words of one body.
pub(crate) struct CutWordStream<'a> {
    rest: &'a str,
    token: &'a mut Token,
}

impl TokenStream for CutWordStream<'_> {
    fn advance(&mut self) -> bool {
        let Some((word, rest)) = self.rest.split_once(' ') else {
            return false;
        };
        self.token.text.clear();
        self.token.text.push_str(word);
        self.token.position = self.token.position.wrapping_add(1);
        self.rest = rest;
        true
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
    fn words_are_told_from_numbers() {
        let text = "id 42 a1 7\u{663} 6af3B2c1 deadbeef 12345678 6af3b2c 6af3b2cg";
        let mut walk = Words::new(text);
        let mut word = String::new();
        let kinds: Vec<_> = std::iter::from_fn(|| walk.next_into(&mut word)).collect();
        let (number, hex, other) = (WordKind::Number, WordKind::Hex, WordKind::Other);
        assert_eq!(kinds, [other, number, other, other, hex, other, number, other, other]);
    }

    #[test]
    fn tokens_are_words_that_were_cut_before() {
        let mut tokenizer = CutWords::default();
        let mut stream = tokenizer.token_stream("id a1 größe ");
        let mut found = Vec::new();
        while let Some(token) = stream.next() {
            found.push(token.text.clone());
        }
        assert_eq!(found, ["id", "a1", "größe"]);
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
