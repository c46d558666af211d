//! The contracts of components and of their configurations.

use std::any::Any;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::message::{Cause, Payload};
use super::{
    BuildContext, BuildError, ClientAuth, Endpoint, ExportError, Held, Host, Inlet, Journal,
    Listeners, Outbox, Prepared, Request, Sent, ServerAuth, Storage,
};
use crate::config::{ComponentId, Queue, Retry};
use crate::data::{Batch, Signal, Time};

/// Why a receiver or extension stopped by itself.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct RunError {
    /// What was being done.
    pub what: String,
    /// What failed.
    pub source: Cause,
}

impl RunError {
    /// A failure while doing `what`.
    pub fn new(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self { what: what.into(), source: source.into() }
    }
}

/// Why a stage refused a whole batch.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct ProcessError {
    /// A constant, for it is a label of a metric.
    pub reason: &'static str,
    /// What failed.
    pub source: Option<Cause>,
}

/// Why saved state cannot be taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It was written by a later version.
    #[error("state has version {found}, at most {known} is known")]
    Version {
        /// Version of the state.
        found: u32,
        /// Highest version that can be read.
        known: u32,
    },
    /// It cannot be read.
    #[error("cannot read state")]
    Read(#[from] io::Error),
}

/// Why a stage is asked to let go of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// Decide and emit: the chain is being replaced or shut down.
    Drain,
    /// Keep state; what is held stays with its open journal entries.
    Suspend,
}

/// How the work of a stage may be divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharding {
    /// No state: any worker, any batch.
    Stateless,
    /// State that each worker has for itself.
    PerWorker,
    /// State by trace id.
    ByTraceId,
    /// State by metric series.
    BySeries,
    /// One instance sees everything.
    Single,
}

/// How far a component can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stability {
    /// Settings and results may still change between releases, with a note.
    Beta,
    /// Settings and results stay.
    Stable,
}

impl Stability {
    /// `beta` or `stable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Beta => "beta",
            Self::Stable => "stable",
        }
    }
}

/// Takes telemetry in.
#[async_trait]
pub trait Receiver: Send {
    /// Runs until `stop` is cancelled, then finishes the requests it has and returns.
    ///
    /// # Errors
    ///
    /// Fails when it cannot go on; the agent then stops.
    async fn run(self: Box<Self>, inlet: Inlet, stop: CancellationToken) -> Result<(), RunError>;
}

/// One stage of a chain: no I/O, no await, no clock.
pub trait Processor: Send {
    /// Takes a batch and tells `out` what becomes of it.
    ///
    /// # Errors
    ///
    /// Nothing of this call leaves the stage then; the records are counted as dropped by the
    /// error's reason and answered [`super::Outcome::Rejected`].
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError>;

    /// When [`Processor::tick`] must be called, if it must.
    fn deadline(&self) -> Option<Time> {
        None
    }

    /// Does what is due; called when the deadline has come.
    ///
    /// # Errors
    ///
    /// As [`Processor::process`].
    fn tick(&mut self, out: &mut Outbox) -> Result<(), ProcessError> {
        let _ = out;
        Ok(())
    }

    /// Lets go of what is held.
    ///
    /// # Errors
    ///
    /// As [`Processor::process`].
    fn flush(&mut self, why: Flush, out: &mut Outbox) -> Result<(), ProcessError> {
        let _ = (why, out);
        Ok(())
    }

    /// The version that [`Processor::save`] writes.
    fn state_version(&self) -> u32 {
        1
    }

    /// Writes state that a new instance takes over; never what is still held.
    ///
    /// # Errors
    ///
    /// Fails when `to` does.
    fn save(&self, to: &mut dyn Write) -> io::Result<()> {
        let _ = to;
        Ok(())
    }

    /// Takes over state that was saved.
    ///
    /// # Errors
    ///
    /// Fails when the state is of a later version or cannot be read.
    fn restore(&mut self, from: &mut dyn Read, version: u32) -> Result<(), RestoreError> {
        let _ = (from, version);
        Ok(())
    }
}

/// Sends batches somewhere or stores them. Queue, retry and answers are the driver's.
#[async_trait]
pub trait Exporter: Send + Sync {
    /// Makes ready; answers which parts it holds durably already.
    ///
    /// # Errors
    ///
    /// Fails when it cannot work at all; the agent then does not start.
    async fn start(&self) -> Result<Held, ExportError> {
        Ok(Held::default())
    }

    /// Whether requests have keyed lanes; then the driver prepares batches one after the other.
    fn is_ordered(&self) -> bool {
        false
    }

    /// Whether [`Exporter::prepare`] has so much to do that large batches get a thread for it.
    fn prepares_apart(&self) -> bool {
        false
    }

