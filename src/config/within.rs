//! Problems inside a text of the file, such as a statement: with a caret under the words meant.

use std::fmt;
use std::ops::Range;

use super::{Diagnostic, Node, Value};

/// Separates problems, and their parts, on their way through serde, which carries only text.
const SEPARATORS: [char; 2] = ['\u{1e}', '\u{1f}'];

/// What is wrong inside a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextProblem {
    /// The whole text, as the setting has it.
    pub text: String,
    /// The bytes of it that are meant.
    pub span: Range<usize>,
    /// Lower case, no full stop.
    pub message: String,
    /// A line of advice.
    pub hint: Option<String>,
}

/// All that is wrong inside the texts of a component.
///
/// As the error of a `try_from`, [`read`](super::read) shows each at its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextProblems(pub Vec<TextProblem>);

impl fmt::Display for TextProblems {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [record, unit] = SEPARATORS;
        for TextProblem { text, span, message, hint } in &self.0 {
            let hint = hint.as_deref().unwrap_or_default();
            write!(out, "{record}{message}{unit}{hint}{unit}{}", span.start)?;
            write!(out, "{unit}{}{unit}{text}", span.end)?;
        }
        Ok(())
    }
}

impl std::error::Error for TextProblems {}

impl TextProblems {
    /// Reads what `Display` wrote; nothing if it is another message.
    pub(super) fn parse(message: &str) -> Option<Self> {
        let [record, unit] = SEPARATORS;
        let problems = message.strip_prefix(record)?.split(record).map(|problem| {
            let mut parts = problem.splitn(5, unit);
            let message = parts.next()?.to_owned();
            let hint = parts.next().filter(|hint| !hint.is_empty()).map(str::to_owned);
            let (start, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let text = parts.next()?.to_owned();
            Some(TextProblem { text, span: start..end, message, hint })
        });
        problems.collect::<Option<_>>().map(Self)
    }

    /// The problems for users; `node` is the component or what of it the texts are in.
    pub(super) fn into_diagnostics(self, node: &Node, path: &str) -> Vec<Diagnostic> {
        let diagnostic = |problem: TextProblem| {
            let (found, path) = find(node, path.to_owned(), &problem.text)
                .unwrap_or_else(|| (node, path.to_owned()));
            let place = found.place().within(&problem.text, problem.span);
            Diagnostic::error(problem.message).at(&place).in_path(path).maybe_hint(problem.hint)
        };
        self.0.into_iter().map(diagnostic).collect()
    }
}

/// The first scalar in `node` that is written as `text`, and its path.
fn find<'a>(node: &'a Node, path: String, text: &str) -> Option<(&'a Node, String)> {
    match node.value() {
        Value::List(nodes) => nodes
            .iter()
            .enumerate()
            .find_map(|(index, node)| find(node, format!("{path}[{index}]"), text)),
        Value::Map(map) => map
            .entries()
            .iter()
            .find_map(|entry| find(&entry.node, format!("{path}::{}", entry.key), text)),
        _ => (node.text().or(node.as_str()) == Some(text)).then_some((node, path)),
    }
}

/// Where the characters of a scalar's text stand in its source: character offsets, line by line.
///
/// Follows quotes, escapes, `$$`, folded lines and block scalars; nothing where it cannot.
pub(super) fn align(source: &str, text: &str) -> Option<Vec<(usize, usize)>> {
    let chars: Vec<char> = source.chars().collect();
    let mut at = Position { chars: &chars, index: 0, line: 0, column: 0 };
    let quote = at.skip_start();
    let mut places = Vec::with_capacity(text.len());
    for (offset, wanted) in text.char_indices() {
        if wanted == '\n' && offset + 1 == text.len() {
            break;
        }
        places.resize(offset, places.last().copied().unwrap_or((at.line, at.column)));
        at.step_to(wanted, quote)?;
        places.push((at.line, at.column));
        let next = text.get(offset + wanted.len_utf8()..).and_then(|rest| rest.chars().next());
        at.consume(wanted, next, quote);
    }
    places.resize(text.len() + 1, (at.line, at.column));
    Some(places)
}

struct Position<'a> {
    chars: &'a [char],
    index: usize,
    line: usize,
    column: usize,
}

impl Position<'_> {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.index + ahead).copied()
    }

    fn advance(&mut self) {
        if self.peek(0) == Some('\n') {
            self.line += 1;
            self.column = 0;
        } else {
            self.column += 1;
        }
        self.index += 1;
    }

    /// Goes behind a quote or the head of a block; returns the quote.
    fn skip_start(&mut self) -> Option<char> {
        match self.peek(0) {
            Some(quote @ ('"' | '\'')) => {
                self.advance();
                Some(quote)
            }
            Some('|' | '>') => {
                while self.peek(0).is_some_and(|char| char != '\n') {
                    self.advance();
                }
                self.skip_space();
                None
            }
            _ => None,
        }
    }

    fn skip_space(&mut self) {
        while self.peek(0).is_some_and(char::is_whitespace) {
            self.advance();
        }
    }

    /// Goes to where `wanted` is written, over line ends and indentation.
    fn step_to(&mut self, wanted: char, quote: Option<char>) -> Option<()> {
        if wanted.is_whitespace() {
            return Some(());
        }
        self.skip_space();
        let is_escape = quote == Some('"') && self.peek(0) == Some('\\');
        (self.peek(0) == Some(wanted) || is_escape).then_some(())
    }

    /// Goes behind one character as it is written.
    fn consume(&mut self, wanted: char, next: Option<char>, quote: Option<char>) {
        if wanted.is_whitespace() {
            if self.peek(0).is_some_and(char::is_whitespace) {
                self.advance();
            }
            return;
        }
        let is_escape = quote == Some('"') && self.peek(0) == Some('\\');
        let is_double = match wanted {
            '\'' => quote == Some('\''),
            '$' => next != Some('$') && self.peek(1) == Some('$'),
            _ => false,
        };
        self.advance();
        if is_escape || is_double {
            self.advance();
        }
    }
}
