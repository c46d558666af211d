//! Text into words, numbers, strings and signs.

use super::ast::Span;
use super::problem::Problem;

/// The longest statement.
const MAX_BYTES: usize = 64 * 1024;

/// A part of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A word that begins with a small letter: a path, an editor, a parameter, a keyword.
    Lower(String),
    /// A word that begins with a capital: a converter or an enumeration's member.
    Upper(String),
    Str(String),
    /// Digits without a sign.
    Int(u64),
    Double(f64),
    Bytes(Vec<u8>),
    /// One or two signs.
    Sign(&'static str),
    End,
}

impl Token {
    /// What it is, for messages.
    pub(super) fn described(&self) -> String {
        match self {
            Self::Lower(word) | Self::Upper(word) => format!("`{word}`"),
            Self::Str(_) => "a string".to_owned(),
            Self::Int(number) => format!("`{number}`"),
            Self::Double(number) => format!("`{number}`"),
            Self::Bytes(_) => "bytes".to_owned(),
            Self::Sign(sign) => format!("`{sign}`"),
            Self::End => "the end".to_owned(),
        }
    }
}

/// Signs, the longer ones first.
const SIGNS: [&str; 21] = [
    "==", "!=", "<=", ">=", "=>", "<", ">", "=", "+", "-", "*", "/", "(", ")", "[", "]", "{", "}",
    ",", ".", ":",
];

/// The tokens with their places; the last is the end.
pub(super) fn tokens(text: &str) -> Result<Vec<(Token, Span)>, Problem> {
    if text.len() > MAX_BYTES {
        return Err(Problem::new(0..0, format!("it is longer than {MAX_BYTES} bytes")));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_while(char::is_whitespace);
        let start = lexer.at;
        let token = lexer.next()?;
        let is_end = token == Token::End;
        tokens.push((token, start..lexer.at));
        if is_end {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The text that goes on while `is_part` holds.
    fn skip_while(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let length = rest.find(|char| !is_part(char)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn next(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        let is_word = |char: char| char.is_ascii_alphanumeric() || char == '_';
        match self.peek() {
            None => Ok(Token::End),
            Some('"') => self.string(),
            Some(char) if char.is_ascii_digit() => self.number(),
            Some('.') if self.rest().chars().nth(1).is_some_and(|char| char.is_ascii_digit()) => {
                self.number()
            }
            Some(char) if char.is_ascii_uppercase() => {
                Ok(Token::Upper(self.skip_while(is_word).to_owned()))
            }
            Some(char) if is_word(char) => Ok(Token::Lower(self.skip_while(is_word).to_owned())),
            Some(char) => {
                let rest = self.rest();
                if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
                    self.at += sign.len();
                    return Ok(Token::Sign(sign));
                }
                let span = start..start + char.len_utf8();
                let problem = Problem::new(span, format!("unexpected character `{char}`"));
                Err(match char {
                    '\'' | '`' | '“' | '”' => problem.hint("strings stand in double quotes"),
                    '&' => problem.hint("write `and`"),
                    '|' => problem.hint("write `or`"),
                    '!' => problem.hint("write `not`, or `!=` between values"),
                    '$' => problem.hint("a variable is written `${env:NAME}`"),
                    _ => problem,
                })
            }
        }
    }

    fn number(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        if let Some(digits) = self.rest().strip_prefix("0x") {
            self.at += 2;
            let length = digits.find(|char: char| !char.is_ascii_alphanumeric());
            let digits = digits.get(..length.unwrap_or(digits.len())).unwrap_or_default();
            self.at += digits.len();
            let span = start..self.at;
            return bytes(digits).map(Token::Bytes).ok_or_else(|| {
                Problem::new(span, "bytes are written as `0x` and pairs of hexadecimal digits")
            });
        }
        self.skip_while(|char| char.is_ascii_digit());
        let mut is_double = false;
        if self.peek() == Some('.') {
            is_double = true;
            self.at += 1;
            self.skip_while(|char| char.is_ascii_digit());
        }
        if matches!(self.peek(), Some('e' | 'E')) {
            is_double = true;
            self.at += 1;
            if matches!(self.peek(), Some('+' | '-')) {
                self.at += 1;
            }
            self.skip_while(|char| char.is_ascii_digit());
        }
        let tail = self.skip_while(|char| char.is_ascii_alphanumeric() || char == '_');
        let (span, text) = (start..self.at, self.text.get(start..self.at).unwrap_or_default());
        let token = match is_double {
            true => text.parse().ok().filter(|number: &f64| number.is_finite()).map(Token::Double),
            false => text.parse().ok().map(Token::Int),
        };
        token.filter(|_| tail.is_empty()).ok_or_else(|| {
            let problem = Problem::new(span, format!("`{text}` is no number"));
            if is_double || !tail.is_empty() {
                return problem;
            }
            problem.hint("whole numbers are at most 9223372036854775807")
        })
    }

    fn string(&mut self) -> Result<Token, Problem> {
        let start = self.at;
        self.at += 1;
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            let Some(char) = self.peek() else {
                let problem = Problem::new(start..self.at, "the string has no end");
                return Err(problem.hint("a string ends with `\"`; inside it is written `\\\"`"));
            };
            let char_start = self.at;
            self.at += char.len_utf8();
            match char {
                '"' => break,
                '\\' => self.escape(char_start, &mut bytes)?,
                _ => bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        String::from_utf8(bytes).map(Token::Str).map_err(|_| {
            Problem::new(start..self.at, "the string is not valid UTF-8")
                .hint("bytes are written as `0x` and hexadecimal digits")
        })
    }

    /// As in a string of Go.
    fn escape(&mut self, start: usize, bytes: &mut Vec<u8>) -> Result<(), Problem> {
        let Some(char) = self.peek() else { return Ok(()) };
        self.at += char.len_utf8();
        let plain = match char {
            'a' => 7,
            'b' => 8,
            'f' => 12,
            'n' => b'\n',
            'r' => b'\r',
            't' => b'\t',
            'v' => 11,
            '\\' | '"' | '\'' => u8::try_from(char).unwrap_or_default(),
            'x' | 'u' | 'U' | '0'..='7' => return self.coded_escape(char, start, bytes),
            _ => {
                let problem = Problem::new(start..self.at, format!("unknown escape `\\{char}`"));
                return Err(problem.hint(format!("a backslash is written twice: `\\\\{char}`")));
            }
        };
        bytes.push(plain);
        Ok(())
    }

    fn coded_escape(
        &mut self,
        kind: char,
        start: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let (num_digits, radix) = match kind {
            'x' => (2, 16),
            'u' => (4, 16),
            'U' => (8, 16),
            _ => {
                self.at -= 1;
                (3, 8)
            }
        };
        let rest = self.rest();
        let digits = rest.get(..num_digits).unwrap_or(rest);
        let is_code = digits.len() == num_digits && digits.chars().all(|char| char.is_digit(radix));
        let code = u32::from_str_radix(digits, radix).ok().filter(|_| is_code);
        let written = code.and_then(|code| match kind {
            'u' | 'U' => char::from_u32(code)
                .map(|char| bytes.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes())),
            _ => u8::try_from(code).ok().map(|byte| bytes.push(byte)),
        });
        if written.is_none() {
            let message = format!("`\\{kind}` needs {num_digits} digits of base {radix}");
            return Err(Problem::new(start..self.at, message));
        }
        self.at += num_digits;
        Ok(())
    }
}

/// Bytes of pairs of hexadecimal digits.
pub(super) fn bytes(digits: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() {
        return None;
    }
    let nibble =
        |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?)).collect()
}
