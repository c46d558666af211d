//! What is tried: the door, the views and edits, JSON, files, queries. The first byte of a request
//! says which signal it is, and how it is taken in.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;
use std::sync::Arc;

use bytes::Bytes;
use catchment::codec::otlp_json;
use catchment::components;
use catchment::config::{self, Source};
use catchment::data::{
    Batch, Context, DoorLimits, InvalidUtf8, Item, Record, Signal, Time, Value,
};
use catchment::ottl::{self, Compiler, Context as OttlContext, ErrorMode, Errors, Functions};
use catchment::query;
use catchment::topology::Plan;
use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use prost::Message;

use super::corpus;

/// Words of files; none that lead to a file or variable of this machine.
const WORDS: [&str; 24] = [
    "receivers",
    "processors",
    "exporters",
    "connectors",
    "extensions",
    "service",
    "pipelines",
    "otlp",
    "batch",
    "nop",
    "logs/2",
    "null",
    "~",
    "true",
    "1e9",
    "10MiB",
    "1h1ms",
    "${env:A:-b}",
    "$$",
    "&a ",
    "*a",
    "<<: ",
    "\n  ",
    "!!str ",
];
const JSON_WORDS: [&str; 16] = [
    "null",
    "\"NaN\"",
    "-0",
    "1e400",
    "18446744073709551615",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "{\"arrayValue\":{\"values\":[",
    "\"intValue\":",
    "\"traceId\":",
    "\"AA==\"",
    "[]",
    "{}",
    "\"kind\":",
    "\"bucketCounts\":",
    "\"asDouble\":",
];

/// Pieces of queries.
const QUERY_WORDS: [&str; 18] = [
    " AND ",
    " OR ",
    "NOT ",
    "(",
    ")",
    "\"",
    "\\",
    ":",
    ">=",
    "[1 TO 9}",
    "*",
    "/",
    "severity:",
    "a.b:",
    "_exists_:",
    "trace_id:",
    "service:",
    "\u{e9}",
];

/// Pieces of conditions and statements.
const OTTL_WORDS: [&str; 24] = [
    " where ",
    " and ",
    " or ",
    "not ",
    "(",
    ")",
    "[",
    "]",
    "{\"a\": ",
    "\"\\x41\"",
    "0x0a",
    "-9223372036854775808",
    "1.5e300",
    " == ",
    " / ",
    "log.attributes[\"text\"]",
    "log.body",
    "resource.attributes",
    "span.kind.string",
    "datapoint.value_int",
    "SEVERITY_NUMBER_WARN",
    "IsMatch(",
    "set(",
    "nil",
];

/// Statements that write in all ways.
const STATEMENTS: [(Signal, &str); 24] = [
    (Signal::Logs, "set(log.body, {\"was\": log.body})"),
    (Signal::Logs, "set(log.body[\"a\"][\"b\"], log.attributes)"),
    (Signal::Logs, "set(log.attributes[\"text\"], log.attributes[\"int\"])"),
    (Signal::Logs, "set(resource.attributes[\"n\"], log.severity_number)"),
    (Signal::Logs, "set(scope.name, log.severity_text)"),
    (Signal::Logs, "delete_key(log.attributes, \"text\")"),
    (Signal::Logs, "flatten(log.attributes, \"p\")"),
    (Signal::Logs, "merge_maps(log.attributes, resource.attributes, \"insert\")"),
    (Signal::Logs, "replace_all_patterns(log.attributes, \"key\", \"t\", \"$0$0\")"),
    (Signal::Logs, "truncate_all(log.attributes, 2)"),
    (Signal::Logs, "append(log.attributes[\"text\"], log.body)"),
    (Signal::Logs, "set(log.time, log.observed_time)"),
    (Signal::Traces, "set(span.status.code, span.kind)"),
    (Signal::Traces, "set(span.trace_state[\"k\"], span.name)"),
    (Signal::Traces, "set(spanevent.attributes[\"i\"], spanevent.event_index)"),
    (Signal::Traces, "set(spanlink.trace_id, span.trace_id)"),
    (Signal::Traces, "set(span.attributes, span.attributes[\"map\"])"),
    (Signal::Metrics, "set(metric.name, datapoint.attributes[\"text\"])"),
    (Signal::Metrics, "set(datapoint.value_double, 1.5)"),
    (Signal::Metrics, "set(datapoint.bucket_counts, [1, 2])"),
    (Signal::Metrics, "set(datapoint.positive.offset, datapoint.scale)"),
    (Signal::Metrics, "set(exemplar.filtered_attributes[\"text\"], exemplar.int_value)"),
    (Signal::Metrics, "set(metric.is_monotonic, true)"),
    (Signal::Metrics, "keep_keys(datapoint.attributes, [\"text\"])"),
];

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Door,
    Views,
    Json,
    Config,
    Query,
    Ottl,
    Statements,
}

