//! Start and stop: listeners, extensions, exporters, chains, receivers; and back.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Plan;
use super::build::{BuiltConnector, BuiltExporter, BuiltSegment, Components};
use super::chain::{Chain, Division, Entrance, Exit, Segment, Stage, StageContext, Workers};
use super::driver::Driver;
use super::durable::Durable;
use super::fanout::FanOut;
use super::graph::{End, PlannedPipeline};
use super::intake::Pipelines;
use crate::component::{
    Endpoint, ExportError, Extension, Host, Inlet, Listener, Listeners, RunError, Sharding,
    Transport, Way,
};
use crate::config::{ComponentId, Diagnostic, PipelineId};
use crate::data::Signal;
use crate::net::{BindError, bind_tcp, bind_unix};
use crate::storage::quarantine::Quarantine;
use crate::telemetry::PipelineDescription;

/// How long requests that are being read may still come in when the agent stops.
const REQUEST_GRACE: Duration = Duration::from_secs(2);

/// How long what was given up may take to end.
const ABORT_GRACE: Duration = Duration::from_secs(5);

/// Why the agent does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Components cannot be built; each problem names its place in the file.
    #[error("the configuration cannot be used")]
    Build(Vec<Diagnostic>),
    /// An address cannot be listened on.
    #[error("{component}")]
    Bind {
        /// Path of the component in the file.
        component: String,
        /// What failed.
        source: BindError,
    },
    /// An exporter cannot work at all.
    #[error("cannot start exporter `{id}`")]
    Exporter {
        /// Its id.
        id: ComponentId,
        /// What failed.
        source: ExportError,
    },
    /// An extension cannot work.
    #[error("cannot start extension `{id}`")]
    Extension {
        /// Its id.
        id: ComponentId,
        /// What failed.
        source: RunError,
    },
    /// The system gives no thread.
    #[error("cannot start the workers of `{pipeline}`")]
    Thread {
        /// The pipeline or connector.
        pipeline: String,
        /// What failed.
        source: io::Error,
    },
}

/// The agent at work.
pub struct Engine {
    host: Host,
    listeners: Listeners,
    extensions: Vec<(ComponentId, Arc<dyn Extension>)>,
    drivers: BTreeMap<(ComponentId, Signal), Driver>,
    handles: Vec<Arc<dyn Any + Send + Sync>>,
    workers: Workers,
    intakes: Vec<Arc<Pipelines>>,
    receivers: JoinSet<(ComponentId, Result<(), RunError>)>,
    durable: Option<Arc<Durable>>,
    replay: JoinSet<()>,
    stop_receivers: CancellationToken,
    shutdown_timeout: Duration,
}

/// Builds everything that a plan uses, and nothing more: for `catchment validate`.
///
/// # Errors
///
/// Fails with all that cannot be built, each with its place in the file.
pub fn check(plan: &Plan, host: Host) -> Result<(), Vec<Diagnostic>> {
    Components::build(plan, host, 1).map(drop)
}

impl Engine {
    /// Builds and starts everything that `plan` uses.
    ///
    /// # Errors
    ///
    /// Fails when a component cannot be built or started, or an address cannot be listened on;
    /// what was started is stopped again.
    pub async fn start(plan: &Plan, host: Host) -> Result<Self, StartError> {
        let num_workers = available_parallelism().map_or(1, NonZeroUsize::get);
        let components = Components::build(plan, host, num_workers).map_err(StartError::Build)?;
        let mut engine = Self {
            host: components.host.clone(),
            listeners: Listeners::default(),
            extensions: Vec::new(),
            drivers: BTreeMap::new(),
            handles: Vec::new(),
            workers: Workers::default(),
            intakes: Vec::new(),
            receivers: JoinSet::new(),
            durable: None,
            replay: JoinSet::new(),
            stop_receivers: CancellationToken::new(),
            shutdown_timeout: plan.settings().shutdown_timeout.get(),
        };
        match engine.start_all(plan, components).await {
            Ok(()) => Ok(engine),
            Err(error) => {
                engine.stop().await;
                Err(error)
            }
        }
    }

    /// The handles of exporters, such as log indexes that can be searched.
    #[must_use]
    pub fn handles(&self) -> &[Arc<dyn Any + Send + Sync>] {
        &self.handles
    }

