//! `catchment plan`: what another configuration would change in an agent that runs.

use std::fmt::Write as _;

use anyhow::anyhow;
use clap::Args;

use super::ConfigArgs;
use crate::config;
use crate::topology::{self, Changes};

/// Shows what a running agent would change if it read another configuration: `--config` is the new
/// one, `--from` the one that runs. Changes nothing
#[derive(Args, Debug)]
pub(super) struct Plan {
    #[command(flatten)]
    config: ConfigArgs,
    /// The configuration that runs, given as with `--config`; without it `embedded:default`
    #[arg(long, value_name = "FILE")]
    from: Vec<String>,
    /// Prints JSON, as `POST /-/reload` answers
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let new = self.config.load()?;
        let from = ConfigArgs { configs: self.from.clone(), sets: self.config.sets.clone() };
        let old = from.load()?;
        let changes = topology::changes(&old.plan, &new.plan)
            .map_err(|problems| anyhow!(config::render(&problems)))?;
        let text = match self.json {
            true => serde_json::to_string(&changes)? + "\n",
            false => show(&changes),
        };
        super::print(&text)
    }
}

/// A line for each part, and what becomes of what it has.
fn show(changes: &Changes) -> String {
    let mut text = String::new();
    let groups = [
        ("+", &changes.added, added as fn(&str) -> &str),
        ("-", &changes.removed, removed),
        ("~", &changes.changed, changed),
        ("=", &changes.kept, kept),
    ];
    for (sign, parts, meaning) in groups {
        for part in parts {
            let section = part.strip_prefix("service::").unwrap_or(part);
            let section = section.split("::").next().unwrap_or_default();
            let _ = writeln!(text, "{sign} {part:<40} {}", meaning(section));
        }
    }
    if changes.is_empty() {
        text.push_str("nothing changes\n");
    }
    text
}

fn added(_: &str) -> &'static str {
    "starts"
}

fn removed(section: &str) -> &'static str {
    match section {
        "receivers" => "ends after the requests that it has",
        "exporters" => "sends what waits, then ends",
        "pipelines" => "lets go of what its stages hold, then ends",
        _ => "ends",
    }
}

fn changed(section: &str) -> &'static str {
    match section {
        "receivers" => "another listens on the same sockets; connections end after their requests",
        "exporters" => "what waits goes to the new one",
        "pipelines" => "lets go of what its stages hold; what they know goes on",
        "extensions" => "ends and starts again",
        _ => "is built anew",
    }
}

fn kept(section: &str) -> &'static str {
    match section {
        "receivers" => "keeps its connections",
        "exporters" => "keeps its queue and connections",
        "pipelines" => "keeps what its stages hold and know",
        _ => "stays",
    }
}
