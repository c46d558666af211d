//! Metrics in Prometheus's text format (exposition formats, "Text-based format").

use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};

use super::metrics::{Family, Labels};
use super::process;

/// The percentiles that are shown of latencies.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

pub(super) fn write(families: &BTreeMap<String, Family>) -> String {
    let mut out = String::new();
    for (name, family) in families {
        match family {
            Family::Counters(series) => {
                kind(&mut out, name, "counter");
                for (labels, counter) in series {
                    sample(&mut out, name, labels, counter.get());
                }
            }
            Family::Gauges(series) => {
                kind(&mut out, name, "gauge");
                for (labels, gauge) in series {
                    sample(&mut out, name, labels, gauge.get());
                }
            }
            Family::Latencies(series) => {
                kind(&mut out, name, "summary");
                for (labels, latency) in series {
                    let summary = latency.summary(&QUANTILES);
                    for (quantile, seconds) in summary.quantiles {
                        let mut labels = labels.clone();
                        labels.push(("quantile".to_owned(), quantile.to_string()));
                        sample(&mut out, name, &labels, seconds);
                    }
                    sample(&mut out, &format!("{name}_sum"), labels, summary.sum.as_secs_f64());
                    sample(&mut out, &format!("{name}_count"), labels, summary.count);
                }
            }
        }
    }
    for number in process::numbers() {
        kind(&mut out, number.name, number.kind);
        sample(&mut out, number.name, &Labels::new(), number.value);
    }
    out
}

fn kind(out: &mut String, name: &str, kind: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(out, "# TYPE {name} {kind}");
}

fn sample(out: &mut String, name: &str, labels: &Labels, value: impl Display) {
    out.push_str(name);
    for (index, (label, value)) in labels.iter().enumerate() {
        out.push(if index == 0 { '{' } else { ',' });
        out.push_str(label);
        out.push_str("=\"");
        escape(out, value);
        out.push('"');
    }
    if !labels.is_empty() {
        out.push('}');
    }
    let _ = writeln!(out, " {value}");
}

fn escape(out: &mut String, value: &str) {
    for character in value.chars() {
        match character {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::telemetry::Metrics;

    #[test]
    fn text_is_prometheuss() {
        let metrics = Metrics::default();
        metrics.counter("c", &[("path", "a\"b\\c\nd")]).add(3);
        metrics.gauge("g", &[]).set(1.5);
        metrics.latency("l", &[("x", "y")]).record(Duration::from_millis(2));
        let text = metrics.to_prometheus();
        assert!(text.contains("# TYPE c counter\nc{path=\"a\\\"b\\\\c\\nd\"} 3\n"), "{text}");
        assert!(text.contains("# TYPE g gauge\ng 1.5\n"), "{text}");
        assert!(text.contains("l{x=\"y\",quantile=\"0.99\"} 0.002"), "{text}");
        assert!(text.contains("l_sum{x=\"y\"} 0.002\nl_count{x=\"y\"} 1\n"), "{text}");
        assert!(text.contains("otelcol_process_uptime"), "{text}");
    }
}
