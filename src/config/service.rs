//! The `service` section: what runs, and the agent's own logs, metrics and settings.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;

use super::{
    AuthRef, ComponentId, Diagnostic, Duration, Endpoint, Node, Optional, PipelineId, Place,
    Refused, Value, read as read_node,
};

/// What runs, and how.
#[derive(Clone, Debug)]
pub struct Service {
    /// The extensions to start, in this order.
    pub extensions: Vec<Reference>,
    /// The pipelines.
    pub pipelines: Vec<Pipeline>,
    /// Everything else under `service`.
    pub settings: Settings,
    /// Where `service` was written, if it was.
    pub place: Option<Place>,
}

/// A way through components.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// Its signal and name.
    pub id: PipelineId,
    /// Where the id was written.
    pub place: Place,
    /// Receivers, and connectors that send into this pipeline.
    pub receivers: Vec<Reference>,
    /// Processors in their order.
    pub processors: Vec<Reference>,
    /// Exporters, and connectors that take from this pipeline.
    pub exporters: Vec<Reference>,
}

/// The id of a component where it is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Which component.
    pub id: ComponentId,
    /// Where it is referred to.
    pub place: Place,
}

/// The keys of `service` besides `extensions` and `pipelines`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The agent's own logs, metrics and resource.
    pub telemetry: Telemetry,
    /// When a client is answered without a journal (ours).
    pub ack: AckMode,
    /// The HTTP interface for search and administration (ours); absent: off.
    pub api: Optional<Api>,
    /// How long draining may take at shutdown (ours); default 30s.
    pub shutdown_timeout: Duration,
    /// The folder for data of components that name none (ours).
    pub data_dir: Option<PathBuf>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            telemetry: Telemetry::default(),
            ack: AckMode::default(),
            api: Optional::off(),
            shutdown_timeout: Duration::from_secs(30),
            data_dir: None,
        }
    }
}

/// When a client is told that its request was taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckMode {
    /// When every part of it is in the queues of its exporters, or was absorbed by a stage.
    #[default]
    Accepted,
    /// When its exporters have delivered it.
    Delivered,
}

/// `service::api`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    /// Where to listen; default `localhost:3100`.
    pub endpoint: Endpoint,
    /// Who may ask.
    pub auth: Option<AuthRef>,
}

impl Default for Api {
    fn default() -> Self {
        Self { endpoint: Endpoint::localhost(3100), auth: None }
    }
}

/// `service::telemetry`: the agent's own.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Telemetry {
    /// Own logs.
    pub logs: Logs,
    /// Own metrics.
    pub metrics: Metrics,
    /// Own traces: none are made, so only empty settings are taken.
    pub traces: Traces,
    /// Attributes of the agent; null removes one of the defaults.
    pub resource: BTreeMap<String, Option<String>>,
}

/// `service::telemetry::logs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Logs {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// The form of a line.
    pub encoding: LogEncoding,
    /// `stdout`, `stderr` or files.
    pub output_paths: Vec<String>,
    /// Where errors of the logger itself go; accepted, they go to stderr.
    pub error_output_paths: Vec<String>,
    /// Limits repeated lines.
    pub sampling: Optional<LogSampling>,
    /// Fields of every line.
    pub initial_fields: BTreeMap<String, String>,
    /// Accepted without effect.
    pub development: bool,
    /// Accepted without effect: callers are never written.
    pub disable_caller: bool,
    /// Accepted without effect: stack traces are never written.
    pub disable_stacktrace: bool,
    /// Not supported: own logs are not exported by OTLP.
    pub processors: Refused,
}

impl Default for Logs {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            encoding: LogEncoding::Console,
            output_paths: vec!["stderr".to_owned()],
            error_output_paths: vec!["stderr".to_owned()],
            sampling: Optional::on(),
            initial_fields: BTreeMap::new(),
            development: false,
            disable_caller: false,
            disable_stacktrace: false,
            processors: Refused,
        }
    }
}

/// How severe a line of the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Per batch.
    #[serde(alias = "DEBUG")]
    Debug,
    /// Start, stop, configuration.
    #[serde(alias = "INFO")]
    Info,
    /// Data refused or late.
    #[serde(alias = "WARN", alias = "warning")]
    Warn,
    /// Someone must act.
    #[serde(alias = "ERROR", alias = "dpanic", alias = "panic", alias = "fatal")]
    Error,
}

