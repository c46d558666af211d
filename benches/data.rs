//! What the data layer costs, beside the same work on prost structs.
//!
//! Input: 500 records a request, 4 resources of 10 attributes with 125 records each; a log record
//! has 6 attributes (two of text, two whole numbers, a double, a bool), every other one a trace and
//! span id; 330 and 444 bytes of request for each record. Times are of one request: divide by 500.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use catchment::data::{
    About, Batch, Context, DataKind, DoorLimits, LogsBuilder, MetricsBuilder, NumberValue, Signal,
    SpanId, Temporality, Time, TraceId, TracesBuilder, Value, encode_resource, encode_scope,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as ProtoValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;

const REQUEST_RECORDS: usize = 500;
const NUM_RECORDS: u64 = REQUEST_RECORDS as u64;
const NUM_RESOURCES: u64 = 4;
/// Records at this severity or above are kept by the filter, one in six.
const WARN: i32 = 13;

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

/// A request of logs with `record_size` bytes for each record.
fn logs(record_size: usize) -> Bytes {
    let mut body_size = record_size / 2;
    loop {
        let request = logs_with_body(body_size);
        let size = request.len() / REQUEST_RECORDS;
        if size.abs_diff(record_size) <= 1 {
            return request;
        }
        body_size = (body_size + record_size).saturating_sub(size);
    }
}

fn logs_with_body(body_size: usize) -> Bytes {
    let mut builder = LogsBuilder::new();
    for group in 0..NUM_RESOURCES {
        builder.resource(&resource(group), "");
        builder.scope(&encode_scope("checkout/handler", "1.0.0"), "");
        for index in 0..NUM_RECORDS / NUM_RESOURCES {
            let number = group * 1_000 + index;
            let line = format!("dfs.DataNode$PacketResponder: PacketResponder {number} for block ");
            let body: String = line.chars().cycle().take(body_size).collect();
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
                record.attribute("thread.id", Value::Int((number * 31) as i64));
                record.attribute("duration_ms", Value::Double(number as f64 * 0.37));
                record.attribute("cached", Value::Bool(number % 2 == 0));
                if number % 2 == 0 {
                    let trace = u128::from(number) * 0x1234_5678_9abc_def1_2345;
                    record.ids(
                        TraceId::new(trace.to_be_bytes()),
                        SpanId::new((number * 0x1234_5678_9abc).to_be_bytes()),
                    );
                }
                record.observed_time(Time::from_unix_nanos(time + 500));
            });
        }
    }
    builder.finish(Arc::default()).merged_bytes()
}

fn spans() -> Bytes {
    let mut builder = TracesBuilder::new();
    for group in 0..NUM_RESOURCES {
        builder.resource(&resource(group), "");
        builder.scope(&encode_scope("checkout/handler", "1.0.0"), "");
        for index in 0..NUM_RECORDS / NUM_RESOURCES {
            let number = group * 1_000 + index;
            builder.span(|span| {
                let trace = u128::from(number / 8) * 0x1234_5678_9abc_def1_2345;
                let id = SpanId::new((number * 0x1234_5678_9abc).to_be_bytes());
                span.ids(TraceId::new(trace.to_be_bytes()), id, Some(id));
                span.name("GET /api/v1/orders/{id}/items", 2);
                let start = 1_763_000_000_000_000_000 + number * 1_000_003;
                span.times(Time::from_unix_nanos(start), Time::from_unix_nanos(start + 4_000_000));
                span.attribute("http.request.method", Value::Str("GET"));
                span.attribute("http.route", Value::Str("/api/v1/orders/{id}/items"));
                span.attribute("http.response.status_code", Value::Int(200));
                span.attribute("server.address", Value::Str("checkout.shop.svc.cluster.local"));
                span.attribute("server.port", Value::Int(8080));
                span.attribute("user_agent.original", Value::Str("Go-http-client/2.0"));
                let event = [("message.id", Value::Int(number as i64))];
                span.event(Time::from_unix_nanos(start + 1_000), "message", event);
                span.status(u8::from(number % 6 == 0) * 2, "");
            });
        }
    }
    builder.finish(Arc::default()).merged_bytes()
}

