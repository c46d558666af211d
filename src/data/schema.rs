//! The messages of OTLP logs, traces and metrics as tables: which field holds what.
//!
//! Source: opentelemetry-proto, `common/v1`, `resource/v1`, `logs/v1`, `trace/v1`, `metrics/v1`.

use super::Signal;

/// One more than the highest field number that OTLP uses.
const NUM_FIELDS: usize = 17;

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A field that this version does not know; kept as it is.
    Unknown,
    /// A number of variable length.
    Varint,
    /// Eight bytes.
    Fixed64,
    /// Four bytes.
    Fixed32,
    /// Text, UTF-8.
    Str,
    /// Bytes.
    Bytes,
    /// A trace id: 16 bytes or none.
    TraceId,
    /// A span id: 8 bytes or none.
    SpanId,
    /// Numbers of eight bytes, packed or one by one.
    Fixed64s,
    /// Numbers of variable length, packed or one by one.
    Varints,
    /// A submessage.
    Message,
}

/// What a message is in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing special.
    Plain,
    /// A log record, a span or a data point.
    Record,
    /// What the records below an envelope share: a resource or a scope.
    Owner,
    /// An attribute.
    KeyValue,
}

/// A field of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    /// The name in the `.proto` file.
    pub(super) name: &'static str,
    /// What it holds.
    pub(super) shape: Shape,
    /// The submessage's table.
    pub(super) message: Option<&'static Message>,
    /// A bit that fields of one `oneof` share; 0 for repeated fields, of which there may be many.
    pub(super) once: u32,
}

/// A message.
#[derive(Debug)]
pub(super) struct Message {
    /// The name in the `.proto` file.
    pub(super) name: &'static str,
    /// What it is in a request.
    pub(super) role: Role,
    fields: [Spec; NUM_FIELDS],
}

impl Message {
    /// The field called `number`.
    #[inline]
    pub(super) fn field(&self, number: u64) -> &Spec {
        usize::try_from(number).ok().and_then(|index| self.fields.get(index)).unwrap_or(&UNKNOWN)
    }
}

/// The request of `signal`.
pub(super) const fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Logs => &LOGS_REQUEST,
        Signal::Traces => &TRACES_REQUEST,
        Signal::Metrics => &METRICS_REQUEST,
    }
}

const UNKNOWN: Spec = Spec { name: "unknown", shape: Shape::Unknown, message: None, once: 0 };

