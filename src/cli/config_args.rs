//! The arguments that say where the configuration comes from.

use anyhow::anyhow;
use clap::Args;

use crate::config::Diagnostic;
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
        self.read().map_err(|problems| anyhow!(config::render(&problems)))
    }

    /// The same; fails with everything that is wrong.
    pub(super) fn read(&self) -> Result<app::Loaded, Vec<Diagnostic>> {
        app::sources(&self.configs, &environment)
            .and_then(|sources| app::load(&sources, &self.sets, &environment))
    }
}

/// The process's environment.
pub(super) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
