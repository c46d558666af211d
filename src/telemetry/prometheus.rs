//! Prometheus' text exposition format, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::metrics::{Labels, Latency, QUANTILES, Series};
use super::sizes::Sizes;

/// How counters are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CounterNames {
    /// As the Collector's documentation lists them, and its default endpoint shows them:
    /// `otelcol_receiver_accepted_spans`.
    #[default]
    AsListed,
    /// With the type's suffix, as the Collector shows them where a reader says
    /// `without_type_suffix: false`: `otelcol_receiver_accepted_spans_total`.
    WithTotal,
}

/// What families are, by the beginning of their names; the first that fits counts.
const HELP: &[(&str, &str)] = &[
    ("otelcol_receiver_accepted_", "Records taken into the pipeline."),
    ("otelcol_receiver_refused_", "Records that could not be taken into the pipeline."),
    ("otelcol_receiver_failed_", "Records that were not taken in because of an error inside."),
    ("otelcol_exporter_sent_", "Records that the destination took."),
    ("otelcol_exporter_send_failed_", "Records that could not be sent to the destination."),
    ("otelcol_exporter_enqueue_failed_", "Records that did not get into the sending queue."),
    ("otelcol_exporter_queue_size", "Size of the sending queue, in its sizer's unit."),
    ("otelcol_exporter_queue_capacity", "Capacity of the sending queue, in its sizer's unit."),
    ("otelcol_processor_incoming_items", "Records passed to the processor."),
    ("otelcol_processor_outgoing_items", "Records emitted by the processor."),
    ("otelcol_processor_batch_batch_send_size", "Records in a batch that was sent on."),
    ("otelcol_deltatocumulative_streams_tracked", "Series that are remembered."),
    ("otelcol_process_uptime", "Uptime of the process, in seconds."),
    ("otelcol_process_memory_rss", "Resident memory of the process, in bytes."),
    ("otelcol_process_cpu_seconds", "CPU time of the process, user and system, in seconds."),
    ("catchment_exporter_send_duration_seconds", "How long attempts to send took."),
];

/// A page in the making.
pub(super) struct Page {
    names: CounterNames,
    text: String,
}

impl Page {
    pub(super) const fn new(names: CounterNames) -> Self {
        Self { names, text: String::new() }
    }

    pub(super) fn push_family(&mut self, family: &str, series: &BTreeMap<Labels, Series>) {
        let Some(first) = series.values().next() else { return };
        let name = self.head(family, first.kind());
        for (labels, series) in series {
            match series {
                Series::Counter(counter) => {
                    self.push_labels(&name, labels, None);
                    self.push_count(counter.get());
                }
                Series::Gauge(gauge) => self.push_value(&name, labels, None, gauge.get()),
                Series::Computed(value) => self.push_value(&name, labels, None, value()),
                Series::Latency(latency) => self.push_latency(&name, labels, latency),
                Series::Sizes(sizes) => self.push_sizes(&name, labels, sizes),
            }
        }
    }

    fn push_latency(&mut self, name: &str, labels: &Labels, latency: &Latency) {
        let snapshot = latency.snapshot();
        for (quantile, value) in QUANTILES.iter().zip(snapshot.quantiles) {
            self.push_value(name, labels, Some(("quantile", &quantile)), value);
        }
        self.push_value(&format!("{name}_sum"), labels, None, snapshot.sum);
        self.push_labels(&format!("{name}_count"), labels, None);
        self.push_count(snapshot.count);
    }

    fn push_sizes(&mut self, name: &str, labels: &Labels, sizes: &Sizes) {
        let snapshot = sizes.snapshot();
        let bucket = format!("{name}_bucket");
        for (bound, count) in &snapshot.buckets {
            self.push_labels(&bucket, labels, Some(("le", bound)));
            self.push_count(*count);
        }
        self.push_labels(&bucket, labels, Some(("le", &"+Inf")));
        self.push_count(snapshot.count);
        self.push_labels(&format!("{name}_sum"), labels, None);
        self.push_count(snapshot.sum);
        self.push_labels(&format!("{name}_count"), labels, None);
        self.push_count(snapshot.count);
    }

