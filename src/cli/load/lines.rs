//! Log records of the lines of a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;

use super::encoding::Encoding;
use crate::data::wire::Writer;
use crate::data::{Time, Value, encode_resource, encode_scope, write_attribute};
use crate::workload::{ID_BYTES, write_id};

/// The longest line.
const MAX_LINE_BYTES: u64 = 8 << 20;
/// A request gets no more lines when those that it has are so many bytes.
const FULL_BYTES: usize = 2 << 20;
const BUFFER_BYTES: usize = 256 << 10;
/// The field of a log record that holds its attributes.
const ATTRIBUTES: u32 = 6;

/// The lines of a file, in order.
pub(super) struct Lines {
    path: PathBuf,
    file: BufReader<File>,
    num_read: u64,
    is_repeating: bool,
}

/// Some lines.
#[derive(Debug, Default)]
pub(super) struct Bodies {
    text: String,
    /// Where each ends.
    ends: Vec<usize>,
}

impl Lines {
    /// The lines of the file at `path`, over and over if it `is_repeating`.
    pub(super) fn open(path: &Path, is_repeating: bool) -> anyhow::Result<Self> {
        let file = BufReader::with_capacity(BUFFER_BYTES, open(path)?);
        Ok(Self { path: path.to_owned(), file, num_read: 0, is_repeating })
    }

    /// The next lines, at most `limit`; none when they are through.
    ///
    /// # Errors
    ///
    /// Fails when the file cannot be read, or a line is too long.
    pub(super) fn read(&mut self, limit: usize) -> anyhow::Result<Bodies> {
        let mut bodies = Bodies::default();
        let mut line = Vec::new();
        let mut is_begun_again = false;
        while bodies.len() < limit && bodies.text.len() < FULL_BYTES {
            line.clear();
            let file = self.file.by_ref();
            let length = file.take(MAX_LINE_BYTES + 2).read_until(b'\n', &mut line);
            match length.with_context(|| format!("cannot read `{}`", self.path.display()))? {
                // An empty file has no end of repeating.
                0 if self.is_repeating && !is_begun_again => {
                    is_begun_again = true;
                    self.file = BufReader::with_capacity(BUFFER_BYTES, open(&self.path)?);
                    self.num_read = 0;
                }
                0 => break,
                _ => {
                    is_begun_again = false;
                    self.num_read += 1;
                    self.push(&line, &mut bodies)?;
                }
            }
        }
        Ok(bodies)
    }

    fn push(&self, line: &[u8], bodies: &mut Bodies) -> anyhow::Result<()> {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() as u64 > MAX_LINE_BYTES {
            let (number, path) = (self.num_read, self.path.display());
            bail!("line {number} of `{path}` is longer than {MAX_LINE_BYTES} bytes");
        }
        bodies.text.push_str(&String::from_utf8_lossy(text));
        bodies.ends.push(bodies.text.len());
        Ok(())
    }
}

impl Bodies {
    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.ends.len()
    }

    fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.text.get(start..*end))
    }

    /// The export request of these lines, behind what the encoding leads it with; numbered from
    /// `first_id` if the run has a name.
    pub(super) fn encode(
        &self,
        now: Time,
        numbered: Option<(&str, u64)>,
        encoding: Encoding,
    ) -> Bytes {
        let mut records = Writer::with_capacity(self.text.len() + 48 * self.len());
        for (index, body) in self.iter().enumerate() {
            let mark = records.begin_about(2, 200);
            records.fixed64_field(1, now.as_unix_nanos());
            records.message(5, |value| value.str_field(1, body));
            if let Some((run, first_id)) = numbered {
                write_numbering(run, first_id + index as u64, &mut records);
            }
            records.fixed64_field(11, now.as_unix_nanos());
            records.end(mark);
        }
        let mut message = Writer::default();
        let resource = encode_resource([("service.name", Value::Str("catchment-load"))]);
        let scope = encode_scope("catchment-load", env!("CARGO_PKG_VERSION"));
        message.message(1, |group| {
            group.bytes_field(1, &resource);
            group.message(2, |group| {
                group.bytes_field(1, &scope);
                group.raw(records.as_slice());
            });
        });
        let mut request = encoding.lead(message.len());
        request.extend_from_slice(message.as_slice());
        request.into()
    }
}

fn write_numbering(run: &str, id: u64, record: &mut Writer) {
    record.message(ATTRIBUTES, |pair| {
        pair.str_field(1, "load.id");
        pair.message(2, |value| {
            let mut number = [0; ID_BYTES];
            write_id(id, &mut number);
            value.varint(3 << 3);
            value.raw(&number);
        });
    });
    write_attribute(ATTRIBUTES, "load.run", Value::Str(run), record);
}

fn open(path: &Path) -> anyhow::Result<File> {
    let open = || -> io::Result<File> {
        let file = File::open(path)?;
        if file.metadata()?.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(file)
    };
    open().with_context(|| format!("cannot read `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8], limit: usize) -> Vec<Vec<String>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        std::fs::write(&path, text).unwrap();
        let mut lines = Lines::open(&path, false).unwrap();
        let read = || Some(lines.read(limit).unwrap()).filter(|bodies| bodies.len() > 0);
        let owned = |bodies: Bodies| bodies.iter().map(str::to_owned).collect();
        std::iter::from_fn(read).map(owned).collect()
    }

    #[test]
    fn every_line_is_read_once_without_its_end() {
        assert_eq!(all(b"a\r\n\nb\n c\r", 3), [vec!["a", "", "b"], vec![" c"]]);
        assert_eq!(all(b"a\n", 3), [vec!["a"]]);
        assert_eq!(all(b"\xff\n", 3), [vec!["\u{fffd}"]]);
        assert!(all(b"", 3).is_empty());
    }

    #[test]
    fn large_lines_fill_a_request() {
        let line = "x".repeat(FULL_BYTES / 2);
        let lengths: Vec<_> =
            all(format!("{line}\n{line}\n{line}").as_bytes(), 500).iter().map(Vec::len).collect();
        assert_eq!(lengths, [2, 1]);
    }

    #[test]
    fn line_that_is_too_long_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        let long = "x".repeat(usize::try_from(MAX_LINE_BYTES).unwrap() + 1);
        std::fs::write(&path, format!("a\n{long}")).unwrap();
        let error = Lines::open(&path, false).unwrap().read(500).unwrap_err();
        assert!(error.to_string().starts_with("line 2 of `"), "{error}");
    }

    #[test]
    fn repeated_lines_begin_again_but_not_those_of_an_empty_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines");
        std::fs::write(&path, "a\nb").unwrap();
        let bodies = Lines::open(&path, true).unwrap().read(5).unwrap();
        assert_eq!(bodies.iter().collect::<Vec<_>>(), ["a", "b", "a", "b", "a"]);
        std::fs::write(&path, "").unwrap();
        assert_eq!(Lines::open(&path, true).unwrap().read(5).unwrap().len(), 0);
    }
}
