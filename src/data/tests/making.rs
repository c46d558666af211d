//! What builders make goes through the door and reads back; joining keeps contexts apart.

use std::sync::Arc;

use crate::data::{
    About, Batch, ConcatError, Context, DataKind, DoorLimits, EntryId, LogsBuilder, MetricsBuilder,
    NumberValue, Part, Signal, SpanId, Temporality, Time, TraceId, TracesBuilder, Value,
    encode_resource, encode_scope,
};

fn again(batch: &Batch) -> Batch {
    let limits = DoorLimits::default();
    let bytes = batch.merged_bytes();
    let admitted = Batch::try_new(batch.signal(), bytes.clone(), Arc::default(), &limits)
        .expect("what is made here is valid");
    assert_eq!(admitted.batch.num_records(), batch.num_records());
    assert_eq!(admitted.batch.merged_bytes(), bytes);
    admitted.batch
}

fn lines(lines: &[&str], context: Context) -> Batch {
    let mut builder = LogsBuilder::new();
    builder.resource(&encode_resource([("service.name", Value::Str("shop"))]), "");
    for line in lines {
        builder.record(|record| record.body(Value::Str(line)));
    }
    builder.finish(Arc::new(context))
}

#[test]
fn built_logs_read_back() {
    let mut builder = LogsBuilder::new();
    for service in ["shop", "mail"] {
        builder.resource(&encode_resource([("service.name", Value::Str(service))]), "https://r");
        builder.scope(&encode_scope("lib", "1.0"), "https://s");
        builder.record(|record| {
            record.time(Time::from_unix_nanos(7));
            record.severity(9, "INFO");
            record.body(Value::Str("hello"));
            record.attribute("answer", Value::Int(42));
            record.ids(TraceId::new([1; 16]), SpanId::new([2; 8]));
            record.event_name("greeting");
        });
        builder.record(|_| {});
    }
    assert_eq!(builder.num_records(), 4);
    let batch = again(&builder.finish(Arc::default()));
    let services: Vec<_> =
        batch.logs().resources().map(|group| group.resource().service_name()).collect();
    assert_eq!(services, [Some("shop"), Some("mail")]);
    let group = batch.logs().resources().next().expect("a resource");
    assert_eq!(group.schema_url(), "https://r");
    let scope = group.scopes().next().expect("a scope");
    assert_eq!((scope.schema_url(), scope.scope().name()), ("https://s", "lib"));
    let record = scope.records().next().expect("a record");
    assert_eq!(record.body(), Value::Str("hello"));
    assert_eq!(record.attributes().get("answer"), Some(Value::Int(42)));
    assert_eq!(record.trace_id(), Some(TraceId::new([1; 16])));
    assert_eq!((record.severity_number(), record.severity_text()), (9, "INFO"));
    assert_eq!(record.event_name(), "greeting");
}

#[test]
fn built_spans_read_back() {
    let mut builder = TracesBuilder::new();
    builder.span(|span| {
        span.ids(TraceId::new([1; 16]), SpanId::new([2; 8]), Some(SpanId::new([3; 8])));
        span.trace_state("ot=th:8");
        span.name("GET /", 2);
        span.times(Time::from_unix_nanos(5), Time::from_unix_nanos(9));
        span.attribute("a", Value::Bool(true));
        span.event(Time::from_unix_nanos(6), "retry", [("n", Value::Int(1))]);
        span.link(TraceId::new([4; 16]), SpanId::new([5; 8]));
        span.status(2, "broken");
        span.flags(1);
    });
    let batch = again(&builder.finish(Arc::default()));
    let span = batch.spans().items().next().expect("a span").record;
    assert_eq!((span.name(), span.kind(), span.duration_nanos()), ("GET /", 2, 4));
    assert_eq!((span.status_code(), span.trace_state(), span.flags()), (2, "ot=th:8", 1));
    let event = span.events().next().expect("an event");
    assert_eq!((event.name(), event.attributes().get("n")), ("retry", Some(Value::Int(1))));
    assert_eq!(span.links().next().and_then(|link| link.span_id()), Some(SpanId::new([5; 8])));
}