fn points() -> Bytes {
    let mut builder = MetricsBuilder::new();
    let routes = ["/orders", "/items", "/carts", "/login", "/search"];
    for group in 0..NUM_RESOURCES {
        builder.resource(&resource(group), "");
        builder.scope(&encode_scope("checkout/meter", "1.0.0"), "");
        for metric in 0..25 {
            let about = About {
                name: &format!("http.server.request.{metric}"),
                description: "Requests served.",
                unit: "{request}",
                kind: DataKind::Sum,
                temporality: Temporality::Cumulative,
                is_monotonic: true,
            };
            builder.metric(&about, |points| {
                for (index, route) in routes.iter().enumerate() {
                    let start = Time::from_unix_nanos(1_763_000_000_000_000_000);
                    let time = Time::from_unix_nanos(1_763_000_060_000_000_000);
                    points.number(
                        (start, time),
                        NumberValue::Int(index as i64 * 1_000),
                        [
                            ("http.route", Value::Str(route)),
                            ("http.request.method", Value::Str("GET")),
                            ("http.response.status_code", Value::Int(200)),
                        ],
                    );
                }
            });
        }
    }
    builder.finish(Arc::default()).merged_bytes()
}

fn admit(signal: Signal, bytes: &Bytes) -> Batch {
    let context = Arc::new(Context::default());
    match Batch::try_new(signal, bytes.clone(), context, &DoorLimits::default()) {
        Ok(admitted) => admitted.batch,
        Err(error) => unreachable!("the input is valid: {error}"),
    }
}

fn decode(bytes: &Bytes) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest::decode(bytes.clone()).unwrap_or_default()
}

fn validate(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("validate");
    group.throughput(Throughput::Elements(NUM_RECORDS));
    for size in [330, 444] {
        let bytes = logs(size);
        group.bench_function(format!("logs_{size}/walk"), |bencher| {
            bencher.iter(|| admit(Signal::Logs, black_box(&bytes)));
        });
        group.bench_function(format!("logs_{size}/prost"), |bencher| {
            bencher.iter(|| decode(black_box(&bytes)));
        });
    }
    let bytes = spans();
    group.bench_function("spans/walk", |bencher| {
        bencher.iter(|| admit(Signal::Traces, black_box(&bytes)));
    });
    group.bench_function("spans/prost", |bencher| {
        bencher.iter(|| ExportTraceServiceRequest::decode(black_box(&bytes).clone()));
    });
    let bytes = points();
    group.bench_function("points/walk", |bencher| {
        bencher.iter(|| admit(Signal::Metrics, black_box(&bytes)));
    });
    group.bench_function("points/prost", |bencher| {
        bencher.iter(|| ExportMetricsServiceRequest::decode(black_box(&bytes).clone()));
    });
    group.finish();
}

fn views(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("views");
    group.throughput(Throughput::Elements(NUM_RECORDS));
    let bytes = logs(330);
    let batch = admit(Signal::Logs, &bytes);
    group.bench_function("severity", |bencher| {
        bencher.iter(|| {
            let items = black_box(&batch).logs().items();
            items.map(|item| i64::from(item.record.severity_number())).sum::<i64>()
        });
    });
    group.bench_function("last_attribute/view", |bencher| {
        bencher.iter(|| {
            let items = black_box(&batch).logs().items();
            items.filter(|item| item.record.attributes().get("cached").is_some()).count()
        });
    });
    group.bench_function("last_attribute/prost", |bencher| {
        bencher.iter(|| {
            let request = decode(black_box(&bytes));
            let scopes = request.resource_logs.iter().flat_map(|group| &group.scope_logs);
            let records = scopes.flat_map(|scope| &scope.log_records);
            let found = records.filter(|record| {
                record.attributes.iter().any(|attribute| attribute.key == "cached")
            });
            found.count()
        });
    });
    group.bench_function("every_field/at_once", |bencher| {
        bencher.iter(|| {
            for item in black_box(&batch).logs().items() {
                let all = black_box(item.record.read());
                for attribute in all.attributes.iter() {
                    black_box(attribute);
                }
            }
        });
    });
    group.bench_function("every_field/one_by_one", |bencher| {
        bencher.iter(|| {
            for item in black_box(&batch).logs().items() {
                let record = item.record;
                black_box((record.time(), record.observed_time(), record.severity_number()));
                black_box((record.severity_text(), record.body(), record.event_name()));
                black_box((record.trace_id(), record.span_id(), record.flags()));
                for attribute in record.attributes().iter() {
                    black_box(attribute);
                }
            }
        });
    });
    group.finish();
}

