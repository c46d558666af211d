//! Cuts a query into tokens.

use super::QueryError;

/// A piece of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Where it begins, in characters from 0.
    pub(super) position: usize,
    /// Whether it follows the token before it without a space.
    pub(super) is_glued: bool,
    /// What it is.
    pub(super) kind: Kind,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `AND`
    And,
    /// `OR`
    Or,
    /// `NOT`
    Not,
    /// A field's name with its colon.
    Field(String),
    /// A comparison right after a field's colon.
    Compare(Comparison),
    /// Characters up to the next space or parenthesis, quoting taken away.
    Word(Vec<Piece>),
    /// `"…"`
    Phrase(String),
    /// `/…/`
    Regex(String),
    /// `[a TO b}` and the like.
    Range(RangeText),
    /// The end of the query.
    End,
}

/// A character of a word, and whether it has a meaning of its own (`*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Char(char),
    Star,
}

/// How a value is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A range as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RangeText {
    pub(super) low: String,
    pub(super) includes_low: bool,
    pub(super) high: String,
    pub(super) includes_high: bool,
}

/// Cuts `text` into tokens, with [`Kind::End`] at the end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, tokens: Vec::new() };
    while lexer.step()? {}
    let position = lexer.chars.len();
    lexer.push(position, Kind::End);
    Ok(lexer.tokens)
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn push(&mut self, position: usize, kind: Kind) {
        let is_glued = self.is_glued(position);
        self.tokens.push(Token { position, is_glued, kind });
    }

    fn is_glued(&self, position: usize) -> bool {
        position > 0 && self.chars.get(position - 1).is_some_and(|char| !char.is_whitespace())
    }

    /// Whether a field's colon stands right before this.
    fn is_value(&self) -> bool {
        let last = self.tokens.last().map(|token| &token.kind);
        matches!(last, Some(Kind::Field(_) | Kind::Compare(_))) && self.is_glued(self.at)
    }

    /// Whether a comparison stands right before this.
    fn is_compared(&self) -> bool {
        let last = self.tokens.last().map(|token| &token.kind);
        matches!(last, Some(Kind::Compare(_))) && self.is_glued(self.at)
    }

    fn step(&mut self) -> Result<bool, QueryError> {
        let is_value = self.is_value();
        let Some(char) = self.peek() else {
            return Ok(false);
        };
        let position = self.at;
        match char {
            _ if char.is_whitespace() => self.at += 1,
            '(' | ')' => {
                self.at += 1;
                self.push(position, if char == '(' { Kind::Open } else { Kind::Close });
            }
            '"' => self.phrase()?,
            // A value may be a path, and a comparison is with a text.
            '/' if !is_value || (!self.is_compared() && self.is_regex()) => self.regex()?,
            '<' | '>' if is_value => self.comparison(),
            '[' | '{' if is_value => self.range()?,
            '-' if !is_value && self.begins_word(position + 1) => {
                let message = "a `-` does not exclude: write `NOT` before the word, or quote it";
                return Err(QueryError::new(position, message));
            }
            _ => self.word(is_value)?,
        }
        Ok(true)
    }

    /// Whether the next slash ends what begins with one here.
    fn is_regex(&self) -> bool {
        let mut rest = self.chars.iter().skip(self.at + 1);
        while let Some(char) = rest.next() {
            match char {
                '/' => return rest.next().is_none_or(|next| next.is_whitespace() || *next == ')'),
                '\\' => drop(rest.next()),
                _ => {}
            }
        }
        false
    }

    fn begins_word(&self, at: usize) -> bool {
        self.chars.get(at).is_some_and(|char| !char.is_whitespace() && *char != '-')
    }

    fn phrase(&mut self) -> Result<(), QueryError> {
        let position = self.at;
        self.at += 1;
        let text = self.quoted('"', position, "a closing `\"` for the phrase that begins here")?;
        // A quoted name before a colon is a field.
        if self.peek() == Some(':') {
            self.at += 1;
            self.push(position, Kind::Field(text));
        } else {
            self.push(position, Kind::Phrase(text));
        }
        Ok(())
    }

    /// Reads up to `end`; a backslash takes the meaning from `end` and from itself.
    fn quoted(
        &mut self,
        end: char,
        position: usize,
        expected: &'static str,
    ) -> Result<String, QueryError> {
        let mut text = String::new();
        while let Some(char) = self.peek() {
            self.at += 1;
            if char == end {
                return Ok(text);
            }
            match (char, self.peek()) {
                ('\\', Some(next)) if next == end || (next == '\\' && end == '"') => {
                    text.push(next);
                    self.at += 1;
                }
                // In a regular expression every other escape is its own.
                ('\\', Some(next)) if end == '/' => {
                    text.extend([char, next]);
                    self.at += 1;
                }
                _ => text.push(char),
            }
        }
        Err(QueryError::expected(position, expected))
    }

    fn regex(&mut self) -> Result<(), QueryError> {
        let position = self.at;
        self.at += 1;
        let text = self.quoted(
            '/',
            position,
            "a closing `/` for the regular expression that begins here; quote a text with a slash",
        )?;
        self.push(position, Kind::Regex(text));
        Ok(())
    }

    fn comparison(&mut self) {
        let position = self.at;
        let is_less = self.peek() == Some('<');
        self.at += 1;
        let or_equal = self.peek() == Some('=');
        self.at += usize::from(or_equal);
        let comparison = match (is_less, or_equal) {
            (true, false) => Comparison::Less,
            (true, true) => Comparison::LessOrEqual,
            (false, false) => Comparison::Greater,
            (false, true) => Comparison::GreaterOrEqual,
        };
        self.push(position, Kind::Compare(comparison));
    }

    fn range(&mut self) -> Result<(), QueryError> {
        const FORM: &str = "a range such as `[1 TO 5]`, `{1 TO 5}` or `[1 TO *]`";
        let position = self.at;
        let includes_low = self.peek() == Some('[');
        self.at += 1;
        let rest = self.chars.get(self.at..).unwrap_or_default();
        let Some(length) = rest.iter().position(|char| matches!(char, ']' | '}')) else {
            return Err(QueryError::expected(position, FORM));
        };
        let inside: String = rest.iter().take(length).collect();
        self.at += length;
        let includes_high = self.peek() == Some(']');
        self.at += 1;
        let words: Vec<&str> = inside.split_whitespace().collect();
        let &[low, "TO", high] = words.as_slice() else {
            return Err(QueryError::expected(position, FORM));
        };
        let [low, high] = [low, high].map(|text| text.trim_matches('"').to_owned());
        self.push(position, Kind::Range(RangeText { low, includes_low, high, includes_high }));
        Ok(())
    }

    fn word(&mut self, is_value: bool) -> Result<(), QueryError> {
        let position = self.at;
        let mut pieces = Vec::new();
        let mut may_be_field = !is_value;
        while let Some(char) = self.peek() {
            match char {
                _ if char.is_whitespace() => break,
                '(' | ')' | '"' => break,
                '\\' => {
                    self.at += 1;
                    let Some(next) = self.peek() else {
                        return Err(QueryError::expected(self.at, "a character after `\\`"));
                    };
                    pieces.push(Piece::Char(next));
                    may_be_field = false;
                }
                '*' => pieces.push(Piece::Star),
                ':' if may_be_field && is_field_name(&pieces) => {
                    self.at += 1;
                    self.push(position, Kind::Field(plain(&pieces)));
                    return Ok(());
                }
                _ => pieces.push(Piece::Char(char)),
            }
            self.at += 1;
        }
        // An escaped letter makes an operator a word.
        let is_operator = !is_value && pieces.len() == self.at - position;
        let kind = match plain(&pieces).as_str() {
            "AND" if is_operator => Kind::And,
            "OR" if is_operator => Kind::Or,
            "NOT" if is_operator => Kind::Not,
            _ => Kind::Word(pieces),
        };
        self.push(position, kind);
        Ok(())
    }
}

/// Begins with a letter or `_`; letters, digits and `_ . - / @` follow.
fn is_field_name(pieces: &[Piece]) -> bool {
    let mut chars = pieces.iter().map(|piece| match piece {
        Piece::Char(char) => *char,
        Piece::Star => '*',
    });
    chars.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && chars.all(|char| char.is_alphanumeric() || matches!(char, '_' | '.' | '-' | '/' | '@'))
}

/// The characters of a word, stars as they are.
pub(super) fn plain(pieces: &[Piece]) -> String {
    let char = |piece: &Piece| match piece {
        Piece::Char(char) => *char,
        Piece::Star => '*',
    };
    pieces.iter().map(char).collect()
}
