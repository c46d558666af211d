//! The tokens of XPath.

use std::fmt;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    /// A name before `::`.
    Axis(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
}

impl fmt::Display for Token {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => out.write_str(name),
            Self::Axis(name) => write!(out, "{name}::"),
            Self::Text(text) => write!(out, "'{text}'"),
            Self::Number(number) => write!(out, "{number}"),
            Self::Symbol(symbol) => out.write_str(symbol),
        }
    }
}

/// Longer ones first.
const SYMBOLS: [&str; 17] =
    ["//", "..", "!=", "<=", ">=", "/", ".", "@", "*", "[", "]", "(", ")", "|", "=", "<", ">"];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(letter) = rest.chars().next() {
        let (token, after) = match letter {
            '"' | '\'' => quoted(rest, letter)?,
            ',' => (Token::Symbol(","), rest.strip_prefix(',').unwrap_or_default()),
            '0'..='9' => number(rest)?,
            _ if is_in_name(letter) && letter != '.' && letter != '-' => name(rest),
            _ => {
                let symbol = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol));
                let symbol = symbol.ok_or_else(|| format!("`{letter}` is not expected"))?;
                (Token::Symbol(symbol), rest.strip_prefix(symbol).unwrap_or_default())
            }
        };
        tokens.push(token);
        rest = after.trim_start();
    }
    Ok(tokens)
}

fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let inner = text.strip_prefix(quote).and_then(|inner| inner.split_once(quote));
    let (inner, rest) = inner.ok_or_else(|| format!("{quote} does not close"))?;
    Ok((Token::Text(inner.to_owned()), rest))
}

fn number(text: &str) -> Result<(Token, &str), String> {
    let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let number = digits.parse().map_err(|_| format!("`{digits}` is not a number"))?;
    Ok((Token::Number(number), rest))
}

fn is_in_name(letter: char) -> bool {
    letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.')
}

/// A name, perhaps with a prefix, or an axis.
fn name(text: &str) -> (Token, &str) {
    let end = text.find(|c: char| !is_in_name(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if let Some(after) = rest.strip_prefix("::") {
        return (Token::Axis(name.to_owned()), after);
    }
    let Some(after) = rest.strip_prefix(':') else { return (Token::Name(name.to_owned()), rest) };
    let end = after.find(|c: char| !is_in_name(c)).unwrap_or(after.len());
    let (local, rest) = after.split_at_checked(end).unwrap_or((after, ""));
    (Token::Name(format!("{name}:{local}")), rest)
}
