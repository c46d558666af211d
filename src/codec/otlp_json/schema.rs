//! The messages of OTLP as JSON has them: which key is which field, and how its value is written.
//!
//! Source: opentelemetry-proto, `collector`, `common/v1`, `resource/v1`, `logs/v1`, `trace/v1`,
//! `metrics/v1`.

use crate::data::Signal;

/// How a value is written, in protobuf and in JSON.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Text.
    Str,
    /// Bytes, base64 in JSON.
    Bytes,
    /// An id of so many bytes, hexadecimal in JSON.
    Id(usize),
    /// A truth value.
    Bool,
    /// An unsigned number of up to 32 bits, a varint.
    Uint32,
    /// A signed number of up to 32 bits, a zigzag varint.
    Sint32,
    /// An unsigned number of 32 bits, four bytes.
    Fixed32,
    /// An unsigned number of up to 64 bits, a varint; a string in JSON.
    Uint64,
    /// A signed number of up to 64 bits, a varint; a string in JSON.
    Int64,
    /// An unsigned number of 64 bits, eight bytes; a string in JSON.
    Fixed64,
    /// A signed number of 64 bits, eight bytes; a string in JSON.
    Sfixed64,
    /// A floating-point number of 64 bits, eight bytes.
    Double,
    /// A number that has names, a varint.
    Enum(&'static [&'static str]),
    /// A message.
    Message(&'static Schema),
}

/// How often a field may be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// Once; zero is the same as not there.
    Implicit,
    /// Once; zero differs from not there (`optional`, `oneof`, messages).
    Explicit,
    /// Any number of times, numbers packed.
    Repeated,
}

/// A field of a message.
#[derive(Debug)]
pub(super) struct FieldSpec {
    /// Its number.
    pub(super) number: u32,
    /// Its name in the `.proto` file; JSON has it in lowerCamelCase.
    pub(super) name: &'static str,
    /// How its value is written.
    pub(super) kind: Kind,
    /// How often it may be there.
    pub(super) presence: Presence,
}

/// A message: at most 32 fields, in the order in which they are written.
#[derive(Debug)]
pub(super) struct Schema {
    /// Its fields.
    pub(super) fields: &'static [FieldSpec],
}

impl FieldSpec {
    /// Whether `key` is this field's name, in lowerCamelCase or as in the `.proto` file.
    pub(super) fn is_called(&self, key: &str) -> bool {
        key == self.name || key.bytes().eq(self.json_name())
    }

    /// The name in lowerCamelCase.
    pub(super) fn json_name(&self) -> impl Iterator<Item = u8> {
        let mut is_upper = false;
        self.name.bytes().filter_map(move |byte| {
            if byte == b'_' {
                is_upper = true;
                return None;
            }
            let byte = if is_upper { byte.to_ascii_uppercase() } else { byte };
            is_upper = false;
            Some(byte)
        })
    }
}

/// The export request of `signal`.
pub(super) const fn request(signal: Signal) -> &'static Schema {
    match signal {
        Signal::Logs => &LOGS_REQUEST,
        Signal::Traces => &TRACES_REQUEST,
        Signal::Metrics => &METRICS_REQUEST,
    }
}

const fn field(number: u32, name: &'static str, kind: Kind) -> FieldSpec {
    let presence = match kind {
        Kind::Message(_) => Presence::Explicit,
        _ => Presence::Implicit,
    };
    FieldSpec { number, name, kind, presence }
}

const fn optional(number: u32, name: &'static str, kind: Kind) -> FieldSpec {
    FieldSpec { number, name, kind, presence: Presence::Explicit }
}

const fn repeated(number: u32, name: &'static str, kind: Kind) -> FieldSpec {
    FieldSpec { number, name, kind, presence: Presence::Repeated }
}

const fn attributes(number: u32, name: &'static str) -> FieldSpec {
    repeated(number, name, Kind::Message(&KEY_VALUE))
}

const TRACE_ID: Kind = Kind::Id(16);
const SPAN_ID: Kind = Kind::Id(8);
const DROPPED_ATTRIBUTES: &str = "dropped_attributes_count";

