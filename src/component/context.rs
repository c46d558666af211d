//! What a component is given when it is built.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::message::Cause;
use super::{Budget, ClientAuth, Extension, Journal, ServerAuth, Storage};
use crate::config::{ComponentId, PipelineId};
use crate::data::Signal;
use crate::telemetry::{Clock, Ledger, Metrics, Status};

/// Why a component cannot be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A setting is wrong in a way that only building shows.
    #[error("{message}")]
    Setting {
        /// What is wrong, and what was expected.
        message: String,
    },
    /// An extension that is not there.
    #[error("{role} `{id}` is not listed in service::extensions")]
    NoSuchExtension {
        /// What it is looked for as: `authenticator` or `storage`.
        role: &'static str,
        /// The id in the file.
        id: ComponentId,
    },
    /// An extension that does not keep queues.
    #[error("extension `{id}` cannot keep a queue on disk")]
    NotAStorage {
        /// The id in the file.
        id: ComponentId,
    },
    /// An extension that cannot do what it is asked for.
    #[error("extension `{id}` does not authenticate {role}")]
    NotAnAuthenticator {
        /// The id in the file.
        id: ComponentId,
        /// `clients` or `requests`.
        role: &'static str,
    },
    /// A file or folder cannot be used.
    #[error("cannot use `{}`", path.display())]
    Path {
        /// The path as the file says it.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// Something that the component stands on failed.
    #[error("{what}")]
    Cause {
        /// What was being done.
        what: &'static str,
        /// What failed.
        source: Cause,
    },
}

impl BuildError {
    /// A setting that only building shows to be wrong.
    #[must_use]
    pub fn setting(message: impl Into<String>) -> Self {
        Self::Setting { message: message.into() }
    }
}

/// The extensions that are listed in the file, started.
#[derive(Clone, Default)]
pub struct Extensions {
    running: Arc<HashMap<ComponentId, Arc<dyn Extension>>>,
}

impl Extensions {
    /// A table of running extensions.
    #[must_use]
    pub fn new(running: HashMap<ComponentId, Arc<dyn Extension>>) -> Self {
        Self { running: Arc::new(running) }
    }

    /// The authenticator of clients called `id`.
    ///
    /// # Errors
    ///
    /// Fails when there is no such extension or it does not authenticate clients.
    pub fn server_auth(&self, id: &ComponentId) -> Result<Arc<dyn ServerAuth>, BuildError> {
        let extension = self.extension(id, "authenticator")?;
        extension
            .server_auth()
            .ok_or_else(|| BuildError::NotAnAuthenticator { id: id.clone(), role: "clients" })
    }

    /// The authenticator of requests called `id`.
    ///
    /// # Errors
    ///
    /// Fails when there is no such extension or it does not authenticate requests.
    pub fn client_auth(&self, id: &ComponentId) -> Result<Arc<dyn ClientAuth>, BuildError> {
        let extension = self.extension(id, "authenticator")?;
        extension
            .client_auth()
            .ok_or_else(|| BuildError::NotAnAuthenticator { id: id.clone(), role: "requests" })
    }

    /// The extension called `id` that keeps queues on disk.
    ///
    /// # Errors
    ///
    /// Fails when there is no such extension or it does not keep queues.
    pub fn storage(&self, id: &ComponentId) -> Result<Arc<dyn Storage>, BuildError> {
        let extension = self.extension(id, "storage")?;
        extension.storage().ok_or_else(|| BuildError::NotAStorage { id: id.clone() })
    }

    /// The extensions that are journals, by id; there may be one.
    #[must_use]
    pub fn journals(&self) -> BTreeMap<&ComponentId, Arc<dyn Journal>> {
        let running = self.running.iter();
        running.filter_map(|(id, extension)| Some((id, extension.journal()?))).collect()
    }

    /// The journal, if there is one.
    #[must_use]
    pub fn journal(&self) -> Option<Arc<dyn Journal>> {
        self.journals().into_values().next()
    }

    /// The ids of the running extensions, sorted.
    #[must_use]
    pub fn ids(&self) -> Vec<&ComponentId> {
        let mut ids: Vec<_> = self.running.keys().collect();
        ids.sort();
        ids
    }

    fn extension(
        &self,
        id: &ComponentId,
        role: &'static str,
    ) -> Result<&Arc<dyn Extension>, BuildError> {
        self.running.get(id).ok_or_else(|| BuildError::NoSuchExtension { role, id: id.clone() })
    }
}

/// What the engine offers to every component.
#[derive(Clone)]
pub struct Host {
    /// The agent's own metrics.
    pub metrics: Metrics,
    /// Pipelines, queues, health and recent errors.
    pub status: Status,
    /// The accounts of records.
    pub ledger: Ledger,
    /// The engine's clock.
    pub clock: Clock,
    /// The memory budget.
    pub budget: Budget,
    /// Where components keep state when the file does not say where.
    pub data_dir: PathBuf,
    /// The extensions that run.
    pub extensions: Extensions,
}

/// Where a connector's records can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// The pipeline that has the connector as a receiver.
    pub pipeline: PipelineId,
    /// Its signal.
    pub signal: Signal,
}

/// Which of how many equal stages this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    pub index: usize,
    /// At least 1.
    pub count: usize,
}

/// What a component is given when it is built.
#[derive(Clone)]
pub struct BuildContext {
    /// Its id in the file.
    pub id: ComponentId,
    /// Its pipeline, for a processor.
    pub pipeline: Option<PipelineId>,
    /// What comes in; an exporter is built once for each signal that it is used for.
    pub signal: Signal,
    /// Where a connector's records can go, sorted by pipeline.
    pub outputs: Vec<Output>,
    /// Which of its equals this is.
    pub shard: Shard,
    /// What the engine offers.
    pub host: Host,
}

impl BuildContext {
    /// Where a connector's records can go; [`super::Outbox::emit_to`] takes an index into it.
    #[must_use]
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }
}
