//! A request as prost has it, one record at a time.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, Summary,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use prost::Message as _;

use crate::data::{Batch, Signal};

/// Each record as an encoded request of its own, with its envelopes; in order.
pub(crate) fn flatten(batch: &Batch) -> Vec<Vec<u8>> {
    let bytes = batch.merged_bytes();
    match batch.signal() {
        Signal::Logs => logs(&ExportLogsServiceRequest::decode(bytes).expect("a batch is valid")),
        Signal::Traces => {
            traces(&ExportTraceServiceRequest::decode(bytes).expect("a batch is valid"))
        }
        Signal::Metrics => {
            metrics(&ExportMetricsServiceRequest::decode(bytes).expect("a batch is valid"))
        }
    }
}

fn logs(request: &ExportLogsServiceRequest) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for group in &request.resource_logs {
        for scope in &group.scope_logs {
            for record in &scope.log_records {
                let scope = ScopeLogs { log_records: vec![record.clone()], ..scope.clone() };
                let group = ResourceLogs { scope_logs: vec![scope], ..group.clone() };
                records
                    .push(ExportLogsServiceRequest { resource_logs: vec![group] }.encode_to_vec());
            }
        }
    }
    records
}

fn traces(request: &ExportTraceServiceRequest) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for group in &request.resource_spans {
        for scope in &group.scope_spans {
            for span in &scope.spans {
                let scope = ScopeSpans { spans: vec![span.clone()], ..scope.clone() };
                let group = ResourceSpans { scope_spans: vec![scope], ..group.clone() };
                records.push(
                    ExportTraceServiceRequest { resource_spans: vec![group] }.encode_to_vec(),
                );
            }
        }
    }
    records
}

fn metrics(request: &ExportMetricsServiceRequest) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    for group in &request.resource_metrics {
        for scope in &group.scope_metrics {
            for metric in &scope.metrics {
                for data in points(metric.data.as_ref()) {
                    let metric = Metric { data: Some(data), ..metric.clone() };
                    let scope = ScopeMetrics { metrics: vec![metric], ..scope.clone() };
                    let group = ResourceMetrics { scope_metrics: vec![scope], ..group.clone() };
                    let request = ExportMetricsServiceRequest { resource_metrics: vec![group] };
                    records.push(request.encode_to_vec());
                }
            }
        }
    }
    records
}

/// The data of a metric, cut to one point each.
fn points(data: Option<&Data>) -> Vec<Data> {
    match data {
        None => Vec::new(),
        Some(Data::Gauge(gauge)) => {
            let points = gauge.data_points.iter();
            points.map(|point| Data::Gauge(Gauge { data_points: vec![point.clone()] })).collect()
        }
        Some(Data::Sum(sum)) => {
            let points = sum.data_points.iter();
            points
                .map(|point| Data::Sum(Sum { data_points: vec![point.clone()], ..sum.clone() }))
                .collect()
        }
        Some(Data::Histogram(histogram)) => {
            let points = histogram.data_points.iter().map(|point| vec![point.clone()]);
            points
                .map(|data_points| Data::Histogram(Histogram { data_points, ..histogram.clone() }))
                .collect()
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            let points = histogram.data_points.iter().map(|point| vec![point.clone()]);
            points
                .map(|data_points| {
                    let histogram = ExponentialHistogram { data_points, ..histogram.clone() };
                    Data::ExponentialHistogram(histogram)
                })
                .collect()
        }
        Some(Data::Summary(summary)) => {
            let points = summary.data_points.iter();
            points
                .map(|point| Data::Summary(Summary { data_points: vec![point.clone()] }))
                .collect()
        }
    }
}