#[test]
fn built_metrics_read_back() {
    let mut builder = MetricsBuilder::new();
    let times = (Time::from_unix_nanos(1), Time::from_unix_nanos(2));
    let about = About {
        name: "requests",
        description: "Requests served.",
        unit: "1",
        kind: DataKind::Sum,
        temporality: Temporality::Delta,
        is_monotonic: true,
    };
    builder.metric(&about, |points| {
        points.number(times, NumberValue::Int(3), [("route", Value::Str("/"))]);
        points.number(times, NumberValue::Double(0.5), []);
    });
    let about = About { kind: DataKind::Histogram, ..about };
    builder.metric(&about, |points| {
        points.histogram(times, Some(4.0), (&[1.0, 2.0], &[1, 0, 2]), []);
    });
    let batch = again(&builder.finish(Arc::default()));
    assert_eq!(batch.num_records(), 3);
    let metrics: Vec<_> = batch.metrics().items().map(|item| item.record).collect();
    assert_eq!(metrics[0].temporality(), Temporality::Delta);
    assert!(metrics[0].is_monotonic());
    let values = batch.points().filter_map(|item| match item.record.data {
        crate::data::DataPoint::Number(point) => Some(point.value()),
        _ => None,
    });
    assert_eq!(values.collect::<Vec<_>>(), [NumberValue::Int(3), NumberValue::Double(0.5)]);
    let crate::data::MetricData::Histogram(histogram) = metrics[1].data() else {
        panic!("a histogram")
    };
    let point = histogram.points().next().expect("a point");
    assert_eq!((point.count(), point.sum()), (3, Some(4.0)));
    assert_eq!(point.bucket_counts().collect::<Vec<_>>(), [1, 0, 2]);
    assert_eq!(point.explicit_bounds().collect::<Vec<_>>(), [1.0, 2.0]);
}

#[test]
fn only_batches_of_one_signal_tenant_and_identity_are_joined() {
    assert_eq!(Batch::concat([]).map(|_| ()), Err(ConcatError::Empty));
    let mine = lines(&["a"], Context { tenant: Some("me".into()), ..Context::default() });
    let yours = lines(&["b"], Context { tenant: Some("you".into()), ..Context::default() });
    let joined = Batch::concat([mine.clone(), yours]);
    assert_eq!(joined.map(|_| ()), Err(ConcatError::Tenants));
    let spans = Batch::empty(Signal::Traces, Arc::clone(mine.context()));
    assert_eq!(Batch::concat([mine, spans]).map(|_| ()), Err(ConcatError::Signals));
}

#[test]
fn joined_batch_has_the_oldest_arrival_what_is_equal_and_all_parts() {
    let part = |number| Part { entry: EntryId { journal: 1, number }, route: "a".into() };
    let context = |arrived, agent: &str| Context {
        arrived: Time::from_unix_nanos(arrived),
        metadata: [
            ("user-agent".to_owned(), vec![agent.to_owned()]),
            ("x-zone".to_owned(), vec!["a".to_owned()]),
        ]
        .into(),
        peer: Some(([127, 0, 0, 1], 4317).into()),
        ..Context::default()
    };
    let left =
        lines(&["a"], context(7, "one")).with_parts([part(2), part(1)].into_iter().collect());
    let right = lines(&["b", "c"], context(5, "two")).with_parts([part(2)].into_iter().collect());
    let joined = Batch::concat([left, right]).expect("one tenant");
    assert_eq!((joined.num_records(), joined.chunks().len()), (3, 2));
    assert_eq!(joined.parts().as_slice(), [part(1), part(2)]);
    assert_eq!(joined.context().arrived, Time::from_unix_nanos(5));
    assert_eq!(joined.context().metadata.keys().collect::<Vec<_>>(), ["x-zone"]);
    assert_eq!(joined.context().peer, Some(([127, 0, 0, 1], 4317).into()));
    let bodies: Vec<_> = joined.logs().items().map(|item| item.record.body()).collect();
    assert_eq!(bodies, [Value::Str("a"), Value::Str("b"), Value::Str("c")]);
    assert_eq!(again(&joined).num_records(), 3);
}

#[test]
fn compacting_frees_what_is_not_used() {
    let mut builder = LogsBuilder::new();
    for service in ["a", "b", "c"] {
        builder.resource(&encode_resource([("service.name", Value::Str(service))]), "");
        builder.record(|record| record.body(Value::Str(&"x".repeat(100))));
    }
    let batch = builder.finish(Arc::default());
    assert_eq!(batch.pinned_bytes(), batch.size_bytes());
    let groups = batch.group_by_resource();
    assert_eq!(groups.len(), 3);
    assert_eq!(groups[0].chunks()[0].as_ptr(), batch.chunks()[0].as_ptr());
    assert_eq!(groups[0].pinned_bytes(), batch.size_bytes());
    let compact = groups[0].clone().compact();
    assert_eq!(compact.pinned_bytes(), compact.size_bytes());
    assert_eq!(compact.merged_bytes(), groups[0].merged_bytes());
}

#[test]
fn shared_record_is_a_slice_of_its_batch() {
    let batch = lines(&["a", "b"], Context::default());
    let record = batch.logs().items().nth(1).expect("two").record;
    let shared = batch.share(record.bytes());
    assert_eq!(shared.as_ptr(), record.bytes().as_ptr());
    assert_eq!(batch.share(b"elsewhere"), b"elsewhere".as_slice());
}