/// The form of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogEncoding {
    /// For people.
    Console,
    /// For programs.
    Json,
}

/// `service::telemetry::logs::sampling`: per message and `tick`, `initial` lines, then every `thereafter`th.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSampling {
    /// Default 10s.
    pub tick: Duration,
    /// Default 10.
    pub initial: u64,
    /// Default 100; 0: none.
    pub thereafter: u64,
}

impl Default for LogSampling {
    fn default() -> Self {
        Self { tick: Duration::from_secs(10), initial: 10, thereafter: 100 }
    }
}

/// `service::telemetry::metrics`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// How much is measured; `none`: no endpoint either.
    pub level: MetricsLevel,
    /// Where metrics can be read; default Prometheus on `localhost:8888`.
    pub readers: Vec<Reader>,
    /// The Collector's former key for the Prometheus endpoint.
    pub address: Option<Endpoint>,
    /// Not supported.
    pub views: Refused,
}

impl Default for Metrics {
    fn default() -> Self {
        let pull = Some(Pull::default());
        let readers = vec![Reader { pull, periodic: Refused }];
        Self { level: MetricsLevel::Normal, readers, address: None, views: Refused }
    }
}

impl Metrics {
    /// Where Prometheus text is served.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        if self.level == MetricsLevel::None {
            return Vec::new();
        }
        if let Some(address) = &self.address {
            return vec![address.clone()];
        }
        let prometheus = self.readers.iter().filter_map(|reader| reader.pull.as_ref());
        prometheus.map(|pull| pull.exporter.prometheus.endpoint()).collect()
    }
}

/// How much the agent measures of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricsLevel {
    /// Nothing.
    None,
    /// The essentials.
    Basic,
    /// The default.
    Normal,
    /// Everything.
    Detailed,
}

/// One of `service::telemetry::metrics::readers`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Reader {
    /// Metrics are fetched from us.
    pub pull: Option<Pull>,
    /// Not supported: own metrics are not pushed.
    pub periodic: Refused,
}

/// `pull` of a reader.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Pull {
    /// How they are served.
    pub exporter: PullExporter,
}

/// `pull::exporter` of a reader.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PullExporter {
    /// As Prometheus text.
    pub prometheus: PrometheusPull,
}

/// `pull::exporter::prometheus` of a reader.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrometheusPull {
    /// The host to listen on; default `localhost`.
    pub host: String,
    /// The port to listen on; default 8888.
    pub port: u16,
    /// Accepted: scope labels are never written.
    pub without_scope_info: bool,
    /// Accepted for compatibility.
    pub without_type_suffix: bool,
    /// Accepted for compatibility.
    pub without_units: bool,
    /// Not supported.
    pub with_resource_constant_labels: Refused,
}

impl Default for PrometheusPull {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 8888,
            without_scope_info: false,
            without_type_suffix: false,
            without_units: false,
            with_resource_constant_labels: Refused,
        }
    }
}

impl PrometheusPull {
    /// Where to listen.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(&self.host, self.port)
    }
}

/// `service::telemetry::traces`: the agent makes no traces of itself.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// Accepted: there is nothing to trace at any level.
    pub level: Option<TracesLevel>,
    /// Not supported.
    pub processors: Refused,
    /// Accepted: nothing is propagated.
    pub propagators: Vec<String>,
}

/// `service::telemetry::traces::level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TracesLevel {
    /// No traces.
    None,
    /// Some traces.
    Basic,
    /// Some traces.
    Normal,
    /// Some traces.
    Detailed,
}

/// Reads the section and where its secrets stand; `root_place` stands in for a section that is missing.
pub(super) fn read(
    node: Option<&Node>,
    root_place: &Place,
    problems: &mut Vec<Diagnostic>,
) -> (Service, Vec<Place>) {
    let place = node.map(|node| node.place().clone());
    let mut node = node.cloned().unwrap_or_else(|| Node::empty_map(root_place.clone()));
    if !matches!(node.value(), Value::Null | Value::Map(_)) {
        let message = format!("expected a map, here is {}", node.value().kind());
        problems.push(Diagnostic::error(message).at(node.place()).in_path("service"));
        node = Node::empty_map(root_place.clone());
    }
    let extensions = node.remove("extensions").map(|entry| entry.node);
    let pipelines = node.remove("pipelines").map(|entry| entry.node);
    let extensions = references(extensions.as_ref(), "service::extensions", problems);
    let pipelines = read_pipelines(pipelines.as_ref(), problems);
    let (settings, secrets) = match read_node::<Settings>(&node, "service") {
        Ok(read) => {
            problems.extend(read.warnings);
            (read.value, read.secrets)
        }
        Err(found) => {
            problems.extend(found);
            (Settings::default(), Vec::new())
        }
    };
    (Service { extensions, pipelines, settings, place }, secrets)
}

