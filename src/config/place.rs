//! Where in the user's files something was written.

use std::{cmp::Ordering, fmt, ops::Range, sync::Arc};

use super::within::align;

/// A text that configuration was read from: a file, a variable, an argument.
#[derive(Debug)]
pub struct SourceText {
    name: String,
    text: String,
    index: usize,
}

impl SourceText {
    /// Keeps `text`, which users know as `name`; `index` is its turn among the sources.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>, index: usize) -> Arc<Self> {
        Arc::new(Self { name: name.into(), text: text.into(), index })
    }

    /// The path of the file, or what stands for it: `--set a.b=c`, `env:CONFIG`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line with this number, counted from 1, without its end.
    #[must_use]
    pub fn line(&self, number: usize) -> Option<&str> {
        self.text.lines().nth(number.checked_sub(1)?)
    }
}

/// A stretch of one line of a source: file, line, column, width.
///
/// Cheap to clone. Ordered by the turn of the source, then by line and column. What an interpolation
/// inserted has the place of its `${…}`.
#[derive(Clone)]
pub struct Place {
    source: Arc<SourceText>,
    line: usize,
    column: usize,
    width: usize,
}

impl Place {
    /// Line and column count from 1, `width` is in characters (at least one is shown).
    #[must_use]
    pub const fn new(source: Arc<SourceText>, line: usize, column: usize, width: usize) -> Self {
        Self { source, line, column, width }
    }

    /// The first character of a source.
    #[must_use]
    pub const fn start(source: Arc<SourceText>) -> Self {
        Self::new(source, 1, 1, 1)
    }

    /// The text that the place is in.
    #[must_use]
    pub const fn source(&self) -> &Arc<SourceText> {
        &self.source
    }

    /// Counted from 1.
    #[must_use]
    pub const fn line(&self) -> usize {
        self.line
    }

    /// In characters, counted from 1.
    #[must_use]
    pub const fn column(&self) -> usize {
        self.column
    }

    /// In characters.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// The part of a scalar at this place whose text has the bytes `span`.
    ///
    /// The whole place where the text cannot be followed in the source, as when a variable
    /// inserted it.
    #[must_use]
    pub fn within(&self, text: &str, span: Range<usize>) -> Self {
        let Some(line_before) = self.line.checked_sub(1) else { return self.clone() };
        let mut lines = self.source.text.split_inclusive('\n').skip(line_before);
        let Some(first) = lines.next() else { return self.clone() };
        let skipped = self.column.saturating_sub(1);
        let mut source: String = first.chars().skip(skipped).collect();
        source.extend(lines);
        let found = align(&source, text)
            .and_then(|places| Some((*places.get(span.start)?, *places.get(span.end)?)));
        let Some(((line, column), (end_line, end_column))) = found else { return self.clone() };
        let first_column = if line == 0 { skipped } else { 0 };
        let width = if line == end_line { end_column.saturating_sub(column).max(1) } else { 1 };
        Self::new(self.source.clone(), self.line + line, first_column + column + 1, width)
    }

    fn key(&self) -> (usize, &str, usize, usize) {
        (self.source.index, &self.source.name, self.line, self.column)
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.source.name, self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}
