//! Reads a query: text to a condition on records.

use std::ops::RangeInclusive;

use regex::RegexBuilder;

use super::lexer::{Comparison, Kind, Piece, RangeText, Token, plain, tokens};
use crate::data::{SpanId, TraceId};
use crate::storage::logindex::{FieldName, Filter, Limit, Row, Test, Wanted, words};

/// The longest query that is read, in bytes.
pub const MAX_QUERY_BYTES: usize = 8 * 1024;

/// The most conditions that a query may have.
pub const MAX_CONDITIONS: usize = 256;

/// The deepest nesting of parentheses and `NOT`.
const MAX_DEPTH: usize = 64;

/// The memory that a compiled regular expression may take.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// The highest severity number.
const MAX_SEVERITY: u8 = 24;

/// Severity names with the numbers that they stand for (OpenTelemetry logs data model).
const SEVERITIES: [(&str, u8, u8); 7] = [
    ("trace", 1, 4),
    ("debug", 5, 8),
    ("info", 9, 12),
    ("warn", 13, 16),
    ("warning", 13, 16),
    ("error", 17, 20),
    ("fatal", 21, MAX_SEVERITY),
];

/// Why a text is not a query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// The character at which it stops being one, counted from 0.
    pub position: usize,
    /// What was expected there.
    pub message: String,
}

impl QueryError {
    pub(super) fn new(position: usize, message: impl Into<String>) -> Self {
        Self { position, message: message.into() }
    }

    pub(super) fn expected(position: usize, what: &str) -> Self {
        Self { position, message: format!("expected {what}") }
    }
}

/// Reads a query; an empty one is true of every record.
///
/// # Errors
///
/// Fails at the first character that does not fit, and says what would.
pub fn parse(text: &str) -> Result<Filter, QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        return Err(QueryError::new(0, format!("a query has at most {MAX_QUERY_BYTES} bytes")));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0, num_conditions: 0 };
    if parser.peek().kind == Kind::End {
        return Ok(Filter::All);
    }
    let filter = parser.any_of(0)?;
    let token = parser.peek();
    match token.kind {
        Kind::End => Ok(filter),
        _ => Err(QueryError::new(token.position, "this `)` was never opened")),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    num_conditions: usize,
}

impl Parser {
    /// The token that is next; the last one, the end, stays.
    fn peek(&self) -> Token {
        let end = || Token { position: 0, is_glued: false, kind: Kind::End };
        self.tokens.get(self.at).or(self.tokens.last()).cloned().unwrap_or_else(end)
    }

