//! Where records and notes go.

use std::io::Write;

use super::failure::Failure;
use super::line::{push, push_json, push_safe};

/// How records are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// A line of JSON each.
    Json,
    /// A line for people each.
    Line { is_colored: bool },
}

/// Where records and notes go.
pub(super) struct Output<'a> {
    /// Gets the records.
    pub(super) out: &'a mut dyn Write,
    /// Gets what is told besides.
    pub(super) notes: &'a mut dyn Write,
    /// How records are shown.
    pub(super) style: Style,
    /// Records that may still be shown.
    pub(super) left: u64,
}

impl Output<'_> {
    /// Shows records, each given as JSON; they are seen at once. Says how many there were.
    pub(super) fn records<'a>(
        &mut self,
        records: impl IntoIterator<Item = &'a str>,
    ) -> Result<u64, Failure> {
        let mut text = String::new();
        let before = self.left;
        for record in records {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            match self.style {
                Style::Json => push_json(record, &mut text),
                Style::Line { is_colored } => push(record, is_colored, &mut text),
            }
            text.push('\n');
            if text.len() > 1 << 16 {
                self.out.write_all(text.as_bytes()).map_err(Failure::of_output)?;
                text.clear();
            }
        }
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        written.map_err(Failure::of_output)?;
        Ok(before - self.left)
    }

    /// Tells something that is not a record.
    pub(super) fn note(&mut self, note: &str) {
        let mut text = String::new();
        push_safe(note, &mut text);
        // When standard error is closed, there is nobody to tell.
        let _ = writeln!(self.notes, "{text}");
    }
}
