//! Records that made a component panic, or kill the process, kept as files for people to look at.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{error, warn};

use super::files;
use crate::data::Batch;
use crate::telemetry::Metrics;

/// The folder in the data directory.
const FOLDER: &str = "quarantine";
/// How many files the folder may hold.
const MAX_FILES: usize = 1000;
/// How many bytes its files may have together.
const MAX_BYTES: u64 = 64 << 20;

/// The folder `quarantine` in the data directory; it is made when it is needed.
///
/// What is in it counts, whoever wrote it and when. The first record that has no room ends it:
/// further ones are only counted by those who set them aside, until the next start.
#[derive(Clone, Debug)]
pub(crate) struct Quarantine {
    folder: Arc<PathBuf>,
    is_full: Arc<AtomicBool>,
    metrics: Metrics,
}

impl Quarantine {
    /// The quarantine of a data directory; what is kept counts in `metrics`.
    pub(crate) fn new(data_dir: &Path, metrics: &Metrics) -> Self {
        let (folder, metrics) = (Arc::new(data_dir.join(FOLDER)), metrics.clone());
        Self { folder, is_full: Arc::default(), metrics }
    }

    /// Keeps an encoded export request, mostly of one record, durably, and tells `why` and of which
    /// `component`; whether there was room for it.
    pub(crate) fn keep(&self, component: &str, why: &str, batch: &Batch) -> bool {
        let records = batch.num_records();
        if self.is_full.load(Ordering::Relaxed) {
            return false;
        }
        let name = format!(
            "{}-{}-{:016x}.{}.otlp",
            batch.context().arrived.as_unix_nanos(),
            component.replace('/', "_"),
            rand::random::<u64>(),
            batch.signal().as_str()
        );
        let path = self.folder.join(name);
        match self.write(&path, &batch.merged_bytes()) {
            Ok(true) => {
                let family = format!("catchment_quarantined_{}", batch.signal().records());
                self.metrics.counter(&family, &[("component", component)]).add(records as u64);
                error!(component, records, path = %path.display(), why, "records are set aside");
                return true;
            }
            Ok(false) => {
                error!(component, records, why, "records cannot be set aside");
                warn!(folder = %self.folder.display(), "no room for records that are set aside");
                self.is_full.store(true, Ordering::Relaxed);
            }
            Err(error) => {
                error!(component, records, path = %path.display(), why, %error, "records cannot be set aside");
            }
        }
        false
    }

    /// Writes a file if the folder has room for it.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        files::create_folder(&self.folder)?;
        let mut num_files = 0;
        let mut size_bytes = bytes.len() as u64;
        for entry in fs::read_dir(&*self.folder)? {
            num_files += 1;
            size_bytes += entry?.metadata()?.len();
            if num_files >= MAX_FILES || size_bytes > MAX_BYTES {
                return Ok(false);
            }
        }
        let mut file = File::create_new(path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // A part of a record tells nothing.
            let _ = fs::remove_file(path);
        }
        written.and_then(|()| files::sync_folder(&self.folder)).map(|()| true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{LogsBuilder, Value};

    fn batch(size_bytes: usize) -> Batch {
        let mut builder = LogsBuilder::new();
        builder.record(|record| record.body(Value::Str(&"x".repeat(size_bytes))));
        builder.finish(Arc::default())
    }

    fn num_files(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn equal_records_have_a_file_each_also_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let quarantine = Quarantine::new(folder.path(), &Metrics::default());
            assert!(quarantine.keep("parquet/a", "it panicked", &batch(10)));
            assert!(quarantine.keep("parquet/a", "it panicked", &batch(10)));
            let labels = [("component", "parquet/a")];
            let counter = quarantine.metrics.counter("catchment_quarantined_log_records", &labels);
            assert_eq!(counter.get(), 2);
        }
        assert_eq!(num_files(&folder.path().join(FOLDER)), 4);
    }

    #[test]
    fn folder_holds_no_more_bytes_and_files_than_it_may_also_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join(FOLDER);
        let keep = |quarantine: &Quarantine, size| quarantine.keep("parquet", "", &batch(size));
        // One file is left of those before the start.
        for kept in [[true, true, true, false], [true, true, false, false]] {
            let quarantine = Quarantine::new(folder.path(), &Metrics::default());
            assert_eq!(kept.map(|_| keep(&quarantine, 20 << 20)), kept);
            assert_eq!(num_files(&files), 3);
            for entry in fs::read_dir(&files).unwrap().skip(1) {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().join(FOLDER);
        fs::create_dir(&files).unwrap();
        for number in 0..MAX_FILES - 1 {
            fs::write(files.join(number.to_string()), "").unwrap();
        }
        let quarantine = Quarantine::new(folder.path(), &Metrics::default());
        assert_eq!([keep(&quarantine, 1), keep(&quarantine, 1)], [true, false]);
        assert_eq!(num_files(&files), MAX_FILES);
    }
}
