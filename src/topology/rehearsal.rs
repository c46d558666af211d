//! The chains of a plan without what is around them: step by step, on the caller's thread, with a
//! clock that is moved by hand, and exporters that only keep what comes to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Plan;
use super::build;
use super::chain::Workers;
use super::fanout::{ExporterInlet, Recorder};
use super::graph::{End, PlannedPipeline};
use super::wiring::{ChainId, Entrances, Wiring};
use crate::component::{Budget, Extensions, Host, promise};
use crate::config::{ComponentId, Diagnostic, PipelineId};
use crate::data::{Batch, Signal, Time};
use crate::telemetry::{Clock, Ledger, Live, ManualClock, Metrics, Status};

/// A folder that cannot be made: what a stage panics on is counted and not kept.
const NOWHERE: &str = "/dev/null";

/// What telemetry may take, more than a rehearsal ever has.
const BUDGET_BYTES: usize = 1 << 40;

/// Exporters, each with the signals that come to it.
type Reach = BTreeMap<ComponentId, BTreeSet<Signal>>;

/// The pipelines of a plan, or some of its processors, that run when they are told to.
///
/// Processors, connectors and the ways between them are those of the agent; nothing is received and
/// nothing is sent.
pub struct Rehearsal {
    /// Those before connectors before those behind them.
    workers: Vec<Workers>,
    entrances: Entrances,
    reach: BTreeMap<PipelineId, Reach>,
    kept: Arc<Mutex<Vec<(ComponentId, Batch)>>>,
    host: Host,
    hand: ManualClock,
}

impl Plan {
    /// The ids of its processors, also of those that no pipeline has.
    pub fn processors(&self) -> impl Iterator<Item = &ComponentId> {
        self.processors.keys()
    }

    /// The ids of its pipelines.
    pub fn pipelines(&self) -> impl Iterator<Item = &PipelineId> {
        self.pipelines.iter().map(|pipeline| &pipeline.id)
    }

    /// Whether the processor `id` takes `signal`.
    #[must_use]
    pub fn takes(&self, id: &ComponentId, signal: Signal) -> bool {
        let planned = self.processors.get(id);
        planned.is_some_and(|planned| planned.pairs.contains(&(signal, signal)))
    }

    /// A pipeline for each signal that all of these processors take, of nothing but them.
    fn of_processors(&self, processors: &[ComponentId], output: &ComponentId) -> Self {
        let signals = Signal::ALL.into_iter();
        let signals = signals.filter(|signal| processors.iter().all(|id| self.takes(id, *signal)));
        let pipelines = signals.filter_map(|signal| {
            Some(PlannedPipeline {
                id: PipelineId::try_new(signal, None).ok()?,
                receivers: Vec::new(),
                processors: processors.to_vec(),
                exporters: vec![End::Component(output.clone())],
            })
        });
        let mut plan = self.clone();
        plan.pipelines = pipelines.collect();
        plan
    }
}

impl Rehearsal {
    /// All pipelines of `plan`; the clock stands at `start`.
    ///
    /// # Errors
    ///
    /// Fails with all processors and connectors that cannot be built, each with its place in the
    /// file.
    pub fn of_pipelines(plan: &Plan, start: Time) -> Result<Self, Vec<Diagnostic>> {
        let (clock, hand) = Clock::manual(start);
        let host = host(&clock);
        let (connectors, pipelines) = build::chains(plan, host.clone())?;
        let chains = plan.pipelines.iter().flat_map(chains);
        let mut by_chain: BTreeMap<_, _> =
            chains.clone().map(|chain| (chain, Workers::by_steps())).collect();
        let kept = Arc::default();
        let mut entrances = Entrances::default();
        let reach = reach(plan);
        let wired = Wiring {
            plan,
            answers_early: false,
            durable: None,
            host: &host,
            inlets: recorders(plan, &kept),
            workers: &mut by_chain,
            connectors,
            pipelines,
            entrances: &mut entrances,
            states: BTreeMap::new(),
        }
        .wire();
        // Only threads can fail to start.
        wired.map_err(|error| vec![Diagnostic::error(error.to_string())])?;
        let workers = chains.filter_map(|chain| by_chain.remove(&chain)).collect();
        Ok(Self { workers, entrances, reach, kept, host, hand })
    }

    /// Some processors of `plan`, one after the other, for each signal that all of them take; what
    /// comes out is kept as the exporter `output`'s.
    ///
    /// # Errors
    ///
    /// As [`Rehearsal::of_pipelines`].
    pub fn of_processors(
        plan: &Plan,
        processors: &[ComponentId],
        output: &ComponentId,
        start: Time,
    ) -> Result<Self, Vec<Diagnostic>> {
        Self::of_pipelines(&plan.of_processors(processors, output), start)
    }

