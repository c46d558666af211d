//! `catchment search`: finds log records from the shell.

mod agent;
mod arguments;
mod failure;
mod follow;
mod line;
mod output;
#[cfg(test)]
mod tests;

use std::io;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::error::ErrorKind;
use serde::Deserialize;
use serde_json::value::RawValue;

use agent::Agent;
pub(super) use arguments::Search;
use failure::{Failure, Refusal};
use output::{Output, Style};

use crate::api::{self, FindError};
use crate::storage::logindex::{LogIndexError, Snapshot, read_at_rest};
use crate::telemetry::Clock;

/// Records that are shown where `--limit` is not given.
const DEFAULT_LIMIT: u64 = 100;

/// The most records that an agent answers at once.
const MAX_PAGE: u64 = 10_000;

/// What a search is answered with.
#[derive(Deserialize)]
struct Page {
    hits: Vec<Box<RawValue>>,
    next: Option<String>,
    /// What is to be told of the page.
    notice: Option<String>,
}

/// Where records are looked for.
enum Source {
    Agent(Agent),
    Folder(Snapshot),
}

impl Search {
    /// Prints what is found. Nothing found is no error; nor is it when nobody reads any more.
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().context("cannot start the runtime")?;
        let style = match self.json {
            true => Style::Json,
            false => Style::Line { is_colored: self.color.is_on(super::environment) },
        };
        let default = if self.follow { u64::MAX } else { DEFAULT_LIMIT };
        let mut output = Output {
            out: &mut io::stdout().lock(),
            notes: &mut io::stderr().lock(),
            style,
            left: self.limit.map_or(default, u64::from),
        };
        match runtime.block_on(search(self, &mut output)) {
            Ok(()) | Err(Failure::Closed) => Ok(()),
            Err(Failure::Wrong(text)) => {
                clap::Error::raw(ErrorKind::ValueValidation, format!("{text}\n")).exit()
            }
            Err(Failure::Lost(error) | Failure::Other(error)) => Err(error),
        }
    }

    /// The parameters of a request, without those of a page.
    fn parameters(&self, names: &[&str]) -> String {
        let now = Clock::system().now();
        let start = self.since.map(|since| since.resolve(now).to_string());
        let end = self.until.map(|until| until.resolve(now).to_string());
        let all = [
            ("query", Some(self.query.as_str())),
            ("start", start.as_deref()),
            ("end", end.as_deref()),
            ("sort", Some(self.sort.as_str())),
        ];
        let mut text = String::new();
        for (name, value) in all.into_iter().filter(|(name, _)| names.contains(name)) {
            if let Some(value) = value {
                push_parameter(name, value, &mut text);
            }
        }
        text
    }
}

/// Shows what is found, or comes in.
async fn search(arguments: &Search, output: &mut Output<'_>) -> Result<(), Failure> {
    let source = match &arguments.dir {
        Some(folder) => Source::Folder(open(folder, output)?),
        None => Source::Agent(Agent::try_new(arguments)?),
    };
    match source {
        Source::Agent(agent) if arguments.follow => {
            let first = arguments.parameters(&["query", "start"]);
            let again = arguments.parameters(&["query"]);
            follow::follow(&agent, (&first, &again), &arguments.query, output).await
        }
        source => show_pages(arguments, &source, output).await,
    }
}

async fn show_pages(
    arguments: &Search,
    source: &Source,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let parameters = arguments.parameters(&["query", "start", "end", "sort"]);
    let mut cursor: Option<String> = None;
    let mut num_shown = 0;
    while output.left > 0 {
        let mut page = parameters.clone();
        push_parameter("limit", &output.left.min(MAX_PAGE).to_string(), &mut page);
        if let Some(cursor) = &cursor {
            push_parameter("cursor", cursor, &mut page);
        }
        let Page { hits, next, notice } = source.page(&page, &arguments.query).await?;
        num_shown += output.records(hits.iter().map(|hit| hit.get()))?;
        cursor = next;
        if let Some(notice) = notice {
            output.note(&notice);
        }
        if cursor.is_none() {
            break;
        }
    }
    if num_shown == 0 {
        output.note("no records found");
    } else if cursor.is_some() && arguments.limit.is_none() {
        output.note(&format!("these are the first {num_shown}; `--limit` shows more"));
    }
    Ok(())
}

impl Source {
    /// A page of what is found; `query` is the one that stands in `parameters`.
    async fn page(&self, parameters: &str, query: &str) -> Result<Page, Failure> {
        let page = match self {
            Self::Agent(agent) => {
                let answer = agent.answer("search", parameters, query).await?;
                serde_json::from_slice(&answer)
            }
            Self::Folder(snapshot) => match api::find(parameters, snapshot.clone()) {
                Ok(answer) => serde_json::from_str(&answer),
                Err(FindError::Request(error)) => {
                    return Err(Refusal::from(error).into_failure(query));
                }
                Err(error) => return Err(Failure::Other(error.into())),
            },
        };
        page.map_err(|error| anyhow!(error).context("the answer is not that of a search").into())
    }
}

/// Opens the folder of a log index, and tells what is missing in it.
fn open(folder: &Path, output: &mut Output<'_>) -> anyhow::Result<Snapshot> {
    let at_rest = read_at_rest(folder).map_err(|error| {
        let inner = folder.join("index");
        let is_above = matches!(error, LogIndexError::NotAnIndex { .. });
        let is_above = is_above && read_at_rest(&inner).is_ok();
        let error = anyhow::Error::new(error);
        match is_above {
            true => anyhow!("{error}, but `{}` is", inner.display()),
            false => error,
        }
    })?;
    if let Some(pid) = at_rest.writer {
        output.note(&format!(
            "process {pid} writes to this log index: its newest records are not in the folder yet; \
             `--url` asks the agent itself"
        ));
    }
    for error in at_rest.left_out {
        output.note(&format!("left out: {:#}", anyhow::Error::new(error)));
    }
    Ok(at_rest.snapshot)
}

/// Appends a parameter of a query string.
fn push_parameter(name: &str, value: &str, to: &mut String) {
    if !to.is_empty() {
        to.push('&');
    }
    to.push_str(name);
    to.push('=');
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                to.push(char::from(byte));
            }
            _ => to.push_str(&format!("%{byte:02X}")),
        }
    }
}
