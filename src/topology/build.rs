//! From the plan to components: everything is built before anything is started.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::graph::{End, Plan, Planned, PlannedExporter, PlannedPipeline};
use super::prints::Prints;
use crate::component::{
    BuildContext, BuildError, DriverSettings, Exporter, Extension, Extensions, Host, Journal,
    LoadedReceiver, Output, Processor, Receiver, Shard, Sharding, Storage, Transport,
};
use crate::config::{self, ComponentId, Diagnostic, Node, PipelineId, Place};
use crate::data::Signal;
use crate::telemetry::with_causes;

/// An exporter for one signal.
pub(super) struct BuiltExporter {
    pub(super) id: ComponentId,
    pub(super) signal: Signal,
    pub(super) exporter: Arc<dyn Exporter>,
    pub(super) driver: DriverSettings,
    /// Where its queue is kept on disk, if it is.
    pub(super) storage: Option<Arc<dyn Storage>>,
}

/// Stages whose work is shared in the same way, once for each worker.
pub(super) struct BuiltSegment {
    pub(super) sharding: Sharding,
    /// By worker, then in order.
    pub(super) workers: Vec<Vec<(ComponentId, Box<dyn Processor>)>>,
}

/// A connector for one signal in.
pub(super) struct BuiltConnector {
    pub(super) id: ComponentId,
    pub(super) signal: Signal,
    pub(super) outputs: Vec<Output>,
    pub(super) segment: BuiltSegment,
}

/// What runs already and stays.
pub(super) struct Stays<'a> {
    pub(super) kept: &'a Prints,
    pub(super) extensions: &'a [(ComponentId, Arc<dyn Extension>)],
}

impl Stays<'_> {
    fn extension(&self, id: &ComponentId) -> Option<Arc<dyn Extension>> {
        let (_, extension) = self.extensions.iter().find(|(other, _)| other == id)?;
        self.kept.extensions.contains_key(id).then(|| Arc::clone(extension))
    }
}

/// All components that are new, built and not started.
pub(super) struct Components {
    pub(super) host: Host,
    pub(super) extensions: Vec<(ComponentId, Arc<dyn Extension>)>,
    pub(super) journal: Option<Arc<dyn Journal>>,
    pub(super) exporters: Vec<BuiltExporter>,
    pub(super) connectors: Vec<BuiltConnector>,
    pub(super) pipelines: BTreeMap<PipelineId, Vec<BuiltSegment>>,
    pub(super) receivers: Vec<(ComponentId, Box<dyn Receiver>)>,
}

impl Components {
    /// Builds everything that `plan` uses and that does not stay.
    ///
    /// # Errors
    ///
    /// Fails with all that cannot be built, each with its place in the file.
    pub(super) fn build(
        plan: &Plan,
        mut host: Host,
        num_workers: usize,
        stays: &Stays<'_>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut problems = Vec::new();
        let mut extensions = Vec::new();
        let mut running = HashMap::new();
        for (id, planned) in &plan.extensions {
            if let Some(extension) = stays.extension(id) {
                running.insert(id.clone(), extension);
                continue;
            }
            let built = planned.loaded.build(&host);
            if let Some(built) = note(built, planned, &mut problems) {
                running.insert(id.clone(), Arc::clone(&built));
                extensions.push((id.clone(), built));
            }
        }
        host.extensions = Extensions::new(running);
        let journal = journal(plan, &host.extensions, &mut problems);
        let (has_journal, kept) = (journal.is_some(), stays.kept);
        let mut builder = Builder { plan, host, has_journal, num_workers, kept, problems };
        let exporters = builder.exporters();
        let connectors = builder.connectors();
        let pipelines = builder.pipelines();
        let receivers = builder.receivers();
        let Builder { host, problems, .. } = builder;
        if problems.is_empty() {
            Ok(Self { host, extensions, journal, exporters, connectors, pipelines, receivers })
        } else {
            Err(problems)
        }
    }
}

/// Connectors, and the stages of pipelines.
pub(super) type Chains = (Vec<BuiltConnector>, BTreeMap<PipelineId, Vec<BuiltSegment>>);

/// Builds only what records pass on their way through `plan`, with one worker each.
///
/// # Errors
///
/// Fails with all that cannot be built, each with its place in the file.
pub(super) fn chains(plan: &Plan, host: Host) -> Result<Chains, Vec<Diagnostic>> {
    let (kept, problems) = (&Prints::default(), Vec::new());
    let mut builder = Builder { plan, host, has_journal: false, num_workers: 1, kept, problems };
    let chains = (builder.connectors(), builder.pipelines());
    if builder.problems.is_empty() { Ok(chains) } else { Err(builder.problems) }
}