const ALL: [(&str, Target); 7] = [
    ("door", Target::Door),
    ("views", Target::Views),
    ("json", Target::Json),
    ("config", Target::Config),
    ("query", Target::Query),
    ("ottl", Target::Ottl),
    ("statements", Target::Statements),
];

pub fn names() -> [&'static str; ALL.len()] {
    ALL.map(|(name, _)| name)
}

/// A number for anything.
pub fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Target {
    pub fn from_name(name: &str) -> Option<Self> {
        ALL.iter().find(|(known, _)| *known == name).map(|(_, target)| *target)
    }

    pub fn name(self) -> &'static str {
        ALL.iter().find(|(_, target)| *target == self).map_or("", |(name, _)| name)
    }

    pub fn tokens(self) -> &'static [&'static str] {
        match self {
            Self::Door | Self::Views | Self::Statements => &["\u{0}\u{0}", "\u{fffd}", "key"],
            Self::Json => &JSON_WORDS,
            Self::Config => &WORDS,
            Self::Query => &QUERY_WORDS,
            Self::Ottl => &OTTL_WORDS,
        }
    }

    pub fn corpus(self) -> Vec<Vec<u8>> {
        let requests =
            || [corpus::logs(), corpus::traces(), corpus::metrics()].into_iter().zip([0_u8, 1, 2]);
        let begun = |first: u8, rest: &[u8]| [&[first], rest].concat();
        match self {
            Self::Door | Self::Views | Self::Statements => {
                requests().map(|(request, first)| begun(first, &request)).collect()
            }
            Self::Json => requests()
                .map(|(request, first)| {
                    let batch = admit(first, request.into()).expect("a valid request");
                    begun(first, &otlp_json::encode(&batch))
                })
                .collect(),
            Self::Ottl => STATEMENTS.map(|(_, text)| text.as_bytes().to_vec()).to_vec(),
            Self::Query => corpus::QUERIES.map(|query| query.as_bytes().to_vec()).to_vec(),
            Self::Config => corpus::FILES.map(|file| file.as_bytes().to_vec()).to_vec(),
        }
    }

    /// Tries `input`; the number tells apart ways of going through the code, roughly.
    ///
    /// # Panics
    ///
    /// On what should never be.
    pub fn run(self, input: &[u8]) -> u64 {
        let (first, rest) = input.split_first().map_or((0, input), |(first, rest)| (*first, rest));
        match self {
            Self::Door => door(first, rest),
            Self::Views => views(first, rest),
            Self::Json => json(first, rest),
            Self::Config => file(input),
            Self::Query => search(input),
            Self::Ottl => statement(input),
            Self::Statements => statements(first, rest),
        }
    }
}

fn signal(first: u8) -> Signal {
    Signal::ALL[usize::from(first % 3)]
}

fn limits(first: u8) -> DoorLimits {
    let invalid_utf8 = [InvalidUtf8::Replace, InvalidUtf8::Refuse][usize::from(first >> 7)];
    let mut limits = DoorLimits { invalid_utf8, ..DoorLimits::default() };
    if first & 0x40 != 0 {
        let (max_record_bytes, max_resource_bytes) = (100, 50);
        limits = DoorLimits { max_attributes: 3, max_record_bytes, max_resource_bytes, ..limits };
    }
    limits
}

fn admit(first: u8, request: Bytes) -> Option<Batch> {
    let context = Arc::new(Context::default());
    Batch::try_new(signal(first), request, context, &limits(first))
        .ok()
        .map(|admitted| admitted.batch)
}

/// How many records prost reads, if it can.
fn num_records(signal: Signal, bytes: &[u8]) -> Option<usize> {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    Some(match signal {
        Signal::Logs => {
            let request = ExportLogsServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
            scopes.map(|scope| scope.log_records.len()).sum()
        }
        Signal::Traces => {
            let request = ExportTraceServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_spans.iter().flat_map(|group| &group.scope_spans);
            scopes.map(|scope| scope.spans.len()).sum()
        }
        Signal::Metrics => {
            let request = ExportMetricsServiceRequest::decode(bytes).ok()?;
            let scopes = request.resource_metrics.iter().flat_map(|group| &group.scope_metrics);
            let metrics = scopes.flat_map(|scope| &scope.metrics);
            let num_points = metrics.map(|metric| match &metric.data {
                None => 0,
                Some(Data::Gauge(gauge)) => gauge.data_points.len(),
                Some(Data::Sum(sum)) => sum.data_points.len(),
                Some(Data::Histogram(histogram)) => histogram.data_points.len(),
                Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
                Some(Data::Summary(summary)) => summary.data_points.len(),
            });
            num_points.sum()
        }
    })
}

