//! What is wrong with a configuration, and where: rendered with the source line and a caret.

use std::fmt::{self, Write as _};

use super::{Place, conceal::shown_line};

/// A longer source line is cut to this many characters around the caret.
const MAX_LINE_WIDTH: usize = 160;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// The configuration works, but probably not as meant.
    Warning,
}

impl Severity {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem in a configuration.
///
/// `Display` renders it over several lines, without a final line end:
///
/// ```text
/// error: collector.yaml:7:9: unknown key `endpont`
///    in receivers::otlp::protocols::grpc
///    |
///  7 |         endpont: 0.0.0.0:4317
///    |         ^^^^^^^
///    = did you mean `endpoint`?
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    severity: Severity,
    message: Box<str>,
    place: Option<Place>,
    path: Box<str>,
    hints: Vec<String>,
    related: Vec<(Place, String)>,
}

impl Diagnostic {
    /// Something that keeps the configuration from being used. Lower case, no full stop.
    #[must_use]
    pub fn error(message: impl Into<String>) -> Self {
        Self::new(Severity::Error, message.into())
    }

    /// Something that is probably not meant. Lower case, no full stop.
    #[must_use]
    pub fn warning(message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, message.into())
    }

    fn new(severity: Severity, message: String) -> Self {
        Self {
            severity,
            message: message.into(),
            place: None,
            path: Box::default(),
            hints: Vec::new(),
            related: Vec::new(),
        }
    }

    /// Says where it was written.
    #[must_use]
    pub fn at(mut self, place: &Place) -> Self {
        self.place = Some(place.clone());
        self
    }

    /// Names the part of the configuration: `receivers::otlp::protocols::grpc`.
    #[must_use]
    pub fn in_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into().into();
        self
    }

    /// Adds a line of advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a line of advice if there is one, such as [`did_you_mean`](super::did_you_mean)'s.
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hints.extend(hint);
        self
    }

    /// Points at a second place and says what is there.
    #[must_use]
    pub fn see(mut self, place: &Place, what: impl Into<String>) -> Self {
        self.related.push((place.clone(), what.into()));
        self
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// Whether the configuration cannot be used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// What is wrong, on one line.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it was written, if anywhere.
    #[must_use]
    pub const fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// The part of the configuration, empty if it is the whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Lines of advice.
    #[must_use]
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: ", self.severity.as_str())?;
        if let Some(place) = &self.place {
            write!(out, "{place}: ")?;
        }
        write!(out, "{}", self.message)?;
        if !self.path.is_empty() {
            write!(out, "\n   in {}", self.path)?;
        }
        let related = self.related.iter().map(|(place, _)| place);
        let digits = self.place.iter().chain(related).map(|place| place.line()).max().unwrap_or(0);
        let gutter = " ".repeat(digits.to_string().len().max(2));
        if let Some(place) = &self.place {
            write_excerpt(out, place, &gutter)?;
        }
        for (place, what) in &self.related {
            write!(out, "\n{gutter} ::: {place}: {what}")?;
            write_excerpt(out, place, &gutter)?;
        }
        for hint in &self.hints {
            write!(out, "\n{gutter} = {hint}")?;
        }
        Ok(())
    }
}

/// Renders all of them, in the order of the sources, with an empty line between and a count at the end.
///
/// Problems without a place come first.
#[must_use]
pub fn render(diagnostics: &[Diagnostic]) -> String {
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    sorted.sort_by_key(|diagnostic| diagnostic.place.as_ref());
    let mut text = String::new();
    for diagnostic in &sorted {
        let _ = write!(text, "{diagnostic}\n\n");
    }
    let num_errors = sorted.iter().filter(|diagnostic| diagnostic.is_error()).count();
    let counts = [(num_errors, "error"), (sorted.len() - num_errors, "warning")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}{}", if *count == 1 { "" } else { "s" }))
        .collect();
    if !counts.is_empty() {
        let _ = writeln!(text, "{}", counts.join(", "));
    }
    text
}

/// Writes the source line and a line with carets under the place.
fn write_excerpt(out: &mut fmt::Formatter<'_>, place: &Place, gutter: &str) -> fmt::Result {
    let Some(line) = shown_line(place.source(), place.line()) else { return Ok(()) };
    let start = place.column().saturating_sub(1);
    let first = if start + 8 > MAX_LINE_WIDTH { start - MAX_LINE_WIDTH / 2 } else { 0 };
    let shown: String = line.chars().skip(first).take(MAX_LINE_WIDTH).collect();
    let before = line.chars().skip(first).take(start - first);
    let padding: String = before.map(|char| if char == '\t' { '\t' } else { ' ' }).collect();
    let left = shown.chars().count().saturating_sub(start - first);
    let carets = "^".repeat(place.width().min(left).max(1));
    let width = gutter.len();
    let number = place.line();
    write!(out, "\n{gutter} |\n{number:>width$} | {shown}\n{gutter} | {padding}{carets}")
}
