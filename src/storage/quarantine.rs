//! Records that made a component panic, kept as files for people to look at.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::{error, warn};

use crate::data::Batch;

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
}

impl Quarantine {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder: Arc::new(folder), is_full: Arc::default() }
    }

    /// Keeps a batch of one record that made `component` panic: an encoded export request.
    pub(crate) fn keep(&self, component: &str, batch: &Batch) {
        if self.is_full.load(Ordering::Relaxed) {
            return;
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
                error!(component, path = %path.display(), "a record made a component panic")
            }
            Ok(false) => {
                error!(component, "a record made a component panic");
                warn!(folder = %self.folder.display(), "no room for records that are set aside");
                self.is_full.store(true, Ordering::Relaxed);
            }
            Err(error) => warn!(component, path = %path.display(), %error, "cannot keep a record"),
        }
    }

    /// Writes a file if the folder has room for it.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<bool> {
        fs::create_dir_all(&*self.folder)?;
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
        let written = file.write_all(bytes);
        if written.is_err() {
            // A part of a record tells nothing.
            let _ = fs::remove_file(path);
        }
        written.map(|()| true)
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
            let quarantine = Quarantine::new(folder.path().join("quarantine"));
            quarantine.keep("parquet/a", &batch(10));
            quarantine.keep("parquet/a", &batch(10));
        }
        assert_eq!(num_files(&folder.path().join("quarantine")), 4);
    }

    #[test]
    fn folder_holds_no_more_bytes_and_files_than_it_may_also_after_a_start() {
        let folder = tempfile::tempdir().unwrap();
        for _ in 0..2 {
            let quarantine = Quarantine::new(folder.path().to_owned());
            (0..3).for_each(|_| quarantine.keep("parquet", &batch(20 << 20)));
            assert_eq!(num_files(folder.path()), 3);
            quarantine.keep("parquet", &batch(20 << 20));
            assert_eq!(num_files(folder.path()), 3);
            for entry in fs::read_dir(folder.path()).unwrap().skip(1) {
                fs::remove_file(entry.unwrap().path()).unwrap();
            }
        }
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MAX_FILES - 1 {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        let quarantine = Quarantine::new(folder.path().to_owned());
        (0..2).for_each(|_| quarantine.keep("parquet", &batch(1)));
        assert_eq!(num_files(folder.path()), MAX_FILES);
    }
}
