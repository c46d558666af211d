//! What is told at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::arguments::Load;
use super::tally::{Records, Tally};
use super::usage::Usage;
use crate::codec::compress::Compression;
use crate::data::Signal;

const MILLION: f64 = 1e6;
const MIB: f64 = 1_048_576.0;

/// The results of a run. The names of the fields are those of the JSON form.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    protocol: &'static str,
    compression: &'static str,
    batch_size: u64,
    connections: usize,
    in_flight: usize,
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<String>,
    seconds: f64,
    requests: u64,
    retries: u64,
    records_acknowledged: u64,
    records_rejected: u64,
    records_failed: u64,
    records_per_second: f64,
    bytes_acknowledged: u64,
    megabytes_per_second: f64,
    latency_ms: Latency,
    signals: BTreeMap<&'static str, Records>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generator_cpu_seconds: Option<f64>,
    #[serde(flatten)]
    agent: Option<Agent>,
    errors: Vec<Trouble>,
}

/// Of requests that were acknowledged; all 0 when none was.
#[derive(Debug, Default, Serialize)]
struct Latency {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

#[derive(Debug, Serialize)]
struct Agent {
    agent_pid: Option<u32>,
    agent_is_running: bool,
    agent_cpu_seconds: f64,
    agent_cpu_seconds_per_million: Option<f64>,
    agent_rss_bytes: u64,
    agent_peak_rss_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Trouble {
    message: String,
    requests: u64,
}

impl Report {
    /// The report of a run with this seed and name that took so long.
    pub(super) fn new(
        arguments: &Load,
        (seed, run): (u64, Option<String>),
        elapsed: Duration,
        tally: &Tally,
        usage: Usage,
    ) -> Self {
        let counts = tally.counts();
        let total = counts.total();
        let seconds = super::seconds(elapsed);
        let signals = Signal::ALL.into_iter().map(|signal| (signal, *counts.records.of(signal)));
        let agent = usage.agent.map(|agent| Agent {
            agent_pid: arguments.pid,
            agent_is_running: agent.is_running,
            agent_cpu_seconds: rounded(agent.cpu_seconds),
            agent_cpu_seconds_per_million: (total.acknowledged > 0)
                .then(|| rounded(agent.cpu_seconds * MILLION / total.acknowledged as f64)),
            agent_rss_bytes: agent.rss_bytes,
            agent_peak_rss_bytes: agent.peak_rss_bytes,
        });
        let errors = counts.errors.into_iter();
        Self {
            protocol: arguments.protocol.as_str(),
            compression: Compression::from(arguments.compression).header().unwrap_or("none"),
            batch_size: arguments.batch_size,
            connections: arguments.connections.get(),
            in_flight: arguments.in_flight.get(),
            seed,
            run,
            seconds: rounded(seconds),
            requests: counts.num_requests,
            retries: counts.num_retries,
            records_acknowledged: total.acknowledged,
            records_rejected: total.rejected,
            records_failed: total.failed,
            records_per_second: (total.acknowledged as f64 / seconds).round(),
            bytes_acknowledged: counts.num_bytes,
            megabytes_per_second: rounded(counts.num_bytes as f64 / MILLION / seconds),
            latency_ms: counts.latencies.as_ref().map(Latency::of).unwrap_or_default(),
            signals: signals
                .filter(|(_, records)| records.last_id > 0)
                .map(|(signal, records)| (signal.as_str(), records))
                .collect(),
            generator_cpu_seconds: usage.generator_cpu_seconds.map(rounded),
            agent,
            errors: errors.map(|(message, requests)| Trouble { message, requests }).collect(),
        }
    }

    /// How many records were not acknowledged.
    pub(super) const fn num_lost(&self) -> u64 {
        self.records_rejected + self.records_failed
    }

    /// For machines.
    pub(super) fn to_json(&self) -> anyhow::Result<String> {
        Ok(format!("{}\n", serde_json::to_string_pretty(self)?))
    }

    /// For people.
    pub(super) fn to_text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let (acknowledged, latency) = (self.records_acknowledged, &self.latency_ms);
        writeln!(out, "acknowledged  {} records in {:.2} s", grouped(acknowledged), self.seconds)?;
        let rate = per_second(acknowledged, self.seconds);
        writeln!(out, "speed         {rate} records/s, {:.1} MB/s", self.megabytes_per_second)?;
        writeln!(out, "rejected      {}", grouped(self.records_rejected))?;
        writeln!(out, "failed        {}", grouped(self.records_failed))?;
        let (requests, retries) = (grouped(self.requests), grouped(self.retries));
        writeln!(out, "requests      {requests}, and {retries} retries")?;
        writeln!(
            out,
            "latency       p50 {:.2} ms, p90 {:.2}, p99 {:.2}, p99.9 {:.2}, max {:.2}",
            latency.p50, latency.p90, latency.p99, latency.p99_9, latency.max
        )?;
        if let Some(cpu_seconds) = self.generator_cpu_seconds {
            writeln!(out, "generator     {cpu_seconds:.2} CPU s")?;
        }
        if let Some(agent) = &self.agent {
            agent.write(out)?;
        }
        for (signal, records) in &self.signals {
            if let Some(run) = &self.run {
                let (first, last) = (grouped(records.first_id), grouped(records.last_id));
                writeln!(out, "ids           {signal} {first} to {last} of run {run}")?;
            }
        }
        writeln!(out, "seed          {}", self.seed)?;
        for Trouble { message, requests } in &self.errors {
            writeln!(out, "error         {} requests {message}", grouped(*requests))?;
        }
        Ok(())
    }
}

impl Agent {
    fn write(&self, out: &mut String) -> std::fmt::Result {
        write!(out, "agent         {:.2} CPU s", self.agent_cpu_seconds)?;
        if let Some(per_million) = self.agent_cpu_seconds_per_million {
            write!(out, ", {per_million:.3} per million records")?;
        }
        let (now, peak) = (self.agent_rss_bytes as f64, self.agent_peak_rss_bytes as f64);
        writeln!(out, ", {:.1} MiB resident, at most {:.1} MiB", now / MIB, peak / MIB)?;
        if !self.agent_is_running {
            writeln!(out, "              it ended during the run")?;
        }
        Ok(())
    }
}

impl Latency {
    fn of(micros: &Histogram<u64>) -> Self {
        let at = |quantile| rounded(micros.value_at_quantile(quantile) as f64 / 1000.0);
        Self {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: rounded(micros.max() as f64 / 1000.0),
        }
    }
}

/// To three places.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// How many a second, with commas.
pub(super) fn per_second(number: u64, seconds: f64) -> String {
    let millis = (seconds * 1000.0).round().max(1.0);
    format!("{:.0}", number as f64 * 1000.0 / millis).parse().map_or_else(|_| "-".into(), grouped)
}

/// A number with commas: `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let grouped = [0, 999, 1000, 1_234_567].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "1,234,567"]);
    }
}
