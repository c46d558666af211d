//! Where an archive is: a path, or a URL whose scheme we have.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// A local folder, written as a path or as `file:///…`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Location(PathBuf);

impl Location {
    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

/// Why a text is no location.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LocationError {
    /// Nothing is written.
    #[error("expected a folder, as a path or as `file:///…`")]
    Empty,
    /// A URL of a store that we cannot write to.
    #[error("scheme `{scheme}` is not supported; only local folders and `file:///…` are")]
    Scheme {
        /// What stands before `://`.
        scheme: String,
    },
    /// A file URL that names a host or is not encoded rightly.
    #[error("`{url}` is not of the form `file:///path`")]
    FileUrl {
        /// What stands there.
        url: String,
    },
}

impl TryFrom<String> for Location {
    type Error = LocationError;

    fn try_from(text: String) -> Result<Self, LocationError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() { Err(LocationError::Empty) } else { Ok(Self(text.into())) };
        };
        if !scheme.eq_ignore_ascii_case("file") {
            return Err(LocationError::Scheme { scheme: scheme.to_owned() });
        }
        let path = rest.strip_prefix("localhost").unwrap_or(rest);
        let decoded = Some(path).filter(|path| path.starts_with('/')).and_then(decode);
        decoded.map(|path| Self(path.into())).ok_or(LocationError::FileUrl { url: text })
    }
}

/// Replaces `%20` and the like.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if matches!(first, b'?' | b'#' | 0) {
            return None;
        }
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let [byte] = crate::data::parse_hex::<1>(std::str::from_utf8(digits).ok()?)?;
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8(bytes).ok().filter(|path| !path.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_file_urls_are_folders() {
        for (text, path) in [
            ("./archive", "./archive"),
            ("/var/lib/a b", "/var/lib/a b"),
            ("file:///var/lib/a%20b", "/var/lib/a b"),
            ("FILE://localhost/x", "/x"),
        ] {
            let location = Location::try_from(text.to_owned()).unwrap();
            assert_eq!(location.path(), Path::new(path));
        }
    }

    #[test]
    fn other_urls_are_refused_by_name() {
        let refused = |text: &str| Location::try_from(text.to_owned()).unwrap_err().to_string();
        assert!(refused("s3://bucket/logs").contains("scheme `s3` is not supported"));
        assert!(refused("gs://bucket").contains("scheme `gs` is not supported"));
        for text in ["", "file://host/path", "file:///a%2", "file:///a%zz", "file:///a?b"] {
            refused(text);
        }
    }
}