/// A query is read, or refused at one of its characters.
fn search(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input);
    match query::parse(&text) {
        Ok(filter) => hash(("filter", magnitude(format!("{filter:?}").len()))),
        Err(error) => {
            assert!(error.position <= text.chars().count(), "{error:?}");
            // Further words are of the input.
            let words: Vec<_> = error.message.split(' ').take(2).map(str::to_owned).collect();
            hash(("refused", words))
        }
    }
}

/// What statements and conditions may be about.
fn compiler(signal: Signal) -> Compiler<'static> {
    let (contexts, usual) = (OttlContext::of_signal(signal), OttlContext::usual(signal));
    Compiler { explicit: None, contexts, usual, functions: Functions::default() }
}

/// A text is compiled, or refused at some of its words; what is printed is read as the same.
fn statement(input: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(input).into_owned();
    if let Ok(parsed) = ottl::parse_statement(&text) {
        let printed = parsed.to_string();
        let again = ottl::parse_statement(&printed).expect("what is printed is a statement");
        assert_eq!(again.to_string(), printed);
    }
    let texts = std::slice::from_ref(&text);
    let mut paths = Vec::new();
    for signal in Signal::ALL {
        let compiler = compiler(signal);
        let wrong = [compiler.program(&[], texts).err(), compiler.program(texts, &[]).err()];
        for problem in wrong.into_iter().flatten().flatten() {
            assert!(text.get(problem.span.clone()).is_some(), "{problem:?}");
            paths.push(problem.message.split(' ').take(2).map(hash).collect::<Vec<_>>());
        }
    }
    hash(paths)
}

/// Whatever is written, what comes out would come in.
fn statements(first: u8, request: &[u8]) -> u64 {
    let Some(mut batch) = admit(first, Bytes::copy_from_slice(request)) else { return 0 };
    let total = batch.num_records();
    let errors = Errors::new(ErrorMode::Silent);
    for (signal, text) in STATEMENTS {
        if signal != batch.signal() {
            continue;
        }
        let program = compiler(signal).program(&[], &[text.to_owned()]).expect("a statement");
        let edited = program.run_on(&batch, Time::default(), &errors).expect("errors are ignored");
        // Envelopes that had no records may go, records stay.
        assert_eq!(edited.num_records(), total, "{text}");
        let bytes = edited.merged_bytes();
        assert_eq!(num_records(signal, &bytes), Some(total), "{text}");
        assert!(admit(first % 3, bytes).is_some(), "{text}: what is written cannot come in");
        batch = edited;
    }
    hash((total.min(9), magnitude(batch.size_bytes())))
}

/// What comes in can be read by everybody, holds the records that were counted, and would come in
/// again as it is; what prost cannot read comes in only where text was repaired.
fn door(first: u8, request: &[u8]) -> u64 {
    let (signal, limits) = (signal(first), limits(first));
    let context = Arc::new(Context::default());
    let taken = Batch::try_new(signal, Bytes::copy_from_slice(request), context, &limits);
    let admitted = match taken {
        Ok(admitted) => admitted,
        Err(error) => return hash(("refused", discriminant(&error))),
    };
    let readable = num_records(signal, request);
    assert!(readable.is_some() || admitted.num_invalid_utf8 > 0, "prost does not read it");
    let bytes = admitted.batch.merged_bytes();
    assert_eq!(num_records(signal, &bytes), Some(admitted.batch.num_records()));
    let again = Batch::try_new(signal, bytes.clone(), Arc::default(), &limits).expect("taken once");
    assert_eq!(again.batch.merged_bytes(), bytes);
    assert_eq!((again.num_rejected, again.num_invalid_utf8), (0, 0));
    let counts = (admitted.batch.num_records().min(9), admitted.num_rejected.min(5));
    hash((signal.as_str(), counts, admitted.num_invalid_utf8.min(5), magnitude(bytes.len())))
}

/// How large a number is, roughly.
fn magnitude(number: usize) -> u32 {
    number.checked_ilog2().unwrap_or(0)
}

