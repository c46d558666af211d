//! Records that made a component panic, kept as files for people to look at.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tracing::{error, warn};

use crate::data::Batch;

/// How many records are kept; further ones are only counted.
const MAX_FILES: usize = 1000;

/// The folder `quarantine` in the data directory; it is made when it is needed.
#[derive(Clone, Debug)]
pub(crate) struct Quarantine {
    folder: Arc<PathBuf>,
    num_files: Arc<AtomicUsize>,
}

impl Quarantine {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder: Arc::new(folder), num_files: Arc::default() }
    }

    /// Keeps a batch of one record that made `component` panic: an encoded export request.
    pub(crate) fn keep(&self, component: &str, batch: &Batch) {
        let number = self.num_files.fetch_add(1, Ordering::Relaxed);
        if number >= MAX_FILES {
            return;
        }
        let name = format!(
            "{}-{}-{}-{number}.{}.otlp",
            batch.context().arrived.as_unix_nanos(),
            std::process::id(),
            component.replace('/', "_"),
            batch.signal().as_str()
        );
        let path = self.folder.join(name);
        let written =
            fs::create_dir_all(&*self.folder).and_then(|()| fs::write(&path, batch.merged_bytes()));
        match written {
            Ok(()) => error!(component, path = %path.display(), "a record made a component panic"),
            Err(error) => warn!(component, path = %path.display(), %error, "cannot keep a record"),
        }
    }
}
