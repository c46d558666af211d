//! What `catchment load` can be told.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, ValueEnum};
use http::{HeaderName, HeaderValue};

use crate::cli::values::{duration, header};
use crate::codec::compress::Compression;
use crate::data::Signal;

const MAX_BATCH: u64 = 100_000;

/// Sends telemetry to an OTLP server and measures
///
/// Requests are made from templates: log records of about 444 bytes, spans of about 589 and data
/// points of about 272 (sums, gauges, histograms), four resources with ten attributes in a
/// request. From one request to the next change: times, trace and span ids, UUIDs, whole numbers
/// and doubles in attributes and texts, the values of data points, and with --ids the records'
/// numbers. What stays: each request in flight has a template of its own, with its own choice and
/// order of messages, routes, methods, services and pods; the series of data points are those of
/// their template.
///
/// Answers that may be different later (gRPC UNAVAILABLE and the like, RESOURCE_EXHAUSTED with
/// RetryInfo, HTTP 429, 502, 503, 504), lost connections and timeouts are tried again with the same
/// bytes, after the pause that the server asks for. The exit code is 1 unless every record was
/// acknowledged.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct Load {
    /// Where to: `host:port`, or a URL, which for HTTP may have a path before `/v1/logs`
    /// [default: localhost:4317, for HTTP localhost:4318]
    #[arg(long, value_name = "ADDRESS")]
    pub(super) endpoint: Option<String>,
    /// OTLP over gRPC, over HTTP in protobuf, or over HTTP in JSON (slow to make)
    #[arg(long, value_enum, default_value_t = Protocol::Grpc)]
    pub(super) protocol: Protocol,
    /// What to send; several take turns
    #[arg(long = "signal", value_enum, default_values_t = [SignalName::Logs])]
    pub(super) signals: Vec<SignalName>,
    /// Records a second; without it, as fast as they are acknowledged. Latencies then count from
    /// when a request was due
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// How long to send [default: 10s, unless something else ends it]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(super) duration: Option<Duration>,
    /// How many requests to send
    #[arg(long, value_name = "N")]
    pub(super) requests: Option<u64>,
    /// How many records to send
    #[arg(long, value_name = "N")]
    pub(super) records: Option<u64>,
    /// Records in a request
    #[arg(long, value_name = "N", default_value_t = 500,
        value_parser = clap::value_parser!(u64).range(1..=MAX_BATCH))]
    pub(super) batch_size: u64,
    /// Connections
    #[arg(long, value_name = "N", default_value = "8")]
    pub(super) connections: NonZeroUsize,
    /// Requests in flight on each connection; over HTTP/1.1, each has a connection of its own
    #[arg(long, value_name = "N", default_value = "4")]
    pub(super) in_flight: NonZeroUsize,
    /// How requests are compressed
    #[arg(long, value_enum, default_value_t = CompressionName::None)]
    pub(super) compression: CompressionName,
    /// Send the lines of this file as log bodies, once, from the first to the last
    #[arg(long, value_name = "FILE")]
    pub(super) lines: Option<PathBuf>,
    /// Begin with the lines again when they are through
    #[arg(long, requires = "lines")]
    pub(super) repeat: bool,
    /// Number every record of a signal from 1 up: attribute `load.id`, and in `load.run` the name
    /// of this run. Data points each become a series of their own
    #[arg(long)]
    pub(super) ids: bool,
    /// Make the same texts and numbers as another run with this seed [default: another each time]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u64>,
    /// A header of every request, `name=value`
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// How long to wait for an answer
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(super) timeout: Duration,
    /// How long after its first attempt a request may be tried again; 0s: never
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub(super) retry_for: Duration,
    #[command(flatten)]
    pub(super) tls: TlsArguments,
    /// Threads of the generator
    #[arg(long, value_name = "N", default_value = "1")]
    pub(super) threads: NonZeroUsize,
    /// Also report CPU time and memory of this process: the agent that is measured
    #[arg(long, value_name = "PID")]
    pub(super) pid: Option<u32>,
    /// How long to wait after the last answer before CPU time and memory are read
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = duration)]
    pub(super) settle: Duration,
    /// Show the progress even when standard error is no terminal
    #[arg(long)]
    pub(super) progress: bool,
    /// Print the report as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Load {
    /// Refuses what cannot go together.
    ///
    /// # Errors
    ///
    /// Says what that is.
    pub(super) fn check(&self) -> Result<(), clap::Error> {
        let is_logs = self.signals.iter().all(|name| *name == SignalName::Logs);
        if self.lines.is_some() && !is_logs {
            let message = "lines are sent as logs; `--lines` cannot be used with other signals\n";
            return Err(clap::Error::raw(ErrorKind::ArgumentConflict, message));
        }
        Ok(())
    }
}

/// TLS of the connections.
#[derive(Clone, Debug, Args)]
pub(super) struct TlsArguments {
    /// Use TLS, as a URL with `https` does
    #[arg(long)]
    pub(super) tls: bool,
    /// Authorities that the server is checked with, in PEM; without it, the system's
    #[arg(long, value_name = "FILE")]
    pub(super) tls_ca: Option<PathBuf>,
    /// A certificate to show to the server, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(super) tls_cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(super) tls_key: Option<PathBuf>,
    /// The name that the server's certificate has
    #[arg(long, value_name = "NAME")]
    pub(super) tls_server_name: Option<String>,
    /// Take any server for the right one
    #[arg(long)]
    pub(super) tls_skip_verify: bool,
}

/// How requests are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Protocol {
    Grpc,
    Http,
    HttpJson,
}

impl Protocol {
    /// Whether it is HTTP/1.1, where a connection has one request at a time.
    pub(super) const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpJson)
    }

    /// As in the arguments.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
            Self::HttpJson => "http-json",
        }
    }
}

/// What is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SignalName {
    Logs,
    Traces,
    Metrics,
}

impl From<SignalName> for Signal {
    fn from(name: SignalName) -> Self {
        match name {
            SignalName::Logs => Self::Logs,
            SignalName::Traces => Self::Traces,
            SignalName::Metrics => Self::Metrics,
        }
    }
}

/// How requests are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum CompressionName {
    None,
    Gzip,
    Zstd,
}

impl From<CompressionName> for Compression {
    fn from(name: CompressionName) -> Self {
        match name {
            CompressionName::None => Self::None,
            CompressionName::Gzip => Self::Gzip,
            CompressionName::Zstd => Self::Zstd,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate.is_finite() && rate > 0.0 => Ok(rate),
        _ => Err("a number greater than 0 is needed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_positive() {
        assert_eq!(rate("2.5e3"), Ok(2500.0));
        for wrong in ["0", "-1", "inf", "NaN", "x"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
    }
}
