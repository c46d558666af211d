//! What `catchment search` can be told.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use http::{HeaderName, HeaderValue};

use crate::api;
use crate::cli::values::{Color, duration, header};
use crate::data::Time;

const EXAMPLES: &str = "\
Examples:
  catchment search 'severity:>=warn \"connection refused\"' --since 15m
  catchment search 'service:checkout http.status_code:>=500' --sort oldest --limit 1000
  catchment search trace_id:5b8efff798038103d269b633813fc60c --json | jq .body
  catchment search error --follow
  catchment search refused --dir catchment-data/index --until 2026-11-24T16:00:00Z

Queries: words, \"phrases\", conn*, *fuse*, /regular expressions/, field:value, duration_ms:>250,
  duration_ms:[100 TO 250], _exists_:exception.type; AND OR NOT and parentheses.

Exit codes: 0 the search was done, whether or not anything was found; 1 it could not be done;
  2 the arguments or the query are wrong";

/// Finds log records: in a running agent, or in the folder of a stopped one's log index
///
/// Prints one line for each record: time, severity, service, body, and the record's own attributes
/// and trace id. Control characters are shown escaped. `--json` prints records whole.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Search {
    /// What to look for; without it, every record
    #[arg(default_value = "", hide_default_value = true)]
    pub(super) query: String,
    /// The agent to ask: where its `service::api` is
    #[arg(long, value_name = "URL", default_value = "http://localhost:3100")]
    pub(super) url: String,
    /// Read the folder of a log index instead, such as catchment-data/index; nothing in it is
    /// changed or locked
    #[arg(long, value_name = "FOLDER", conflicts_with = "url")]
    pub(super) dir: Option<PathBuf>,
    /// Only records since then: a duration up to now (`15m`, `1h30m`), or a time (RFC 3339, or Unix
    /// time)
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub(super) since: Option<When>,
    /// Only records before then
    #[arg(long, value_name = "WHEN", value_parser = when)]
    pub(super) until: Option<When>,
    /// How many records at the most [default: 100; with --follow no limit]
    #[arg(long, value_name = "N")]
    pub(super) limit: Option<NonZeroU64>,
    /// Which records come first
    #[arg(long, value_enum, default_value_t = Sort::Newest)]
    pub(super) sort: Sort,
    /// Print each record as a line of JSON, with everything in it
    #[arg(long)]
    pub(super) json: bool,
    /// Print records as they come in, until interrupted; with --since, first those since then.
    /// A lost connection is opened again
    #[arg(long, conflicts_with_all = ["dir", "until", "sort"])]
    pub(super) follow: bool,
    /// Colours: when the output is a terminal and NO_COLOR is not set, always, or never
    #[arg(long, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    pub(super) color: Color,
    /// A header of every request, `name=value`, such as authorization="Bearer …"
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header, conflicts_with = "dir")]
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Authorities that an `https` server is checked with, in PEM; without it, the system's
    #[arg(long, value_name = "FILE", conflicts_with = "dir")]
    pub(super) tls_ca: Option<PathBuf>,
}

/// A time, or how long ago one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// Unix time in nanoseconds.
    At(i64),
    Ago(Duration),
}

impl When {
    /// As Unix time in nanoseconds.
    pub(super) fn resolve(self, now: Time) -> i64 {
        match self {
            Self::At(nanos) => nanos,
            Self::Ago(ago) => {
                let now = i64::try_from(now.as_unix_nanos()).unwrap_or(i64::MAX);
                now.saturating_sub(i64::try_from(ago.as_nanos()).unwrap_or(i64::MAX))
            }
        }
    }
}

/// Which records come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Sort {
    Newest,
    Oldest,
}

impl Sort {
    /// As in a request.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
        }
    }
}

fn when(text: &str) -> Result<When, String> {
    if let Some(nanos) = api::parse_time(text) {
        return Ok(When::At(nanos));
    }
    duration(text).map(When::Ago).map_err(|_| {
        format!("expected a duration up to now (`15m`, `1h30m`), or {}", api::EXPECTED_TIME)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_such_or_up_to_now() {
        let now = Time::from_unix_nanos(1_795_532_400_000_000_000);
        for text in ["15m", "900s", "2026-11-24T14:45:00Z", "1795531500"] {
            assert_eq!(when(text).unwrap().resolve(now), 1_795_531_500_000_000_000, "{text}");
        }
        for wrong in ["", "soon", "-15m", "15"] {
            let is_time = wrong == "15";
            assert_eq!(when(wrong).is_ok(), is_time, "{wrong}");
        }
    }
}
