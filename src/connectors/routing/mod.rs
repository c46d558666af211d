//! Connector `routing`: sends records to pipelines by conditions.

mod route;
mod settings;

use serde::Deserialize;

use self::route::{Action, Route};
use self::settings::Settings;
use crate::component::{
    BuildContext, BuildError, ConnectorConfig, Outbox, Output, ProcessError, Processor, Sharding,
    Stability,
};
use crate::config::PipelineId;
use crate::data::{Batch, Signal};

/// Settings of `routing`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Settings")]
pub struct RoutingConfig {
    table: Vec<Row>,
    default_pipelines: Vec<PipelineId>,
}

/// A route and where it leads.
#[derive(Clone, Debug)]
struct Row {
    route: Route,
    pipelines: Vec<PipelineId>,
}

impl ConnectorConfig for RoutingConfig {
    const TYPE: &'static str = "routing";
    const EXAMPLE: &'static str = "\
default_pipelines: [logs/a, traces/a, metrics/a]
table:
  - condition: attributes[\"deployment.environment.name\"] == \"production\"
    pipelines: [logs/b, traces/b, metrics/b]
  - context: log
    condition: severity_number >= SEVERITY_NUMBER_ERROR
    action: copy
    pipelines: [logs/b]
";
    const PAIRS: &'static [(Signal, Signal)] = &[
        (Signal::Logs, Signal::Logs),
        (Signal::Traces, Signal::Traces),
        (Signal::Metrics, Signal::Metrics),
    ];
    const STABILITY: Stability = Stability::Beta;

    fn sharding(&self) -> Sharding {
        Sharding::Stateless
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Processor>, BuildError> {
        let outputs = context.outputs();
        let is_ours = |row: &&Row| row.pipelines.iter().any(|id| id.signal() == context.signal);
        let rows = self.table.iter().filter(is_ours).map(|row| {
            row.route.check(context.signal)?;
            Ok((row.route.clone(), outputs_of(&row.pipelines, context.signal, outputs)?))
        });
        Ok(Box::new(Routing {
            table: rows.collect::<Result<_, BuildError>>()?,
            default: outputs_of(&self.default_pipelines, context.signal, outputs)?,
        }))
    }
}

/// Which outputs those of these pipelines are that take this signal.
fn outputs_of(
    pipelines: &[PipelineId],
    signal: Signal,
    outputs: &[Output],
) -> Result<Vec<usize>, BuildError> {
    let output = |pipeline: &PipelineId| {
        let found = outputs.iter().position(|output| output.pipeline == *pipeline);
        found.ok_or_else(|| {
            let known: Vec<String> =
                outputs.iter().map(|output| format!("`{}`", output.pipeline)).collect();
            let known = known.join(", ");
            BuildError::setting(format!(
                "`{pipeline}` does not have this connector as a receiver; those that do: {known}"
            ))
        })
    };
    pipelines.iter().filter(|pipeline| pipeline.signal() == signal).map(output).collect()
}

/// Sends records where they belong.
struct Routing {
    table: Vec<(Route, Vec<usize>)>,
    default: Vec<usize>,
}

impl Processor for Routing {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        let mut rest = batch;
        let mut sent: Vec<(&[usize], Batch)> = Vec::new();
        for (route, outputs) in &self.table {
            if rest.is_empty() {
                break;
            }
            let (matched, others) = route.divide(&rest, out.now()).map_err(|failed| {
                ProcessError { reason: "condition_failed", source: Some(failed.into()) }
            })?;
            if route.action() == Action::Move {
                rest = others;
            }
            sent.push((outputs, matched));
        }
        // What was copied only goes on with the rest.
        if self.default.is_empty() {
            out.count_dropped(rest.num_records(), "no_route");
        }
        out.count_created(self.num_created(&sent, rest.num_records()));
        sent.push((&self.default, rest));
        for (outputs, batch) in sent {
            if batch.is_empty() {
                continue;
            }
            for output in outputs {
                out.emit_to(*output, batch.clone());
            }
        }
        Ok(())
    }
}

impl Routing {
    /// How many more records leave than come in.
    fn num_created(&self, sent: &[(&[usize], Batch)], num_rest: usize) -> usize {
        let mut created = 0;
        for ((route, _), (outputs, matched)) in self.table.iter().zip(sent) {
            let is_moved = route.action() == Action::Move;
            created += matched.num_records() * (outputs.len() - usize::from(is_moved));
        }
        created + num_rest * self.default.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests;