    /// Adds a family of one series without labels.
    pub(super) fn push_single(&mut self, family: &str, kind: &str, value: f64) {
        let name = self.head(family, kind);
        self.push_value(&name, &[], None, value);
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    /// Writes HELP and TYPE and gives the name under which the family is shown.
    fn head(&mut self, family: &str, kind: &str) -> String {
        let has_suffix =
            self.names == CounterNames::AsListed || kind != "counter" || family.ends_with("_total");
        let name = if has_suffix { family.to_owned() } else { format!("{family}_total") };
        if let Some((_, help)) = HELP.iter().find(|(prefix, _)| family.starts_with(prefix)) {
            // Writing to a String cannot fail, here and below.
            let _ = writeln!(self.text, "# HELP {name} {help}");
        }
        let _ = writeln!(self.text, "# TYPE {name} {kind}");
        name
    }

    fn push_count(&mut self, count: u64) {
        let _ = writeln!(self.text, " {count}");
    }

    fn push_value(
        &mut self,
        name: &str,
        labels: &[(String, String)],
        extra: Option<(&str, &dyn Display)>,
        value: f64,
    ) {
        self.push_labels(name, labels, extra);
        if value.is_infinite() {
            self.text.push_str(if value > 0.0 { " +Inf\n" } else { " -Inf\n" });
            return;
        }
        let _ = writeln!(self.text, " {value}");
    }

    /// Writes the name and labels, the last of which may be one that says which part of a family
    /// the line is.
    fn push_labels(
        &mut self,
        name: &str,
        labels: &[(String, String)],
        extra: Option<(&str, &dyn Display)>,
    ) {
        self.text.push_str(name);
        let mut separator = '{';
        for (label, value) in labels {
            self.text.push(separator);
            let _ = write!(self.text, "{label}=\"");
            self.push_escaped(value);
            self.text.push('"');
            separator = ',';
        }
        if let Some((label, value)) = extra {
            let _ = write!(self.text, "{separator}{label}=\"{value}\"");
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
    }

    fn push_escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::telemetry::Metrics;

    fn without_process(text: &str) -> String {
        let lines = text.lines().filter(|line| !line.contains("otelcol_process_"));
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn families_come_with_help_type_and_labels() {
        let metrics = Metrics::default();
        let family = "otelcol_receiver_accepted_spans";
        metrics.counter(family, &[("receiver", "otlp")]).add(3);
        metrics.counter(family, &[("receiver", "otlp/\"b\\\n")]).add(4);
        metrics.gauge("g", &[]).set(f64::INFINITY);
        let expected = r#"# TYPE g gauge
g +Inf
# HELP otelcol_receiver_accepted_spans Records taken into the pipeline.
# TYPE otelcol_receiver_accepted_spans counter
otelcol_receiver_accepted_spans{receiver="otlp"} 3
otelcol_receiver_accepted_spans{receiver="otlp/\"b\\\n"} 4"#;
        assert_eq!(without_process(&metrics.to_prometheus()), expected);
    }

    #[test]
    fn counters_get_their_suffix_where_it_is_wanted() {
        let metrics = Metrics::default();
        metrics.counter("a", &[]).add(1);
        metrics.counter("b_total", &[]).add(2);
        metrics.gauge("c", &[]).set(3.0);
        let text = without_process(&metrics.to_prometheus_with(CounterNames::WithTotal));
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(values, ["a_total 1", "b_total 2", "c 3"]);
    }

    #[test]
    fn sizes_are_a_histogram() {
        let metrics = Metrics::default();
        metrics.sizes("s", &[("processor", "p")], &[10, 20]).record(15);
        let expected = r#"# TYPE s histogram
s_bucket{processor="p",le="10"} 0
s_bucket{processor="p",le="20"} 1
s_bucket{processor="p",le="+Inf"} 1
s_sum{processor="p"} 15
s_count{processor="p"} 1"#;
        assert_eq!(without_process(&metrics.to_prometheus()), expected);
    }

    #[test]
    fn latency_is_a_summary() {
        let metrics = Metrics::default();
        metrics.latency("l_seconds", &[("exporter", "e")]).record(Duration::from_secs(2));
        let _ = metrics.latency("m_seconds", &[]);
        let text = metrics.to_prometheus();
        assert!(text.contains("# TYPE l_seconds summary\n"));
        assert!(text.contains("l_seconds{exporter=\"e\",quantile=\"0.999\"} 2."), "{text}");
        assert!(text.contains("l_seconds_sum{exporter=\"e\"} 2\n"));
        assert!(text.contains("l_seconds_count{exporter=\"e\"} 1\n"));
        assert!(text.contains("m_seconds{quantile=\"0.5\"} NaN\n"));
    }
}
