//! The processor itself: reads what items say, and writes down how they were sampled.

use std::mem;

use super::decision::{Decider, Evidence, Method, Policy, Verdict};
use crate::component::{BuildContext, Outbox, ProcessError, Processor};
use crate::data::{Batch, LogRecord, LogRecordMut, Signal, Span, SpanMut, TraceId, Value};
use crate::sampling::{Randomness, SamplingState, Threshold, TraceState};
use crate::telemetry::Counter;

/// The attribute of a span with its priority, from OpenTracing's conventions.
const SPAN_PRIORITY: &str = "sampling.priority";
/// The attributes of a log record that say how it was sampled.
const LOG_RANDOMNESS: &str = "sampling.randomness";
const LOG_THRESHOLD: &str = "sampling.threshold";
/// Why items are dropped.
const REASON: &str = "not sampled";

/// What is looked at of log records.
#[derive(Clone, Debug, Default)]
pub(super) struct LogSettings {
    pub(super) hashes_trace_id: bool,
    /// Hashed if the trace id is not.
    pub(super) hashed_attribute: Option<String>,
    pub(super) priority_attribute: Option<String>,
    /// Hexadecimal digits of thresholds.
    pub(super) num_digits: u32,
}

/// Counts decisions by policy, dropped and kept.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counters: [[Counter; 2]; 6],
    counts: [[u64; 2]; 6],
}

impl Tally {
    pub(super) fn new(context: &BuildContext, attribute: &str) -> Self {
        let signal = context.signal.as_str();
        let family = format!("otelcol_processor_probabilistic_sampler_count_{signal}_sampled");
        let id = context.id.to_string();
        let counters = [
            "trace_id_hash",
            "trace_id_w3c",
            "sampling_randomness",
            attribute,
            "missing_randomness",
            "sampling_priority",
        ]
        .map(|policy| {
            ["false", "true"].map(|sampled| {
                let labels = [("processor", &*id), ("policy", policy), ("sampled", sampled)];
                context.host.metrics.counter(&family, &labels)
            })
        });
        Self { counters, counts: Default::default() }
    }

    fn note(&mut self, verdict: &Verdict) {
        let of_policy = self.counts.get_mut(verdict.policy as usize);
        if let Some(count) = of_policy.and_then(|it| it.get_mut(usize::from(verdict.is_kept))) {
            *count += 1;
        }
    }

    fn publish(&mut self) {
        let counts = mem::take(&mut self.counts);
        for (counter, count) in self.counters.iter().flatten().zip(counts.iter().flatten()) {
            if *count > 0 {
                counter.add(*count);
            }
        }
    }
}

/// Keeps a share of spans or log records.
#[derive(Debug)]
pub struct Sampler {
    decider: Decider,
    seed: u32,
    logs: LogSettings,
    tally: Tally,
    /// What is written into the records that are kept, in their order; memory for one call.
    states: Vec<Option<SamplingState>>,
}

impl Sampler {
    pub(super) const fn new(decider: Decider, seed: u32, logs: LogSettings, tally: Tally) -> Self {
        Self { decider, seed, logs, tally, states: Vec::new() }
    }

    const fn hashes(&self) -> bool {
        matches!(self.decider.method, Method::Hash { .. })
    }

    /// Whether an item is kept; notes what is to be written into it.
    fn keep(&mut self, evidence: &Evidence) -> bool {
        let verdict = self.decider.decide(evidence);
        self.tally.note(&verdict);
        if verdict.is_kept {
            self.states.push(verdict.state);
        }
        verdict.is_kept
    }

    fn span_evidence(&self, span: &Span<'_>) -> Evidence {
        let trace_id = span.trace_id().filter(|id| !id.is_zero());
        let state = TraceState::parse(span.trace_state()).ok().map(|state| state.sampling);
        // As in the Collector: where spans without a trace id are let pass, they say so.
        let missing = (Randomness::MAX, Policy::Missing);
        let hash = self.hashes().then(|| trace_id.map_or(missing, |id| self.hash_of_trace_id(id)));
        Evidence { state, trace_id, hash, priority: span_priority(span) }
    }

    fn log_evidence(&self, record: &LogRecord<'_>) -> Evidence {
        let trace_id = record.trace_id().filter(|id| !id.is_zero());
        let mut hash = None;
        if self.hashes() {
            hash = trace_id
                .filter(|_| self.logs.hashes_trace_id)
                .map(|id| self.hash_of_trace_id(id))
                .or_else(|| self.hash_of_attribute(record));
        }
        Evidence { state: log_state(record), trace_id, hash, priority: self.log_priority(record) }
    }

    fn hash_of_trace_id(&self, id: TraceId) -> (Randomness, Policy) {
        (Randomness::of_hash(self.seed, id.as_bytes()), Policy::TraceIdHash)
    }

