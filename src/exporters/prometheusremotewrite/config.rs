//! The exporter's settings, and building it from them.

use std::collections::BTreeMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;

use serde::de::{Error, IgnoredAny};
use serde::{Deserialize, Deserializer};

use super::super::client_settings::{HttpClientSettings, authenticator, header_map};
use super::exporter::RemoteWriteExporter;
use crate::codec::remote_write::{LabelRules, NameRules, Settings, Targets};
use crate::component::{BuildContext, BuildError, DriverSettings, Exporter, ExporterConfig};
use crate::config::{ByteSize, Duration, HttpUrl, Queue, Refused};
use crate::data::Signal;

/// Consumers where the file says nothing, as in the Collector.
const DEFAULT_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);
/// Requests that wait where the file says nothing, as in the Collector.
const DEFAULT_QUEUE_SIZE: usize = 10_000;

/// Settings of `prometheusremotewrite`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteWriteConfig {
    /// Where to, with the path. Required.
    pub endpoint: Option<HttpUrl>,
    /// Put before every metric's name.
    pub namespace: String,
    /// Added to every series.
    pub external_labels: BTreeMap<String, String>,
    /// Whether unit and type are appended to names; default true.
    pub add_metric_suffixes: bool,
    /// How names are made; counts instead of `add_metric_suffixes`.
    pub translation_strategy: Option<TranslationStrategy>,
    /// Whether runs of underscores stay in label names; default true.
    pub label_name_preserve_multiple_underscores: bool,
    /// Whether label names with a leading underscore get `key` before it; default true.
    pub label_name_underscore_sanitization: bool,
    /// Whether all resource attributes become labels.
    pub resource_to_telemetry_conversion: Switch,
    /// Whether name, version and attributes of the scope become labels.
    pub promote_scope_metadata: bool,
    /// Whether `target_info` is made; default on.
    pub target_info: TargetInfo,
    /// `_created` series are not supported.
    pub export_created_metric: Refused,
    /// Whether type, help and unit are sent along.
    pub send_metadata: bool,
    /// Largest request before compression; default 3 MB.
    pub max_batch_size_bytes: ByteSize,
    /// Taken for the sake of Collector files: consumers send in parallel in any case.
    pub max_batch_request_parallelism: Option<NonZeroUsize>,
    /// The message's version; only the first is supported.
    pub protobuf_message: ProtobufMessage,
    /// What waits, in the Collector's own block for this exporter.
    pub remote_write_queue: Option<RemoteWriteQueue>,
    /// What waits, as with other exporters; `num_consumers` is the number of lanes.
    pub sending_queue: Option<Queue>,
    /// Not supported; the message says what to use.
    pub wal: NoWal,
    /// The HTTP client; its keys stand beside the others.
    pub client: HttpClientSettings,
}

impl Default for RemoteWriteConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            namespace: String::new(),
            external_labels: BTreeMap::new(),
            add_metric_suffixes: true,
            translation_strategy: None,
            label_name_preserve_multiple_underscores: true,
            label_name_underscore_sanitization: true,
            resource_to_telemetry_conversion: Switch::default(),
            promote_scope_metadata: false,
            target_info: TargetInfo::default(),
            export_created_metric: Refused,
            send_metadata: false,
            max_batch_size_bytes: ByteSize::bytes(3_000_000),
            max_batch_request_parallelism: None,
            protobuf_message: ProtobufMessage::default(),
            remote_write_queue: None,
            sending_queue: None,
            wal: NoWal,
            client: HttpClientSettings::default(),
        }
    }
}

/// How names of metrics are made. Names that are not escaped are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum TranslationStrategy {
    /// Illegal characters become underscores; unit and type are appended.
    UnderscoreEscapingWithSuffixes,
    /// Illegal characters become underscores.
    UnderscoreEscapingWithoutSuffixes,
}

/// The message's version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum ProtobufMessage {
    /// Remote-write 1.0.
    #[default]
    #[serde(rename = "prometheus.WriteRequest")]
    V1,
}

/// Something that is on or off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switch {
    /// Whether it is on.
    pub enabled: bool,
}

/// Whether `target_info` is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TargetInfo {
    /// Whether it is.
    pub enabled: bool,
}

impl Default for TargetInfo {
    fn default() -> Self {
        Self { enabled: true }
    }
}

/// What waits before the exporter.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RemoteWriteQueue {
    /// Whether anything does.
    pub enabled: bool,
    /// How many requests at the most.
    pub queue_size: usize,
    /// How many send at once, each series always by the same one.
    pub num_consumers: NonZeroUsize,
}

impl Default for RemoteWriteQueue {
    fn default() -> Self {
        Self { enabled: true, queue_size: DEFAULT_QUEUE_SIZE, num_consumers: DEFAULT_CONSUMERS }
    }
}

/// The Collector's write-ahead log, which is refused with advice.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWal;

impl<'de> Deserialize<'de> for NoWal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer)?;
        Err(D::Error::custom(
            "`wal` is not supported: `sending_queue::storage` keeps the queue on disk",
        ))
    }
}

