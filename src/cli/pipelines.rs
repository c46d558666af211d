//! `catchment pipelines`: the pipelines that come with the program.

use anyhow::anyhow;

use crate::app::{PIPELINES, Pipeline};
use crate::config;

/// Lists the pipelines that come with the program, or prints one as a file to begin with
///
/// `--config embedded:NAME` uses one as it is.
#[derive(Debug, clap::Args)]
pub(super) struct Pipelines {
    /// Print this one
    name: Option<String>,
}

impl Pipelines {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let Some(name) = &self.name else {
            return super::print(&list());
        };
        let pipeline = Pipeline::of(name).map_err(|problem| anyhow!(config::render(&[problem])))?;
        super::print(pipeline.text)
    }
}

/// Names, each with what the pipeline is for.
fn list() -> String {
    let pipelines = PIPELINES.map(|pipeline| {
        let about = pipeline.about().map(|line| format!("\n  {line}"));
        format!("{}{}\n", pipeline.name, about.collect::<String>())
    });
    pipelines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pipeline_is_listed_with_what_it_is_for() {
        let list = list();
        for pipeline in PIPELINES {
            let first = pipeline.about().next().unwrap();
            assert!(list.contains(&format!("{}\n  {first}\n", pipeline.name)), "{list}");
        }
    }

    #[test]
    fn pipeline_that_there_is_not_is_told_with_those_that_there_are() {
        let told = |name: &str| {
            let run = Pipelines { name: Some(name.to_owned()) }.run();
            run.unwrap_err().to_string()
        };
        assert!(told("sidecars").contains("did you mean `sidecar`?"));
        assert!(told("x").contains("there are: default, demo, sidecar"));
    }
}
