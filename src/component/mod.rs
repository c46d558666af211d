//! The contracts between the engine and its components, and the registry that lists them.

mod ack;
mod auth;
mod context;
mod journal;
mod listen;
mod memory;
mod message;
mod outbox;
mod registry;
mod traits;

pub use ack::{
    Ack, Acks, Answer, EntryPromise, EntryWatch, Outcome, Outstanding, PANICKED, Way, promise,
};
pub use auth::{AuthError, ClientAuth, Identity, ServerAuth};
pub use context::{BuildContext, BuildError, Extensions, Host, Output, Shard};
pub use journal::{Extent, Journal, JournalEntry, Spool, Storage, Stored};
pub use listen::{Endpoint, Inlet, Intake, Listener, Listeners, Pressure, Transport};
pub use memory::{Budget, Charge};
pub use message::{
    Cause, Durability, ExportError, Held, Lane, Payload, Prepared, Rejection, Request, Sent,
};
pub use outbox::{Dropped, Emission, Outbox};
pub use registry::{
    Kind, LoadedConnector, LoadedExporter, LoadedExtension, LoadedProcessor, LoadedReceiver,
    Registered, Registry, lookup,
};
pub use traits::{
    ConnectorConfig, DriverSettings, Exporter, ExporterConfig, Extension, ExtensionConfig, Flush,
    ProcessError, Processor, ProcessorConfig, Receiver, ReceiverConfig, RestoreError, RunError,
    Sharding, Stability,
};
