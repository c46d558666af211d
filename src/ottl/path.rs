//! Paths: which there are in each context, and where in a message they stand.

use super::context::Context;

/// How a field of a message is read and written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Str,
    /// An `AnyValue`.
    Any,
    /// An `AnyValue` as text.
    AnyText,
    Attributes,
    /// A whole number: varint of an `int32`.
    Int,
    /// A whole number: varint without a sign.
    Count,
    /// A whole number: zigzag varint.
    Sint,
    Fixed32,
    /// A whole number of eight bytes without a sign.
    Fixed64,
    /// A whole number of eight bytes with a sign, or nothing; in the place of [`Form::Double`].
    Number {
        other: u32,
    },
    /// A number, or nothing.
    Double {
        other: u32,
    },
    Time,
    TimeNanos,
    TraceId,
    TraceIdHex,
    SpanId,
    SpanIdHex,
    TraceState,
    /// A message or any number of them.
    Messages,
    /// Packed numbers.
    Fixed64s,
    Doubles,
    Varints,
    SpanKind,
    SpanKindOld,
    EventIndex,
    MetricType,
    /// In the message of the metric's data.
    Temporality,
    Monotonic,
    Points,
    ClientAddress,
    ClientMetadata,
    ClientAttributes,
}

/// Which field it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Field(u32),
    /// Of a message in another field.
    Within(u32, u32),
    /// By the kind of the point: number, histogram, exponential histogram, summary; 0 if that has
    /// none.
    ByKind([u32; 4]),
    /// Of the buckets of an exponential histogram.
    Buckets(u32, u32),
    /// The form says.
    Special,
}

/// A path.
#[derive(Clone, Copy, Debug)]
pub struct PathSpec {
    /// What it is a part of.
    pub context: Context,
    /// The rest of the path.
    pub name: &'static str,
    pub(super) place: Place,
    pub(super) form: Form,
}

const fn field(context: Context, name: &'static str, number: u32, form: Form) -> PathSpec {
    PathSpec { context, name, place: Place::Field(number), form }
}

const fn special(context: Context, name: &'static str, form: Form) -> PathSpec {
    PathSpec { context, name, place: Place::Special, form }
}

const fn point(name: &'static str, numbers: [u32; 4], form: Form) -> PathSpec {
    PathSpec { context: Context::DataPoint, name, place: Place::ByKind(numbers), form }
}

const fn within(context: Context, name: &'static str, at: [u32; 2], form: Form) -> PathSpec {
    PathSpec { context, name, place: Place::Within(at[0], at[1]), form }
}

const fn buckets(name: &'static str, at: [u32; 2], form: Form) -> PathSpec {
    PathSpec { context: Context::DataPoint, name, place: Place::Buckets(at[0], at[1]), form }
}

use Context::{Exemplar, Log, Metric, Otelcol, Resource, Scope, Span, SpanEvent, SpanLink};