    /// What every component was given.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// The listeners of receivers and extensions.
    #[must_use]
    pub const fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// Waits until a receiver fails by itself, and says why.
    ///
    /// # Cancel safety
    ///
    /// May be called again.
    pub async fn failure(&mut self) -> RunError {
        while let Some(ended) = self.receivers.join_next().await {
            match ended {
                Ok((_, Ok(()))) => {}
                Ok((id, Err(error))) => {
                    return RunError::new(format!("receiver `{id}` failed"), error);
                }
                Err(error) => return RunError::new("a receiver panicked", error),
            }
        }
        std::future::pending().await
    }

    async fn start_all(&mut self, plan: &Plan, components: Components) -> Result<(), StartError> {
        self.bind(plan)?;
        for (id, extension) in components.extensions {
            let listeners = self.listeners.of(&format!("extensions::{id}"));
            let started = extension.start(&listeners, &self.host).await;
            started.map_err(|source| StartError::Extension { id: id.clone(), source })?;
            self.extensions.push((id, extension));
        }
        self.durable = components.journal.map(|journal| {
            Arc::new(Durable::new(journal, self.host.budget.clone(), &self.host.metrics))
        });
        let answers_early = plan.answers_early() && self.durable.is_none();
        self.start_exporters(components.exporters, answers_early).await?;
        let entrances = Wiring {
            plan,
            answers_early,
            durable: self.durable.as_ref(),
            host: &self.host,
            drivers: &self.drivers,
            workers: &mut self.workers,
            connectors: components.connectors,
            pipelines: components.pipelines,
            entrances: Entrances::default(),
        }
        .wire()?;
        if let Some(durable) = &self.durable {
            durable.recover();
        }
        for (id, receiver) in components.receivers {
            let end = End::Component(id.clone());
            let ways = |signal| entrances.of(plan, &end, signal);
            let durable = self.durable.clone();
            let intake = Arc::new(Pipelines::new(&id, ways, durable, &self.host.metrics));
            self.intakes.push(Arc::clone(&intake));
            let (budget, clock) = (self.host.budget.clone(), self.host.clock.clone());
            let listeners = self.listeners.of(&format!("receivers::{id}"));
            let inlet = Inlet::new(intake, budget, clock, listeners);
            let stop = self.stop_receivers.clone();
            self.receivers.spawn(async move { (id, receiver.run(inlet, stop).await) });
        }
        if let Some(durable) = &self.durable {
            let intakes = self.intakes.iter();
            let intakes = intakes.map(|intake| (Arc::clone(intake.receiver()), Arc::clone(intake)));
            self.replay.spawn(Arc::clone(durable).run_again(intakes.collect()));
        }
        self.host.status.set_pipelines(descriptions(plan));
        self.host.status.set_ready();
        info!(pipelines = plan.pipelines.len(), "everything runs");
        Ok(())
    }

    async fn start_exporters(
        &mut self,
        exporters: Vec<BuiltExporter>,
        answers_early: bool,
    ) -> Result<(), StartError> {
        for built in exporters {
            let started = built.exporter.start().await;
            let held =
                started.map_err(|source| StartError::Exporter { id: built.id.clone(), source })?;
            if let Some(durable) = &self.durable {
                durable.take_held(&held);
            }
            self.handles.extend(built.exporter.handle());
            let key = (&built.id, built.signal);
            let driver =
                Driver::start(key, built.exporter, built.driver, answers_early, &self.host);
            self.drivers.insert((built.id, built.signal), driver);
        }
        Ok(())
    }

    /// Binds every address that receivers and extensions ask for.
    fn bind(&self, plan: &Plan) -> Result<(), StartError> {
        let used = plan.receivers.iter().filter(|(id, _)| {
            let end = End::Component((*id).clone());
            plan.pipelines.iter().any(|pipeline| pipeline.receivers.contains(&end))
        });
        let receivers =
            used.map(|(_, planned)| (planned.path.as_str(), planned.loaded.endpoints.as_slice()));
        let extensions = plan.extensions.iter();
        let extensions = extensions
            .map(|(_, planned)| (planned.path.as_str(), planned.loaded.endpoints.as_slice()));
        for (component, endpoints) in receivers.chain(extensions) {
            for endpoint in endpoints {
                let bound = bind_endpoint(component, endpoint).map_err(|source| {
                    StartError::Bind { component: component.to_owned(), source }
                })?;
                self.listeners.of(component).insert(endpoint, bound);
            }
        }
        Ok(())
    }

