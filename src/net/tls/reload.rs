//! Values that are made from files and made again when the files change.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

use tracing::{info, warn};

use super::TlsError;

type Build<T> = Box<dyn Fn() -> Result<T, TlsError> + Send + Sync>;

/// A value made from files, looked after at intervals.
///
/// While the files are wrong the last good value stays.
pub(super) struct Reloading<T> {
    current: RwLock<Arc<T>>,
    files: Vec<PathBuf>,
    interval: Option<Duration>,
    build: Build<T>,
    watch: Mutex<Watch>,
}

struct Watch {
    checked: Instant,
    stamps: Vec<Option<Stamp>>,
}

/// What changes when a file does.
type Stamp = (SystemTime, u64);

impl<T> Reloading<T> {
    /// Makes the value; without `interval` it stays as it is.
    pub(super) fn try_new(
        files: Vec<PathBuf>,
        interval: Option<Duration>,
        build: impl Fn() -> Result<T, TlsError> + Send + Sync + 'static,
    ) -> Result<Self, TlsError> {
        // Before the value is made: a change in between is seen at the first check.
        let stamps = stamps(&files);
        let current = RwLock::new(Arc::new(build()?));
        let watch = Mutex::new(Watch { checked: Instant::now(), stamps });
        Ok(Self { current, files, interval, build: Box::new(build), watch })
    }

    /// The value of now.
    pub(super) fn current(&self) -> Arc<T> {
        if let Some(interval) = self.interval {
            self.check(interval);
        }
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn check(&self, interval: Duration) {
        // Whoever comes while another checks uses the value as it is.
        let Ok(mut watch) = self.watch.try_lock() else {
            return;
        };
        if watch.checked.elapsed() < interval {
            return;
        }
        watch.checked = Instant::now();
        let stamps = stamps(&self.files);
        if stamps == watch.stamps {
            return;
        }
        watch.stamps = stamps;
        match (self.build)() {
            Ok(value) => {
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                *current = Arc::new(value);
                info!(files = ?self.files, "certificates reloaded");
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                warn!(%error, cause, "cannot reload certificates, the last good ones stay");
            }
        }
    }
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files
        .iter()
        .map(|file| {
            let found = fs::metadata(file).ok()?;
            Some((found.modified().ok()?, found.len()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn read(path: &std::path::Path) -> Result<String, TlsError> {
        let text = fs::read_to_string(path).map_err(|source| TlsError::Read {
            what: "certificate",
            path: path.to_owned(),
            source,
        })?;
        if text.starts_with("bad") {
            return Err(TlsError::Read {
                what: "certificate",
                path: path.to_owned(),
                source: io::ErrorKind::InvalidData.into(),
            });
        }
        Ok(text)
    }

    #[test]
    fn value_follows_the_file_but_not_into_ruin() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        fs::write(&path, "first").unwrap();
        let of_file = path.clone();
        let value =
            Reloading::try_new(vec![path.clone()], Some(Duration::ZERO), move || read(&of_file))
                .unwrap();
        assert_eq!(*value.current(), "first");
        fs::write(&path, "the second").unwrap();
        assert_eq!(*value.current(), "the second");
        fs::write(&path, "bad").unwrap();
        assert_eq!(*value.current(), "the second");
        fs::write(&path, "the third one").unwrap();
        assert_eq!(*value.current(), "the third one");
    }

    #[test]
    fn value_stays_without_an_interval() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cert.pem");
        fs::write(&path, "first").unwrap();
        let of_file = path.clone();
        let value = Reloading::try_new(vec![path.clone()], None, move || read(&of_file)).unwrap();
        fs::write(&path, "the second").unwrap();
        assert_eq!(*value.current(), "first");
    }
}
