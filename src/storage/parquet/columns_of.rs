//! The tables of columns. The order is that of the row builders.

use super::schema::{Column, Kind, Layout};

const NANOS: &str = "nanoseconds beyond the microsecond of the column before, 0 to 999";
const DROPPED: &str = "attributes that were left out (`dropped_attributes_count`)";
const KINDS: &str = "the kind of each value of the column before, a byte each; see below";
const UNKNOWN: &str =
    "fields of a newer OTLP that the record itself has, encoded as Protocol Buffers";
const FLAGS: &str = "the flags; the low eight bits are W3C trace flags";
const POINT_FLAGS: &str = "the flags; bit 0: no recorded value";

const fn time(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, Kind::Time, doc).optional()
}

const fn nanos(name: &'static str) -> Column {
    Column::new(name, Kind::Int32, NANOS)
}

const fn text(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, Kind::Text, doc).optional()
}

const fn int(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, Kind::Int64, doc)
}

const fn map(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, Kind::Map, doc)
}

const fn kinds(name: &'static str) -> Column {
    Column::new(name, Kind::Binary, KINDS).with(Layout::Dictionary)
}

const fn unknown() -> Column {
    Column::new("unknown_fields", Kind::Binary, UNKNOWN).optional()
}

const fn trace_id(doc: &'static str) -> Column {
    Column::new("trace_id", Kind::Fixed(16), doc).optional()
}

const fn span_id(name: &'static str, doc: &'static str) -> Column {
    Column::new(name, Kind::Fixed(8), doc).optional()
}

/// Of log records.
pub(super) const LOGS: &[Column] = &[
    time("time", "when it happened; NULL if that is not known").ranged(),
    nanos("time_nanos"),
    time("observed_time", "when it was seen first; NULL if that is not known").ranged(),
    nanos("observed_time_nanos"),
    Column::new("severity_number", Kind::Int32, "how severe it is, 1 to 24; 0 if not known")
        .ranged(),
    text("severity_text", "the severity as its source calls it").ranged(),
    text("event_name", "the kind of event that it is").ranged(),
    text("body", "the message; what is no text as the values of attributes").with(Layout::Plain),
    Column::new("body_kind", Kind::Int32, "the kind of the body, as those of attributes"),
    trace_id("the trace that it belongs to"),
    span_id("span_id", "the span that it belongs to"),
    int("flags", FLAGS),
    int("dropped_attributes_count", DROPPED),
    map("attributes", "its attributes"),
    kinds("attribute_kinds"),
    unknown(),
];

pub(super) const EVENT: &[Column] = &[
    time("time", "when it happened; NULL if that is not known"),
    nanos("time_nanos"),
    text("name", "what happened"),
    int("dropped_attributes_count", DROPPED),
    map("attributes", "its attributes"),
    kinds("attribute_kinds"),
];

pub(super) const LINK: &[Column] = &[
    trace_id("the other span's trace"),
    span_id("span_id", "the other span"),
    text("trace_state", "the other span's W3C trace state"),
    int("flags", FLAGS),
    int("dropped_attributes_count", DROPPED),
    map("attributes", "its attributes"),
    kinds("attribute_kinds"),
];

/// Of spans.
pub(super) const TRACES: &[Column] = &[
    time("time", "when it began; NULL if that is not known").ranged(),
    nanos("time_nanos"),
    time("end_time", "when it ended; NULL if that is not known").ranged(),
    nanos("end_time_nanos"),
    int("duration_nanos", "`end_time` less `time` in nanoseconds; NULL without `end_time`")
        .optional()
        .ranged(),
    trace_id("the trace that it belongs to"),
    span_id("span_id", "its id"),
    span_id("parent_span_id", "the span that it is a part of; NULL for a root"),
    text("trace_state", "the W3C trace state"),
    text("name", "what it does").ranged(),
    Column::new("kind", Kind::Int32, "1 internal, 2 server, 3 client, 4 producer, 5 consumer")
        .ranged(),
    Column::new("status_code", Kind::Int32, "0 unset, 1 ok, 2 error; NULL without a status")
        .optional()
        .ranged(),
    text("status_message", "what went wrong"),
    int("flags", FLAGS),
    int("dropped_attributes_count", DROPPED),
    int("dropped_events_count", "events that were left out"),
    int("dropped_links_count", "links that were left out"),
    map("attributes", "its attributes"),
    kinds("attribute_kinds"),
    Column::new("events", Kind::Rows(EVENT), "what happened in it, in order"),
    Column::new("links", Kind::Rows(LINK), "spans that it has to do with, in order"),
    unknown(),
];

