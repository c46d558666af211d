//! From the file to a plan: every component is looked up and read, every connection is checked.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::driver_form::DriverForm;
use crate::component::{
    DriverSettings, LoadedConnector, LoadedExporter, LoadedExtension, LoadedProcessor,
    LoadedReceiver, Registered, Registry, lookup,
};
use crate::config::{
    self, AckMode, ComponentId, Declared, Diagnostic, Document, Node, PipelineId, Place, Reference,
    Settings, did_you_mean, read,
};
use crate::data::Signal;

/// With `service::ack: delivered` a client should not wait longer than this for a stage.
const LONG_HOLD: Duration = Duration::from_secs(5);

/// A component of the file, read.
#[derive(Clone)]
pub(super) struct Planned<T> {
    /// Where it stands in the file.
    pub(super) place: Place,
    /// Its path in messages: `exporters::otlp/2`.
    pub(super) path: String,
    /// Its body.
    pub(super) node: Node,
    /// (in, out) as its type has them.
    pub(super) pairs: Vec<(Signal, Signal)>,
    /// Its settings.
    pub(super) loaded: T,
}

/// An exporter and what stands around it.
#[derive(Clone)]
pub(super) struct PlannedExporter {
    pub(super) exporter: LoadedExporter,
    pub(super) driver: DriverSettings,
}

/// What a pipeline ends in, or begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A receiver or an exporter.
    Component(ComponentId),
    /// A connector.
    Connector(ComponentId),
}

/// A pipeline: its ends, and its processors in order.
#[derive(Clone, Debug)]
pub(super) struct PlannedPipeline {
    pub(super) id: PipelineId,
    pub(super) receivers: Vec<End>,
    pub(super) processors: Vec<ComponentId>,
    pub(super) exporters: Vec<End>,
}

/// A file that was read and checked: what is to be built, and how it hangs together.
#[derive(Clone)]
pub struct Plan {
    pub(super) receivers: BTreeMap<ComponentId, Planned<LoadedReceiver>>,
    pub(super) processors: BTreeMap<ComponentId, Planned<LoadedProcessor>>,
    pub(super) exporters: BTreeMap<ComponentId, Planned<PlannedExporter>>,
    pub(super) connectors: BTreeMap<ComponentId, Planned<LoadedConnector>>,
    pub(super) extensions: Vec<(ComponentId, Planned<LoadedExtension>)>,
    /// In an order in which records only go to later ones.
    pub(super) pipelines: Vec<PlannedPipeline>,
    settings: Settings,
    warnings: Vec<Diagnostic>,
}

