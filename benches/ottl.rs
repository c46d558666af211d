//! What conditions and statements in OTTL cost, beside the same work on prost structs.
//!
//! Input: 500 log records of about 440 bytes, or 500 spans of about 330, a request, with 8
//! attributes each. Ours begins with validated bytes and ends with bytes; prost's decodes and
//! encodes, which is how it gets and leaves them.

#![expect(clippy::expect_used, reason = "a benchmark may stop where its data is wrong")]

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use catchment::component::{
    Budget, BuildContext, Extensions, Host, Outbox, Processor, ProcessorConfig, Shard,
};
use catchment::config::{Node, from_node};
use catchment::data::{
    Batch, DoorLimits, LogsBuilder, Signal, SpanId, Time, TraceId, TracesBuilder, Value,
    encode_resource,
};
use catchment::processors::filter::FilterConfig;
use catchment::processors::transform::TransformConfig;
use catchment::telemetry::{Clock, Ledger, Metrics, Status};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// The allocator of the agent.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NUM_RECORDS: u64 = 500;
const TIME: u64 = 1_763_000_000_000_000_000;

const ATTRIBUTES: [(&str, &str); 7] = [
    ("http.request.method", "GET"),
    ("http.route", "/api/v1/orders/{id}/items"),
    ("server.address", "checkout.shop.svc.cluster.local"),
    ("net.peer.ip", "10.0.13.37"),
    ("thread.name", "worker-7"),
    ("code.function", "PacketResponder"),
    ("user.email", "ann@example.com"),
];