/// Every edit makes a request that would come in, with the records that it should have.
fn views(first: u8, request: &[u8]) -> u64 {
    let Some(batch) = admit(first, Bytes::copy_from_slice(request)) else { return 0 };
    let total = batch.num_records();
    let assert_whole = |batch: &Batch, expected: usize, what: &str| {
        assert_eq!(batch.num_records(), expected, "{what}");
        let bytes = batch.merged_bytes();
        assert_eq!(num_records(batch.signal(), &bytes), Some(expected), "{what}");
        let again = admit(first % 3, bytes).unwrap_or_else(|| panic!("{what} cannot come in"));
        assert_eq!(again.num_records(), expected, "{what}");
    };
    let mut seen = Vec::new();
    for Item { resource, scope, record } in batch.records() {
        seen.push(hash((
            format!("{:?}", record.attributes().iter().collect::<Vec<_>>()),
            format!("{:?} {:?}", resource.attributes().len(), scope.name()),
            record.time().as_unix_nanos(),
        )));
        match record {
            Record::Log(log) => drop(format!("{:?}", log.read())),
            Record::Span(span) => drop(format!("{:?}", span.read())),
            Record::Point(point) => drop(format!("{:?} {:?}", point.metric.data(), point.data)),
        }
    }
    assert_eq!(seen.len(), total, "records are counted as they are read");
    let mut position = 0;
    let kept = batch.retain(|_| {
        position += 1;
        position % 2 == 1
    });
    assert_whole(&kept, total.div_ceil(2), "retain");
    let set = batch.rewrite(|item, record| {
        let mut attributes = record.attributes_mut();
        attributes.set("text", Value::Str("set"));
        attributes.remove("int");
        attributes.insert("new", Value::Int(item.record.attributes().len() as i64));
    });
    assert_whole(&set, total, "rewrite");
    for item in set.records() {
        let attributes = item.record.attributes();
        assert!(matches!(attributes.get("text"), Some(Value::Str("set"))), "an attribute was set");
        assert!(!attributes.contains("int"), "an attribute was removed");
    }
    let resources = batch.rewrite_resources(|_, resource| {
        resource.attributes_mut().set("service.name", Value::Str("x"));
    });
    assert_whole(&resources, total, "rewrite_resources");
    let pieces = batch.split(2, 300);
    let num_pieces = pieces.len();
    for piece in &pieces {
        assert_whole(piece, piece.num_records(), "split");
    }
    match Batch::concat(pieces) {
        Ok(whole) => assert_whole(&whole, total, "concat"),
        Err(_) => assert_eq!(total, 0, "only of nothing there are no pieces"),
    }
    let shards = batch.partition(3, |item| item.record.bytes().len());
    assert_eq!(shards.iter().map(Batch::num_records).sum::<usize>(), total);
    let groups = batch.group_by_resource();
    assert_eq!(groups.iter().map(Batch::num_records).sum::<usize>(), total);
    let _ = otlp_json::encode(&batch);
    seen.sort_unstable();
    seen.truncate(2);
    hash((total.min(9), num_pieces.min(5), seen.first().map(|seen| seen % 256)))
}

/// What is read from JSON comes in, unless its own limits are passed, and is the same when it is
/// written and read again.
fn json(first: u8, text: &[u8]) -> u64 {
    let signal = signal(first);
    let read = match otlp_json::decode(signal, text) {
        Ok(read) => read,
        Err(error) => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let kind: String =
                source.unwrap_or_default().chars().filter(|c| !c.is_numeric()).take(24).collect();
            return hash(("refused", kind));
        }
    };
    let Some(batch) = admit(first % 3, read) else { return hash("not taken") };
    let written = otlp_json::encode(&batch);
    let again = otlp_json::decode(signal, &written).expect("what was written can be read");
    let again = admit(first % 3, again).expect("and comes in");
    assert_eq!(otlp_json::encode(&again), written, "{}", String::from_utf8_lossy(&written));
    hash((batch.num_records().min(9), magnitude(written.len()), hash(written.len()) % 8))
}

/// A file is read, or everything that is wrong is said.
fn file(text: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(text).into_owned();
    if text.contains("file:") {
        // Would read files of this machine.
        return 0;
    }
    let source = Source::Embedded { name: "fuzz.yaml".to_owned(), text };
    let loaded = config::load(&[source], &[], &|name| (name == "A").then(|| "b".to_owned()));
    let problems = match loaded {
        Err(problems) => problems,
        Ok(mut document) => match Plan::try_new(&mut document, &components::builtin()) {
            Ok(plan) => return hash(("loaded", plan.warnings().len())),
            Err(problems) => problems,
        },
    };
    assert!(!problems.is_empty(), "refused without a word");
    let told = config::render(&problems);
    assert!(!told.trim().is_empty());
    let kind: String =
        problems[0].message().chars().filter(|c| c.is_alphabetic()).take(16).collect();
    hash((kind, problems.len().min(6)))
}