impl Plan {
    /// Reads the components that `document` names; the places of secrets are marked in it.
    ///
    /// # Errors
    ///
    /// Fails with everything that is wrong: unknown types and keys, wrong values, references to
    /// what is not there, signals that a component does not have.
    pub fn try_new(document: &mut Document, registry: &Registry) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = document.problems().to_vec();
        problems.extend(document.check_references());
        let mut reader = Reader { problems, secrets: Vec::new() };
        let receivers = reader.section(&document.receivers, &registry.receivers, registry);
        let processors = reader.section(&document.processors, &registry.processors, registry);
        let connectors = reader.section(&document.connectors, &registry.connectors, registry);
        let extensions = reader.section(&document.extensions, &registry.extensions, registry);
        let exporters = reader.exporters(&document.exporters, registry);
        let Reader { problems, secrets } = reader;
        document.mark_secrets(secrets);
        let mut plan = Self {
            receivers,
            processors,
            exporters,
            connectors,
            extensions: listed(extensions, &document.service.extensions),
            pipelines: Vec::new(),
            settings: document.service.settings.clone(),
            warnings: Vec::new(),
        };
        plan.pipelines = plan.in_order(document);
        let mut problems = problems;
        plan.check_signals(document, &mut problems);
        plan.check_storage(&mut problems);
        plan.check_dead_letters(&mut problems);
        plan.warn(document, &mut problems);
        if problems.iter().any(Diagnostic::is_error) {
            return Err(problems);
        }
        plan.warnings = problems;
        Ok(plan)
    }

    /// What is probably not meant.
    #[must_use]
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The settings of the `service` section.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether clients are answered when their records are queued, not when they are delivered.
    pub(super) fn answers_early(&self) -> bool {
        self.settings.ack == AckMode::Accepted
    }

    /// Limit and spike in bytes that processors set for the budget, the smallest limit of all.
    pub(super) fn memory_limit(&self, total_bytes: usize) -> Option<(usize, usize)> {
        let used: BTreeSet<_> =
            self.pipelines.iter().flat_map(|pipeline| &pipeline.processors).collect();
        let limits = used.iter().filter_map(|id| self.processors.get(*id));
        limits.filter_map(|planned| planned.loaded.memory_limit(total_bytes)).min()
    }

    /// Whether an exporter gets records of a signal: from pipelines, or as dead letters of others.
    pub(super) fn is_fed(&self, id: &ComponentId, signal: Signal) -> bool {
        let is_end = |id: &ComponentId| {
            let end = End::Component(id.clone());
            let mut pipelines = self.pipelines.iter();
            pipelines
                .any(|pipeline| pipeline.id.signal() == signal && pipeline.exporters.contains(&end))
        };
        let mut others = self.exporters.iter();
        is_end(id)
            || others.any(|(other, planned)| {
                planned.loaded.driver.dead_letter.as_ref() == Some(id) && is_end(other)
            })
    }

    fn end(&self, reference: &Reference) -> End {
        if self.connectors.contains_key(&reference.id) {
            return End::Connector(reference.id.clone());
        }
        End::Component(reference.id.clone())
    }

    /// The pipelines, those before connectors before those behind them.
    fn in_order(&self, document: &Document) -> Vec<PlannedPipeline> {
        let pipelines = document.service.pipelines.iter().map(|pipeline| PlannedPipeline {
            id: pipeline.id.clone(),
            receivers: pipeline.receivers.iter().map(|reference| self.end(reference)).collect(),
            processors: pipeline.processors.iter().map(|reference| reference.id.clone()).collect(),
            exporters: pipeline.exporters.iter().map(|reference| self.end(reference)).collect(),
        });
        let mut waiting: Vec<PlannedPipeline> = pipelines.collect();
        let mut ordered = Vec::with_capacity(waiting.len());
        while !waiting.is_empty() {
            let is_fed = |pipeline: &PlannedPipeline| {
                waiting.iter().any(|other| {
                    other.exporters.iter().any(|end| {
                        matches!(end, End::Connector(_)) && pipeline.receivers.contains(end)
                    })
                })
            };
            // A cycle has been reported; its pipelines stay in the order of the file.
            let next = waiting.iter().position(|pipeline| !is_fed(pipeline)).unwrap_or(0);
            ordered.push(waiting.remove(next));
        }
        ordered
    }

    fn check_signals(&self, document: &Document, problems: &mut Vec<Diagnostic>) {
        for pipeline in &document.service.pipelines {
            let signal = pipeline.id.signal();
            let path = format!("service::pipelines::{}", pipeline.id);
            let mut need = |reference: &Reference, pairs: Option<&[(Signal, Signal)]>, kind| {
                if pairs.is_none_or(|pairs| pairs.iter().any(|(taken, _)| *taken == signal)) {
                    return;
                }
                let signal = signal.as_str();
                let message = format!("the {kind} `{}` does not support {signal}", reference.id);
                problems.push(Diagnostic::error(message).at(&reference.place).in_path(&path));
            };
            for reference in &pipeline.receivers {
                need(reference, pairs_of(&self.receivers, &reference.id), "receiver");
            }
            for reference in &pipeline.processors {
                need(reference, pairs_of(&self.processors, &reference.id), "processor");
            }
            for reference in &pipeline.exporters {
                need(reference, pairs_of(&self.exporters, &reference.id), "exporter");
            }
            self.check_connectors(document, pipeline, &path, problems);
        }
    }

    /// Whether each connector of a pipeline has a partner on its other side with a signal that it
    /// makes of this one, or of which it makes this one.
    fn check_connectors(
        &self,
        document: &Document,
        pipeline: &config::Pipeline,
        path: &str,
        problems: &mut Vec<Diagnostic>,
    ) {
        let signal = pipeline.id.signal();
        for (reference, is_input) in sides(pipeline) {
            let Some(pairs) = pairs_of(&self.connectors, &reference.id) else { continue };
            let partners = document.service.pipelines.iter().filter(|other| {
                let others = if is_input { &other.receivers } else { &other.exporters };
                others.iter().any(|other| other.id == reference.id)
            });
            let partners: BTreeSet<Signal> = partners.map(|other| other.id.signal()).collect();
            let fits = |other: &Signal| {
                let pair = if is_input { (signal, *other) } else { (*other, signal) };
                pairs.contains(&pair)
            };
            if partners.is_empty() || partners.iter().any(fits) {
                continue;
            }
            let made = pairs.iter().filter(|(taken, _)| is_input && *taken == signal);
            let made: Vec<_> = made.map(|(_, made)| made.as_str()).collect();
            let hint = format!("of {} it makes {}", signal.as_str(), made.join(", "));
            let hint = (!made.is_empty()).then_some(hint);
            let others: Vec<_> = partners.iter().map(|signal| signal.as_str()).collect();
            let (others, signal) = (others.join(" or "), signal.as_str());
            let (from, to) =
                if is_input { (signal, others.as_str()) } else { (others.as_str(), signal) };
            let message = format!("the connector `{}` does not make {to} of {from}", reference.id);
            let problem = Diagnostic::error(message).at(&reference.place).in_path(path);
            problems.push(problem.maybe_hint(hint));
        }
    }

    fn check_storage(&self, problems: &mut Vec<Diagnostic>) {
        for planned in self.exporters.values() {
            let is_spooled = planned.loaded.exporter.is_spooled;
            if is_spooled || planned.loaded.driver.queue.storage.is_none() {
                continue;
            }
            let message = "the queue of this exporter cannot be kept on disk";
            let path = format!("{}::sending_queue::storage", planned.path);
            let place =
                planned.node.at_path("sending_queue::storage").map_or(&planned.place, Node::place);
            let hint = "with the extension `journal` nothing that waits here is lost";
            problems.push(Diagnostic::error(message).at(place).in_path(path).hint(hint));
        }
    }

    fn warn(&self, document: &Document, problems: &mut Vec<Diagnostic>) {
        for pipeline in &document.service.pipelines {
            let path = format!("service::pipelines::{}", pipeline.id);
            for (index, reference) in pipeline.processors.iter().enumerate() {
                let Some(planned) = self.processors.get(&reference.id) else { continue };
                let is_limiter = planned.loaded.memory_limit(usize::MAX / 2).is_some();
                if is_limiter && index > 0 {
                    let message = format!("`{}` should be the first processor", reference.id);
                    let warning = Diagnostic::warning(message).at(&reference.place);
                    problems.push(warning.in_path(&path));
                }
                let hold = planned.loaded.max_hold.unwrap_or_default();
                if !self.answers_early() && hold > LONG_HOLD {
                    let message = format!(
                        "`{}` may hold records for {hold:?}, and with `ack: delivered` clients wait",
                        reference.id
                    );
                    let warning = Diagnostic::warning(message).at(&reference.place);
                    problems.push(warning.in_path(&path));
                }
            }
        }
    }
}

