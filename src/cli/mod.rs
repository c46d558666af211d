//! The command line: one file for each command.

mod config_args;
mod run;
mod validate;

use clap::{Parser, Subcommand};

use config_args::{ConfigArgs, environment};

/// An observability pipeline agent: OTLP in, stages, Parquet archives, a log index, Prometheus
/// remote-write and OTLP out
#[derive(Parser, Debug)]
#[command(name = "catchment", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    Run(run::Run),
    Validate(validate::Validate),
}

impl Cli {
    /// Does what the command line asks for.
    ///
    /// # Errors
    ///
    /// Fails as the command does.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            Command::Run(run) => run.run(),
            Command::Validate(validate) => validate.run(),
        }
    }
}
