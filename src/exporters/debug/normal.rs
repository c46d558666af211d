//! Verbosity `normal`: about one line for each record.

use super::page::{Page, in_line};
use crate::data::{
    Attributes, Batch, DataPoint, HistogramPoint, Metric, NumberValue, Scope, Signal, SummaryPoint,
    push_double,
};

/// The records of a batch, a line each, under lines for their resources and scopes.
pub(super) fn normal(batch: &Batch) -> String {
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
        heading(
            page,
            &format!("ResourceLog #{index}"),
            group.schema_url(),
            group.resource().attributes(),
        );
        for (index, group) in group.scopes().enumerate() {
            scope(page, &format!("ScopeLog #{index}"), group.schema_url(), group.scope());
            for record in group.records() {
                let body = record.body().to_text();
                joined(page, &[&body, &in_line(record.attributes())]);
            }
        }
    }
}

fn spans(page: &mut Page, batch: &Batch) {
    for (index, group) in batch.spans().resources().enumerate() {
        heading(
            page,
            &format!("ResourceTraces #{index}"),
            group.schema_url(),
            group.resource().attributes(),
        );
        for (index, group) in group.scopes().enumerate() {
            scope(page, &format!("ScopeTraces #{index}"), group.schema_url(), group.scope());
            for span in group.spans() {
                let trace_id = span.trace_id().map(|id| id.to_string()).unwrap_or_default();
                let span_id = span.span_id().map(|id| id.to_string()).unwrap_or_default();
                joined(page, &[span.name(), &trace_id, &span_id, &in_line(span.attributes())]);
            }
        }
    }
}

fn metrics(page: &mut Page, batch: &Batch) {
    for (index, group) in batch.metrics().resources().enumerate() {
        heading(
            page,
            &format!("ResourceMetrics #{index}"),
            group.schema_url(),
            group.resource().attributes(),
        );
        for (index, group) in group.scopes().enumerate() {
            scope(page, &format!("ScopeMetrics #{index}"), group.schema_url(), group.scope());
            for metric in group.metrics() {
                for point in metric.points() {
                    data_point(page, &metric, &point);
                }
            }
        }
    }
}

fn data_point(page: &mut Page, metric: &Metric<'_>, point: &DataPoint<'_>) {
    let pairs = point.attributes().iter().map(|(key, value)| format!("{key}={}", value.to_text()));
    let series = format!("{}{{{}}}", metric.name(), pairs.collect::<Vec<_>>().join(","));
    let value = match point {
        DataPoint::Number(point) => number(point.value()),
        DataPoint::Histogram(point) => histogram(point),
        DataPoint::ExponentialHistogram(point) => {
            let totals = [
                Some(format!("count={}", point.count())),
                point.sum().map(|sum| format!("sum={}", double(sum))),
                point.min().map(|min| format!("min={}", double(min))),
                point.max().map(|max| format!("max={}", double(max))),
            ];
            totals.into_iter().flatten().collect::<Vec<_>>().join(" ")
        }
        DataPoint::Summary(point) => summary(point),
    };
    joined(page, &[&series, &value]);
}

fn histogram(point: &HistogramPoint<'_>) -> String {
    let mut texts = vec![format!("count={}", point.count())];
    texts.extend(point.sum().map(|sum| format!("sum={}", double(sum))));
    texts.extend(point.min().map(|min| format!("min={}", double(min))));
    texts.extend(point.max().map(|max| format!("max={}", double(max))));
    let bounds = point.explicit_bounds().map(|bound| format!("le{}=", double(bound)));
    let bounds = bounds.chain(std::iter::once(String::new()));
    texts.extend(point.bucket_counts().zip(bounds).map(|(count, bound)| format!("{bound}{count}")));
    texts.join(" ")
}

fn summary(point: &SummaryPoint<'_>) -> String {
    let mut texts =
        vec![format!("count={}", point.count()), format!("sum={}", double(point.sum()))];
    let quantiles = point.quantile_values();
    texts.extend(
        quantiles.map(|value| format!("q{}={}", double(value.quantile()), double(value.value()))),
    );
    texts.join(" ")
}

/// A number as text.
pub(super) fn number(value: NumberValue) -> String {
    match value {
        NumberValue::Empty => String::new(),
        NumberValue::Int(number) => number.to_string(),
        NumberValue::Double(number) => double(number),
    }
}

fn double(number: f64) -> String {
    let mut text = String::new();
    push_double(number, &mut text);
    text
}

fn heading(page: &mut Page, name: &str, schema_url: &str, attributes: Attributes<'_>) {
    let schema = if schema_url.is_empty() { String::new() } else { format!("[{schema_url}]") };
    joined(page, &[name, &schema, &in_line(attributes)]);
}

fn scope(page: &mut Page, name: &str, schema_url: &str, scope: Scope<'_>) {
    let mut who = scope.name().to_owned();
    if !scope.version().is_empty() {
        who = format!("{who}@{}", scope.version());
    }
    heading(page, &format!("{name} {who}"), schema_url, scope.attributes());
}

/// Adds a line of the parts that are not empty.
fn joined(page: &mut Page, parts: &[&str]) {
    let parts: Vec<_> = parts.iter().filter(|part| !part.is_empty()).copied().collect();
    page.line(format_args!("{}", parts.join(" ").trim_end()));
}
