//! Verbosity `detailed`: every field of every record.

use super::page::{Page, moment, severity, shown, span_kind, status_code};
use super::points::data_point;
use crate::data::{
    Attributes, Batch, LogRecord, Metric, MetricData, Scope, Signal, Span, SpanId, Temporality,
    TraceId,
};

const INDENT: &str = "     ";

/// The records of a batch in full.
pub(super) fn detailed(batch: &Batch) -> String {
    let mut page = Page::default();
    match batch.signal() {
        Signal::Logs => logs(&mut page, batch),
        Signal::Traces => spans(&mut page, batch),
        Signal::Metrics => metrics(&mut page, batch),
    }
    page.finish()
}

fn logs(page: &mut Page, batch: &Batch) {
    for (index, group) in batch.logs().resources().enumerate() {
        page.line(format_args!("ResourceLog #{index}"));
        resource(page, group.schema_url(), group.resource().attributes());
        for (index, group) in group.scopes().enumerate() {
            scope(page, "ScopeLogs", index, (group.schema_url(), group.scope()));
            for (index, record) in group.records().enumerate() {
                page.line(format_args!("LogRecord #{index}"));
                log_record(page, &record);
            }
        }
    }
}

fn log_record(page: &mut Page, record: &LogRecord<'_>) {
    let number = record.severity_number();
    page.line(format_args!("ObservedTimestamp: {}", moment(record.observed_time())));
    page.line(format_args!("Timestamp: {}", moment(record.time())));
    page.line(format_args!("SeverityText: {}", record.severity_text()));
    page.line(format_args!("SeverityNumber: {}({number})", severity(number)));
    if !record.event_name().is_empty() {
        page.line(format_args!("EventName: {}", record.event_name()));
    }
    page.line(format_args!("Body: {}", shown(&record.body())));
    page.attributes("Attributes:", INDENT, record.attributes());
    page.line(format_args!("Trace ID: {}", trace_id(record.trace_id())));
    page.line(format_args!("Span ID: {}", span_id(record.span_id())));
    page.line(format_args!("Flags: {}", record.flags()));
    dropped(page, "", "DroppedAttributesCount", record.dropped_attributes_count());
}

fn spans(page: &mut Page, batch: &Batch) {
    for (index, group) in batch.spans().resources().enumerate() {
        page.line(format_args!("ResourceSpans #{index}"));
        resource(page, group.schema_url(), group.resource().attributes());
        for (index, group) in group.scopes().enumerate() {
            scope(page, "ScopeSpans", index, (group.schema_url(), group.scope()));
            for (index, one) in group.spans().enumerate() {
                page.line(format_args!("Span #{index}"));
                span(page, &one);
                events_and_links(page, &one);
            }
        }
    }
}

fn span(page: &mut Page, span: &Span<'_>) {
    let mut field = |name: &str, value: &str| page.line(format_args!("    {name:<15}: {value}"));
    field("Trace ID", &trace_id(span.trace_id()));
    field("Parent ID", &span_id(span.parent_span_id()));
    field("ID", &span_id(span.span_id()));
    field("Name", span.name());
    field("Kind", span_kind(span.kind()));
    if !span.trace_state().is_empty() {
        field("TraceState", span.trace_state());
    }
    field("Start time", &moment(span.start_time()));
    field("End time", &moment(span.end_time()));
    field("Status code", status_code(span.status_code()));
    field("Status message", span.status().map(|status| status.message()).unwrap_or_default());
    dropped(page, "    ", "DroppedAttributesCount", span.dropped_attributes_count());
    dropped(page, "    ", "DroppedEventsCount", span.dropped_events_count());
    dropped(page, "    ", "DroppedLinksCount", span.dropped_links_count());
    page.attributes("Attributes:", INDENT, span.attributes());
}

