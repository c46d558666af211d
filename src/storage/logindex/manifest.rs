//! The layout on disk: which folders there are, what describes them, what a commit says.
//!
//! ```text
//! <directory>/catchment-logindex.json      magic and version of the whole
//! <directory>/default/                     records without a tenant
//! <directory>/tenant=<name>/               records of a tenant, the name percent-encoded
//!     <window start>-<n>/                  such as 20261124T150000Z-0
//!         window.json                      magic, version, tenant, start, length, detail
//!         envelopes                        resources and scopes
//!         index/                           tantivy's files
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;
use tracing::error;

use super::envelopes::Extent;
use super::error::LogIndexError;
use super::schema::Detail;
use crate::storage::files::{self, DataFile};
use crate::storage::parts::RouteRuns;

/// The version of the layout that is written, the only one of windows that is read.
///
/// 2: words of digits and hexadecimal ones are sorted keys, in a component of their own.
/// 3: fractions have a mark of their own, and keys in their order; records are stored in parts.
pub(crate) const VERSION: u32 = 3;

/// The folder of tantivy's files within a window's folder.
pub(crate) const INDEX_FOLDER: &str = "index";

const ROOT_FILE: &str = "catchment-logindex.json";
const ROOT_MAGIC: &str = "catchment log index";
const WINDOW_FILE: &str = "window.json";
const WINDOW_MAGIC: &str = "catchment log index window";

/// Describes one window's folder; never changes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct WindowManifest {
    magic: String,
    version: u32,
    /// The tenant of all records.
    pub(crate) tenant: Option<String>,
    /// When the window begins, in Unix nanoseconds.
    pub(crate) start: u64,
    /// How long it is, in nanoseconds.
    pub(crate) length: u64,
    /// Which of the indexes of this window it is.
    pub(crate) number: u32,
    /// What is made into terms.
    pub(crate) detail: Detail,
}

/// What a commit says; stands in tantivy's own meta file, so it comes with the commit or not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct CommitPayload {
    /// The version of this text.
    pub(crate) version: u32,
    /// The commit's id.
    pub(crate) commit: u64,
    /// The journal entries that are held, of the last commits: none without a journal.
    pub(crate) parts: Vec<RouteRuns>,
    /// All records of the index.
    pub(crate) num_records: u64,
    /// The earliest event, in Unix nanoseconds.
    pub(crate) min_time: i64,
    /// The latest event, in Unix nanoseconds.
    pub(crate) max_time: i64,
    /// How much of the file of envelopes counts.
    pub(crate) envelopes: Extent,
}

#[derive(Deserialize, Serialize)]
struct RootManifest {
    magic: String,
    version: u32,
}

impl WindowManifest {
    pub(crate) fn new(tenant: Option<&str>, start: u64, length: u64, detail: Detail) -> Self {
        Self {
            magic: WINDOW_MAGIC.to_owned(),
            version: VERSION,
            tenant: tenant.map(str::to_owned),
            start,
            length,
            number: 0,
            detail,
        }
    }

    /// When the window ends, in Unix nanoseconds.
    pub(crate) const fn end(&self) -> u64 {
        self.start.saturating_add(self.length)
    }

    /// The folder of this window.
    pub(crate) fn folder(&self, directory: &Path) -> PathBuf {
        let name = format!("{}-{}", compact_time(self.start), self.number);
        directory.join(tenant_folder(self.tenant.as_deref())).join(name)
    }

    /// Whether there is such a window on disk.
    pub(crate) fn is_taken(&self, directory: &Path) -> bool {
        self.folder(directory).join(WINDOW_FILE).exists()
    }

    /// Writes the manifest of a folder that is otherwise complete.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), LogIndexError> {
        write_json(&folder.join(WINDOW_FILE), self)
    }

    /// Reads the manifest of a folder; nothing if the folder never became a window.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>, LogIndexError> {
        let path = folder.join(WINDOW_FILE);
        let Some(manifest) = read_json::<Self>(&path)? else {
            return Ok(None);
        };
        check(&path, manifest.magic == WINDOW_MAGIC, manifest.version)?;
        if manifest.version < VERSION {
            return Err(LogIndexError::Outdated { path, found: manifest.version });
        }
        Ok(Some(manifest))
    }
}

impl CommitPayload {
    /// Reads what a commit says; an index without a commit says nothing.
    pub(crate) fn read(text: Option<&str>, folder: &Path) -> Result<Self, LogIndexError> {
        let Some(text) = text else {
            return Ok(Self { min_time: i64::MAX, max_time: i64::MIN, ..Self::default() });
        };
        let path = folder.join(INDEX_FOLDER);
        let read: Self = serde_json::from_str(text).map_err(|_| LogIndexError::Damaged {
            path: path.clone(),
            what: "its commit says nothing that is known",
        })?;
        check(&path, true, read.version)?;
        Ok(read)
    }
}

/// Makes the folder of a log index, or checks the one that is there.
pub(crate) fn open_directory(directory: &Path) -> Result<(), LogIndexError> {
    files::create_folder(directory).map_err(LogIndexError::file("make", directory))?;
    let path = directory.join(ROOT_FILE);
    match read_json::<RootManifest>(&path)? {
        Some(manifest) => check(&path, manifest.magic == ROOT_MAGIC, manifest.version),
        None => write_json(&path, &RootManifest { magic: ROOT_MAGIC.to_owned(), version: VERSION }),
    }
}