    fn next(&mut self) -> Token {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn any_of(&mut self, depth: usize) -> Result<Filter, QueryError> {
        let mut found = vec![self.all_of(depth)?];
        while self.peek().kind == Kind::Or {
            self.at += 1;
            found.push(self.all_of(depth)?);
        }
        Ok(one_or(found, Filter::Or))
    }

    fn all_of(&mut self, depth: usize) -> Result<Filter, QueryError> {
        let mut found = vec![self.condition(depth)?];
        loop {
            match self.peek().kind {
                Kind::And => self.at += 1,
                Kind::Or | Kind::Close | Kind::End => return Ok(one_or(found, Filter::And)),
                _ => {}
            }
            found.push(self.condition(depth)?);
        }
    }

    fn condition(&mut self, depth: usize) -> Result<Filter, QueryError> {
        let token = self.next();
        if depth > MAX_DEPTH {
            return Err(QueryError::new(token.position, "nested too deeply"));
        }
        self.num_conditions += 1;
        if self.num_conditions > MAX_CONDITIONS {
            let message = format!("a query has at most {MAX_CONDITIONS} conditions");
            return Err(QueryError::new(token.position, message));
        }
        match token.kind {
            Kind::Not => Ok(Filter::Not(Box::new(self.condition(depth + 1)?))),
            Kind::Open => {
                let inside = self.any_of(depth + 1)?;
                let close = self.next();
                if close.kind != Kind::Close {
                    return Err(QueryError::expected(close.position, "`)`"));
                }
                Ok(inside)
            }
            Kind::Field(name) => self.field(&name, token.position),
            Kind::Word(_) | Kind::Phrase(_) | Kind::Regex(_) => body(&token),
            _ => Err(QueryError::expected(
                token.position,
                "a word, a \"phrase\", `field:value`, `NOT` or `(`",
            )),
        }
    }

    fn field(&mut self, name: &str, position: usize) -> Result<Filter, QueryError> {
        let value = self.next();
        let is_missing = matches!(value.kind, Kind::Open | Kind::Close | Kind::End);
        if !value.is_glued || is_missing {
            return Err(QueryError::expected(
                position + name.chars().count() + 1,
                &format!("a value right after `{name}:`; to look for a colon, quote the text"),
            ));
        }
        let limit = match value.kind {
            Kind::Compare(comparison) => Some((comparison, self.next())),
            _ => None,
        };
        match (name, &limit) {
            ("severity" | "severity_number", _) => severity(&value, limit.as_ref()),
            ("body", None) if !matches!(value.kind, Kind::Range(_)) => body(&value),
            ("_exists_", None) => Ok(Filter::Field(field_name(&exact_text(&value)?), Test::Exists)),
            ("trace_id", None) => id(&value, FieldName::TraceId),
            ("span_id", None) => id(&value, FieldName::SpanId),
            _ => Ok(Filter::Field(field_name(name), test(&value, limit.as_ref())?)),
        }
    }
}

fn one_or(mut found: Vec<Filter>, many: fn(Vec<Filter>) -> Filter) -> Filter {
    match found.pop() {
        Some(only) if found.is_empty() => only,
        Some(last) => {
            found.push(last);
            many(found)
        }
        None => Filter::All,
    }
}

fn field_name(name: &str) -> FieldName {
    match name {
        "body" => FieldName::Body,
        "severity_text" => FieldName::SeverityText,
        "scope" => FieldName::Scope,
        "trace_id" => FieldName::TraceId,
        "span_id" => FieldName::SpanId,
        "service" => FieldName::Attribute("service.name".to_owned()),
        _ => FieldName::Attribute(name.to_owned()),
    }
}

/// A condition on the body.
fn body(token: &Token) -> Result<Filter, QueryError> {
    let on_body = |test| Filter::Field(FieldName::Body, test);
    match &token.kind {
        Kind::Phrase(text) => Ok(row(text, false)),
        Kind::Regex(text) => Ok(on_body(Test::Matches(regex(text, token.position)?))),
        Kind::Word(pieces) => match pattern(pieces, token.position)? {
            Pattern::Any => Ok(on_body(Test::Exists)),
            Pattern::Exact(text) => {
                let filter = row(&text, false);
                match filter {
                    Filter::All => Err(QueryError::expected(
                        token.position,
                        "a word with a letter or digit; look for signs by `*sign*` or `/regex/`",
                    )),
                    _ => Ok(filter),
                }
            }
            // Behind a sign the star stands for any word or none.
            Pattern::Prefix(text) => {
                Ok(row(&text, text.ends_with(|char: char| char.is_alphanumeric())))
            }
            Pattern::Contains(text) => Ok(on_body(Test::ContainsAnyCase(text.to_lowercase()))),
        },
        _ => Err(QueryError::expected(token.position, "a word, a \"phrase\" or a /regex/")),
    }
}

fn row(text: &str, is_open: bool) -> Filter {
    let words = words(text);
    if words.is_empty() { Filter::All } else { Filter::Row(Row { words, is_open }) }
}

/// A test of a field's value.
fn test(value: &Token, limit: Option<&(Comparison, Token)>) -> Result<Test, QueryError> {
    if let Some((comparison, operand)) = limit {
        let wanted = Wanted::new(exact_text(operand)?);
        return Ok(match comparison {
            Comparison::Less => Test::Between(Limit::Open, Limit::Excluded(wanted)),
            Comparison::LessOrEqual => Test::Between(Limit::Open, Limit::Included(wanted)),
            Comparison::Greater => Test::Between(Limit::Excluded(wanted), Limit::Open),
            Comparison::GreaterOrEqual => Test::Between(Limit::Included(wanted), Limit::Open),
        });
    }
    match &value.kind {
        Kind::Phrase(text) => Ok(Test::Equal(Wanted::new(text.clone()))),
        Kind::Regex(text) => Ok(Test::Matches(regex(text, value.position)?)),
        Kind::Range(range) => Ok(between(range)),
        Kind::Word(pieces) => Ok(match pattern(pieces, value.position)? {
            Pattern::Any => Test::Exists,
            Pattern::Exact(text) => Test::Equal(Wanted::new(text)),
            Pattern::Prefix(text) => Test::Prefix(text),
            Pattern::Contains(text) => Test::Contains(text),
        }),
        _ => Err(QueryError::expected(value.position, "a value")),
    }
}

fn between(range: &RangeText) -> Test {
    let limit = |text: &str, is_included: bool| match (text, is_included) {
        ("*", _) => Limit::Open,
        (_, true) => Limit::Included(Wanted::new(text)),
        (_, false) => Limit::Excluded(Wanted::new(text)),
    };
    Test::Between(limit(&range.low, range.includes_low), limit(&range.high, range.includes_high))
}

/// Where a word may have stars.
enum Pattern {
    Any,
    Exact(String),
    Prefix(String),
    Contains(String),
}

fn pattern(pieces: &[Piece], position: usize) -> Result<Pattern, QueryError> {
    let starts = pieces.first() == Some(&Piece::Star);
    let ends = pieces.last() == Some(&Piece::Star);
    if pieces == [Piece::Star] {
        return Ok(Pattern::Any);
    }
    let from = usize::from(starts);
    let length = pieces.len().saturating_sub(from + usize::from(ends));
    let inside: Vec<Piece> = pieces.iter().skip(from).take(length).copied().collect();
    if let Some(star) = inside.iter().position(|piece| *piece == Piece::Star) {
        let message = "a `*` may stand at the end of a word, or at both ends; use /regex/ here";
        return Err(QueryError::new(position + from + star, message));
    }
    let text = plain(&inside);
    match (starts, ends) {
        (_, true) if text.is_empty() => Ok(Pattern::Any),
        (false, false) => Ok(Pattern::Exact(text)),
        (false, true) => Ok(Pattern::Prefix(text)),
        (true, true) => Ok(Pattern::Contains(text)),
        (true, false) => Err(QueryError::expected(
            position + pieces.len(),
            "a `*` here too: `*part*`; for an ending use /part$/",
        )),
    }
}

/// The text of a value in which nothing has a meaning of its own.
fn exact_text(value: &Token) -> Result<String, QueryError> {
    match &value.kind {
        Kind::Phrase(text) => Ok(text.clone()),
        Kind::Word(pieces) if !pieces.contains(&Piece::Star) => Ok(plain(pieces)),
        _ => Err(QueryError::expected(value.position, "a plain value")),
    }
}

fn regex(text: &str, position: usize) -> Result<regex::Regex, QueryError> {
    RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
        let reason = match error {
            regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
            // The last line says what is wrong, those before show where.
            _ => error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
        };
        QueryError::new(position, format!("not a regular expression: {reason}"))
    })
}

