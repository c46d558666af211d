//! The list of component types that a file may name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{
    BuildContext, BuildError, ConnectorConfig, DriverSettings, Endpoint, Exporter, ExporterConfig,
    Extension, ExtensionConfig, Host, Processor, ProcessorConfig, Receiver, ReceiverConfig,
    Sharding, Stability,
};
use crate::config::{Diagnostic, Node, Read, read};
use crate::data::Signal;

/// The kinds of components; each is a section of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Takes telemetry in.
    Receiver,
    /// A stage of a pipeline.
    Processor,
    /// Ends pipelines and begins others.
    Connector,
    /// Sends or stores.
    Exporter,
    /// Runs beside the pipelines.
    Extension,
}

impl Kind {
    /// The kind's name: `receiver`, `processor`, ….
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Receiver => "receiver",
            Self::Processor => "processor",
            Self::Connector => "connector",
            Self::Exporter => "exporter",
            Self::Extension => "extension",
        }
    }
}

type BuildFn<T> = Arc<dyn Fn(&BuildContext) -> Result<T, BuildError> + Send + Sync>;
type BuildExtensionFn = Arc<dyn Fn(&Host) -> Result<Arc<dyn Extension>, BuildError> + Send + Sync>;
type LoadFn<T> = fn(&Node, &str) -> Result<Read<T>, Vec<Diagnostic>>;

/// A receiver's settings, read and ready to build from.
#[derive(Clone)]
pub struct LoadedReceiver {
    /// The addresses that the engine binds for it.
    pub endpoints: Vec<Endpoint>,
    build: BuildFn<Box<dyn Receiver>>,
}

impl LoadedReceiver {
    /// Builds the receiver.
    ///
    /// # Errors
    ///
    /// As [`ReceiverConfig::build`].
    pub fn build(&self, context: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        (self.build)(context)
    }
}

/// A processor's settings, read and ready to build from.
#[derive(Clone)]
pub struct LoadedProcessor {
    /// How its work may be divided.
    pub sharding: Sharding,
    /// How long a batch may stay inside at the most.
    pub max_hold: Option<Duration>,
    memory_limit: Arc<dyn Fn(usize) -> Option<(usize, usize)> + Send + Sync>,
    build: BuildFn<Box<dyn Processor>>,
}

impl LoadedProcessor {
    /// As [`ProcessorConfig::memory_limit`].
    #[must_use]
    pub fn memory_limit(&self, total_bytes: usize) -> Option<(usize, usize)> {
        (self.memory_limit)(total_bytes)
    }

    /// Builds one instance.
    ///
    /// # Errors
    ///
    /// As [`ProcessorConfig::build`].
    pub fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        (self.build)(context)
    }
}

/// A connector's settings, read and ready to build from.
#[derive(Clone)]
pub struct LoadedConnector {
    /// How its work may be divided.
    pub sharding: Sharding,
    build: BuildFn<Box<dyn Processor>>,
}

impl LoadedConnector {
    /// Builds one instance.
    ///
    /// # Errors
    ///
    /// As [`ConnectorConfig::build`].
    pub fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        (self.build)(context)
    }
}

/// An exporter's settings, read and ready to build from.
#[derive(Clone)]
pub struct LoadedExporter {
    /// The driver's settings where the file says nothing.
    pub driver_defaults: DriverSettings,
    /// As [`ExporterConfig::memory_bytes`].
    pub memory_bytes: usize,
    /// As [`ExporterConfig::IS_SPOOLED`].
    pub is_spooled: bool,
    driver: Arc<dyn Fn(DriverSettings) -> DriverSettings + Send + Sync>,
    build: BuildFn<Arc<dyn Exporter>>,
}

impl LoadedExporter {
    /// As [`ExporterConfig::driver`].
    #[must_use]
    pub fn driver(&self, settings: DriverSettings) -> DriverSettings {
        (self.driver)(settings)
    }

    /// Builds the exporter for one signal.
    ///
    /// # Errors
    ///
    /// As [`ExporterConfig::build`].
    pub fn build(&self, context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        (self.build)(context)
    }
}

/// An extension's settings, read and ready to build from.
#[derive(Clone)]
pub struct LoadedExtension {
    /// The addresses that the engine binds for it.
    pub endpoints: Vec<Endpoint>,
    build: BuildExtensionFn,
}

impl LoadedExtension {
    /// Builds the extension.
    ///
    /// # Errors
    ///
    /// As [`ExtensionConfig::build`].
    pub fn build(&self, host: &Host) -> Result<Arc<dyn Extension>, BuildError> {
        (self.build)(host)
    }
}

/// A component type in the registry.
pub struct Registered<T> {
    /// The type in the file.
    pub type_name: &'static str,
    /// Names in transition.
    pub aliases: &'static [&'static str],
    /// A body that works, in YAML.
    pub example: &'static str,
    /// (in, out): for all but connectors, both are the same.
    pub pairs: Vec<(Signal, Signal)>,
    /// How far it can be relied on.
    pub stability: Stability,
    /// Which of the driver's keys the body may have; for exporters.
    pub driver_keys: &'static [&'static str],
    split: &'static [(&'static str, &'static [&'static str])],
    load: LoadFn<T>,
}

impl<T> Registered<T> {
    /// Reads a component's settings from the body of its node, the driver's keys taken out;
    /// `path` names it in messages.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong in the body, each with its place.
    pub fn load(&self, body: &Node, path: &str) -> Result<Read<T>, Vec<Diagnostic>> {
        let mut body = body.clone();
        for (under, keys) in self.split {
            body.split_off(keys, under);
        }
        (self.load)(&body, path)
    }

    /// Whether a file may call it `name`.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.type_name == name || self.aliases.contains(&name)
    }
}