static ANY_VALUE: Schema = Schema {
    fields: &[
        optional(1, "string_value", Kind::Str),
        optional(2, "bool_value", Kind::Bool),
        optional(3, "int_value", Kind::Int64),
        optional(4, "double_value", Kind::Double),
        optional(5, "array_value", Kind::Message(&ARRAY_VALUE)),
        optional(6, "kvlist_value", Kind::Message(&KEY_VALUE_LIST)),
        optional(7, "bytes_value", Kind::Bytes),
    ],
};
static ARRAY_VALUE: Schema = Schema { fields: &[repeated(1, "values", Kind::Message(&ANY_VALUE))] };
static KEY_VALUE_LIST: Schema = Schema { fields: &[attributes(1, "values")] };
static KEY_VALUE: Schema =
    Schema { fields: &[field(1, "key", Kind::Str), field(2, "value", Kind::Message(&ANY_VALUE))] };
static ENTITY_REF: Schema = Schema {
    fields: &[
        field(1, "schema_url", Kind::Str),
        field(2, "type", Kind::Str),
        repeated(3, "id_keys", Kind::Str),
        repeated(4, "description_keys", Kind::Str),
    ],
};
static RESOURCE: Schema = Schema {
    fields: &[
        attributes(1, "attributes"),
        field(2, DROPPED_ATTRIBUTES, Kind::Uint32),
        repeated(3, "entity_refs", Kind::Message(&ENTITY_REF)),
    ],
};
static SCOPE: Schema = Schema {
    fields: &[
        field(1, "name", Kind::Str),
        field(2, "version", Kind::Str),
        attributes(3, "attributes"),
        field(4, DROPPED_ATTRIBUTES, Kind::Uint32),
    ],
};

static LOGS_REQUEST: Schema =
    Schema { fields: &[repeated(1, "resource_logs", Kind::Message(&RESOURCE_LOGS))] };
static RESOURCE_LOGS: Schema = Schema {
    fields: &[
        field(1, "resource", Kind::Message(&RESOURCE)),
        repeated(2, "scope_logs", Kind::Message(&SCOPE_LOGS)),
        field(3, "schema_url", Kind::Str),
    ],
};
static SCOPE_LOGS: Schema = Schema {
    fields: &[
        field(1, "scope", Kind::Message(&SCOPE)),
        repeated(2, "log_records", Kind::Message(&LOG_RECORD)),
        field(3, "schema_url", Kind::Str),
    ],
};
static LOG_RECORD: Schema = Schema {
    fields: &[
        field(1, "time_unix_nano", Kind::Fixed64),
        field(11, "observed_time_unix_nano", Kind::Fixed64),
        field(2, "severity_number", Kind::Enum(&SEVERITIES)),
        field(3, "severity_text", Kind::Str),
        field(5, "body", Kind::Message(&ANY_VALUE)),
        attributes(6, "attributes"),
        field(7, DROPPED_ATTRIBUTES, Kind::Uint32),
        field(8, "flags", Kind::Fixed32),
        field(9, "trace_id", TRACE_ID),
        field(10, "span_id", SPAN_ID),
        field(12, "event_name", Kind::Str),
    ],
};
static SEVERITIES: [&str; 25] = [
    "SEVERITY_NUMBER_UNSPECIFIED",
    "SEVERITY_NUMBER_TRACE",
    "SEVERITY_NUMBER_TRACE2",
    "SEVERITY_NUMBER_TRACE3",
    "SEVERITY_NUMBER_TRACE4",
    "SEVERITY_NUMBER_DEBUG",
    "SEVERITY_NUMBER_DEBUG2",
    "SEVERITY_NUMBER_DEBUG3",
    "SEVERITY_NUMBER_DEBUG4",
    "SEVERITY_NUMBER_INFO",
    "SEVERITY_NUMBER_INFO2",
    "SEVERITY_NUMBER_INFO3",
    "SEVERITY_NUMBER_INFO4",
    "SEVERITY_NUMBER_WARN",
    "SEVERITY_NUMBER_WARN2",
    "SEVERITY_NUMBER_WARN3",
    "SEVERITY_NUMBER_WARN4",
    "SEVERITY_NUMBER_ERROR",
    "SEVERITY_NUMBER_ERROR2",
    "SEVERITY_NUMBER_ERROR3",
    "SEVERITY_NUMBER_ERROR4",
    "SEVERITY_NUMBER_FATAL",
    "SEVERITY_NUMBER_FATAL2",
    "SEVERITY_NUMBER_FATAL3",
    "SEVERITY_NUMBER_FATAL4",
];

static TRACES_REQUEST: Schema =
    Schema { fields: &[repeated(1, "resource_spans", Kind::Message(&RESOURCE_SPANS))] };