    /// Encodes, compresses, divides over lanes: CPU only, once for each batch.
    fn prepare(&self, batch: Batch) -> Prepared {
        Prepared::whole(batch)
    }

    /// Sends one request. The driver keeps order within a lane, one in flight, retried in place.
    ///
    /// # Errors
    ///
    /// By what the driver shall do.
    ///
    /// # Cancel safety
    ///
    /// The driver drops the future when the request's `timeout` is over, and may send it again.
    async fn send(&self, request: &Request) -> Result<Sent, ExportError>;

    /// Halves a request that was answered [`ExportError::Divide`].
    ///
    /// # Errors
    ///
    /// Gives it back when it is a single record or series.
    #[expect(clippy::result_large_err, reason = "the request itself is given back")]
    fn halve(&self, request: Request) -> Result<[Request; 2], Request> {
        Err(request)
    }

    /// The records of a request that is not sent again, if they can be told: for dead letters and
    /// the quarantine.
    fn records(&self, request: &Request) -> Option<Batch> {
        match &request.payload {
            Payload::Batch(batch) => Some(batch.clone()),
            Payload::Bytes(_) | Payload::Native(_) => None,
        }
    }

    /// When the driver must call [`Exporter::flush`]; at once when a commit is due.
    fn deadline(&self) -> Option<Time> {
        None
    }

    /// Commits; afterwards everything sent so far is durable.
    ///
    /// # Errors
    ///
    /// By what the driver shall do; it calls again after a retryable failure.
    async fn flush(&self) -> Result<(), ExportError> {
        Ok(())
    }

    /// A handle for other layers, such as a log index that can be searched.
    fn handle(&self) -> Option<Arc<dyn Any + Send + Sync>> {
        None
    }
}

/// Something that runs beside the pipelines.
#[async_trait]
pub trait Extension: Send + Sync {
    /// Starts; returns when it is up.
    ///
    /// # Errors
    ///
    /// Fails when it cannot work; the agent then does not start.
    async fn start(&self, listeners: &Listeners, host: &Host) -> Result<(), RunError> {
        let _ = (listeners, host);
        Ok(())
    }

    /// Stops and waits for what it had under way.
    async fn stop(&self) {}

    /// As an authenticator of a server's clients.
    fn server_auth(&self) -> Option<Arc<dyn ServerAuth>> {
        None
    }

    /// As an authenticator of a client's requests.
    fn client_auth(&self) -> Option<Arc<dyn ClientAuth>> {
        None
    }

    /// As the journal behind all receivers.
    fn journal(&self) -> Option<Arc<dyn Journal>> {
        None
    }

    /// As a keeper of queues on disk.
    fn storage(&self) -> Option<Arc<dyn Storage>> {
        None
    }
}

/// The settings of a receiver as users write them; deserialising is validating.
pub trait ReceiverConfig: DeserializeOwned + Clone + Send + Sync + 'static {
    /// The type in the file.
    const TYPE: &'static str;
    /// Names in transition.
    const ALIASES: &'static [&'static str] = &[];
    /// A body that works, in YAML; printed by `catchment components`.
    const EXAMPLE: &'static str;
    /// What it can take in.
    const SIGNALS: &'static [Signal];
    /// How far it can be relied on.
    const STABILITY: Stability = Stability::Beta;
    /// Keys of the body that belong under a field of the struct.
    const SPLIT: &'static [(&'static str, &'static [&'static str])] = &[];

    /// The addresses that the engine binds for it.
    fn endpoints(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Builds it; no I/O but reading certificates.
    ///
    /// # Errors
    ///
    /// Fails when a setting is wrong in a way that only building shows.
    fn build(&self, context: &BuildContext) -> Result<Box<dyn Receiver>, BuildError>;
}

/// The settings of a processor as users write them; deserialising is validating.
pub trait ProcessorConfig: DeserializeOwned + Clone + Send + Sync + 'static {
    /// The type in the file.
    const TYPE: &'static str;
    /// Names in transition.
    const ALIASES: &'static [&'static str] = &[];
    /// A body that works, in YAML; printed by `catchment components`.
    const EXAMPLE: &'static str;
    /// What it can process.
    const SIGNALS: &'static [Signal];
    /// How far it can be relied on.
    const STABILITY: Stability = Stability::Beta;
    /// Keys of the body that belong under a field of the struct.
    const SPLIT: &'static [(&'static str, &'static [&'static str])] = &[];

    /// How its work may be divided.
    fn sharding(&self) -> Sharding;

    /// Limit and spike in bytes that this sets for the engine's one memory budget, given the
    /// machine's or cgroup's memory. For `memory_limiter`.
    fn memory_limit(&self, total_bytes: usize) -> Option<(usize, usize)> {
        let _ = total_bytes;
        None
    }

    /// How long a batch may stay inside at the most, if it may: `validate` warns where a client
    /// waits for that.
    fn max_hold(&self) -> Option<Duration> {
        None
    }

    /// Builds one instance, for one pipeline and shard; no I/O.
    ///
    /// # Errors
    ///
    /// Fails when a setting is wrong in a way that only building shows.
    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError>;
}

