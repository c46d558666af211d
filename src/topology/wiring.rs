//! Chains with what is around them: started from the end of the way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tracing::warn;

use super::Plan;
use super::build::{BuiltConnector, BuiltSegment};
use super::chain::{Chain, Division, Entrance, Exit, Segment, Stage, StageContext, State, Workers};
use super::durable::Durable;
use super::fanout::{ExporterInlet, FanOut};
use super::graph::{End, PlannedPipeline};
use super::lifecycle::StartError;
use crate::component::{Host, Processor, Sharding, Way};
use crate::config::{ComponentId, PipelineId};
use crate::data::Signal;
use crate::storage::quarantine::Quarantine;
use crate::telemetry::{PipelineDescription, PipelineLedger};

/// A pipeline or a connector.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ChainId {
    /// A pipeline.
    Pipeline(PipelineId),
    /// A connector, for one signal in.
    Connector(ComponentId, Signal),
}

/// The ways into pipelines and connectors.
#[derive(Default)]
pub(super) struct Entrances {
    pub(super) pipelines: BTreeMap<PipelineId, Entrance>,
    pub(super) connectors: BTreeMap<(ComponentId, Signal), Entrance>,
}

impl Entrances {
    /// The ways from a receiver into its pipelines for `signal`.
    pub(super) fn of(&self, plan: &Plan, end: &End, signal: Signal) -> Vec<Entrance> {
        let pipelines = plan
            .pipelines
            .iter()
            .filter(|pipeline| pipeline.id.signal() == signal && pipeline.receivers.contains(end));
        pipelines.filter_map(|pipeline| self.pipelines.get(&pipeline.id).cloned()).collect()
    }
}

/// Starts the workers of chains that were built, those at the end of the way first.
pub(super) struct Wiring<'a> {
    pub(super) plan: &'a Plan,
    pub(super) answers_early: bool,
    pub(super) durable: Option<&'a Arc<Durable>>,
    pub(super) host: &'a Host,
    pub(super) inlets: BTreeMap<(ComponentId, Signal), ExporterInlet>,
    pub(super) workers: &'a mut BTreeMap<ChainId, Workers>,
    pub(super) connectors: Vec<BuiltConnector>,
    pub(super) pipelines: BTreeMap<PipelineId, Vec<BuiltSegment>>,
    pub(super) entrances: &'a mut Entrances,
    /// What the stages of the chains before knew, by the chains.
    pub(super) states: BTreeMap<String, Vec<State>>,
}

impl Wiring<'_> {
    /// Starts them.
    pub(super) fn wire(mut self) -> Result<(), StartError> {
        for pipeline in self.plan.pipelines.iter().rev() {
            // The pipelines behind this one's connectors have their entrances already.
            self.wire_connectors(pipeline)?;
            self.wire_pipeline(pipeline)?;
        }
        Ok(())
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
            let chain = ChainId::Connector(id.clone(), signal);
            let segment = self.start_segment((&name, &chain), segment, &exit, &context)?;
            let entrance = Entrance::new(name.into(), account, segment);
            self.entrances.connectors.insert((id, signal), entrance);
        }
        Ok(())
    }

    fn wire_pipeline(&mut self, pipeline: &PlannedPipeline) -> Result<(), StartError> {
        let Some(segments) = self.pipelines.remove(&pipeline.id) else { return Ok(()) };
        let signal = pipeline.id.signal();
        let name = pipeline.id.to_string();
        let chain = ChainId::Pipeline(pipeline.id.clone());
        let account = self.host.ledger.pipeline(&name);
        let shared_name: Arc<str> = name.as_str().into();
        let (mut exporters, mut connectors) = (Vec::new(), Vec::new());
        for end in &pipeline.exporters {
            match end {
                End::Component(id) => {
                    let inlet = self.inlets.get(&(id.clone(), signal));
                    let (pipeline, route) = (Arc::clone(&shared_name), format!("{name} > {id}"));
                    let way = Way { pipeline, route: route.into() };
                    exporters.extend(inlet.map(|inlet| (way, inlet.clone())));
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
        let mut first = None;
        for segment in segments.into_iter().rev() {
            let segment = self.start_segment((&name, &chain), segment, &exit, &context)?;
            exit = Exit::Next(segment.clone());
            first = Some(segment);
        }
        if let Some(first) = first {
            let entrance = Entrance::new(shared_name, account, first);
            self.entrances.pipelines.insert(pipeline.id.clone(), entrance);
        }
        Ok(())
    }

    fn stage_context(&self, account: Arc<PipelineLedger>) -> StageContext {
        StageContext {
            account,
            answers_early: self.answers_early,
            quarantine: Quarantine::new(&self.host.data_dir, &self.host.metrics),
            status: self.host.status.clone(),
            budget: self.host.budget.clone(),
        }
    }

    fn start_segment(
        &mut self,
        (name, chain): (&str, &ChainId),
        built: BuiltSegment,
        exit: &Exit,
        context: &StageContext,
    ) -> Result<Segment, StartError> {
        let division = match built.sharding {
            Sharding::ByTraceId => Division::ByTraceId,
            _ => Division::Any,
        };
        let signal = chain.signal();
        let num_workers = built.workers.len();
        let states = self.states.get(&chain.to_string()).map(Vec::as_slice).unwrap_or_default();
        let chains = built.workers.into_iter().enumerate().map(|(index, stages)| {
            let stages = stages.into_iter();
            let stages = stages.map(|(id, mut processor)| {
                let id = id.to_string();
                restore(&mut *processor, (&id, (index, num_workers)), states);
                let labels = [("processor", id.as_str()), ("otel_signal", signal.as_str())];
                let counter = |family| self.host.metrics.counter(family, &labels);
                let items = (
                    counter("otelcol_processor_incoming_items"),
                    counter("otelcol_processor_outgoing_items"),
                );
                Stage::new(id, processor, items, context)
            });
            let noting = self.durable.map(|durable| durable.noting()).unwrap_or_default();
            Chain::new(stages.collect(), exit.clone(), self.host.clock.clone(), noting)
        });
        let chains = chains.collect();
        let failed = |source| StartError::Thread { pipeline: name.to_owned(), source };
        let workers = self.workers.entry(chain.clone()).or_default();
        workers.start(name, chains, division).map_err(failed)
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pipeline(id) => write!(out, "pipeline {id}"),
            Self::Connector(id, signal) => write!(out, "connector {id} of {}", signal.as_str()),
        }
    }
}

impl ChainId {
    const fn signal(&self) -> Signal {
        match self {
            Self::Pipeline(id) => id.signal(),
            Self::Connector(_, signal) => *signal,
        }
    }
}

/// Gives a stage what the one before knew, if that was in the same of as many workers.
fn restore(processor: &mut dyn Processor, (id, worker): (&str, (usize, usize)), states: &[State]) {
    let Some(state) = states.iter().find(|state| state.stage == id && state.worker == worker)
    else {
        return;
    };
    if let Err(error) = processor.restore(&mut state.bytes.as_slice(), state.version) {
        warn!(processor = id, %error, "the state of a stage cannot be taken over, it begins anew");
    }
}

/// The pipelines, for people.
pub(super) fn descriptions(plan: &Plan) -> Vec<PipelineDescription> {
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
