//! The arguments that say where the configuration comes from.

use anyhow::anyhow;
use clap::Args;

use crate::{app, config};

/// Where the configuration comes from.
#[derive(Args, Debug)]
pub(super) struct ConfigArgs {
    /// A configuration file, or `file:`, `env:` or `yaml:` with what follows, or `embedded:` with the
    /// name of one that comes with the program (see `catchment pipelines`); several are merged from
    /// left to right. Without it `embedded:default` is used
    #[arg(short, long = "config", value_name = "FILE")]
    pub(super) configs: Vec<String>,
    /// Sets a value over the files: `processors.batch.timeout=2s`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(super) sets: Vec<String>,
}

impl ConfigArgs {
    /// Reads and checks the configuration.
    pub(super) fn load(&self) -> anyhow::Result<app::Loaded> {
        app::sources(&self.configs, &environment)
            .and_then(|sources| app::load(&sources, &self.sets, &environment))
            .map_err(|problems| anyhow!(config::render(&problems)))
    }
}

/// The process's environment.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