static RESOURCE_SPANS: Schema = Schema {
    fields: &[
        field(1, "resource", Kind::Message(&RESOURCE)),
        repeated(2, "scope_spans", Kind::Message(&SCOPE_SPANS)),
        field(3, "schema_url", Kind::Str),
    ],
};
static SCOPE_SPANS: Schema = Schema {
    fields: &[
        field(1, "scope", Kind::Message(&SCOPE)),
        repeated(2, "spans", Kind::Message(&SPAN)),
        field(3, "schema_url", Kind::Str),
    ],
};
static SPAN: Schema = Schema {
    fields: &[
        field(1, "trace_id", TRACE_ID),
        field(2, "span_id", SPAN_ID),
        field(3, "trace_state", Kind::Str),
        field(4, "parent_span_id", SPAN_ID),
        field(16, "flags", Kind::Fixed32),
        field(5, "name", Kind::Str),
        field(6, "kind", Kind::Enum(&SPAN_KINDS)),
        field(7, "start_time_unix_nano", Kind::Fixed64),
        field(8, "end_time_unix_nano", Kind::Fixed64),
        attributes(9, "attributes"),
        field(10, DROPPED_ATTRIBUTES, Kind::Uint32),
        repeated(11, "events", Kind::Message(&EVENT)),
        field(12, "dropped_events_count", Kind::Uint32),
        repeated(13, "links", Kind::Message(&LINK)),
        field(14, "dropped_links_count", Kind::Uint32),
        field(15, "status", Kind::Message(&STATUS)),
    ],
};
static SPAN_KINDS: [&str; 6] = [
    "SPAN_KIND_UNSPECIFIED",
    "SPAN_KIND_INTERNAL",
    "SPAN_KIND_SERVER",
    "SPAN_KIND_CLIENT",
    "SPAN_KIND_PRODUCER",
    "SPAN_KIND_CONSUMER",
];
static EVENT: Schema = Schema {
    fields: &[
        field(1, "time_unix_nano", Kind::Fixed64),
        field(2, "name", Kind::Str),
        attributes(3, "attributes"),
        field(4, DROPPED_ATTRIBUTES, Kind::Uint32),
    ],
};
static LINK: Schema = Schema {
    fields: &[
        field(1, "trace_id", TRACE_ID),
        field(2, "span_id", SPAN_ID),
        field(3, "trace_state", Kind::Str),
        attributes(4, "attributes"),
        field(5, DROPPED_ATTRIBUTES, Kind::Uint32),
        field(6, "flags", Kind::Fixed32),
    ],
};
static STATUS: Schema = Schema {
    fields: &[field(2, "message", Kind::Str), field(3, "code", Kind::Enum(&STATUS_CODES))],
};
static STATUS_CODES: [&str; 3] = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

static METRICS_REQUEST: Schema =
    Schema { fields: &[repeated(1, "resource_metrics", Kind::Message(&RESOURCE_METRICS))] };
static RESOURCE_METRICS: Schema = Schema {
    fields: &[
        field(1, "resource", Kind::Message(&RESOURCE)),
        repeated(2, "scope_metrics", Kind::Message(&SCOPE_METRICS)),
        field(3, "schema_url", Kind::Str),
    ],
};
static SCOPE_METRICS: Schema = Schema {
    fields: &[
        field(1, "scope", Kind::Message(&SCOPE)),
        repeated(2, "metrics", Kind::Message(&METRIC)),
        field(3, "schema_url", Kind::Str),
    ],
};
static METRIC: Schema = Schema {
    fields: &[
        field(1, "name", Kind::Str),
        field(2, "description", Kind::Str),
        field(3, "unit", Kind::Str),
        optional(5, "gauge", Kind::Message(&GAUGE)),
        optional(7, "sum", Kind::Message(&SUM)),
        optional(9, "histogram", Kind::Message(&HISTOGRAM)),
        optional(10, "exponential_histogram", Kind::Message(&EXPONENTIAL_HISTOGRAM)),
        optional(11, "summary", Kind::Message(&SUMMARY)),
        attributes(12, "metadata"),
    ],
};
static GAUGE: Schema =
    Schema { fields: &[repeated(1, "data_points", Kind::Message(&NUMBER_POINT))] };