impl ExporterConfig for RemoteWriteConfig {
    const TYPE: &'static str = "prometheusremotewrite";
    const EXAMPLE: &'static str = "endpoint: http://localhost:9090/api/v1/write\n";
    const SIGNALS: &'static [Signal] = &[Signal::Metrics];
    const IS_SPOOLED: bool = true;
    const SPLIT: &'static [(&'static str, &'static [&'static str])] =
        &[("client", HttpClientSettings::KEYS)];
    // `sending_queue` is read here, for it excludes `remote_write_queue`.
    const DRIVER_KEYS: &'static [&'static str] = &["timeout", "retry_on_failure"];

    fn driver_defaults() -> DriverSettings {
        let mut settings = DriverSettings::default();
        settings.retry.initial_interval = Duration::from_millis(50);
        settings.queue.num_consumers = DEFAULT_CONSUMERS;
        settings.queue.queue_size = DEFAULT_QUEUE_SIZE;
        settings
    }

    fn driver(&self, settings: DriverSettings) -> DriverSettings {
        DriverSettings { queue: self.queue(settings.queue), ..settings }
    }

    fn build(&self, context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        if self.remote_write_queue.is_some() && self.sending_queue.is_some() {
            let message = "`remote_write_queue` and `sending_queue` exclude one another";
            return Err(BuildError::setting(message));
        }
        let endpoint =
            self.endpoint.as_ref().ok_or_else(|| BuildError::setting("`endpoint` is missing"))?;
        Ok(Arc::new(RemoteWriteExporter {
            client: self.client.client()?,
            uri: endpoint.uri().clone(),
            headers: RemoteWriteExporter::headers(header_map(&self.client.headers)?),
            auth: authenticator(self.client.auth.as_ref(), context)?,
            settings: self.settings()?,
            targets: Targets::default(),
            clock: context.host.clock.clone(),
        }))
    }
}

impl RemoteWriteConfig {
    fn queue(&self, default: Queue) -> Queue {
        if let Some(own) = &self.remote_write_queue {
            return Queue {
                enabled: own.enabled,
                queue_size: own.queue_size,
                num_consumers: own.num_consumers,
                ..default
            };
        }
        self.sending_queue.clone().unwrap_or(default)
    }

    fn settings(&self) -> Result<Settings, BuildError> {
        let has_suffixes = match self.translation_strategy {
            Some(strategy) => strategy == TranslationStrategy::UnderscoreEscapingWithSuffixes,
            None => self.add_metric_suffixes,
        };
        let labels = LabelRules {
            keeps_underscore_runs: self.label_name_preserve_multiple_underscores,
            prefixes_underscore: self.label_name_underscore_sanitization,
        };
        let mut external_labels = Vec::with_capacity(self.external_labels.len());
        for (name, value) in &self.external_labels {
            let made = labels.label_name(name).ok_or_else(|| {
                BuildError::setting(format!("`external_labels`: `{name}` is not a label's name"))
            })?;
            external_labels.push((made, value.clone()));
        }
        let lanes = self.queue(Self::driver_defaults().queue).num_consumers;
        Ok(Settings {
            names: NameRules { namespace: self.namespace.clone(), has_suffixes },
            labels,
            external_labels,
            resource_to_labels: self.resource_to_telemetry_conversion.enabled,
            scope_to_labels: self.promote_scope_metadata,
            has_target_info: self.target_info.enabled,
            has_metadata: self.send_metadata,
            num_lanes: NonZeroU64::try_from(lanes).unwrap_or(NonZeroU64::MIN),
            max_request_bytes: self.max_batch_size_bytes.as_usize(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Node, from_node};

    fn read(text: &str) -> Result<RemoteWriteConfig, String> {
        let node = Node::parse("a.yaml", text).unwrap();
        from_node(&node, "exporters::prometheusremotewrite")
            .map_err(|problems| crate::config::render(&problems))
    }

    #[test]
    fn own_queue_sets_lanes_and_driver() {
        let config = read("remote_write_queue: {queue_size: 7, num_consumers: 3}").unwrap();
        let driver = config.driver(RemoteWriteConfig::driver_defaults());
        assert_eq!((driver.queue.queue_size, driver.queue.num_consumers.get()), (7, 3));
        assert_eq!(config.settings().unwrap().num_lanes.get(), 3);
        let config = read("sending_queue: {num_consumers: 2}").unwrap();
        assert_eq!(config.settings().unwrap().num_lanes.get(), 2);
        assert_eq!(RemoteWriteConfig::default().settings().unwrap().num_lanes.get(), 5);
    }

    #[test]
    fn strategy_counts_instead_of_suffixes() {
        let config = read("translation_strategy: UnderscoreEscapingWithoutSuffixes").unwrap();
        assert!(!config.settings().unwrap().names.has_suffixes);
        let error = read("translation_strategy: NoTranslation").unwrap_err();
        assert!(error.contains("NoTranslation"), "{error}");
        let error = read("protobuf_message: io.prometheus.write.v2.Request").unwrap_err();
        assert!(error.contains("io.prometheus.write.v2.Request"), "{error}");
    }

    #[test]
    fn wal_is_refused_with_advice() {
        let error = read("wal: {directory: /tmp}").unwrap_err();
        assert!(error.contains("sending_queue::storage"), "{error}");
    }

    #[test]
    fn external_labels_are_made_label_names() {
        let config = read("external_labels: {a.b: c}").unwrap();
        assert_eq!(config.settings().unwrap().external_labels, [("a_b".into(), "c".into())]);
        assert!(read("external_labels: {'.': c}").unwrap().settings().is_err());
    }
}