/// The journal, if there is one; there cannot be two.
fn journal(
    plan: &Plan,
    extensions: &Extensions,
    problems: &mut Vec<Diagnostic>,
) -> Option<Arc<dyn Journal>> {
    let mut journals = extensions.journals().into_iter();
    let (first, journal) = journals.next()?;
    for (id, _) in journals {
        let message = format!("`{id}` is a second journal: `{first}` stands behind all receivers");
        let planned = plan.extensions.iter().find(|(other, _)| other == id);
        let problem = Diagnostic::error(message);
        problems.push(match planned {
            Some((_, planned)) => problem.at(&planned.place).in_path(&planned.path),
            None => problem,
        });
    }
    Some(journal)
}

/// Notes why something cannot be built.
fn note<T, P>(
    built: Result<T, BuildError>,
    planned: &Planned<P>,
    problems: &mut Vec<Diagnostic>,
) -> Option<T> {
    match built {
        Ok(built) => Some(built),
        Err(error) => {
            let message = with_causes(&error);
            let place = place_of(&message, planned);
            let problem = Diagnostic::error(message).at(place);
            let problem = problem.in_path(&planned.path).maybe_hint(hint(&error));
            // A component for several signals says the same each time.
            if !problems.contains(&problem) {
                problems.push(problem);
            }
            None
        }
    }
}

/// Where in its body a component is wrong: at the first key or value that the message has in
/// backticks; else at its id.
fn place_of<'a, P>(message: &str, planned: &'a Planned<P>) -> &'a Place {
    let quoted = message.split('`').skip(1).step_by(2);
    let mut nodes = quoted
        .filter_map(|text| planned.node.at_path(text).or_else(|| planned.node.find_text(text)));
    nodes.next().map_or(&planned.place, Node::place)
}

fn hint(error: &BuildError) -> Option<String> {
    match error {
        BuildError::NoSuchExtension { .. } => {
            Some("configure it under `extensions` and list it in `service::extensions`".to_owned())
        }
        _ => None,
    }
}