/// All component types that a file may name.
#[derive(Default)]
pub struct Registry {
    /// By type name.
    pub receivers: BTreeMap<&'static str, Registered<LoadedReceiver>>,
    /// By type name.
    pub processors: BTreeMap<&'static str, Registered<LoadedProcessor>>,
    /// By type name.
    pub connectors: BTreeMap<&'static str, Registered<LoadedConnector>>,
    /// By type name.
    pub exporters: BTreeMap<&'static str, Registered<LoadedExporter>>,
    /// By type name.
    pub extensions: BTreeMap<&'static str, Registered<LoadedExtension>>,
}

impl Registry {
    /// Adds a receiver type.
    #[must_use]
    pub fn receiver<C: ReceiverConfig>(mut self) -> Self {
        let registered = Registered {
            type_name: C::TYPE,
            aliases: C::ALIASES,
            example: C::EXAMPLE,
            pairs: same(C::SIGNALS),
            stability: C::STABILITY,
            driver_keys: &[],
            split: C::SPLIT,
            load: load_receiver::<C>,
        };
        self.receivers.insert(C::TYPE, registered);
        self
    }

    /// Adds a processor type.
    #[must_use]
    pub fn processor<C: ProcessorConfig>(mut self) -> Self {
        let registered = Registered {
            type_name: C::TYPE,
            aliases: C::ALIASES,
            example: C::EXAMPLE,
            pairs: same(C::SIGNALS),
            stability: C::STABILITY,
            driver_keys: &[],
            split: C::SPLIT,
            load: load_processor::<C>,
        };
        self.processors.insert(C::TYPE, registered);
        self
    }

    /// Adds a connector type.
    #[must_use]
    pub fn connector<C: ConnectorConfig>(mut self) -> Self {
        let registered = Registered {
            type_name: C::TYPE,
            aliases: C::ALIASES,
            example: C::EXAMPLE,
            pairs: C::PAIRS.to_vec(),
            stability: C::STABILITY,
            driver_keys: &[],
            split: C::SPLIT,
            load: load_connector::<C>,
        };
        self.connectors.insert(C::TYPE, registered);
        self
    }

    /// Adds an exporter type.
    #[must_use]
    pub fn exporter<C: ExporterConfig>(mut self) -> Self {
        let registered = Registered {
            type_name: C::TYPE,
            aliases: C::ALIASES,
            example: C::EXAMPLE,
            pairs: same(C::SIGNALS),
            stability: C::STABILITY,
            driver_keys: C::DRIVER_KEYS,
            split: C::SPLIT,
            load: load_exporter::<C>,
        };
        self.exporters.insert(C::TYPE, registered);
        self
    }

    /// Adds an extension type.
    #[must_use]
    pub fn extension<C: ExtensionConfig>(mut self) -> Self {
        let registered = Registered {
            type_name: C::TYPE,
            aliases: C::ALIASES,
            example: C::EXAMPLE,
            pairs: Vec::new(),
            stability: C::STABILITY,
            driver_keys: &[],
            split: C::SPLIT,
            load: load_extension::<C>,
        };
        self.extensions.insert(C::TYPE, registered);
        self
    }
}

/// Looks a component type up by its name or an alias.
#[must_use]
pub fn lookup<'a, T>(
    section: &'a BTreeMap<&'static str, Registered<T>>,
    name: &str,
) -> Option<&'a Registered<T>> {
    section.get(name).or_else(|| section.values().find(|registered| registered.is_called(name)))
}

fn same(signals: &[Signal]) -> Vec<(Signal, Signal)> {
    signals.iter().map(|signal| (*signal, *signal)).collect()
}

fn load_receiver<C: ReceiverConfig>(
    body: &Node,
    path: &str,
) -> Result<Read<LoadedReceiver>, Vec<Diagnostic>> {
    Ok(read::<C>(body, path)?.map(|config| LoadedReceiver {
        endpoints: config.endpoints(),
        build: Arc::new(move |context| config.build(context)),
    }))
}

fn load_processor<C: ProcessorConfig>(
    body: &Node,
    path: &str,
) -> Result<Read<LoadedProcessor>, Vec<Diagnostic>> {
    Ok(read::<C>(body, path)?.map(|config| {
        let for_limit = config.clone();
        LoadedProcessor {
            sharding: config.sharding(),
            max_hold: config.max_hold(),
            memory_limit: Arc::new(move |total_bytes| for_limit.memory_limit(total_bytes)),
            build: Arc::new(move |context| config.build(context)),
        }
    }))
}

fn load_connector<C: ConnectorConfig>(
    body: &Node,
    path: &str,
) -> Result<Read<LoadedConnector>, Vec<Diagnostic>> {
    Ok(read::<C>(body, path)?.map(|config| LoadedConnector {
        sharding: config.sharding(),
        build: Arc::new(move |context| config.build(context)),
    }))
}

fn load_exporter<C: ExporterConfig>(
    body: &Node,
    path: &str,
) -> Result<Read<LoadedExporter>, Vec<Diagnostic>> {
    Ok(read::<C>(body, path)?.map(|config| {
        let for_driver = config.clone();
        LoadedExporter {
            driver_defaults: C::driver_defaults(),
            memory_bytes: config.memory_bytes(),
            is_spooled: C::IS_SPOOLED,
            driver: Arc::new(move |settings| for_driver.driver(settings)),
            build: Arc::new(move |context| config.build(context)),
        }
    }))
}

fn load_extension<C: ExtensionConfig>(
    body: &Node,
    path: &str,
) -> Result<Read<LoadedExtension>, Vec<Diagnostic>> {
    Ok(read::<C>(body, path)?.map(|config| LoadedExtension {
        endpoints: config.endpoints(),
        build: Arc::new(move |host| config.build(host)),
    }))
}