/// The settings of a connector as users write them: it ends some pipelines and begins others.
pub trait ConnectorConfig: DeserializeOwned + Clone + Send + Sync + 'static {
    /// The type in the file.
    const TYPE: &'static str;
    /// Names in transition.
    const ALIASES: &'static [&'static str] = &[];
    /// A body that works, in YAML; printed by `catchment components`.
    const EXAMPLE: &'static str;
    /// Which signal out it makes of which signal in: (in, out).
    const PAIRS: &'static [(Signal, Signal)];
    /// How far it can be relied on.
    const STABILITY: Stability = Stability::Beta;
    /// Keys of the body that belong under a field of the struct.
    const SPLIT: &'static [(&'static str, &'static [&'static str])] = &[];

    /// How its work may be divided.
    fn sharding(&self) -> Sharding;

    /// Builds one instance for one signal in; no I/O.
    ///
    /// # Errors
    ///
    /// Fails when a setting is wrong in a way that only building shows.
    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError>;
}

/// What stands around an exporter: `timeout`, `retry_on_failure`, `sending_queue`, `dead_letter`.
#[derive(Clone, Debug)]
pub struct DriverSettings {
    /// How long one attempt may take.
    pub timeout: Duration,
    /// What happens after a failed attempt.
    pub retry: Retry,
    /// What waits before the exporter.
    pub queue: Queue,
    /// The exporter that gets what the destination refuses for good.
    pub dead_letter: Option<ComponentId>,
}

impl Default for DriverSettings {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            retry: Retry::default(),
            queue: Queue::default(),
            dead_letter: None,
        }
    }
}

/// The settings of an exporter as users write them, less the driver's.
pub trait ExporterConfig: DeserializeOwned + Clone + Send + Sync + 'static {
    /// The type in the file.
    const TYPE: &'static str;
    /// Names in transition.
    const ALIASES: &'static [&'static str] = &[];
    /// A body that works, in YAML; printed by `catchment components`.
    const EXAMPLE: &'static str;
    /// What it can send.
    const SIGNALS: &'static [Signal];
    /// How far it can be relied on.
    const STABILITY: Stability = Stability::Beta;
    /// Keys of the body that belong under a field of the struct.
    const SPLIT: &'static [(&'static str, &'static [&'static str])] = &[];
    /// Which of the driver's keys the body may have.
    const DRIVER_KEYS: &'static [&'static str] =
        &["timeout", "retry_on_failure", "sending_queue", "dead_letter"];
    /// Whether its queue may be kept on disk.
    const IS_SPOOLED: bool = false;

    /// The driver's settings where the file says nothing.
    #[must_use]
    fn driver_defaults() -> DriverSettings {
        DriverSettings::default()
    }

    /// The driver's settings with this exporter's own keys applied (`remote_write_queue`).
    fn driver(&self, settings: DriverSettings) -> DriverSettings {
        settings
    }

    /// The most bytes that it means to hold for one signal, beside what waits in its queue.
    fn memory_bytes(&self) -> usize {
        0
    }

    /// Builds it for one signal; no I/O but reading certificates.
    ///
    /// # Errors
    ///
    /// Fails when a setting is wrong in a way that only building shows.
    fn build(&self, context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError>;
}

/// The settings of an extension as users write them; deserialising is validating.
pub trait ExtensionConfig: DeserializeOwned + Clone + Send + Sync + 'static {
    /// The type in the file.
    const TYPE: &'static str;
    /// Names in transition.
    const ALIASES: &'static [&'static str] = &[];
    /// A body that works, in YAML; printed by `catchment components`.
    const EXAMPLE: &'static str;
    /// How far it can be relied on.
    const STABILITY: Stability = Stability::Beta;
    /// Keys of the body that belong under a field of the struct.
    const SPLIT: &'static [(&'static str, &'static [&'static str])] = &[];

    /// The addresses that the engine binds for it.
    fn endpoints(&self) -> Vec<Endpoint> {
        Vec::new()
    }

    /// Builds it; no I/O but reading files of credentials.
    ///
    /// # Errors
    ///
    /// Fails when a setting is wrong in a way that only building shows.
    fn build(&self, host: &Host) -> Result<Arc<dyn Extension>, BuildError>;
}