struct Builder<'a> {
    plan: &'a Plan,
    host: Host,
    has_journal: bool,
    num_workers: usize,
    kept: &'a Prints,
    problems: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn context(&self, id: &ComponentId, signal: Signal) -> BuildContext {
        BuildContext {
            id: id.clone(),
            pipeline: None,
            signal,
            outputs: Vec::new(),
            shard: Shard { index: 0, count: 1 },
            host: self.host.clone(),
        }
    }

    fn exporters(&mut self) -> Vec<BuiltExporter> {
        let mut exporters = Vec::new();
        for (id, planned) in &self.plan.exporters {
            for signal in Signal::ALL {
                if !self.plan.is_fed(id, signal)
                    || self.kept.exporters.contains_key(&(id.clone(), signal))
                {
                    continue;
                }
                let built = planned.loaded.exporter.build(&self.context(id, signal));
                let built = note(built, planned, &mut self.problems);
                let driver = self.driver(planned);
                let named = driver.queue.storage.as_ref().filter(|_| driver.queue.enabled);
                let storage = named.map(|id| self.host.extensions.storage(id)).transpose();
                let storage = note(storage, planned, &mut self.problems).flatten();
                exporters.extend(built.map(|exporter| BuiltExporter {
                    id: id.clone(),
                    signal,
                    exporter,
                    driver,
                    storage,
                }));
            }
        }
        exporters
    }

    /// The driver's settings. With a journal, or a queue on disk, nothing is given up for its age
    /// unless the file says so: it is kept there as long as it must be.
    fn driver(&self, planned: &Planned<PlannedExporter>) -> DriverSettings {
        let mut driver = planned.loaded.driver.clone();
        let is_on_disk = driver.queue.enabled && driver.queue.storage.is_some();
        let is_set = planned.node.at_path("retry_on_failure::max_elapsed_time").is_some();
        if (self.has_journal || is_on_disk) && !is_set {
            driver.retry.max_elapsed_time = config::Duration::ZERO;
        }
        driver
    }

    fn connectors(&mut self) -> Vec<BuiltConnector> {
        let mut connectors = Vec::new();
        for (id, planned) in &self.plan.connectors {
            let end = End::Connector(id.clone());
            for signal in Signal::ALL {
                let outputs = self.outputs(&end, signal, &planned.pairs);
                let mut pipelines = self.plan.pipelines.iter();
                let is_fed = pipelines.any(|pipeline| {
                    pipeline.id.signal() == signal && pipeline.exporters.contains(&end)
                });
                let stays = self.kept.connectors.contains_key(&(id.clone(), signal));
                if !is_fed || outputs.is_empty() || stays {
                    continue;
                }
                let sharding = planned.loaded.sharding;
                let mut workers = Vec::new();
                let count = self.num_instances(sharding, signal);
                for index in 0..count {
                    let mut context = self.context(id, signal);
                    context.outputs.clone_from(&outputs);
                    context.shard = Shard { index, count };
                    let built = note(planned.loaded.build(&context), planned, &mut self.problems);
                    workers.push(built.map(|built| (id.clone(), built)).into_iter().collect());
                }
                let segment = BuiltSegment { sharding, workers };
                connectors.push(BuiltConnector { id: id.clone(), signal, outputs, segment });
            }
        }
        connectors
    }

    /// The pipelines behind a connector that take what it makes of `signal`, sorted.
    fn outputs(&self, end: &End, signal: Signal, pairs: &[(Signal, Signal)]) -> Vec<Output> {
        let pipelines = self.plan.pipelines.iter().filter(|pipeline| {
            pipeline.receivers.contains(end) && pairs.contains(&(signal, pipeline.id.signal()))
        });
        let mut outputs: Vec<_> = pipelines
            .map(|pipeline| Output { pipeline: pipeline.id.clone(), signal: pipeline.id.signal() })
            .collect();
        outputs.sort_by(|one, other| one.pipeline.cmp(&other.pipeline));
        outputs
    }

    fn pipelines(&mut self) -> BTreeMap<PipelineId, Vec<BuiltSegment>> {
        let (plan, kept) = (self.plan, self.kept);
        let pipelines = plan.pipelines.iter();
        let pipelines = pipelines.filter(|pipeline| !kept.pipelines.contains_key(&pipeline.id));
        pipelines.map(|pipeline| (pipeline.id.clone(), self.segments(pipeline))).collect()
    }

    /// The segments of a pipeline: at least one, if only of no stages.
    fn segments(&mut self, pipeline: &PlannedPipeline) -> Vec<BuiltSegment> {
        let mut shardings: Vec<(Sharding, Vec<&ComponentId>)> = Vec::new();
        for id in &pipeline.processors {
            let Some(planned) = self.plan.processors.get(id) else { continue };
            let sharding = joined(planned.loaded.sharding);
            match shardings.last_mut() {
                Some((last, ids)) if *last == sharding => ids.push(id),
                _ => shardings.push((sharding, vec![id])),
            }
        }
        if shardings.is_empty() {
            shardings.push((Sharding::PerWorker, Vec::new()));
        }
        let segments = shardings.into_iter();
        segments.map(|(sharding, ids)| self.segment(pipeline, sharding, &ids)).collect()
    }

    fn segment(
        &mut self,
        pipeline: &PlannedPipeline,
        sharding: Sharding,
        ids: &[&ComponentId],
    ) -> BuiltSegment {
        let signal = pipeline.id.signal();
        let count = self.num_instances(sharding, signal);
        let mut workers = Vec::with_capacity(count);
        for index in 0..count {
            let mut stages = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(planned) = self.plan.processors.get(*id) else { continue };
                let mut context = self.context(id, signal);
                context.pipeline = Some(pipeline.id.clone());
                context.shard = Shard { index, count };
                let built = note(planned.loaded.build(&context), planned, &mut self.problems);
                stages.extend(built.map(|built| ((*id).clone(), built)));
            }
            workers.push(stages);
        }
        BuiltSegment { sharding, workers }
    }

    /// How many workers a segment has. One for all metrics: their batches stay in order.
    fn num_instances(&self, sharding: Sharding, signal: Signal) -> usize {
        match sharding {
            _ if signal == Signal::Metrics => 1,
            Sharding::Stateless | Sharding::PerWorker | Sharding::ByTraceId => self.num_workers,
            Sharding::BySeries | Sharding::Single => 1,
        }
    }

    /// Reports addresses that cannot be listened to, whatever the machine.
    fn check_addresses(&mut self, planned: &Planned<LoadedReceiver>) {
        for endpoint in &planned.loaded.endpoints {
            let parsed = endpoint.address.parse::<config::Endpoint>();
            if let (Transport::Tcp, Err(error)) = (endpoint.transport, parsed) {
                let written = planned.node.find_text(&endpoint.address);
                let place = written.map_or(&planned.place, Node::place);
                let problem = Diagnostic::error(error.to_string()).at(place);
                let hint = "a variable is written `${env:NAME}`";
                let hint = endpoint.address.contains('$').then(|| hint.to_owned());
                self.problems.push(problem.in_path(&planned.path).maybe_hint(hint));
            }
        }
    }

    fn receivers(&mut self) -> Vec<(ComponentId, Box<dyn Receiver>)> {
        let mut receivers = Vec::new();
        for (id, planned) in &self.plan.receivers {
            let end = End::Component(id.clone());
            let mut pipelines = self.plan.pipelines.iter();
            let Some(pipeline) = pipelines.find(|pipeline| pipeline.receivers.contains(&end))
            else {
                continue;
            };
            if self.kept.receivers.contains_key(id) {
                continue;
            }
            let built = planned.loaded.build(&self.context(id, pipeline.id.signal()));
            let built = note(built, planned, &mut self.problems);
            self.check_addresses(planned);
            receivers.extend(built.map(|built| (id.clone(), built)));
        }
        receivers
    }
}

/// Which stages can share their workers.
const fn joined(sharding: Sharding) -> Sharding {
    match sharding {
        Sharding::Stateless | Sharding::PerWorker => Sharding::PerWorker,
        Sharding::BySeries | Sharding::Single => Sharding::Single,
        Sharding::ByTraceId => Sharding::ByTraceId,
    }
}
