//! `catchment validate`: checks a configuration without running it.

use std::io::Write as _;

use anyhow::anyhow;
use clap::Args;

use super::ConfigArgs;
use crate::{app, config};

/// Checks a configuration: everything that is wrong with it, each with its place
#[derive(Args, Debug)]
pub(super) struct Validate {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Validate {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        let warnings = app::check(&loaded, &super::environment)
            .map_err(|problems| anyhow!(config::render(&problems)))?;
        let mut out = std::io::stdout().lock();
        for warning in warnings {
            writeln!(out, "{warning}")?;
        }
        writeln!(out, "the configuration is valid")?;
        Ok(())
    }
}