/// All paths; besides, every context but `otelcol` has `cache`.
pub const PATHS: &[PathSpec] = &[
    field(Resource, "attributes", 1, Form::Attributes),
    field(Resource, "dropped_attributes_count", 2, Form::Count),
    field(Scope, "name", 1, Form::Str),
    field(Scope, "version", 2, Form::Str),
    field(Scope, "attributes", 3, Form::Attributes),
    field(Scope, "dropped_attributes_count", 4, Form::Count),
    field(Span, "trace_id", 1, Form::TraceId),
    field(Span, "trace_id.string", 1, Form::TraceIdHex),
    field(Span, "span_id", 2, Form::SpanId),
    field(Span, "span_id.string", 2, Form::SpanIdHex),
    field(Span, "trace_state", 3, Form::TraceState),
    field(Span, "parent_span_id", 4, Form::SpanId),
    field(Span, "parent_span_id.string", 4, Form::SpanIdHex),
    field(Span, "name", 5, Form::Str),
    field(Span, "kind", 6, Form::Int),
    field(Span, "kind.string", 6, Form::SpanKind),
    field(Span, "kind.deprecated_string", 6, Form::SpanKindOld),
    field(Span, "start_time", 7, Form::Time),
    field(Span, "start_time_unix_nano", 7, Form::TimeNanos),
    field(Span, "end_time", 8, Form::Time),
    field(Span, "end_time_unix_nano", 8, Form::TimeNanos),
    field(Span, "attributes", 9, Form::Attributes),
    field(Span, "dropped_attributes_count", 10, Form::Count),
    field(Span, "events", 11, Form::Messages),
    field(Span, "dropped_events_count", 12, Form::Count),
    field(Span, "links", 13, Form::Messages),
    field(Span, "dropped_links_count", 14, Form::Count),
    field(Span, "status", 15, Form::Messages),
    within(Span, "status.code", [15, 3], Form::Int),
    within(Span, "status.message", [15, 2], Form::Str),
    field(Span, "flags", 16, Form::Fixed32),
    field(SpanEvent, "time", 1, Form::Time),
    field(SpanEvent, "time_unix_nano", 1, Form::TimeNanos),
    field(SpanEvent, "name", 2, Form::Str),
    field(SpanEvent, "attributes", 3, Form::Attributes),
    field(SpanEvent, "dropped_attributes_count", 4, Form::Count),
    special(SpanEvent, "event_index", Form::EventIndex),
    field(SpanLink, "trace_id", 1, Form::TraceId),
    field(SpanLink, "trace_id.string", 1, Form::TraceIdHex),
    field(SpanLink, "span_id", 2, Form::SpanId),
    field(SpanLink, "span_id.string", 2, Form::SpanIdHex),
    field(SpanLink, "trace_state", 3, Form::TraceState),
    field(SpanLink, "attributes", 4, Form::Attributes),
    field(SpanLink, "dropped_attributes_count", 5, Form::Count),
    field(SpanLink, "flags", 6, Form::Fixed32),
    field(Metric, "name", 1, Form::Str),
    field(Metric, "description", 2, Form::Str),
    field(Metric, "unit", 3, Form::Str),
    field(Metric, "metadata", 12, Form::Attributes),
    special(Metric, "type", Form::MetricType),
    special(Metric, "aggregation_temporality", Form::Temporality),
    special(Metric, "is_monotonic", Form::Monotonic),
    special(Metric, "data_points", Form::Points),
    point("attributes", [7, 9, 1, 7], Form::Attributes),
    point("start_time", [2, 2, 2, 2], Form::Time),
    point("start_time_unix_nano", [2, 2, 2, 2], Form::TimeNanos),
    point("time", [3, 3, 3, 3], Form::Time),
    point("time_unix_nano", [3, 3, 3, 3], Form::TimeNanos),
    point("value_int", [6, 0, 0, 0], Form::Number { other: 4 }),
    point("value_double", [4, 0, 0, 0], Form::Double { other: 6 }),
    point("exemplars", [5, 8, 11, 0], Form::Messages),
    point("flags", [8, 10, 10, 8], Form::Count),
    point("count", [0, 4, 4, 4], Form::Fixed64),
    point("sum", [0, 5, 5, 5], Form::Double { other: 0 }),
    point("bucket_counts", [0, 6, 0, 0], Form::Fixed64s),
    point("explicit_bounds", [0, 7, 0, 0], Form::Doubles),
    point("scale", [0, 0, 6, 0], Form::Sint),
    point("zero_count", [0, 0, 7, 0], Form::Fixed64),
    point("positive", [0, 0, 8, 0], Form::Messages),
    buckets("positive.offset", [8, 1], Form::Sint),
    buckets("positive.bucket_counts", [8, 2], Form::Varints),
    point("negative", [0, 0, 9, 0], Form::Messages),
    buckets("negative.offset", [9, 1], Form::Sint),
    buckets("negative.bucket_counts", [9, 2], Form::Varints),
    point("quantile_values", [0, 0, 0, 6], Form::Messages),
    field(Exemplar, "time", 2, Form::Time),
    field(Exemplar, "time_unix_nano", 2, Form::TimeNanos),
    field(Exemplar, "double_value", 3, Form::Double { other: 6 }),
    field(Exemplar, "span_id", 4, Form::SpanId),
    field(Exemplar, "span_id.string", 4, Form::SpanIdHex),
    field(Exemplar, "trace_id", 5, Form::TraceId),
    field(Exemplar, "trace_id.string", 5, Form::TraceIdHex),
    field(Exemplar, "int_value", 6, Form::Number { other: 3 }),
    field(Exemplar, "filtered_attributes", 7, Form::Attributes),
    field(Log, "time", 1, Form::Time),
    field(Log, "time_unix_nano", 1, Form::TimeNanos),
    field(Log, "severity_number", 2, Form::Int),
    field(Log, "severity_text", 3, Form::Str),
    field(Log, "body", 5, Form::Any),
    field(Log, "body.string", 5, Form::AnyText),
    field(Log, "attributes", 6, Form::Attributes),
    field(Log, "dropped_attributes_count", 7, Form::Count),
    field(Log, "flags", 8, Form::Fixed32),
    field(Log, "trace_id", 9, Form::TraceId),
    field(Log, "trace_id.string", 9, Form::TraceIdHex),
    field(Log, "span_id", 10, Form::SpanId),
    field(Log, "span_id.string", 10, Form::SpanIdHex),
    field(Log, "observed_time", 11, Form::Time),
    field(Log, "observed_time_unix_nano", 11, Form::TimeNanos),
    field(Log, "event_name", 12, Form::Str),
    special(Otelcol, "client.addr", Form::ClientAddress),
    special(Otelcol, "client.metadata", Form::ClientMetadata),
    special(Otelcol, "client.auth.attributes", Form::ClientAttributes),
    special(Otelcol, "grpc.metadata", Form::ClientMetadata),
];

/// The scratch map.
pub(super) static CACHE: PathSpec = field(Context::Cache, "cache", 1, Form::Attributes);

