//! Connector `forward`: joins and divides pipelines of one signal.

use serde::Deserialize;

use crate::component::{
    BuildContext, BuildError, ConnectorConfig, Outbox, ProcessError, Processor, Sharding, Stability,
};
use crate::data::{Batch, Signal};

/// Settings of `forward`: there are none.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ForwardConfig {}

impl ConnectorConfig for ForwardConfig {
    const TYPE: &'static str = "forward";
    const EXAMPLE: &'static str = "{}\n";
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
        let outputs = context.outputs().iter().enumerate();
        let outputs = outputs.filter(|(_, output)| output.signal == context.signal);
        Ok(Box::new(Forward { outputs: outputs.map(|(index, _)| index).collect() }))
    }
}

/// Passes everything on to each output.
struct Forward {
    outputs: Vec<usize>,
}

impl Processor for Forward {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        let num_records = batch.num_records();
        if self.outputs.is_empty() {
            out.count_dropped(num_records, "no output");
        }
        out.count_created(num_records * self.outputs.len().saturating_sub(1));
        for output in &self.outputs {
            out.emit_to(*output, batch.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::data::{LogsBuilder, Time, Value};

    #[test]
    fn every_output_gets_all_and_the_ledger_adds_up() {
        let mut builder = LogsBuilder::new();
        builder.record(|record| record.body(Value::Int(1)));
        let batch = builder.finish(Arc::default());
        for (outputs, created, dropped) in [(vec![0], 0, 0), (vec![0, 2], 1, 0), (vec![], 0, 1)] {
            let mut out = Outbox::new(Time::default(), None, false);
            Forward { outputs: outputs.clone() }.process(batch.clone(), &mut out).unwrap();
            let to: Vec<_> = out.emissions().iter().map(|emission| emission.output).collect();
            assert_eq!(to, outputs);
            assert_eq!(out.num_created(), created);
            assert_eq!(out.dropped().iter().map(|it| it.num_records).sum::<usize>(), dropped);
        }
    }
}