fn read_pipelines(node: Option<&Node>, problems: &mut Vec<Diagnostic>) -> Vec<Pipeline> {
    const PATH: &str = "service::pipelines";
    let Some(node) = node.filter(|node| !node.is_null()) else { return Vec::new() };
    let Some(map) = node.as_map() else {
        let message = format!("expected a map of pipelines, here is {}", node.value().kind());
        problems.push(Diagnostic::error(message).at(node.place()).in_path(PATH));
        return Vec::new();
    };
    let mut pipelines: Vec<Pipeline> = Vec::new();
    for entry in map.entries() {
        let id: PipelineId = match entry.key.parse() {
            Ok(id) => id,
            Err(error) => {
                let error: super::IdError = error;
                let hint = super::did_you_mean(&entry.key, ["logs", "traces", "metrics"]);
                let problem = Diagnostic::error(error.to_string()).at(&entry.place);
                problems.push(problem.in_path(PATH).maybe_hint(hint));
                continue;
            }
        };
        if let Some(first) = pipelines.iter().find(|pipeline| pipeline.id == id) {
            let problem = Diagnostic::error(format!("`{id}` is here twice")).at(&entry.place);
            problems.push(problem.in_path(PATH).see(&first.place, "first here"));
            continue;
        }
        pipelines.push(read_pipeline(id, &entry.place, &entry.node, problems));
    }
    pipelines
}

fn read_pipeline(
    id: PipelineId,
    place: &Place,
    node: &Node,
    problems: &mut Vec<Diagnostic>,
) -> Pipeline {
    const LISTS: [&str; 3] = ["receivers", "processors", "exporters"];
    let path = format!("service::pipelines::{id}");
    if !matches!(node.value(), Value::Null | Value::Map(_)) {
        let message = format!("expected lists of components, here is {}", node.value().kind());
        problems.push(Diagnostic::error(message).at(node.place()).in_path(&path));
    }
    for entry in node.as_map().map(super::Map::entries).unwrap_or_default() {
        if !LISTS.contains(&entry.key.as_str()) {
            let problem = Diagnostic::error(format!("unknown key `{}`", entry.key));
            let hint = super::did_you_mean(&entry.key, LISTS);
            problems.push(problem.at(&entry.place).in_path(&path).maybe_hint(hint));
        }
    }
    let [receivers, processors, exporters] =
        LISTS.map(|list| references(node.get(list), &format!("{path}::{list}"), problems));
    Pipeline { id, place: place.clone(), receivers, processors, exporters }
}

/// Reads a list of ids; null is an empty list.
fn references(node: Option<&Node>, path: &str, problems: &mut Vec<Diagnostic>) -> Vec<Reference> {
    let Some(node) = node.filter(|node| !node.is_null()) else { return Vec::new() };
    let mut found = Vec::new();
    let single = std::slice::from_ref(node);
    let nodes = match node.value() {
        Value::List(nodes) => nodes,
        Value::String(text) if !text.contains(',') => single,
        other => {
            let message = format!("expected a list of component ids, here is {}", other.kind());
            let problem = Diagnostic::error(message).at(node.place()).in_path(path);
            problems.push(problem.hint("for example `[otlp, otlp/2]`"));
            return found;
        }
    };
    for node in nodes {
        let place = node.place().clone();
        let text = node.text().or(node.as_str());
        let id = match (node.value(), text) {
            (Value::List(_) | Value::Map(_), _) | (_, None) => {
                let message =
                    format!("expected the id of a component, here is {}", node.value().kind());
                problems.push(Diagnostic::error(message).at(&place).in_path(path));
                continue;
            }
            (_, Some(text)) => text.parse::<ComponentId>(),
        };
        match id {
            Ok(id) => found.push(Reference { id, place }),
            Err(error) => {
                problems.push(Diagnostic::error(error.to_string()).at(&place).in_path(path));
            }
        }
    }
    found
}