fn severity(value: &Token, limit: Option<&(Comparison, Token)>) -> Result<Filter, QueryError> {
    if let Some((comparison, operand)) = limit {
        let range = severity_range(&exact_text(operand)?, operand.position)?;
        let (low, high) = (*range.start(), *range.end());
        return Ok(match comparison {
            Comparison::Less if low == 0 => Filter::Not(Box::new(Filter::All)),
            Comparison::Less => Filter::Severity(0..=low - 1),
            Comparison::LessOrEqual => Filter::Severity(0..=high),
            Comparison::Greater => Filter::Severity(high + 1..=MAX_SEVERITY),
            Comparison::GreaterOrEqual => Filter::Severity(low..=MAX_SEVERITY),
        });
    }
    if let Kind::Range(range) = &value.kind {
        let read = |text: &str, open| match text {
            "*" => Ok(open),
            _ => severity_range(text, value.position),
        };
        let low = read(&range.low, 0..=0)?;
        let high = read(&range.high, MAX_SEVERITY..=MAX_SEVERITY)?;
        let is_open = range.high == "*";
        let low =
            if range.includes_low || range.low == "*" { *low.start() } else { *low.end() + 1 };
        if range.includes_high || is_open {
            return Ok(Filter::Severity(low..=*high.end()));
        }
        return Ok(match high.start().checked_sub(1) {
            Some(high) => Filter::Severity(low..=high),
            None => Filter::Not(Box::new(Filter::All)),
        });
    }
    let text = exact_text(value)?;
    Ok(Filter::Severity(severity_range(&text, value.position)?))
}

/// The numbers of a severity, by its name (`error`, `ERROR3`) or number.
fn severity_range(text: &str, position: usize) -> Result<RangeInclusive<u8>, QueryError> {
    let expected = || {
        QueryError::expected(
            position,
            "a severity: trace, debug, info, warn, error, fatal, or a number from 0 to 24",
        )
    };
    if let Ok(number) = text.parse::<u8>() {
        return if number <= MAX_SEVERITY { Ok(number..=number) } else { Err(expected()) };
    }
    let lower = text.to_ascii_lowercase();
    let name = lower.trim_end_matches(|char: char| char.is_ascii_digit());
    let step = lower.strip_prefix(name).unwrap_or_default();
    let Some((_, low, high)) = SEVERITIES.iter().find(|(known, ..)| *known == name) else {
        return Err(expected());
    };
    match step {
        "" => Ok(*low..=*high),
        "2" | "3" | "4" => {
            let step = step.parse::<u8>().map_err(|_| expected())?;
            Ok(low + step - 1..=low + step - 1)
        }
        _ => Err(expected()),
    }
}

fn id(value: &Token, name: FieldName) -> Result<Filter, QueryError> {
    if matches!(&value.kind, Kind::Word(pieces) if pieces.contains(&Piece::Star)) {
        let test = match test(value, None)? {
            Test::Prefix(text) => Test::Prefix(text.to_ascii_lowercase()),
            Test::Contains(text) => Test::Contains(text.to_ascii_lowercase()),
            test => test,
        };
        return Ok(Filter::Field(name, test));
    }
    let text = exact_text(value)?;
    let (read, digits) = match name {
        FieldName::TraceId => (TraceId::from_hex(&text).map(Filter::TraceId), 32),
        _ => (SpanId::from_hex(&text).map(Filter::SpanId), 16),
    };
    read.ok_or_else(|| {
        QueryError::expected(value.position, &format!("an id of {digits} hexadecimal digits"))
    })
}

#[cfg(test)]
mod tests;
