//! What has come out, held against what is expected.

use serde_json::Value as Json;

use super::compare::{self, Line, Side};
use super::flat;
use super::forms::Dropped;
use super::run::Failure;
use crate::component::{BuildContext, Host, Outbox, ProcessorConfig, Shard};
use crate::config::{ComponentId, Diagnostic, Entry, Map, Node, Place, Value, read};
use crate::data::{Batch, Signal};
use crate::processors::filter::FilterConfig;
use crate::telemetry::with_causes;
use crate::topology::Rehearsal;

/// What is expected of an output, and of what was dropped.
pub(super) struct Check {
    pub(super) place: Place,
    pub(super) exporter: ComponentId,
    pub(super) signal: Option<Signal>,
    pub(super) count: Option<usize>,
    pub(super) exact: Option<Vec<Json>>,
    pub(super) contains: Vec<Json>,
    /// Each holds for all records.
    pub(super) all: Vec<Condition>,
    /// Each holds for a record.
    pub(super) any: Vec<Condition>,
    pub(super) dropped: Option<Vec<Dropped>>,
}

impl Check {
    /// What is not as expected.
    pub(super) fn failures(&self, rehearsal: &Rehearsal) -> Vec<Failure> {
        let kept = rehearsal.kept().into_iter().filter(|(exporter, batch)| {
            *exporter == self.exporter && self.signal.is_none_or(|signal| batch.signal() == signal)
        });
        let batches: Vec<Batch> = kept.map(|(_, batch)| batch).collect();
        let records: Vec<Json> = batches.iter().flat_map(flat::of_batch).collect();
        let mut failures = Vec::new();
        let mut fail = |message: String, lines| {
            failures.push(Failure { place: self.place.clone(), message, lines });
        };
        if let Some(count) = self.count.filter(|count| *count != records.len()) {
            fail(format!("{count} records are expected, {} came out", records.len()), Vec::new());
        }
        if let Some(exact) = &self.exact {
            let lines = compare::exact(exact, &records);
            if !lines.is_empty() {
                fail("`exact`: what came out is not what is expected".to_owned(), lines);
            }
        }
        let lines = compare::contains(&self.contains, &records);
        if !lines.is_empty() {
            fail("`contains`: what is expected did not come out".to_owned(), lines);
        }
        for (condition, is_any) in
            self.all.iter().map(|all| (all, false)).chain(self.any.iter().map(|any| (any, true)))
        {
            if let Err(message) = condition.check(&batches, is_any, rehearsal.host()) {
                fail(message, Vec::new());
            }
        }
        if let Some(dropped) = &self.dropped {
            let lines = dropped_lines(dropped, rehearsal);
            if !lines.is_empty() {
                fail("`dropped`: other records were dropped than expected".to_owned(), lines);
            }
        }
        failures
    }
}

/// All that was dropped so far: by whom and why, and how many records.
pub(super) fn dropped(rehearsal: &Rehearsal) -> Vec<(String, u64)> {
    let pipelines = rehearsal.host().ledger.balance().pipelines.into_values();
    let mut all: Vec<(String, u64)> = Vec::new();
    for (name, num_records) in pipelines.flat_map(|account| account.dropped) {
        match all.iter_mut().find(|(other, _)| *other == name) {
            Some((_, sum)) => *sum += num_records,
            None => all.push((name, num_records)),
        }
    }
    all.retain(|(_, num_records)| *num_records > 0);
    all
}

impl Dropped {
    fn is_about(&self, name: &str) -> bool {
        let (by, reason) = name.split_once(": ").unwrap_or(("", name));
        by == self.by.to_string() && self.reason.as_deref().is_none_or(|wanted| wanted == reason)
    }

    fn name(&self) -> String {
        match &self.reason {
            Some(reason) => format!("{}: {reason}", self.by),
            None => self.by.to_string(),
        }
    }
}

