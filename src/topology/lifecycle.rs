//! Start and stop: listeners, extensions, exporters, chains, receivers; and back.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;
use std::{io, mem};

use tokio::task::{AbortHandle, JoinSet, spawn_blocking};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Plan;
use super::build::{BuiltExporter, Components, Stays};
use super::chain::{State, Workers};
use super::driver::{Around, Driver, OpenSpool, Waiting};
use super::durable::Durable;
use super::fanout::ExporterInlet;
use super::graph::End;
use super::handles::Handles;
use super::intake::{Intakes, Pipelines};
use super::prints::Prints;
use super::state_file;
use super::wiring::{ChainId, Entrances, Wiring, descriptions};
use crate::component::{
    Endpoint, ExportError, Extension, Extent, Host, Inlet, Listener, Listeners, Receiver, RunError,
    Transport,
};
use crate::config::{ComponentId, Diagnostic};
use crate::data::Signal;
use crate::net::{BindError, bind_tcp, bind_unix};

/// How long requests that are being read may still come in when the agent stops.
pub(super) const REQUEST_GRACE: Duration = Duration::from_secs(2);

/// How long what was given up may take to end.
pub(super) const ABORT_GRACE: Duration = Duration::from_secs(5);

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
    /// The queue of an exporter on disk cannot be used.
    #[error("cannot open the queue of `{id}` on disk")]
    Spool {
        /// The exporter's id.
        id: ComponentId,
        /// What failed.
        source: RunError,
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
    pub(super) host: Host,
    pub(super) listeners: Listeners,
    /// What runs of the plan.
    pub(super) running: Prints,
    pub(super) extensions: Vec<(ComponentId, Arc<dyn Extension>)>,
    pub(super) drivers: BTreeMap<(ComponentId, Signal), Driver>,
    pub(super) handles: Handles,
    pub(super) workers: BTreeMap<ChainId, Workers>,
    pub(super) entrances: Entrances,
    pub(super) intakes: Intakes,
    receivers: JoinSet<(ComponentId, Result<(), RunError>)>,
    pub(super) receiver_tasks: BTreeMap<ComponentId, ReceiverTask>,
    pub(super) durable: Option<Arc<Durable>>,
    replay: JoinSet<()>,
    /// Drivers that end, with the rest of what they have, and what cuts them short.
    pub(super) retired: JoinSet<()>,
    pub(super) retired_aborts: Vec<CancellationToken>,
    /// What waits for the next driver of an exporter.
    pub(super) waiting: BTreeMap<(ComponentId, Signal), Waiting>,
    /// What stages of chains knew that ended, by the chains, until others take it over.
    pub(super) states: BTreeMap<String, Vec<State>>,
    stop_receivers: CancellationToken,
    pub(super) plan: Plan,
}

/// A receiver that runs.
pub(super) struct ReceiverTask {
    pub(super) stop: CancellationToken,
    pub(super) task: AbortHandle,
}

/// Builds everything that a plan uses, and nothing more: for `catchment validate`.
///
/// # Errors
///
/// Fails with all that cannot be built, each with its place in the file.
pub fn check(plan: &Plan, host: Host) -> Result<(), Vec<Diagnostic>> {
    let stays = Stays { kept: &Prints::default(), extensions: &[] };
    Components::build(plan, host, 1, &stays).map(drop)
}

impl Engine {
    /// Builds and starts everything that `plan` uses.
    ///
    /// # Errors
    ///
    /// Fails when a component cannot be built or started, or an address cannot be listened on;
    /// what was started is stopped again.
    pub async fn start(plan: &Plan, host: Host) -> Result<Self, StartError> {
        let states = state_file::take(&host.data_dir);
        let mut engine = Self {
            host,
            listeners: Listeners::default(),
            running: Prints::default(),
            extensions: Vec::new(),
            drivers: BTreeMap::new(),
            handles: Handles::default(),
            workers: BTreeMap::new(),
            entrances: Entrances::default(),
            intakes: Intakes::default(),
            receivers: JoinSet::new(),
            receiver_tasks: BTreeMap::new(),
            durable: None,
            replay: JoinSet::new(),
            retired: JoinSet::new(),
            retired_aborts: Vec::new(),
            waiting: BTreeMap::new(),
            states,
            stop_receivers: CancellationToken::new(),
            plan: plan.clone(),
        };
        match engine.apply(plan).await {
            Ok(()) => Ok(engine),
            Err(error) => {
                engine.stop().await;
                Err(error)
            }
        }
    }