    fn hash_of_attribute(&self, record: &LogRecord<'_>) -> Option<(Randomness, Policy)> {
        let value = record.attributes().get(self.logs.hashed_attribute.as_deref()?)?;
        let text;
        let bytes = match value {
            Value::Bytes(bytes) => bytes,
            other => {
                text = other.to_text();
                text.as_bytes()
            }
        };
        let is_there = !bytes.is_empty();
        is_there.then(|| (Randomness::of_hash(self.seed, bytes), Policy::Attribute))
    }

    /// A percentage of its own; anything but a number from more than 0 to 100 is none.
    fn log_priority(&self, record: &LogRecord<'_>) -> Option<Threshold> {
        let percentage = match record.attributes().get(self.logs.priority_attribute.as_deref()?)? {
            Value::Double(number) => number,
            #[expect(clippy::cast_precision_loss, reason = "only up to 100 matters")]
            Value::Int(number) => number as f64,
            _ => return None,
        };
        Threshold::of_probability(percentage / 100.0, self.logs.num_digits).ok()
    }

    fn sample_spans(&mut self, batch: &Batch) -> Batch {
        let kept = batch.retain_spans(|item| {
            let evidence = self.span_evidence(&item.record);
            self.keep(&evidence)
        });
        let mut states = self.states.drain(..);
        let mut text = String::new();
        kept.rewrite_spans(|item, span| {
            if let Some(sampling) = states.next().flatten() {
                write_span_state(&item.record, sampling, span, &mut text);
            }
        })
    }

    fn sample_logs(&mut self, batch: &Batch) -> Batch {
        let kept = batch.retain_logs(|item| {
            let evidence = self.log_evidence(&item.record);
            self.keep(&evidence)
        });
        let mut states = self.states.drain(..);
        kept.rewrite_logs(|item, record| {
            if let Some(sampling) = states.next().flatten() {
                write_log_state(&item.record, sampling, record);
            }
        })
    }
}

impl Processor for Sampler {
    fn process(&mut self, batch: Batch, out: &mut Outbox) -> Result<(), ProcessError> {
        let kept = match batch.signal() {
            Signal::Logs => self.sample_logs(&batch),
            Signal::Traces => self.sample_spans(&batch),
            Signal::Metrics => batch.clone(),
        };
        self.tally.publish();
        out.count_dropped(batch.num_records() - kept.num_records(), REASON);
        if !kept.is_empty() {
            out.emit(kept);
        }
        Ok(())
    }
}

/// Zero means never, more means always; anything else says nothing.
fn span_priority(span: &Span<'_>) -> Option<Threshold> {
    let number = match span.attributes().get(SPAN_PRIORITY)? {
        #[expect(clippy::cast_precision_loss, reason = "only its sign matters")]
        Value::Int(number) => number as f64,
        Value::Double(number) => number,
        Value::Str(text) => text.parse().ok()?,
        _ => return None,
    };
    if number == 0.0 {
        return Some(Threshold::NEVER);
    }
    (number > 0.0).then_some(Threshold::ALWAYS)
}

/// How a log record says it was sampled; `None` if that cannot be read.
fn log_state(record: &LogRecord<'_>) -> Option<SamplingState> {
    let mut state = SamplingState::default();
    let attributes = record.attributes();
    let text =
        |key| attributes.get(key).and_then(|value| value.as_str()).filter(|it| !it.is_empty());
    if let Some(text) = text(LOG_THRESHOLD) {
        state.threshold = Some(Threshold::parse(text).ok()?);
    }
    if let Some(text) = text(LOG_RANDOMNESS) {
        state.randomness = Some(Randomness::parse(text).ok()?);
    }
    Some(state)
}

fn write_span_state(
    span: &Span<'_>,
    sampling: SamplingState,
    to: &mut SpanMut<'_, '_>,
    text: &mut String,
) {
    if let Ok(mut state) = TraceState::parse(span.trace_state()) {
        state.sampling = sampling;
        text.clear();
        state.push_to(text);
        to.set_trace_state(text);
    }
}

fn write_log_state(record: &LogRecord<'_>, sampling: SamplingState, to: &mut LogRecordMut<'_, '_>) {
    let before = log_state(record).unwrap_or_default();
    let mut attributes = to.attributes_mut();
    if let Some(randomness) = sampling.randomness
        && before.randomness.is_none()
    {
        attributes.set(LOG_RANDOMNESS, Value::Str(&randomness.to_string()));
    }
    if let Some(threshold) = sampling.threshold
        && before.threshold != Some(threshold)
    {
        attributes.set(LOG_THRESHOLD, Value::Str(&threshold.to_string()));
    }
}
