//! What filtering and editing stages cost, beside the same work on prost structs.
//!
//! Input: a request of 500 log records of about 330 bytes, 4 resources of 10 attributes, as in
//! `benches/data.rs`; a record has 6 attributes and a body, one in six is an error. Times are of
//! one request: divide by 500. A stage gets a validated batch and answers one that is ready to be
//! sent on; its counterpart decodes, edits and encodes.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use catchment::component::{
    Budget, BuildContext, Extensions, Host, Outbox, Processor, Shard, lookup,
};
use catchment::components::builtin;
use catchment::config::Node;
use catchment::data::{
    Batch, DoorLimits, LogsBuilder, Signal, SpanId, Time, TraceId, Value, encode_resource,
    encode_scope,
};
use catchment::telemetry::{Clock, Ledger, Metrics, Status};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use regex::Regex;
use sha2::{Digest as _, Sha256};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const NUM_RECORDS: u64 = 500;
const NUM_RESOURCES: u64 = 4;
/// Records at this severity or above are kept by the filter, one in six.
const WARN: i32 = 13;
/// Matches one body in five; its text stands in the middle.
const EXPRESSION: &str = "PacketResponder [0-9]*[05] for";

fn resource(index: u64) -> Vec<u8> {
    let name = format!("checkout-{index}");
    let pod = format!("checkout-{index}-7d9c6bdf5-x2x7p");
    encode_resource([
        ("service.name", Value::Str(&name)),
        ("service.version", Value::Str("1.14.2")),
        ("service.instance.id", Value::Str("627cc493-f310-47de-96bd-71410b7dec09")),
        ("host.name", Value::Str("ip-10-0-13-37.eu-central-1.compute.internal")),
        ("k8s.pod.name", Value::Str(&pod)),
        ("k8s.namespace.name", Value::Str("shop")),
        ("telemetry.sdk.language", Value::Str("go")),
        ("telemetry.sdk.name", Value::Str("opentelemetry")),
        ("telemetry.sdk.version", Value::Str("1.31.0")),
        ("process.pid", Value::Int(4711)),
    ])
}

fn logs() -> Bytes {
    let mut builder = LogsBuilder::new();
    for group in 0..NUM_RESOURCES {
        builder.resource(&resource(group), "");
        builder.scope(&encode_scope("checkout/handler", "1.0.0"), "");
        for index in 0..NUM_RECORDS / NUM_RESOURCES {
            let number = group * 1_000 + index;
            let body =
                format!("dfs.DataNode$PacketResponder: PacketResponder {number} for block done");
            let id = format!("{:08x}-f310-47de-96bd-71410b7dec09", number * 7_919);
            builder.record(|record| {
                let time = 1_763_000_000_000_000_000 + number * 1_000_003;
                record.time(Time::from_unix_nanos(time));
                let severity = if number % 6 == 0 { 17 } else { 9 };
                record.severity(severity, if severity == 17 { "ERROR" } else { "INFO" });
                record.body(Value::Str(&body));
                record.attribute("http.route", Value::Str("/api/v1/orders/{id}/items"));
                record.attribute("request.id", Value::Str(&id));
                record.attribute("http.status_code", Value::Int(200));
                record.attribute("thread.id", Value::Int(number.cast_signed() * 31));
                record.attribute("duration_ms", Value::Int(number.cast_signed()));
                record.attribute("cached", Value::Bool(number % 2 == 0));
                record.ids(
                    TraceId::new((u128::from(number) * 0x1234_5678_9abc + 1).to_be_bytes()),
                    SpanId::new((number * 0x1234_5678 + 1).to_be_bytes()),
                );
                record.observed_time(Time::from_unix_nanos(time + 500));
            });
        }
    }
    builder.finish(Arc::default()).merged_bytes()
}

fn admit(bytes: &Bytes) -> Batch {
    match Batch::try_new(Signal::Logs, bytes.clone(), Arc::default(), &DoorLimits::default()) {
        Ok(admitted) => admitted.batch,
        Err(error) => unreachable!("the input is valid: {error}"),
    }
}