    /// The handles of exporters, such as log indexes that can be searched.
    #[must_use]
    pub const fn handles(&self) -> &Handles {
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

    /// Makes what runs be what `plan` says; what is equal stays.
    ///
    /// # Errors
    ///
    /// Fails when something cannot be built, and nothing is changed then; or when something cannot
    /// be started, and then a part of it runs.
    pub(super) async fn apply(&mut self, plan: &Plan) -> Result<(), StartError> {
        let wanted = Prints::of(plan);
        let kept = self.running.kept(&wanted);
        let num_workers = available_parallelism().map_or(1, NonZeroUsize::get);
        let stays = Stays { kept: &kept, extensions: &self.extensions };
        let components = Components::build(plan, self.host.clone(), num_workers, &stays);
        let components = components.map_err(StartError::Build)?;
        self.bind(plan)?;
        self.retire(&wanted, &kept).await;
        self.host = components.host;
        for (id, extension) in components.extensions {
            let listeners = self.listeners.of(&format!("extensions::{id}"));
            let started = extension.start(&listeners, &self.host).await;
            started.map_err(|source| StartError::Extension { id: id.clone(), source })?;
            note(&mut self.running.extensions, &wanted.extensions, &id);
            self.extensions.push((id, extension));
        }
        let is_first = self.durable.is_none();
        if is_first {
            let journal = components.journal;
            self.durable = journal.map(|journal| Arc::new(Durable::new(journal, &self.host)));
        }
        let answers_early = plan.answers_early() && self.durable.is_none();
        self.start_exporters(components.exporters, (answers_early, is_first), &wanted).await?;
        Wiring {
            plan,
            answers_early,
            durable: self.durable.as_ref(),
            host: &self.host,
            inlets: self.inlets(),
            workers: &mut self.workers,
            connectors: components.connectors,
            pipelines: components.pipelines,
            entrances: &mut self.entrances,
            states: mem::take(&mut self.states),
        }
        .wire()?;
        self.running.connectors.clone_from(&wanted.connectors);
        self.running.pipelines.clone_from(&wanted.pipelines);
        self.open_intakes(plan, &wanted);
        if is_first && let Some(durable) = &self.durable {
            durable.recover(&self.intakes).await;
        }
        self.start_receivers(components.receivers, &wanted);
        if is_first && let Some(durable) = &self.durable {
            self.replay.spawn(Arc::clone(durable).run_again(self.intakes.clone()));
        }
        let endpoints: Vec<_> =
            endpoints(plan).map(|(path, endpoint)| (path, endpoint.clone())).collect();
        self.listeners.retain(&endpoints);
        self.plan = plan.clone();
        self.host.status.set_pipelines(descriptions(plan));
        self.host.status.set_ready();
        info!(pipelines = plan.pipelines.len(), "everything runs");
        Ok(())
    }

    async fn start_exporters(
        &mut self,
        exporters: Vec<BuiltExporter>,
        (answers_early, is_first): (bool, bool),
        wanted: &Prints,
    ) -> Result<(), StartError> {
        let (sources, ends): (Vec<_>, Vec<_>) =
            exporters.into_iter().partition(|built| built.driver.dead_letter.is_some());
        // What gets dead letters is there before them.
        for built in ends.into_iter().chain(sources) {
            let started = built.exporter.start().await;
            let held =
                started.map_err(|source| StartError::Exporter { id: built.id.clone(), source })?;
            if is_first && let Some(durable) = &self.durable {
                durable.take_held(&held);
            }
            let key = (built.id.clone(), built.signal);
            if let Some(handle) = built.exporter.handle() {
                self.handles.insert(key.clone(), handle);
            }
            let spool = self.open_spool(&built).await?;
            let dead_letters = built.driver.dead_letter.clone();
            let dead_letters = dead_letters.and_then(|to| self.drivers.get(&(to, built.signal)));
            let around = Around {
                answers_early,
                spool,
                dead_letters: dead_letters.map(Driver::inlet),
                durable: self.durable.clone(),
            };
            let driver = Driver::start(
                (&built.id, built.signal),
                built.exporter,
                built.driver,
                around,
                &self.host,
            );
            if let Some(waiting) = self.waiting.remove(&key) {
                driver.adopt(waiting);
            }
            note(&mut self.running.exporters, &wanted.exporters, &key);
            self.drivers.insert(key, driver);
        }
        Ok(())
    }

    fn inlets(&self) -> BTreeMap<(ComponentId, Signal), ExporterInlet> {
        let inlet = |driver: &Driver| ExporterInlet::Driver(driver.inlet());
        self.drivers.iter().map(|(id, driver)| (id.clone(), inlet(driver))).collect()
    }

    /// Opens the queue on disk of an exporter that has one. By default all goes there, unless a
    /// journal has everything already; metrics do in any case: what is in memory only would run
    /// again after a crash, behind newer points that are on disk.
    async fn open_spool(&self, built: &BuiltExporter) -> Result<Option<OpenSpool>, StartError> {
        let Some(storage) = &built.storage else { return Ok(None) };
        let opened = storage.open(&built.id, built.signal, &self.host).await;
        let spool = opened.map_err(|source| StartError::Spool { id: built.id.clone(), source })?;
        let has_order = built.signal == Signal::Metrics;
        let by_default = match self.durable.is_some() && !has_order {
            true => Extent::Overflow,
            false => Extent::All,
        };
        Ok(Some((spool, storage.extent().unwrap_or(by_default))))
    }

    /// Gives every receiver its ways into pipelines.
    fn open_intakes(&self, plan: &Plan, wanted: &Prints) {
        for id in wanted.receivers.keys() {
            let end = End::Component(id.clone());
            let intake = self.intakes.get(&id.to_string()).unwrap_or_else(|| {
                let durable = self.durable.clone();
                let intake = Arc::new(Pipelines::new(id, durable, &self.host.metrics));
                self.intakes.insert(&intake);
                intake
            });
            intake.open(|signal| self.entrances.of(plan, &end, signal));
        }
    }

    /// Starts receivers; then those end whose places they take.
    fn start_receivers(
        &mut self,
        receivers: Vec<(ComponentId, Box<dyn Receiver>)>,
        wanted: &Prints,
    ) {
        for (id, receiver) in receivers {
            let Some(intake) = self.intakes.get(&id.to_string()) else { continue };
            let (budget, clock) = (self.host.budget.clone(), self.host.clock.clone());
            let listeners = self.listeners.of(&format!("receivers::{id}"));
            let inlet = Inlet::new(intake, budget, clock, listeners);
            let stop = self.stop_receivers.child_token();
            note(&mut self.running.receivers, &wanted.receivers, &id);
            let running = (id.clone(), stop.clone());
            let task = self.receivers.spawn(async move { (id, receiver.run(inlet, stop).await) });
            let (id, stop) = running;
            if let Some(before) = self.receiver_tasks.insert(id, ReceiverTask { stop, task }) {
                before.stop.cancel();
            }
        }
    }

    /// Binds every address that receivers and extensions ask for.
    fn bind(&self, plan: &Plan) -> Result<(), StartError> {
        for (component, endpoint) in endpoints(plan) {
            let listeners = self.listeners.of(component);
            if !listeners.contains(endpoint) {
                let bound = bind_endpoint(component, endpoint).map_err(|source| {
                    StartError::Bind { component: component.to_owned(), source }
                })?;
                listeners.insert(endpoint, bound);
            }
        }
        Ok(())
    }

    /// Stops receivers, lets chains and exporters finish within `shutdown_timeout`, and ends.
    ///
    /// What cannot be sent in that time is dropped and counted; with a journal, it stays there.
    pub async fn stop(mut self) {
        let shutdown_timeout = self.plan.settings().shutdown_timeout.get();
        let deadline = Instant::now() + shutdown_timeout;
        self.host.status.set_stopping();
        self.stop_receivers.cancel();
        let grace = Instant::now() + REQUEST_GRACE.min(shutdown_timeout);
        let have_ended = timeout_at(grace, all_ended(&mut self.receivers)).await.is_ok();
        // Clients may wait for what stages hold until nothing more comes.
        self.intakes.all().iter().for_each(|intake| intake.close());
        if let Some(durable) = &self.durable {
            durable.stop().await;
            all_ended(&mut self.replay).await;
        }
        let drivers = self.drivers.values().map(Driver::abort_token);
        let aborts: Vec<_> = drivers.chain(self.retired_aborts.drain(..)).collect();
        let inlets: Vec<_> = self.drivers.values().map(Driver::inlet).collect();
        let (workers, drivers, mut retired) = (self.workers, self.drivers, self.retired);
        drop(self.entrances);
        let data_dir = self.host.data_dir.clone();
        let finish = async move {
            // A thread that panicked was told by the panic hook.
            let _ = spawn_blocking(move || state_file::keep(&data_dir, &join_all(workers))).await;
            all_ended(&mut retired).await;
            let (sources, ends): (Vec<_>, Vec<_>) =
                drivers.into_values().partition(Driver::has_dead_letters);
            for driver in sources.into_iter().chain(ends) {
                driver.stop().await;
            }
        };
        tokio::pin!(finish);
        if timeout_at(deadline, &mut finish).await.is_err() {
            warn!("shutdown_timeout is over, what was not sent stays on disk or is dropped");
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

pub(super) async fn all_ended<T: 'static>(tasks: &mut JoinSet<T>) {
    while tasks.join_next().await.is_some() {}
}

/// Waits for the ends of chains; what their stages knew.
pub(super) fn join_all(workers: BTreeMap<ChainId, Workers>) -> BTreeMap<ChainId, Vec<State>> {
    workers.into_iter().map(|(id, workers)| (id, workers.join())).collect()
}

/// Notes that a part runs.
fn note<K: Ord + Clone>(running: &mut BTreeMap<K, u128>, wanted: &BTreeMap<K, u128>, key: &K) {
    if let Some(print) = wanted.get(key) {
        running.insert(key.clone(), *print);
    }
}

/// The addresses of receivers that feed pipelines, and of extensions, by the component's path.
pub(super) fn endpoints(plan: &Plan) -> impl Iterator<Item = (&str, &Endpoint)> {
    let used = plan.receivers.iter().filter(|(id, _)| {
        let end = End::Component((*id).clone());
        plan.pipelines.iter().any(|pipeline| pipeline.receivers.contains(&end))
    });
    let receivers = used.map(|(_, planned)| (&planned.path, &planned.loaded.endpoints));
    let extensions = plan.extensions.iter();
    let extensions = extensions.map(|(_, planned)| (&planned.path, &planned.loaded.endpoints));
    receivers
        .chain(extensions)
        .flat_map(|(path, endpoints)| endpoints.iter().map(|endpoint| (path.as_str(), endpoint)))
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