fn retain(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("retain");
    group.throughput(Throughput::Elements(NUM_RECORDS));
    let bytes = logs(330);
    let batch = admit(Signal::Logs, &bytes);
    group.bench_function("severity/splice", |bencher| {
        bencher
            .iter(|| black_box(&batch).retain_logs(|item| item.record.severity_number() >= WARN));
    });
    group.bench_function("severity/prost", |bencher| {
        bencher.iter(|| {
            let mut request = decode(black_box(&bytes));
            let scopes = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
            for scope in scopes {
                scope.log_records.retain(|record| record.severity_number >= WARN);
            }
            request.encode_to_vec()
        });
    });
    group.bench_function("severity_generic/splice", |bencher| {
        bencher.iter(|| {
            black_box(&batch).retain(|item| match item.record {
                catchment::data::Record::Log(record) => record.severity_number() >= WARN,
                _ => true,
            })
        });
    });
    group.bench_function("every_other/splice", |bencher| {
        bencher.iter(|| {
            let mut index = 0_u64;
            black_box(&batch).retain(|_| {
                index += 1;
                index.is_multiple_of(2)
            })
        });
    });
    group.bench_function("all/splice", |bencher| {
        bencher.iter(|| black_box(&batch).retain_logs(|item| item.record.severity_number() >= 0));
    });
    group.finish();
}

fn rewrite(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rewrite");
    group.throughput(Throughput::Elements(NUM_RECORDS));
    let bytes = logs(330);
    let batch = admit(Signal::Logs, &bytes);
    let value = Value::Str("production");
    group.bench_function("add_attribute/splice", |bencher| {
        bencher.iter(|| {
            black_box(&batch).rewrite(|_, record| record.attributes_mut().set("environment", value))
        });
    });
    group.bench_function("add_attribute/prost", |bencher| {
        bencher.iter(|| {
            let mut request = decode(black_box(&bytes));
            let scopes = request.resource_logs.iter_mut().flat_map(|group| &mut group.scope_logs);
            for record in scopes.flat_map(|scope| &mut scope.log_records) {
                let value = Some(ProtoValue::StringValue("production".to_owned()));
                let value = Some(AnyValue { value });
                match record.attributes.iter_mut().rfind(|pair| pair.key == "environment") {
                    Some(pair) => pair.value = value,
                    None => record.attributes.push(KeyValue {
                        key: "environment".to_owned(),
                        value,
                        ..KeyValue::default()
                    }),
                }
            }
            request.encode_to_vec()
        });
    });
    group.bench_function("set_attribute/splice", |bencher| {
        bencher.iter(|| {
            black_box(&batch).rewrite(|_, record| record.attributes_mut().set("http.route", value))
        });
    });
    group.bench_function("delete_attribute/splice", |bencher| {
        bencher.iter(|| {
            black_box(&batch).rewrite(|_, record| {
                record.attributes_mut().remove("request.id");
            })
        });
    });
    group.bench_function("set_resource_attribute/splice", |bencher| {
        bencher.iter(|| {
            black_box(&batch)
                .rewrite_resources(|_, resource| resource.attributes_mut().set("env", value))
        });
    });
    group.finish();
}

fn join_and_cut(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("join_and_cut");
    group.throughput(Throughput::Elements(NUM_RECORDS * 10));
    let bytes = logs(330);
    let batch = admit(Signal::Logs, &bytes);
    let batches: Vec<Batch> = vec![batch; 10];
    group.bench_function("join_10/bytes", |bencher| {
        bencher.iter(|| Batch::concat(black_box(&batches).iter().cloned()));
    });
    group.bench_function("join_10/prost", |bencher| {
        bencher.iter(|| {
            let mut whole = ExportLogsServiceRequest::default();
            for _ in 0..10 {
                whole.resource_logs.append(&mut decode(black_box(&bytes)).resource_logs);
            }
            whole.encode_to_vec()
        });
    });
    let Ok(whole) = Batch::concat(batches) else { return };
    group.bench_function("split_1000/bytes", |bencher| {
        bencher.iter(|| black_box(&whole).split(1_000, 0));
    });
    group.bench_function("partition_4/bytes", |bencher| {
        bencher.iter(|| {
            let mut index = 0;
            black_box(&whole).partition(4, |_| {
                index += 1;
                index
            })
        });
    });
    group.finish();
}

criterion_group!(benches, validate, views, retain, rewrite, join_and_cut);
criterion_main!(benches);
