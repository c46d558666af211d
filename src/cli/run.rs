//! `catchment run`: the agent.

use anyhow::Context as _;
use clap::Args;

use super::ConfigArgs;
use crate::app;

/// Runs the agent until SIGTERM or SIGINT; SIGHUP reads the configuration again
#[derive(Args, Debug)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigArgs,
}

impl Run {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        let loaded = self.config.load()?;
        app::init_logs(&loaded.plan)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .thread_name("catchment")
            .build()
            .context("cannot start the runtime")?;
        let outcome =
            runtime.block_on(app::run(&loaded, || self.config.read(), &super::environment));
        // What still hangs in a blocking call must not keep the process.
        runtime.shutdown_timeout(std::time::Duration::from_secs(1));
        outcome
    }
}