impl PathSpec {
    /// Whether keys can be looked up in it.
    #[must_use]
    pub const fn takes_keys(&self) -> bool {
        matches!(
            self.form,
            Form::Attributes
                | Form::Any
                | Form::TraceState
                | Form::ClientMetadata
                | Form::ClientAttributes
        )
    }

    /// Whether it can be written.
    #[must_use]
    pub const fn is_writable(&self) -> bool {
        !matches!(
            self.form,
            Form::EventIndex
                | Form::SpanKindOld
                | Form::MetricType
                | Form::Points
                | Form::ClientAddress
                | Form::ClientMetadata
                | Form::ClientAttributes
        )
    }

    /// What it holds, for the documentation and for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self.form {
            Form::Str
            | Form::AnyText
            | Form::TraceIdHex
            | Form::SpanIdHex
            | Form::TraceState
            | Form::SpanKind
            | Form::SpanKindOld
            | Form::ClientAddress => "string",
            Form::Any => "any value",
            Form::Attributes | Form::ClientMetadata | Form::ClientAttributes => "map",
            Form::Int
            | Form::Count
            | Form::Sint
            | Form::Fixed32
            | Form::Fixed64
            | Form::Number { .. }
            | Form::TimeNanos
            | Form::EventIndex
            | Form::MetricType
            | Form::Temporality => "int",
            Form::Monotonic => "bool",
            Form::Double { .. } => "float",
            Form::Time => "time",
            Form::TraceId => "trace id",
            Form::SpanId => "span id",
            Form::Messages | Form::Points => "messages",
            Form::Fixed64s | Form::Varints => "list of int",
            Form::Doubles => "list of float",
        }
    }
}

/// The members of enumerations.
pub const ENUMS: &[(&str, i64)] = &[
    ("SPAN_KIND_UNSPECIFIED", 0),
    ("SPAN_KIND_INTERNAL", 1),
    ("SPAN_KIND_SERVER", 2),
    ("SPAN_KIND_CLIENT", 3),
    ("SPAN_KIND_PRODUCER", 4),
    ("SPAN_KIND_CONSUMER", 5),
    ("STATUS_CODE_UNSET", 0),
    ("STATUS_CODE_OK", 1),
    ("STATUS_CODE_ERROR", 2),
    ("SEVERITY_NUMBER_UNSPECIFIED", 0),
    ("SEVERITY_NUMBER_TRACE", 1),
    ("SEVERITY_NUMBER_TRACE2", 2),
    ("SEVERITY_NUMBER_TRACE3", 3),
    ("SEVERITY_NUMBER_TRACE4", 4),
    ("SEVERITY_NUMBER_DEBUG", 5),
    ("SEVERITY_NUMBER_DEBUG2", 6),
    ("SEVERITY_NUMBER_DEBUG3", 7),
    ("SEVERITY_NUMBER_DEBUG4", 8),
    ("SEVERITY_NUMBER_INFO", 9),
    ("SEVERITY_NUMBER_INFO2", 10),
    ("SEVERITY_NUMBER_INFO3", 11),
    ("SEVERITY_NUMBER_INFO4", 12),
    ("SEVERITY_NUMBER_WARN", 13),
    ("SEVERITY_NUMBER_WARN2", 14),
    ("SEVERITY_NUMBER_WARN3", 15),
    ("SEVERITY_NUMBER_WARN4", 16),
    ("SEVERITY_NUMBER_ERROR", 17),
    ("SEVERITY_NUMBER_ERROR2", 18),
    ("SEVERITY_NUMBER_ERROR3", 19),
    ("SEVERITY_NUMBER_ERROR4", 20),
    ("SEVERITY_NUMBER_FATAL", 21),
    ("SEVERITY_NUMBER_FATAL2", 22),
    ("SEVERITY_NUMBER_FATAL3", 23),
    ("SEVERITY_NUMBER_FATAL4", 24),
    ("METRIC_DATA_TYPE_NONE", 0),
    ("METRIC_DATA_TYPE_GAUGE", 1),
    ("METRIC_DATA_TYPE_SUM", 2),
    ("METRIC_DATA_TYPE_HISTOGRAM", 3),
    ("METRIC_DATA_TYPE_EXPONENTIAL_HISTOGRAM", 4),
    ("METRIC_DATA_TYPE_SUMMARY", 5),
    ("AGGREGATION_TEMPORALITY_UNSPECIFIED", 0),
    ("AGGREGATION_TEMPORALITY_DELTA", 1),
    ("AGGREGATION_TEMPORALITY_CUMULATIVE", 2),
    ("FLAG_NONE", 0),
    ("FLAG_NO_RECORDED_VALUE", 1),
];

/// Names of span kinds as `kind.string` has them, in the order of their numbers.
pub(super) const SPAN_KINDS: [&str; 6] =
    ["Unspecified", "Internal", "Server", "Client", "Producer", "Consumer"];