fn events_and_links(page: &mut Page, span: &Span<'_>) {
    for (index, event) in span.events().enumerate() {
        if index == 0 {
            page.line(format_args!("Events:"));
        }
        page.line(format_args!("SpanEvent #{index}"));
        page.line(format_args!("{INDENT}-> Name: {}", event.name()));
        page.line(format_args!("{INDENT}-> Timestamp: {}", moment(event.time())));
        dropped(page, "     -> ", "DroppedAttributesCount", event.dropped_attributes_count());
        page.attributes("     -> Attributes::", "          ", event.attributes());
    }
    for (index, link) in span.links().enumerate() {
        if index == 0 {
            page.line(format_args!("Links:"));
        }
        page.line(format_args!("SpanLink #{index}"));
        page.line(format_args!("{INDENT}-> Trace ID: {}", trace_id(link.trace_id())));
        page.line(format_args!("{INDENT}-> ID: {}", span_id(link.span_id())));
        page.line(format_args!("{INDENT}-> TraceState: {}", link.trace_state()));
        dropped(page, "     -> ", "DroppedAttributesCount", link.dropped_attributes_count());
        page.attributes("     -> Attributes::", "          ", link.attributes());
    }
}

fn metrics(page: &mut Page, batch: &Batch) {
    for (index, group) in batch.metrics().resources().enumerate() {
        page.line(format_args!("ResourceMetrics #{index}"));
        resource(page, group.schema_url(), group.resource().attributes());
        for (index, group) in group.scopes().enumerate() {
            scope(page, "ScopeMetrics", index, (group.schema_url(), group.scope()));
            for (index, one) in group.metrics().enumerate() {
                page.line(format_args!("Metric #{index}"));
                metric(page, &one);
            }
        }
    }
}

fn metric(page: &mut Page, metric: &Metric<'_>) {
    let data_type = match metric.data() {
        MetricData::Empty => "Empty",
        MetricData::Gauge(_) => "Gauge",
        MetricData::Sum(_) => "Sum",
        MetricData::Histogram(_) => "Histogram",
        MetricData::ExponentialHistogram(_) => "ExponentialHistogram",
        MetricData::Summary(_) => "Summary",
    };
    let temporality = match metric.temporality() {
        Temporality::Unspecified => "Unspecified",
        Temporality::Delta => "Delta",
        Temporality::Cumulative => "Cumulative",
    };
    page.line(format_args!("Descriptor:"));
    let mut field = |name: &str, value: &str| page.line(format_args!("{INDENT}-> {name}: {value}"));
    field("Name", metric.name());
    field("Description", metric.description());
    field("Unit", metric.unit());
    field("DataType", data_type);
    if let MetricData::Sum(sum) = metric.data() {
        field("IsMonotonic", if sum.is_monotonic() { "true" } else { "false" });
    }
    if !matches!(data_type, "Empty" | "Gauge" | "Summary") {
        field("AggregationTemporality", temporality);
    }
    for (index, point) in metric.points().enumerate() {
        data_point(page, index, &point);
    }
}

fn resource(page: &mut Page, schema_url: &str, attributes: Attributes<'_>) {
    page.line(format_args!("Resource SchemaURL: {schema_url}"));
    page.attributes("Resource attributes:", INDENT, attributes);
}

fn scope(page: &mut Page, name: &str, index: usize, (schema_url, scope): (&str, Scope<'_>)) {
    page.line(format_args!("{name} #{index}"));
    page.line(format_args!("{name} SchemaURL: {schema_url}"));
    page.line(format_args!("InstrumentationScope {} {}", scope.name(), scope.version()));
    page.attributes("InstrumentationScope attributes:", INDENT, scope.attributes());
}

fn dropped(page: &mut Page, indent: &str, name: &str, count: u32) {
    if count > 0 {
        page.line(format_args!("{indent}{name}: {count}"));
    }
}

fn trace_id(id: Option<TraceId>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}

fn span_id(id: Option<SpanId>) -> String {
    id.map(|id| id.to_string()).unwrap_or_default()
}