    /// Stops receivers, lets chains and exporters finish within `shutdown_timeout`, and ends.
    ///
    /// What cannot be sent in that time is dropped and counted; with a journal, it stays there.
    pub async fn stop(mut self) {
        let deadline = Instant::now() + self.shutdown_timeout;
        self.host.status.set_stopping();
        self.stop_receivers.cancel();
        let grace = Instant::now() + REQUEST_GRACE.min(self.shutdown_timeout);
        let have_ended = timeout_at(grace, all_ended(&mut self.receivers)).await.is_ok();
        // Clients may wait for what stages hold until nothing more comes.
        self.intakes.iter().for_each(|intake| intake.close());
        if let Some(durable) = &self.durable {
            durable.stop().await;
            all_ended(&mut self.replay).await;
        }
        let aborts: Vec<_> = self.drivers.values().map(Driver::abort_token).collect();
        let inlets: Vec<_> = self.drivers.values().map(Driver::inlet).collect();
        let (workers, drivers) = (self.workers, self.drivers);
        let finish = async move {
            // A thread that panicked was told by the panic hook.
            let _ = spawn_blocking(move || workers.join()).await;
            for driver in drivers.into_values() {
                driver.stop().await;
            }
        };
        tokio::pin!(finish);
        if timeout_at(deadline, &mut finish).await.is_err() {
            warn!("shutdown_timeout is over, what was not sent is dropped");
            aborts.iter().for_each(CancellationToken::cancel);
            inlets.iter().for_each(super::driver::DriverInlet::close);
            if timeout_at(Instant::now() + ABORT_GRACE, &mut finish).await.is_err() {
                warn!("an exporter does not end");
            }
        }
        if !have_ended && timeout_at(deadline, all_ended(&mut self.receivers)).await.is_err() {
            warn!("requests are still under way, they are cut off");
            self.receivers.shutdown().await;
        }
        for (_, extension) in self.extensions.iter().rev() {
            extension.stop().await;
        }
    }
}

async fn all_ended<T: 'static>(tasks: &mut JoinSet<T>) {
    while tasks.join_next().await.is_some() {}
}

fn bind_endpoint(component: &str, endpoint: &Endpoint) -> Result<Listener, BindError> {
    match endpoint.transport {
        Transport::Unix => bind_unix(Path::new(&endpoint.address)).map(Listener::Unix),
        Transport::Tcp => {
            let bound = bind_tcp(&endpoint.address)?;
            if bound.is_exposed && !endpoint.is_authenticated {
                let address = endpoint.address.as_str();
                warn!(component, address, "other machines can reach this without authentication");
            }
            Ok(Listener::Tcp(bound.listener))
        }
    }
}

/// The ways into pipelines and connectors.
#[derive(Default)]
struct Entrances {
    pipelines: BTreeMap<PipelineId, Entrance>,
    connectors: BTreeMap<(ComponentId, Signal), Entrance>,
}

impl Entrances {
    /// The ways from a receiver into its pipelines for `signal`.
    fn of(&self, plan: &Plan, end: &End, signal: Signal) -> Vec<Entrance> {
        let pipelines = plan
            .pipelines
            .iter()
            .filter(|pipeline| pipeline.id.signal() == signal && pipeline.receivers.contains(end));
        pipelines.filter_map(|pipeline| self.pipelines.get(&pipeline.id).cloned()).collect()
    }
}

/// Starts the workers, those at the end of the way first.
struct Wiring<'a> {
    plan: &'a Plan,
    answers_early: bool,
    durable: Option<&'a Arc<Durable>>,
    host: &'a Host,
    drivers: &'a BTreeMap<(ComponentId, Signal), Driver>,
    workers: &'a mut Workers,
    connectors: Vec<BuiltConnector>,
    pipelines: BTreeMap<PipelineId, Vec<BuiltSegment>>,
    entrances: Entrances,
}