/// What was dropped beside what is expected; nothing where both are the same.
fn dropped_lines(expected: &[Dropped], rehearsal: &Rehearsal) -> Vec<Line> {
    let mut left = dropped(rehearsal);
    let mut lines = Vec::new();
    for wanted in expected {
        let found = left.extract_if(.., |(name, _)| wanted.is_about(name));
        let found: u64 = found.map(|(_, num_records)| num_records).sum();
        let name = wanted.name();
        if found == wanted.count {
            lines.push(Line { side: Side::Both, text: format!("{name}: {found}") });
            continue;
        }
        lines.push(Line { side: Side::Expected, text: format!("{name}: {}", wanted.count) });
        if found > 0 {
            lines.push(Line { side: Side::Actual, text: format!("{name}: {found}") });
        }
    }
    let surplus = left.into_iter();
    lines.extend(surplus.map(|(name, num_records)| Line {
        side: Side::Actual,
        text: format!("{name}: {num_records}"),
    }));
    if lines.iter().all(|line| line.side == Side::Both) { Vec::new() } else { lines }
}

/// A condition in OTTL. It is asked as the processor `filter` asks it: what it holds for is dropped.
pub(super) struct Condition {
    text: String,
    signal: Signal,
    filter: FilterConfig,
}

impl Condition {
    /// Compiles what is written at `node`.
    ///
    /// # Errors
    ///
    /// Fails with all that is wrong, at the words meant.
    pub(super) fn try_new(node: &Node, signal: Signal) -> Result<Self, Vec<Diagnostic>> {
        let place = node.place().clone();
        let (block, context) = match signal {
            Signal::Logs => ("logs", "log_record"),
            Signal::Traces => ("traces", "span"),
            Signal::Metrics => ("metrics", "datapoint"),
        };
        let map = |entries: Vec<(&str, Node)>| {
            let entries = entries.into_iter();
            let entries =
                entries.map(|(key, node)| Entry::new(key.to_owned(), place.clone(), node));
            Node::new(Value::Map(Map::new(entries.collect())), place.clone())
        };
        let mode = Node::new(Value::String("propagate".to_owned()), place.clone());
        let list = Node::new(Value::List(vec![node.clone()]), place.clone());
        let settings = map(vec![("error_mode", mode), (block, map(vec![(context, list)]))]);
        let filter = read::<FilterConfig>(&settings, "")?.value;
        let text = node.as_str().or_else(|| node.text()).unwrap_or_default().to_owned();
        Ok(Self { text, signal, filter })
    }

    /// Says so when it does not hold: for all records, or for one.
    fn check(&self, batches: &[Batch], is_any: bool, host: &Host) -> Result<(), String> {
        let num_records: usize = batches.iter().map(Batch::num_records).sum();
        let text = &self.text;
        if num_records == 0 {
            return Err(format!("`{text}` holds for no record, for none came out"));
        }
        let num_held = self.num_held(batches, host)?;
        match (is_any, num_held) {
            (true, 0) => Err(format!("`{text}` holds for none of {num_records} records")),
            (false, _) if num_held < num_records => {
                Err(format!("`{text}` holds for {num_held} of {num_records} records"))
            }
            _ => Ok(()),
        }
    }

    fn num_held(&self, batches: &[Batch], host: &Host) -> Result<usize, String> {
        let failed = |error: &dyn std::error::Error| {
            format!("`{}` cannot be asked: {}", self.text, with_causes(error))
        };
        let id =
            FilterConfig::TYPE.parse().map_err(|error: crate::config::IdError| failed(&error))?;
        let context = BuildContext {
            id,
            pipeline: None,
            signal: self.signal,
            outputs: Vec::new(),
            shard: Shard { index: 0, count: 1 },
            host: host.clone(),
        };
        let mut filter = self.filter.build(&context).map_err(|error| failed(&error))?;
        let mut num_held = 0;
        for batch in batches.iter().filter(|batch| batch.signal() == self.signal) {
            let mut out = Outbox::new(host.clock.now(), None, false);
            filter.process(batch.clone(), &mut out).map_err(|error| failed(&error))?;
            num_held += out.dropped().iter().map(|dropped| dropped.num_records).sum::<usize>();
        }
        Ok(num_held)
    }
}
