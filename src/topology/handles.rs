//! What exporters show to other layers.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::ComponentId;
use crate::data::Signal;

/// What exporters show to the HTTP surface, such as log indexes. Clones are the same.
#[derive(Clone, Default)]
pub struct Handles {
    by_exporter: Arc<Mutex<HandleMap>>,
}

type HandleMap = BTreeMap<(ComponentId, Signal), Arc<dyn Any + Send + Sync>>;

impl Handles {
    /// Those that there are now.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<dyn Any + Send + Sync>> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn insert(
        &self,
        exporter: (ComponentId, Signal),
        handle: Arc<dyn Any + Send + Sync>,
    ) {
        self.lock().insert(exporter, handle);
    }

    pub(super) fn remove(&self, exporter: &(ComponentId, Signal)) {
        self.lock().remove(exporter);
    }

    fn lock(&self) -> MutexGuard<'_, HandleMap> {
        self.by_exporter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