/// The connectors and others at both ends of a pipeline; whether records go into them.
fn sides(pipeline: &config::Pipeline) -> impl Iterator<Item = (&Reference, bool)> {
    let inputs = pipeline.exporters.iter().map(|reference| (reference, true));
    inputs.chain(pipeline.receivers.iter().map(|reference| (reference, false)))
}

fn pairs_of<'a, T>(
    section: &'a BTreeMap<ComponentId, Planned<T>>,
    id: &ComponentId,
) -> Option<&'a [(Signal, Signal)]> {
    section.get(id).map(|planned| planned.pairs.as_slice())
}

/// Those that `service::extensions` lists, in its order.
fn listed<T>(
    mut declared: BTreeMap<ComponentId, Planned<T>>,
    references: &[Reference],
) -> Vec<(ComponentId, Planned<T>)> {
    references.iter().filter_map(|reference| declared.remove_entry(&reference.id)).collect()
}

/// Reads components and collects what is wrong with them.
struct Reader {
    problems: Vec<Diagnostic>,
    secrets: Vec<Place>,
}

impl Reader {
    fn section<T>(
        &mut self,
        declared: &[Declared],
        types: &BTreeMap<&'static str, Registered<T>>,
        registry: &Registry,
    ) -> BTreeMap<ComponentId, Planned<T>> {
        let mut section = BTreeMap::new();
        for declared in declared {
            let Some(registered) = self.registered(declared, types, registry) else { continue };
            let loaded = registered.load(&declared.node, &declared.path());
            let Some(loaded) = self.note(declared, loaded) else { continue };
            section.insert(declared.id.clone(), planned(declared, registered, loaded));
        }
        section
    }