impl Wiring<'_> {
    fn wire(mut self) -> Result<Entrances, StartError> {
        for pipeline in self.plan.pipelines.iter().rev() {
            // The pipelines behind this one's connectors have their entrances already.
            self.wire_connectors(pipeline)?;
            self.wire_pipeline(pipeline)?;
        }
        Ok(self.entrances)
    }

    fn wire_connectors(&mut self, pipeline: &PlannedPipeline) -> Result<(), StartError> {
        let signal = pipeline.id.signal();
        let built = std::mem::take(&mut self.connectors);
        for connector in built {
            let end = End::Connector(connector.id.clone());
            if connector.signal != signal || !pipeline.exporters.contains(&end) {
                self.connectors.push(connector);
                continue;
            }
            let BuiltConnector { id, outputs, segment, .. } = connector;
            let account = self.host.ledger.pipeline(&id.to_string());
            let outputs = outputs.iter();
            let outputs =
                outputs.filter_map(|output| self.entrances.pipelines.get(&output.pipeline));
            let exit = Exit::Outputs(Arc::clone(&account), outputs.cloned().collect());
            let context = self.stage_context(Arc::clone(&account));
            let name = id.to_string();
            let segment = self.start_segment((&name, signal), segment, &exit, &context)?;
            let entrance = Entrance::new(name.into(), account, segment);
            self.entrances.connectors.insert((id, signal), entrance);
        }
        Ok(())
    }

    fn wire_pipeline(&mut self, pipeline: &PlannedPipeline) -> Result<(), StartError> {
        let signal = pipeline.id.signal();
        let name = pipeline.id.to_string();
        let account = self.host.ledger.pipeline(&name);
        let shared_name: Arc<str> = name.as_str().into();
        let (mut exporters, mut connectors) = (Vec::new(), Vec::new());
        for end in &pipeline.exporters {
            match end {
                End::Component(id) => {
                    let driver = self.drivers.get(&(id.clone(), signal));
                    let (pipeline, route) = (Arc::clone(&shared_name), format!("{name} > {id}"));
                    let way = Way { pipeline, route: route.into() };
                    exporters.extend(driver.map(|driver| (way, driver.inlet())));
                }
                End::Connector(id) => {
                    let entrance = self.entrances.connectors.get(&(id.clone(), signal));
                    connectors.extend(entrance.cloned());
                }
            }
        }
        let order = self.durable.filter(|_| signal == Signal::Metrics).cloned();
        let fan_out = FanOut::new(Arc::clone(&account), exporters, connectors, order);
        let mut exit = Exit::FanOut(fan_out);
        let context = self.stage_context(Arc::clone(&account));
        let segments = self.pipelines.remove(&pipeline.id).unwrap_or_default();
        let mut first = None;
        for segment in segments.into_iter().rev() {
            let segment = self.start_segment((&name, signal), segment, &exit, &context)?;
            exit = Exit::Next(segment.clone());
            first = Some(segment);
        }
        if let Some(first) = first {
            let entrance = Entrance::new(shared_name, account, first);
            self.entrances.pipelines.insert(pipeline.id.clone(), entrance);
        }
        Ok(())
    }

    fn stage_context(&self, account: Arc<crate::telemetry::PipelineLedger>) -> StageContext {
        StageContext {
            account,
            answers_early: self.answers_early,
            quarantine: Quarantine::new(self.host.data_dir.join("quarantine")),
            status: self.host.status.clone(),
            budget: self.host.budget.clone(),
        }
    }

    fn start_segment(
        &mut self,
        (name, signal): (&str, Signal),
        built: BuiltSegment,
        exit: &Exit,
        context: &StageContext,
    ) -> Result<Segment, StartError> {
        let division = match built.sharding {
            Sharding::ByTraceId => Division::ByTraceId,
            _ => Division::Any,
        };
        let chains = built.workers.into_iter().map(|stages| {
            let stages = stages.into_iter();
            let stages = stages.map(|(id, processor)| {
                let id = id.to_string();
                let labels = [("processor", id.as_str()), ("otel_signal", signal.as_str())];
                let counter = |family| self.host.metrics.counter(family, &labels);
                let items = (
                    counter("otelcol_processor_incoming_items"),
                    counter("otelcol_processor_outgoing_items"),
                );
                Stage::new(id, processor, items, context)
            });
            Chain::new(stages.collect(), exit.clone(), self.host.clock.clone())
        });
        let chains = chains.collect();
        let failed = |source| StartError::Thread { pipeline: name.to_owned(), source };
        self.workers.start(name, chains, division).map_err(failed)
    }
}

fn descriptions(plan: &Plan) -> Vec<PipelineDescription> {
    let names = |ends: &[End]| {
        let ids = ends.iter().map(|end| match end {
            End::Component(id) | End::Connector(id) => id.to_string(),
        });
        ids.collect()
    };
    let describe = |pipeline: &PlannedPipeline| PipelineDescription {
        id: pipeline.id.to_string(),
        receivers: names(&pipeline.receivers),
        processors: pipeline.processors.iter().map(ToString::to_string).collect(),
        exporters: names(&pipeline.exporters),
    };
    plan.pipelines.iter().map(describe).collect()
}