/// Checks that a folder is that of a log index.
pub(crate) fn check_directory(directory: &Path) -> Result<(), LogIndexError> {
    let path = directory.join(ROOT_FILE);
    match read_json::<RootManifest>(&path)? {
        Some(manifest) => check(&path, manifest.magic == ROOT_MAGIC, manifest.version),
        None => Err(LogIndexError::NotAnIndex { path: directory.to_owned() }),
    }
}

/// The folders of all windows of a directory, and such as never became one.
pub(crate) fn window_folders(directory: &Path) -> Result<Vec<PathBuf>, LogIndexError> {
    let mut windows = Vec::new();
    for tenant in folders(directory)? {
        windows.extend(folders(&tenant)?);
    }
    Ok(windows)
}

/// All windows of a directory, earliest first; removes folders that never became one.
pub(crate) fn list_windows(
    directory: &Path,
) -> Result<Vec<(PathBuf, WindowManifest)>, LogIndexError> {
    let mut windows = Vec::new();
    for folder in window_folders(directory)? {
        match WindowManifest::read(&folder) {
            Ok(Some(manifest)) => windows.push((folder, manifest)),
            Ok(None) => {
                files::remove_folder(&folder).map_err(LogIndexError::file("remove", &folder))?;
            }
            Err(error) if error.is_of_window() => leave_out(&folder, &error),
            Err(error) => return Err(error),
        }
    }
    windows.sort_by_key(|(_, manifest)| (manifest.start, manifest.number));
    Ok(windows)
}

/// Removes a window's folder; what a power cut leaves of it is no window.
pub(crate) fn remove_window(folder: &Path) -> Result<(), LogIndexError> {
    let failed = || LogIndexError::file("remove", folder);
    files::remove(&folder.join(WINDOW_FILE)).map_err(failed())?;
    files::sync_folder(folder).map_err(failed())?;
    files::remove_folder(folder).map_err(failed())
}

/// Tells of a window that stays on disk but is not searched.
pub(crate) fn leave_out(folder: &Path, error: &LogIndexError) {
    error!(folder = %folder.display(), %error, "a window of the log index is left out");
}

/// The bytes that a folder takes on disk.
pub(crate) fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}

fn folders(directory: &Path) -> Result<Vec<PathBuf>, LogIndexError> {
    let error = LogIndexError::file("list", directory);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(source) => return Err(error(source)),
    };
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.is_dir()).collect())
}

fn tenant_folder(tenant: Option<&str>) -> String {
    let Some(tenant) = tenant else {
        return "default".to_owned();
    };
    let mut folder = String::from("tenant=");
    for byte in tenant.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => folder.push(char::from(byte)),
            _ => folder.push_str(&format!("%{byte:02X}")),
        }
    }
    folder
}

/// A time as `20261124T150000Z`, for people.
fn compact_time(nanos: u64) -> String {
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(nanos));
    let text = time.ok().and_then(|time| time.format(format).ok());
    text.unwrap_or_else(|| nanos.to_string())
}

fn check(path: &Path, is_ours: bool, version: u32) -> Result<(), LogIndexError> {
    let path = path.to_owned();
    if !is_ours {
        return Err(LogIndexError::Damaged { path, what: "it is not a file of a log index" });
    }
    if version > VERSION {
        return Err(LogIndexError::Version { path, found: version, known: VERSION });
    }
    Ok(())
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<Option<T>, LogIndexError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LogIndexError::file("read", path)(source)),
    };
    let damaged = |_| LogIndexError::Damaged {
        path: path.to_owned(),
        what: "it is not a manifest of a log index",
    };
    serde_json::from_slice(&text).map(Some).map_err(damaged)
}

/// Writes a file so that it is there whole or not at all.
fn write_json(path: &Path, value: &impl Serialize) -> Result<(), LogIndexError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let unfinished = path.with_extension("unfinished");
    let written = serde_json::to_vec(value).map_err(io::Error::other).and_then(|text| {
        if unfinished.exists() {
            files::remove(&unfinished)?;
        }
        let file = DataFile::create_new(&unfinished)?;
        file.write_all_at(&text, 0)?;
        file.sync()?;
        files::rename(&unfinished, path)
    });
    written.map_err(LogIndexError::file("write", path))?;
    files::sync_folder(folder).map_err(LogIndexError::file("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_tell_tenant_and_time() {
        let manifest =
            WindowManifest::new(Some("a/b ü"), 1_795_532_400_000_000_000, 1, Detail::Full);
        assert_eq!(
            manifest.folder(Path::new("x")),
            Path::new("x/tenant=a%2Fb%20%C3%BC/20261124T150000Z-0")
        );
    }

    #[test]
    fn later_versions_are_refused_and_leftovers_removed() {
        let directory = tempfile::tempdir().unwrap();
        open_directory(directory.path()).unwrap();
        open_directory(directory.path()).unwrap();
        let mut manifest = WindowManifest::new(None, 0, 1, Detail::Lean);
        let folder = manifest.folder(directory.path());
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(list_windows(directory.path()).unwrap(), []);
        assert!(!folder.exists());
        fs::create_dir_all(&folder).unwrap();
        manifest.write(&folder).unwrap();
        assert_eq!(list_windows(directory.path()).unwrap(), [(folder.clone(), manifest.clone())]);
        manifest.version = VERSION + 1;
        manifest.write(&folder).unwrap();
        assert!(matches!(
            list_windows(directory.path()),
            Err(LogIndexError::Version { found, .. }) if found == VERSION + 1
        ));
        fs::write(directory.path().join(ROOT_FILE), "{}").unwrap();
        assert!(open_directory(directory.path()).is_err());
    }
}