    fn exporters(
        &mut self,
        declared: &[Declared],
        registry: &Registry,
    ) -> BTreeMap<ComponentId, Planned<PlannedExporter>> {
        let mut section = BTreeMap::new();
        for declared in declared {
            let types = &registry.exporters;
            let Some(registered) = self.registered(declared, types, registry) else { continue };
            let path = declared.path();
            let mut body = declared.node.clone();
            let around = body.take_off(registered.driver_keys);
            let settings = self.note(declared, read::<DriverForm>(&around, &path));
            let exporter = self.note(declared, registered.load(&body, &path));
            let (Some(form), Some(exporter)) = (settings, exporter) else { continue };
            let settings = form.over(exporter.driver_defaults.clone(), &around);
            let driver = exporter.driver(settings);
            let loaded = PlannedExporter { exporter, driver };
            section.insert(declared.id.clone(), planned(declared, registered, loaded));
        }
        section
    }

    /// The component's type, or a problem that names what is near.
    fn registered<'a, T>(
        &mut self,
        declared: &Declared,
        types: &'a BTreeMap<&'static str, Registered<T>>,
        registry: &Registry,
    ) -> Option<&'a Registered<T>> {
        let kind = declared.id.kind();
        let found = lookup(types, kind);
        if found.is_none() {
            let singular = declared.section().trim_end_matches('s');
            let names = types.values().flat_map(|registered| {
                std::iter::once(registered.type_name).chain(registered.aliases.iter().copied())
            });
            let hint = elsewhere(kind, registry)
                .or_else(|| former(declared.section(), kind))
                .or_else(|| did_you_mean(kind, names));
            let problem = Diagnostic::error(format!("unknown {singular} `{kind}`"));
            let hint = hint.unwrap_or_else(|| "`catchment components` lists what there is".into());
            self.problems.push(problem.at(&declared.place).in_path(declared.section()).hint(hint));
        }
        found
    }

    /// Notes warnings, secrets and problems; gives the value if there is one.
    fn note<T>(
        &mut self,
        declared: &Declared,
        outcome: Result<config::Read<T>, Vec<Diagnostic>>,
    ) -> Option<T> {
        match outcome {
            Ok(read) => {
                self.problems.extend(read.warnings);
                self.secrets.extend(read.secrets);
                Some(read.value)
            }
            Err(problems) => {
                // What is wrong with a body as a whole is shown at its id, not at its first key.
                // (Its place is that of its first key, but for the width.)
                let body = declared.node.place();
                let is_body = |place: &Place| place == body && place.width() == body.width();
                let is_whole = |problem: &Diagnostic| {
                    problem.place().is_some_and(is_body) && problem.path() == declared.path()
                };
                self.problems.extend(problems.into_iter().map(|problem| {
                    if is_whole(&problem) { problem.at(&declared.place) } else { problem }
                }));
                None
            }
        }
    }
}

/// What has taken the place of types that the Collector once had.
fn former(section: &str, kind: &str) -> Option<String> {
    let hint = match (section, kind) {
        ("exporters", "logging") => "it is called `debug` now",
        ("exporters", "jaeger") => "Jaeger takes OTLP: use `otlp`",
        ("processors", "queued_retry") => {
            "exporters have `sending_queue` and `retry_on_failure` instead"
        }
        ("extensions", "memory_ballast") => "leave it out, memory needs no ballast here",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Says so when a type is of another kind than its section.
fn elsewhere(kind: &str, registry: &Registry) -> Option<String> {
    let sections = [
        (lookup(&registry.receivers, kind).is_some(), "a receiver"),
        (lookup(&registry.processors, kind).is_some(), "a processor"),
        (lookup(&registry.connectors, kind).is_some(), "a connector"),
        (lookup(&registry.exporters, kind).is_some(), "an exporter"),
        (lookup(&registry.extensions, kind).is_some(), "an extension"),
    ];
    let (_, what) = sections.iter().find(|(is_there, _)| *is_there)?;
    Some(format!("`{kind}` is {what}"))
}

fn planned<T, U>(declared: &Declared, registered: &Registered<T>, loaded: U) -> Planned<U> {
    let (place, path, node) = (declared.place.clone(), declared.path(), declared.node.clone());
    Planned { place, path, node, pairs: registered.pairs.clone(), loaded }
}