static SUM: Schema = Schema {
    fields: &[
        repeated(1, "data_points", Kind::Message(&NUMBER_POINT)),
        field(2, "aggregation_temporality", Kind::Enum(&TEMPORALITIES)),
        field(3, "is_monotonic", Kind::Bool),
    ],
};
static HISTOGRAM: Schema = Schema {
    fields: &[
        repeated(1, "data_points", Kind::Message(&HISTOGRAM_POINT)),
        field(2, "aggregation_temporality", Kind::Enum(&TEMPORALITIES)),
    ],
};
static EXPONENTIAL_HISTOGRAM: Schema = Schema {
    fields: &[
        repeated(1, "data_points", Kind::Message(&EXPONENTIAL_HISTOGRAM_POINT)),
        field(2, "aggregation_temporality", Kind::Enum(&TEMPORALITIES)),
    ],
};
static SUMMARY: Schema =
    Schema { fields: &[repeated(1, "data_points", Kind::Message(&SUMMARY_POINT))] };
static TEMPORALITIES: [&str; 3] = [
    "AGGREGATION_TEMPORALITY_UNSPECIFIED",
    "AGGREGATION_TEMPORALITY_DELTA",
    "AGGREGATION_TEMPORALITY_CUMULATIVE",
];
static NUMBER_POINT: Schema = Schema {
    fields: &[
        attributes(7, "attributes"),
        field(2, "start_time_unix_nano", Kind::Fixed64),
        field(3, "time_unix_nano", Kind::Fixed64),
        optional(4, "as_double", Kind::Double),
        optional(6, "as_int", Kind::Sfixed64),
        repeated(5, "exemplars", Kind::Message(&EXEMPLAR)),
        field(8, "flags", Kind::Uint32),
    ],
};
static HISTOGRAM_POINT: Schema = Schema {
    fields: &[
        attributes(9, "attributes"),
        field(2, "start_time_unix_nano", Kind::Fixed64),
        field(3, "time_unix_nano", Kind::Fixed64),
        field(4, "count", Kind::Fixed64),
        optional(5, "sum", Kind::Double),
        repeated(6, "bucket_counts", Kind::Fixed64),
        repeated(7, "explicit_bounds", Kind::Double),
        repeated(8, "exemplars", Kind::Message(&EXEMPLAR)),
        field(10, "flags", Kind::Uint32),
        optional(11, "min", Kind::Double),
        optional(12, "max", Kind::Double),
    ],
};
static EXPONENTIAL_HISTOGRAM_POINT: Schema = Schema {
    fields: &[
        attributes(1, "attributes"),
        field(2, "start_time_unix_nano", Kind::Fixed64),
        field(3, "time_unix_nano", Kind::Fixed64),
        field(4, "count", Kind::Fixed64),
        optional(5, "sum", Kind::Double),
        field(6, "scale", Kind::Sint32),
        field(7, "zero_count", Kind::Fixed64),
        field(8, "positive", Kind::Message(&BUCKETS)),
        field(9, "negative", Kind::Message(&BUCKETS)),
        field(10, "flags", Kind::Uint32),
        repeated(11, "exemplars", Kind::Message(&EXEMPLAR)),
        optional(12, "min", Kind::Double),
        optional(13, "max", Kind::Double),
        field(14, "zero_threshold", Kind::Double),
    ],
};
static BUCKETS: Schema = Schema {
    fields: &[field(1, "offset", Kind::Sint32), repeated(2, "bucket_counts", Kind::Uint64)],
};
static SUMMARY_POINT: Schema = Schema {
    fields: &[
        attributes(7, "attributes"),
        field(2, "start_time_unix_nano", Kind::Fixed64),
        field(3, "time_unix_nano", Kind::Fixed64),
        field(4, "count", Kind::Fixed64),
        field(5, "sum", Kind::Double),
        repeated(6, "quantile_values", Kind::Message(&QUANTILE)),
        field(8, "flags", Kind::Uint32),
    ],
};
static QUANTILE: Schema =
    Schema { fields: &[field(1, "quantile", Kind::Double), field(2, "value", Kind::Double)] };
static EXEMPLAR: Schema = Schema {
    fields: &[
        attributes(7, "filtered_attributes"),
        field(2, "time_unix_nano", Kind::Fixed64),
        optional(3, "as_double", Kind::Double),
        optional(6, "as_int", Kind::Sfixed64),
        field(4, "span_id", SPAN_ID),
        field(5, "trace_id", TRACE_ID),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_both_forms() {
        let field = &LOG_RECORD.fields[1];
        assert!(field.is_called("observedTimeUnixNano"));
        assert!(field.is_called("observed_time_unix_nano"));
        assert!(!field.is_called("observedtimeunixnano"));
        assert!(!field.is_called("ObservedTimeUnixNano"));
        assert!(NUMBER_POINT.fields[4].is_called("asInt"));
    }
}