const FIVE_CONDITIONS: &str = "\
error_mode: ignore
log_conditions:
  - log.severity_number < SEVERITY_NUMBER_INFO
  - log.attributes[\"http.request.method\"] == \"OPTIONS\"
  - log.attributes[\"status\"] == 599
  - resource.attributes[\"service.name\"] == \"other\" and log.attributes[\"thread.name\"] == \"none\"
  - log.body == \"none\"
";

const ONE_LITERAL: &str = "\
log_statements:
  - set(log.attributes[\"environment\"], \"production\")
";

const TEN_LOGS: &str = "\
log_statements:
  - set(log.attributes[\"environment\"], \"production\")
  - set(log.attributes[\"http.request.method\"], \"get\") where log.attributes[\"http.request.method\"] == \"GET\"
  - delete_key(log.attributes, \"user.email\")
  - delete_key(log.attributes, \"code.function\") where log.severity_number < SEVERITY_NUMBER_WARN
  - set(log.severity_text, \"WARN\") where log.severity_number == SEVERITY_NUMBER_WARN
  - set(log.attributes[\"peer\"], log.attributes[\"net.peer.ip\"])
  - delete_key(log.attributes, \"net.peer.ip\")
  - set(log.attributes[\"service\"], resource.attributes[\"service.name\"])
  - set(log.observed_time, log.time) where log.observed_time_unix_nano == 0
  - set(log.attributes[\"is_error\"], true) where log.attributes[\"status\"] >= 500
";

const TEN_SPANS: &str = "\
trace_statements:
  - set(span.attributes[\"environment\"], \"production\")
  - set(span.attributes[\"http.request.method\"], \"get\") where span.attributes[\"http.request.method\"] == \"GET\"
  - delete_key(span.attributes, \"user.email\")
  - delete_key(span.attributes, \"code.function\") where span.kind == SPAN_KIND_SERVER
  - set(span.name, span.attributes[\"http.route\"])
  - set(span.attributes[\"peer\"], span.attributes[\"net.peer.ip\"])
  - delete_key(span.attributes, \"net.peer.ip\")
  - set(span.attributes[\"service\"], resource.attributes[\"service.name\"])
  - set(span.status.code, STATUS_CODE_ERROR) where span.attributes[\"status\"] >= 500
  - set(span.attributes[\"is_error\"], true) where span.attributes[\"status\"] >= 500
";

fn checked(batch: &Batch) -> Batch {
    let limits = DoorLimits::default();
    Batch::try_new(batch.signal(), batch.merged_bytes(), Arc::default(), &limits)
        .expect("valid")
        .batch
}

fn resource() -> Vec<u8> {
    encode_resource([
        ("service.name", Value::Str("checkout")),
        ("host.name", Value::Str("ip-10-0-13-37.eu-central-1.compute.internal")),
        ("process.pid", Value::Int(4711)),
    ])
}

fn logs() -> Batch {
    let mut builder = LogsBuilder::new();
    let body = "PacketResponder 4711 for block blk_38865049064139660 terminating ".repeat(2);
    builder.resource(&resource(), "");
    for number in 1..=NUM_RECORDS {
        builder.record(|record| {
            record.time(Time::from_unix_nanos(TIME + number));
            record.severity(9 + u8::from(number % 6 == 0) * 4, "INFO");
            record.body(Value::Str(&body));
            for (key, value) in ATTRIBUTES {
                record.attribute(key, Value::Str(value));
            }
            let status = if number % 50 == 0 { 500 } else { 200 };
            record.attribute("status", Value::Int(status));
            let trace_id = TraceId::new(u128::from(number).to_be_bytes());
            record.ids(trace_id, SpanId::new(number.to_be_bytes()));
        });
    }
    checked(&builder.finish(Arc::default()))
}

fn spans() -> Batch {
    let mut builder = TracesBuilder::new();
    builder.resource(&resource(), "");
    for number in 1..=NUM_RECORDS {
        builder.span(|span| {
            let id = SpanId::new(number.to_be_bytes());
            span.ids(TraceId::new(u128::from(number).to_be_bytes()), id, Some(id));
            span.name("GET", 2);
            span.times(Time::from_unix_nanos(TIME), Time::from_unix_nanos(TIME + number));
            for (key, value) in ATTRIBUTES {
                span.attribute(key, Value::Str(value));
            }
            let status = if number % 50 == 0 { 500 } else { 200 };
            span.attribute("status", Value::Int(status));
        });
    }
    checked(&builder.finish(Arc::default()))
}

fn processor<C: ProcessorConfig>(text: &str, signal: Signal) -> Box<dyn Processor> {
    let clock = Clock::default();
    let context = BuildContext {
        id: "bench".parse().expect("an id"),
        pipeline: None,
        signal,
        outputs: Vec::new(),
        shard: Shard { index: 0, count: 1 },
        host: Host {
            metrics: Metrics::default(),
            status: Status::new(clock.clone()),
            ledger: Ledger::default(),
            clock,
            budget: Budget::new(1 << 30, 1 << 20),
            data_dir: PathBuf::new(),
            extensions: Extensions::default(),
        },
    };
    let node = Node::parse("bench.yaml", text).expect("YAML");
    let config: C = from_node(&node, "bench").expect("valid settings");
    config.build(&context).expect("a processor")
}

fn run(stage: &mut Box<dyn Processor>, batch: &Batch) -> Outbox {
    let mut out = Outbox::new(Time::default(), None, false);
    stage.process(batch.clone(), &mut out).expect("no failure");
    black_box(out)
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(ProtoValue::StringValue(value.to_owned())) })
}

fn get<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a ProtoValue> {
    attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.value.as_ref()
}

fn is_text(attributes: &[KeyValue], key: &str, text: &str) -> bool {
    matches!(get(attributes, key), Some(ProtoValue::StringValue(value)) if value == text)
}

fn set(attributes: &mut Vec<KeyValue>, key: &str, value: Option<AnyValue>) {
    match attributes.iter_mut().find(|pair| pair.key == key) {
        Some(pair) => pair.value = value,
        None => {
            let key = key.to_owned();
            attributes.push(KeyValue { key, value, ..KeyValue::default() });
        }
    }
}

fn delete(attributes: &mut Vec<KeyValue>, key: &str) {
    attributes.retain(|pair| pair.key != key);
}

fn is_high(attributes: &[KeyValue]) -> bool {
    matches!(get(attributes, "status"), Some(ProtoValue::IntValue(status)) if *status >= 500)
}

/// The statements that are the same for logs and spans.
fn edit_shared(attributes: &mut Vec<KeyValue>, resource: &[KeyValue]) {
    set(attributes, "environment", text("production"));
    if is_text(attributes, "http.request.method", "GET") {
        set(attributes, "http.request.method", text("get"));
    }
    delete(attributes, "user.email");
    if let Some(peer) = get(attributes, "net.peer.ip").cloned() {
        set(attributes, "peer", Some(AnyValue { value: Some(peer) }));
    }
    delete(attributes, "net.peer.ip");
    if let Some(service) = get(resource, "service.name").cloned() {
        set(attributes, "service", Some(AnyValue { value: Some(service) }));
    }
    if is_high(attributes) {
        set(attributes, "is_error", Some(AnyValue { value: Some(ProtoValue::BoolValue(true)) }));
    }
}

fn edit_log(record: &mut LogRecord, resource: &[KeyValue]) {
    edit_shared(&mut record.attributes, resource);
    if record.severity_number < 13 {
        delete(&mut record.attributes, "code.function");
    }
    if record.severity_number == 13 {
        "WARN".clone_into(&mut record.severity_text);
    }
    if record.observed_time_unix_nano == 0 {
        record.observed_time_unix_nano = record.time_unix_nano;
    }
}

fn edit_span(span: &mut Span, resource: &[KeyValue]) {
    edit_shared(&mut span.attributes, resource);
    if span.kind == 2 {
        delete(&mut span.attributes, "code.function");
    }
    if let Some(ProtoValue::StringValue(route)) = get(&span.attributes, "http.route") {
        span.name.clone_from(route);
    }
    if is_high(&span.attributes) {
        span.status.get_or_insert_default().code = 2;
    }
}

/// Decodes, edits each record with its resource's attributes, keeps those for which that holds,
/// and encodes.
fn with_logs(batch: &Batch, mut edit: impl FnMut(&mut LogRecord, &[KeyValue]) -> bool) -> Vec<u8> {
    let mut request =
        ExportLogsServiceRequest::decode(batch.merged_bytes()).expect("a valid request");
    for group in &mut request.resource_logs {
        let resource = group.resource.take().unwrap_or_default();
        for scope in &mut group.scope_logs {
            scope.log_records.retain_mut(|record| edit(record, &resource.attributes));
        }
        group.resource = Some(resource);
    }
    request.encode_to_vec()
}

fn with_spans(batch: &Batch) -> Vec<u8> {
    let mut request =
        ExportTraceServiceRequest::decode(batch.merged_bytes()).expect("a valid request");
    for group in &mut request.resource_spans {
        let resource = group.resource.take().unwrap_or_default();
        for span in group.scope_spans.iter_mut().flat_map(|scope| &mut scope.spans) {
            edit_span(span, &resource.attributes);
        }
        group.resource = Some(resource);
    }
    request.encode_to_vec()
}

fn is_kept(record: &LogRecord, resource: &[KeyValue]) -> bool {
    let attributes = &record.attributes;
    let body = record.body.as_ref().and_then(|body| body.value.as_ref());
    let is_dropped = record.severity_number < 9
        || is_text(attributes, "http.request.method", "OPTIONS")
        || matches!(get(attributes, "status"), Some(ProtoValue::IntValue(599)))
        || (is_text(resource, "service.name", "other")
            && is_text(attributes, "thread.name", "none"))
        || matches!(body, Some(ProtoValue::StringValue(body)) if body == "none");
    !is_dropped
}

fn ottl(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ottl");
    group.throughput(Throughput::Elements(NUM_RECORDS));
    let logs = logs();
    let mut stage = processor::<FilterConfig>(FIVE_CONDITIONS, Signal::Logs);
    group.bench_function("filter by 5 conditions", |bencher| {
        bencher.iter(|| run(&mut stage, &logs));
    });
    group.bench_function("filter by 5 conditions, prost", |bencher| {
        bencher.iter(|| with_logs(&logs, |record, resource| is_kept(record, resource)));
    });
    let mut stage = processor::<TransformConfig>(ONE_LITERAL, Signal::Logs);
    group.bench_function("set a literal", |bencher| bencher.iter(|| run(&mut stage, &logs)));
    group.bench_function("set a literal, prost", |bencher| {
        bencher.iter(|| {
            with_logs(&logs, |record, _| {
                set(&mut record.attributes, "environment", text("production"));
                true
            })
        });
    });
    let mut stage = processor::<TransformConfig>(TEN_LOGS, Signal::Logs);
    group.bench_function("10 statements on logs", |bencher| {
        bencher.iter(|| run(&mut stage, &logs));
    });
    group.bench_function("10 statements on logs, prost", |bencher| {
        bencher.iter(|| {
            with_logs(&logs, |record, resource| {
                edit_log(record, resource);
                true
            })
        });
    });
    let spans = spans();
    let mut stage = processor::<TransformConfig>(TEN_SPANS, Signal::Traces);
    group.bench_function("10 statements on spans", |bencher| {
        bencher.iter(|| run(&mut stage, &spans));
    });
    group.bench_function("10 statements on spans, prost", |bencher| {
        bencher.iter(|| with_spans(&spans));
    });
    group.finish();
}

criterion_group!(benches, ottl);
criterion_main!(benches);