/// A row of a table: number, name, field.
type Row = (u32, &'static str, Spec);

const fn message(name: &'static str, role: Role, rows: &[Row]) -> Message {
    let mut fields = [UNKNOWN; NUM_FIELDS];
    let mut index = 0;
    while index < rows.len() {
        let (number, name, spec) = rows[index];
        let bit = if spec.once == SINGULAR { 1 << number } else { spec.once };
        fields[number as usize] =
            Spec { name, shape: spec.shape, message: spec.message, once: bit };
        index += 1;
    }
    Message { name, role, fields }
}

/// Stands for the field's own bit.
const SINGULAR: u32 = u32::MAX;
/// The bit of a message's only `oneof`; no field has the number 0.
const ONEOF: u32 = 1;

const fn one(shape: Shape) -> Spec {
    Spec { name: "", shape, message: None, once: SINGULAR }
}

const fn many(shape: Shape) -> Spec {
    Spec { name: "", shape, message: None, once: 0 }
}

const fn member(shape: Shape) -> Spec {
    Spec { name: "", shape, message: None, once: ONEOF }
}

const fn sub(message: &'static Message) -> Spec {
    Spec { name: "", shape: Shape::Message, message: Some(message), once: SINGULAR }
}

const fn subs(message: &'static Message) -> Spec {
    Spec { name: "", shape: Shape::Message, message: Some(message), once: 0 }
}

const fn submember(message: &'static Message) -> Spec {
    Spec { name: "", shape: Shape::Message, message: Some(message), once: ONEOF }
}

pub(super) static ANY_VALUE: Message = message(
    "AnyValue",
    Role::Plain,
    &[
        (1, "string_value", member(Shape::Str)),
        (2, "bool_value", member(Shape::Varint)),
        (3, "int_value", member(Shape::Varint)),
        (4, "double_value", member(Shape::Fixed64)),
        (5, "array_value", submember(&ARRAY_VALUE)),
        (6, "kvlist_value", submember(&KEY_VALUE_LIST)),
        (7, "bytes_value", member(Shape::Bytes)),
        (8, "string_value_strindex", member(Shape::Varint)),
    ],
);

static ARRAY_VALUE: Message =
    message("ArrayValue", Role::Plain, &[(1, "values", subs(&ANY_VALUE))]);

static KEY_VALUE_LIST: Message =
    message("KeyValueList", Role::Plain, &[(1, "values", subs(&KEY_VALUE))]);

pub(super) static KEY_VALUE: Message = message(
    "KeyValue",
    Role::KeyValue,
    &[
        (1, "key", one(Shape::Str)),
        (2, "value", sub(&ANY_VALUE)),
        (3, "key_strindex", one(Shape::Varint)),
    ],
);

static SCOPE: Message = message(
    "InstrumentationScope",
    Role::Owner,
    &[
        (1, "name", one(Shape::Str)),
        (2, "version", one(Shape::Str)),
        (3, "attributes", subs(&KEY_VALUE)),
        (4, "dropped_attributes_count", one(Shape::Varint)),
    ],
);

static ENTITY_REF: Message = message(
    "EntityRef",
    Role::Plain,
    &[
        (1, "schema_url", one(Shape::Str)),
        (2, "type", one(Shape::Str)),
        (3, "id_keys", many(Shape::Str)),
        (4, "description_keys", many(Shape::Str)),
    ],
);

static RESOURCE: Message = message(
    "Resource",
    Role::Owner,
    &[
        (1, "attributes", subs(&KEY_VALUE)),
        (2, "dropped_attributes_count", one(Shape::Varint)),
        (3, "entity_refs", subs(&ENTITY_REF)),
    ],
);

static LOGS_REQUEST: Message =
    message("ExportLogsServiceRequest", Role::Plain, &[(1, "resource_logs", subs(&RESOURCE_LOGS))]);

static RESOURCE_LOGS: Message = message(
    "ResourceLogs",
    Role::Plain,
    &[
        (1, "resource", sub(&RESOURCE)),
        (2, "scope_logs", subs(&SCOPE_LOGS)),
        (3, "schema_url", one(Shape::Str)),
    ],
);

static SCOPE_LOGS: Message = message(
    "ScopeLogs",
    Role::Plain,
    &[
        (1, "scope", sub(&SCOPE)),
        (2, "log_records", subs(&LOG_RECORD)),
        (3, "schema_url", one(Shape::Str)),
    ],
);

pub(super) static LOG_RECORD: Message = message(
    "LogRecord",
    Role::Record,
    &[
        (1, "time_unix_nano", one(Shape::Fixed64)),
        (2, "severity_number", one(Shape::Varint)),
        (3, "severity_text", one(Shape::Str)),
        (5, "body", sub(&ANY_VALUE)),
        (6, "attributes", subs(&KEY_VALUE)),
        (7, "dropped_attributes_count", one(Shape::Varint)),
        (8, "flags", one(Shape::Fixed32)),
        (9, "trace_id", one(Shape::TraceId)),
        (10, "span_id", one(Shape::SpanId)),
        (11, "observed_time_unix_nano", one(Shape::Fixed64)),
        (12, "event_name", one(Shape::Str)),
    ],
);

static TRACES_REQUEST: Message = message(
    "ExportTraceServiceRequest",
    Role::Plain,
    &[(1, "resource_spans", subs(&RESOURCE_SPANS))],
);

static RESOURCE_SPANS: Message = message(
    "ResourceSpans",
    Role::Plain,
    &[
        (1, "resource", sub(&RESOURCE)),
        (2, "scope_spans", subs(&SCOPE_SPANS)),
        (3, "schema_url", one(Shape::Str)),
    ],
);

static SCOPE_SPANS: Message = message(
    "ScopeSpans",
    Role::Plain,
    &[(1, "scope", sub(&SCOPE)), (2, "spans", subs(&SPAN)), (3, "schema_url", one(Shape::Str))],
);

pub(super) static SPAN: Message = message(
    "Span",
    Role::Record,
    &[
        (1, "trace_id", one(Shape::TraceId)),
        (2, "span_id", one(Shape::SpanId)),
        (3, "trace_state", one(Shape::Str)),
        (4, "parent_span_id", one(Shape::SpanId)),
        (5, "name", one(Shape::Str)),
        (6, "kind", one(Shape::Varint)),
        (7, "start_time_unix_nano", one(Shape::Fixed64)),
        (8, "end_time_unix_nano", one(Shape::Fixed64)),
        (9, "attributes", subs(&KEY_VALUE)),
        (10, "dropped_attributes_count", one(Shape::Varint)),
        (11, "events", subs(&EVENT)),
        (12, "dropped_events_count", one(Shape::Varint)),
        (13, "links", subs(&LINK)),
        (14, "dropped_links_count", one(Shape::Varint)),
        (15, "status", sub(&STATUS)),
        (16, "flags", one(Shape::Fixed32)),
    ],
);

static EVENT: Message = message(
    "Event",
    Role::Plain,
    &[
        (1, "time_unix_nano", one(Shape::Fixed64)),
        (2, "name", one(Shape::Str)),
        (3, "attributes", subs(&KEY_VALUE)),
        (4, "dropped_attributes_count", one(Shape::Varint)),
    ],
);

static LINK: Message = message(
    "Link",
    Role::Plain,
    &[
        (1, "trace_id", one(Shape::TraceId)),
        (2, "span_id", one(Shape::SpanId)),
        (3, "trace_state", one(Shape::Str)),
        (4, "attributes", subs(&KEY_VALUE)),
        (5, "dropped_attributes_count", one(Shape::Varint)),
        (6, "flags", one(Shape::Fixed32)),
    ],
);

static STATUS: Message = message(
    "Status",
    Role::Plain,
    &[(2, "message", one(Shape::Str)), (3, "code", one(Shape::Varint))],
);

static METRICS_REQUEST: Message = message(
    "ExportMetricsServiceRequest",
    Role::Plain,
    &[(1, "resource_metrics", subs(&RESOURCE_METRICS))],
);

static RESOURCE_METRICS: Message = message(
    "ResourceMetrics",
    Role::Plain,
    &[
        (1, "resource", sub(&RESOURCE)),
        (2, "scope_metrics", subs(&SCOPE_METRICS)),
        (3, "schema_url", one(Shape::Str)),
    ],
);

static SCOPE_METRICS: Message = message(
    "ScopeMetrics",
    Role::Plain,
    &[(1, "scope", sub(&SCOPE)), (2, "metrics", subs(&METRIC)), (3, "schema_url", one(Shape::Str))],
);

pub(super) static METRIC: Message = message(
    "Metric",
    Role::Plain,
    &[
        (1, "name", one(Shape::Str)),
        (2, "description", one(Shape::Str)),
        (3, "unit", one(Shape::Str)),
        (5, "gauge", submember(&GAUGE)),
        (7, "sum", submember(&SUM)),
        (9, "histogram", submember(&HISTOGRAM)),
        (10, "exponential_histogram", submember(&EXPONENTIAL_HISTOGRAM)),
        (11, "summary", submember(&SUMMARY)),
        (12, "metadata", subs(&KEY_VALUE)),
    ],
);

static GAUGE: Message = message("Gauge", Role::Plain, &[(1, "data_points", subs(&NUMBER_POINT))]);

static SUM: Message = message(
    "Sum",
    Role::Plain,
    &[
        (1, "data_points", subs(&NUMBER_POINT)),
        (2, "aggregation_temporality", one(Shape::Varint)),
        (3, "is_monotonic", one(Shape::Varint)),
    ],
);

static HISTOGRAM: Message = message(
    "Histogram",
    Role::Plain,
    &[
        (1, "data_points", subs(&HISTOGRAM_POINT)),
        (2, "aggregation_temporality", one(Shape::Varint)),
    ],
);

static EXPONENTIAL_HISTOGRAM: Message = message(
    "ExponentialHistogram",
    Role::Plain,
    &[
        (1, "data_points", subs(&EXPONENTIAL_HISTOGRAM_POINT)),
        (2, "aggregation_temporality", one(Shape::Varint)),
    ],
);

static SUMMARY: Message =
    message("Summary", Role::Plain, &[(1, "data_points", subs(&SUMMARY_POINT))]);

pub(super) static NUMBER_POINT: Message = message(
    "NumberDataPoint",
    Role::Record,
    &[
        (2, "start_time_unix_nano", one(Shape::Fixed64)),
        (3, "time_unix_nano", one(Shape::Fixed64)),
        (4, "as_double", member(Shape::Fixed64)),
        (5, "exemplars", subs(&EXEMPLAR)),
        (6, "as_int", member(Shape::Fixed64)),
        (7, "attributes", subs(&KEY_VALUE)),
        (8, "flags", one(Shape::Varint)),
    ],
);

pub(super) static HISTOGRAM_POINT: Message = message(
    "HistogramDataPoint",
    Role::Record,
    &[
        (2, "start_time_unix_nano", one(Shape::Fixed64)),
        (3, "time_unix_nano", one(Shape::Fixed64)),
        (4, "count", one(Shape::Fixed64)),
        (5, "sum", one(Shape::Fixed64)),
        (6, "bucket_counts", many(Shape::Fixed64s)),
        (7, "explicit_bounds", many(Shape::Fixed64s)),
        (8, "exemplars", subs(&EXEMPLAR)),
        (9, "attributes", subs(&KEY_VALUE)),
        (10, "flags", one(Shape::Varint)),
        (11, "min", one(Shape::Fixed64)),
        (12, "max", one(Shape::Fixed64)),
    ],
);

pub(super) static EXPONENTIAL_HISTOGRAM_POINT: Message = message(
    "ExponentialHistogramDataPoint",
    Role::Record,
    &[
        (1, "attributes", subs(&KEY_VALUE)),
        (2, "start_time_unix_nano", one(Shape::Fixed64)),
        (3, "time_unix_nano", one(Shape::Fixed64)),
        (4, "count", one(Shape::Fixed64)),
        (5, "sum", one(Shape::Fixed64)),
        (6, "scale", one(Shape::Varint)),
        (7, "zero_count", one(Shape::Fixed64)),
        (8, "positive", sub(&BUCKETS)),
        (9, "negative", sub(&BUCKETS)),
        (10, "flags", one(Shape::Varint)),
        (11, "exemplars", subs(&EXEMPLAR)),
        (12, "min", one(Shape::Fixed64)),
        (13, "max", one(Shape::Fixed64)),
        (14, "zero_threshold", one(Shape::Fixed64)),
    ],
);

static BUCKETS: Message = message(
    "Buckets",
    Role::Plain,
    &[(1, "offset", one(Shape::Varint)), (2, "bucket_counts", many(Shape::Varints))],
);

pub(super) static SUMMARY_POINT: Message = message(
    "SummaryDataPoint",
    Role::Record,
    &[
        (2, "start_time_unix_nano", one(Shape::Fixed64)),
        (3, "time_unix_nano", one(Shape::Fixed64)),
        (4, "count", one(Shape::Fixed64)),
        (5, "sum", one(Shape::Fixed64)),
        (6, "quantile_values", subs(&VALUE_AT_QUANTILE)),
        (7, "attributes", subs(&KEY_VALUE)),
        (8, "flags", one(Shape::Varint)),
    ],
);

static VALUE_AT_QUANTILE: Message = message(
    "ValueAtQuantile",
    Role::Plain,
    &[(1, "quantile", one(Shape::Fixed64)), (2, "value", one(Shape::Fixed64))],
);

static EXEMPLAR: Message = message(
    "Exemplar",
    Role::Plain,
    &[
        (2, "time_unix_nano", one(Shape::Fixed64)),
        (3, "as_double", member(Shape::Fixed64)),
        (4, "span_id", one(Shape::SpanId)),
        (5, "trace_id", one(Shape::TraceId)),
        (6, "as_int", member(Shape::Fixed64)),
        (7, "filtered_attributes", subs(&KEY_VALUE)),
    ],
);