    /// The exporters that get what goes into a pipeline, or what connectors make of it, each with
    /// the signals that come to it.
    #[must_use]
    pub fn exporters(
        &self,
        pipeline: &PipelineId,
    ) -> Option<&BTreeMap<ComponentId, BTreeSet<Signal>>> {
        self.reach.get(pipeline)
    }

    /// What its components are offered: its clock, and the ledger, which says where records went.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// Whether there is such a pipeline.
    #[must_use]
    pub fn has(&self, pipeline: &PipelineId) -> bool {
        self.entrances.pipelines.contains_key(pipeline)
    }

    /// Puts a batch into a pipeline, and does what there is to do; whether there is such a pipeline.
    pub fn take(&mut self, pipeline: &PipelineId, batch: Batch) -> bool {
        let Some(entrance) = self.entrances.pipelines.get(pipeline) else { return false };
        let (ack, _answer) = promise(Live::none());
        entrance.pass(batch, ack);
        self.settle();
        true
    }

    /// Lets time go by: each stage is called when its deadline comes.
    pub fn advance(&mut self, duration: Duration) {
        let end = self.host.clock.now().saturating_add(duration);
        let mut last = None;
        while let Some(deadline) = self.deadline().filter(|deadline| *deadline <= end) {
            // A stage that stays due is called once.
            if last.replace(deadline) == Some(deadline) {
                break;
            }
            self.hand.set(deadline);
            for index in 0..self.workers.len() {
                if let Some(workers) = self.workers.get_mut(index) {
                    workers.tick();
                }
                self.settle();
            }
        }
        self.hand.set(end);
    }

    /// Lets go of what stages hold, as when the agent stops.
    pub fn flush(&mut self) {
        for index in 0..self.workers.len() {
            if let Some(workers) = self.workers.get_mut(index) {
                workers.flush();
            }
            self.settle();
        }
    }

    /// All that came to exporters so far, in order.
    #[must_use]
    pub fn kept(&self) -> Vec<(ComponentId, Batch)> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn deadline(&mut self) -> Option<Time> {
        self.workers.iter_mut().filter_map(Workers::deadline).min()
    }

    /// Works until nothing waits any more.
    fn settle(&mut self) {
        while self.workers.iter_mut().any(Workers::work) {}
    }
}

/// A pipeline, and the connectors that it ends in.
fn chains(pipeline: &PlannedPipeline) -> Vec<ChainId> {
    let connectors = pipeline.exporters.iter().filter_map(|end| match end {
        End::Component(_) => None,
        End::Connector(id) => Some(ChainId::Connector(id.clone(), pipeline.id.signal())),
    });
    std::iter::once(ChainId::Pipeline(pipeline.id.clone())).chain(connectors).collect()
}

/// What records of each pipeline come to.
fn reach(plan: &Plan) -> BTreeMap<PipelineId, Reach> {
    let mut all: BTreeMap<PipelineId, Reach> = BTreeMap::new();
    // Those behind connectors come after those before.
    for pipeline in plan.pipelines.iter().rev() {
        let mut reach = Reach::new();
        for end in &pipeline.exporters {
            if let End::Component(id) = end {
                reach.entry(id.clone()).or_default().insert(pipeline.id.signal());
                continue;
            }
            let behind = plan.pipelines.iter().filter(|other| other.receivers.contains(end));
            for (id, signals) in behind.filter_map(|other| all.get(&other.id)).flatten() {
                reach.entry(id.clone()).or_default().extend(signals);
            }
        }
        all.insert(pipeline.id.clone(), reach);
    }
    all
}

fn recorders(
    plan: &Plan,
    kept: &Arc<Mutex<Vec<(ComponentId, Batch)>>>,
) -> BTreeMap<(ComponentId, Signal), ExporterInlet> {
    let mut recorders = BTreeMap::new();
    for pipeline in &plan.pipelines {
        for end in &pipeline.exporters {
            if let End::Component(id) = end {
                let recorder = Recorder { exporter: id.clone(), kept: Arc::clone(kept) };
                let key = (id.clone(), pipeline.id.signal());
                recorders.insert(key, ExporterInlet::Recorder(recorder));
            }
        }
    }
    recorders
}

/// What components are offered.
fn host(clock: &Clock) -> Host {
    Host {
        metrics: Metrics::default(),
        status: Status::new(clock.clone()),
        ledger: Ledger::default(),
        clock: clock.clone(),
        budget: Budget::new(BUDGET_BYTES, 0),
        data_dir: PathBuf::from(NOWHERE),
        extensions: Extensions::default(),
    }
}