pub(super) const QUANTILE: &[Column] = &[
    Column::new("quantile", Kind::Double, "which one, 0 to 1"),
    Column::new("value", Kind::Double, "its value"),
];

pub(super) const EXEMPLAR: &[Column] = &[
    time("time", "when it was taken; NULL if that is not known"),
    nanos("time_nanos"),
    Column::new("value_int", Kind::Int64, "the value, if it is a whole number").optional(),
    Column::new("value_double", Kind::Double, "the value, if it is a double").optional(),
    trace_id("the trace that was active"),
    span_id("span_id", "the span that was active"),
    map("filtered_attributes", "attributes that its point does not have"),
    kinds("filtered_attribute_kinds"),
];

/// Of data points.
pub(super) const METRICS: &[Column] = &[
    text("metric_name", "the metric's name").ranged(),
    text("metric_description", "what it measures"),
    text("metric_unit", "the unit, in UCUM"),
    text("metric_type", "`gauge`, `sum`, `histogram`, `exponential_histogram` or `summary`")
        .ranged(),
    Column::new(
        "aggregation_temporality",
        Kind::Int32,
        "0 unspecified, 1 delta, 2 cumulative; 0 for gauges and summaries",
    ),
    Column::new("is_monotonic", Kind::Bool, "whether it never falls; of sums"),
    map("metric_metadata", "the metric's metadata"),
    kinds("metric_metadata_kinds"),
    time("time", "when the point was taken; NULL if that is not known").ranged(),
    nanos("time_nanos"),
    time("start_time", "when counting began; NULL if that is not known").ranged(),
    nanos("start_time_nanos"),
    Column::new("value_int", Kind::Int64, "the value, if it is a whole number").optional(),
    Column::new("value_double", Kind::Double, "the value, if it is a double").optional(),
    int("flags", POINT_FLAGS),
    int("count", "values counted; NULL for gauges and sums").optional(),
    Column::new("sum", Kind::Double, "their sum").optional(),
    Column::new("min", Kind::Double, "the least of them").optional(),
    Column::new("max", Kind::Double, "the greatest of them").optional(),
    Column::new("bucket_counts", Kind::List(&Kind::Int64), "of histograms: values in each bucket"),
    Column::new("explicit_bounds", Kind::List(&Kind::Double), "of histograms: upper bounds")
        .with(Layout::Dictionary),
    Column::new("scale", Kind::Int32, "of exponential histograms: the resolution").optional(),
    int("zero_count", "of exponential histograms: values near 0").optional(),
    Column::new(
        "zero_threshold",
        Kind::Double,
        "of exponential histograms: half the width of the bucket around 0",
    )
    .optional(),
    Column::new("positive_offset", Kind::Int32, "index of the first bucket above 0").optional(),
    Column::new("positive_bucket_counts", Kind::List(&Kind::Int64), "values in those buckets"),
    Column::new("negative_offset", Kind::Int32, "index of the first bucket below 0").optional(),
    Column::new("negative_bucket_counts", Kind::List(&Kind::Int64), "values in those buckets"),
    Column::new("quantiles", Kind::Rows(QUANTILE), "of summaries"),
    Column::new("exemplars", Kind::Rows(EXEMPLAR), "measurements that the point stands for"),
    map("attributes", "the point's attributes").with(Layout::Dictionary),
    kinds("attribute_kinds"),
    unknown(),
];

/// Of all signals, behind their own.
pub(super) const SHARED: &[Column] = &[
    text("service_name", "the resource's attribute `service.name`, if it is text").ranged(),
    text("tenant", "the tenant that sent it; not a part of OTLP").ranged(),
    map("resource_attributes", "the resource's attributes").with(Layout::Dictionary),
    kinds("resource_attribute_kinds"),
    int("resource_dropped_attributes_count", DROPPED),
    text("resource_schema_url", "the schema of the resource"),
    text("resource_entity_refs", "the entities that the resource stands for; JSON, see below"),
    text("scope_name", "the instrumentation's name").ranged(),
    text("scope_version", "its version"),
    map("scope_attributes", "its attributes").with(Layout::Dictionary),
    kinds("scope_attribute_kinds"),
    int("scope_dropped_attributes_count", DROPPED),
    text("scope_schema_url", "the schema of the records"),
];
