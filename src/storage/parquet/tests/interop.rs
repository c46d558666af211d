//! Files for other readers: `tests/interop/parquet_read.py` reads them and compares.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;

use super::format;
use crate::data::wire::Writer;
use crate::data::{
    About, Attributes, Batch, Context, DataKind, LogsBuilder, MetricsBuilder, NumberValue, Signal,
    SpanId, Temporality, Time, TraceId, TracesBuilder, Value, encode_resource, encode_scope,
    write_attribute,
};
use crate::storage::object::{LocalStore, ObjectStore as _};
use crate::storage::parquet::{Archive, Partitioning, Retention, Rotation, Settings};

const START: u64 = 1_795_532_400_123_456_789;

fn context() -> Arc<Context> {
    let arrived = Time::from_unix_nanos(START);
    Arc::new(Context { arrived, tenant: Some("shop".into()), ..Context::default() })
}

fn logs() -> Batch {
    let mut builder = LogsBuilder::new();
    let resource = [("service.name", Value::Str("checkout")), ("replica", Value::Int(3))];
    builder.resource(&encode_resource(resource), "https://schema");
    builder.scope(&encode_scope("lib", "1.2"), "");
    let mut list = Writer::default();
    write_attribute(1, "a", Value::Double(1.0), &mut list);
    for number in 0..10_000_u64 {
        builder.record(|record| {
            record.time(Time::from_unix_nanos(START + number));
            record.severity(u8::try_from(number % 24).unwrap() + 1, "INFO");
            record.body(Value::Str(&format!("line {number} \u{e9}")));
            record.attribute("number", Value::Int(i64::try_from(number).unwrap()));
            record.attribute("ratio", Value::Double(0.5));
            record.attribute("ok", Value::Bool(true));
            record.attribute("map", Value::KvList(Attributes::of_kvlist(list.as_slice())));
            record.attribute("empty", Value::Empty);
            let id = u128::from(number).to_be_bytes();
            record.ids(TraceId::new(id), SpanId::new(number.to_be_bytes()));
        });
    }
    builder.finish(context())
}

fn spans() -> Batch {
    let mut builder = TracesBuilder::new();
    builder.resource(&encode_resource([("service.name", Value::Str("cart"))]), "");
    for number in 0..1_000_u64 {
        builder.span(|span| {
            span.ids(TraceId::new([1; 16]), SpanId::new(number.to_be_bytes()), None);
            span.name(&format!("GET /{}", number % 7), 2);
            let start = START + number * 1_000_000;
            span.times(Time::from_unix_nanos(start), Time::from_unix_nanos(start + number));
            span.attribute("http.route", Value::Str("/"));
            if number % 2 == 0 {
                let attributes = [("n", Value::Int(1))];
                span.event(Time::from_unix_nanos(start + 1), "retry", attributes);
                span.link(TraceId::new([2; 16]), SpanId::new([3; 8]));
            }
            span.status(2, "broken");
        });
    }
    builder.finish(context())
}

fn points() -> Batch {
    let mut builder = MetricsBuilder::new();
    let about = About {
        name: "requests",
        description: "Requests served.",
        unit: "1",
        kind: DataKind::Sum,
        temporality: Temporality::Cumulative,
        is_monotonic: true,
    };
    let times = (Time::from_unix_nanos(START), Time::from_unix_nanos(START + 1));
    builder.metric(&about, |points| {
        for number in 0..100 {
            points.number(times, NumberValue::Int(number), [("n", Value::Int(number))]);
        }
    });
    let about = About { name: "latency", kind: DataKind::Histogram, ..about };
    builder.metric(&about, |points| {
        points.histogram(times, Some(4.5), (&[1.0, 2.0], &[1, 0, 2]), []);
    });
    builder.finish(context())
}

/// What the files hold, for whoever reads them.
fn expectations() -> serde_json::Value {
    let kinds = "0304020608";
    json!({
        "logs": {
            "rows": 10_000,
            "sums": {"severity_number": 124_936, "time_nanos": 4_995_000},
            "row": {"where": {"body": "line 9999 \u{e9}"}, "values": {
                "time": "2026-11-24T15:00:00.123466+00:00",
                "time_nanos": 788,
                "severity_text": "INFO",
                "trace_id": "0000000000000000000000000000270f",
                "span_id": "000000000000270f",
                "service_name": "checkout",
                "tenant": "shop",
                "event_name": null,
                "attributes": {
                    "number": "9999", "ratio": "0.5", "ok": "true", "map": "{\"a\":1.0}",
                    "empty": null
                },
                "attribute_kinds": kinds,
                "resource_attributes": {"service.name": "checkout", "replica": "3"},
                "resource_schema_url": "https://schema",
                "scope_name": "lib",
            }},
        },
        "traces": {
            "rows": 1_000,
            "sums": {"duration_nanos": 499_500, "status_code": 2_000},
            "row": {"where": {"duration_nanos": 998}, "values": {
                "name": "GET /4",
                "kind": 2,
                "parent_span_id": null,
                "http_route": "/",
                "status_message": "broken",
                "events": [{
                    "time": "2026-11-24T15:00:01.121456+00:00", "time_nanos": 790,
                    "name": "retry", "dropped_attributes_count": 0,
                    "attributes": {"n": "1"}, "attribute_kinds": "03"
                }],
            }},
        },
        "metrics": {
            "rows": 101,
            "sums": {"value_int": 4_950, "count": 3},
            "row": {"where": {"metric_name": "latency"}, "values": {
                "metric_type": "histogram",
                "aggregation_temporality": 2,
                "sum": 4.5,
                "bucket_counts": [1, 0, 2],
                "explicit_bounds": [1.0, 2.0],
                "value_int": null,
                "attributes": {},
            }},
        },
    })
}

/// Writes to the folder that `CATCHMENT_PARQUET_OUT` names, with `expectations.json`.
#[test]
fn files_for_other_readers_are_written() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = std::env::var_os("CATCHMENT_PARQUET_OUT").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| temporary.path().to_owned());
    let store = Arc::new(LocalStore::new(folder.clone(), "node-".to_owned()));
    store.open().unwrap();
    for batch in [logs(), spans(), points()] {
        let promoted: &[&str] =
            if batch.signal() == Signal::Traces { &["http.route"] } else { &[] };
        let mut format = format(promoted);
        format.row_group.max_rows = 4_000;
        let settings = Settings {
            signal: batch.signal(),
            file_prefix: format!("node-{:032x}", rand::random::<u128>()),
            format,
            partitioning: Partitioning { by: Vec::new(), max_open: 64 },
            rotation: Rotation { max_bytes: 1 << 30, max_rows: 1 << 30 },
            retention: Retention::default(),
        };
        let mut archive = Archive::new(settings, Arc::clone(&store) as _);
        archive.add(&batch, Time::from_unix_nanos(START)).unwrap();
        archive.commit(Time::from_unix_nanos(START)).unwrap();
        assert_eq!(store.list(batch.signal().as_str()).unwrap().len(), 1);
    }
    let expectations = serde_json::to_vec_pretty(&expectations()).unwrap();
    std::fs::write(folder.join("expectations.json"), expectations).unwrap();
}