/// A processor of this type as a file has it.
fn stage(type_name: &str, yaml: &str) -> anyhow::Result<Box<dyn Processor>> {
    let registry = builtin();
    let node = Node::parse("bench.yaml", yaml).map_err(|_| anyhow::anyhow!("not YAML"))?;
    let registered = lookup(&registry.processors, type_name)
        .ok_or_else(|| anyhow::anyhow!("no processor `{type_name}`"))?;
    let loaded =
        registered.load(&node, type_name).map_err(|_| anyhow::anyhow!("wrong settings"))?;
    let clock = Clock::default();
    let context = BuildContext {
        id: type_name.parse()?,
        pipeline: None,
        signal: Signal::Logs,
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
    Ok(loaded.value.build(&context)?)
}

/// Decodes, lets `edit` change the records of each scope, and encodes.
fn with_prost(bytes: &Bytes, mut edit: impl FnMut(&mut Vec<LogRecord>)) -> Vec<u8> {
    let mut request = ExportLogsServiceRequest::decode(bytes.clone()).unwrap_or_default();
    let scopes = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
    scopes.for_each(|scope| edit(&mut scope.log_records));
    request.encode_to_vec()
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(ProtoValue::StringValue(value.to_owned())) })
}

fn upsert(record: &mut LogRecord, key: &str, value: &str) {
    match record.attributes.iter_mut().rfind(|pair| pair.key == key) {
        Some(pair) => pair.value = text(value),
        None => record.attributes.push(KeyValue {
            key: key.to_owned(),
            value: text(value),
            ..KeyValue::default()
        }),
    }
}

fn hash(record: &mut LogRecord) {
    let Some(pair) = record.attributes.iter_mut().rfind(|pair| pair.key == "request.id") else {
        return;
    };
    if let Some(AnyValue { value: Some(ProtoValue::StringValue(id)) }) = &mut pair.value {
        *id = Sha256::digest(id.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    }
}

fn body(record: &LogRecord) -> &str {
    match record.body.as_ref().and_then(|body| body.value.as_ref()) {
        Some(ProtoValue::StringValue(text)) => text,
        _ => "",
    }
}

fn measure(
    criterion: &mut Criterion,
    name: &str,
    (type_name, yaml): (&str, &str),
    mut counterpart: impl FnMut(&mut Vec<LogRecord>),
) {
    let bytes = logs();
    let batch = admit(&bytes);
    let mut stage = match stage(type_name, yaml) {
        Ok(stage) => stage,
        Err(error) => unreachable!("{yaml}: {error}"),
    };
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(NUM_RECORDS));
    group.bench_function("stage", |bencher| {
        bencher.iter(|| {
            let mut out = Outbox::new(Time::default(), None, false);
            let result = stage.process(black_box(&batch).clone(), &mut out);
            (result.is_ok(), out)
        });
    });
    group.bench_function("prost", |bencher| {
        bencher.iter(|| with_prost(black_box(&bytes), &mut counterpart));
    });
    group.finish();
}

fn filter(criterion: &mut Criterion) {
    let yaml = "logs: {include: {severity_number: {min: WARN}}}";
    measure(criterion, "filter_severity", ("filter", yaml), |records| {
        records.retain(|record| record.severity_number >= WARN);
    });
    let yaml = format!("logs: {{include: {{match_type: regexp, bodies: ['{EXPRESSION}']}}}}");
    let Ok(regex) = Regex::new(EXPRESSION) else { return };
    measure(criterion, "filter_body_regexp", ("filter", &yaml), |records| {
        records.retain(|record| regex.is_match(body(record)));
    });
}

fn attributes(criterion: &mut Criterion) {
    let yaml = "actions: [{key: environment, value: production, action: upsert}]";
    measure(criterion, "upsert_new", ("attributes", yaml), |records| {
        records.iter_mut().for_each(|record| upsert(record, "environment", "production"));
    });
    let yaml = "actions: [{key: http.route, value: production, action: upsert}]";
    measure(criterion, "upsert_there", ("attributes", yaml), |records| {
        records.iter_mut().for_each(|record| upsert(record, "http.route", "production"));
    });
    let yaml = "actions: [{key: environment, value: production, action: insert}]";
    measure(criterion, "insert_new", ("attributes", yaml), |records| {
        records.iter_mut().for_each(|record| upsert(record, "environment", "production"));
    });
    let yaml = "actions: [{key: request.id, action: delete}]";
    measure(criterion, "delete", ("attributes", yaml), |records| {
        for record in records {
            record.attributes.retain(|pair| pair.key != "request.id");
        }
    });
    let yaml = "actions: [{key: request.id, action: hash}]";
    measure(criterion, "hash", ("attributes", yaml), |records| {
        records.iter_mut().for_each(hash);
    });
}

criterion_group!(benches, filter, attributes);
criterion_main!(benches);
