//! The command line: one file for each command.

mod components;
mod config_args;
mod journal;
mod load;
mod pipelines;
mod plan;
mod print_config;
mod run;
mod search;
mod test;
mod validate;
mod values;

use std::io::{self, Write as _};
use std::process::ExitCode;

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
    Test(test::Test),
    PrintConfig(print_config::PrintConfig),
    Components(components::Components),
    Pipelines(pipelines::Pipelines),
    Plan(plan::Plan),
    Load(Box<load::Load>),
    Search(Box<search::Search>),
    Journal(journal::Journal),
}

impl Cli {
    /// Does what the command line asks for; how the process shall exit.
    ///
    /// # Errors
    ///
    /// Fails as the command does.
    pub fn run(&self) -> anyhow::Result<ExitCode> {
        let done = match &self.command {
            Command::Test(test) => return test.run(),
            Command::Run(run) => run.run(),
            Command::Validate(validate) => validate.run(),
            Command::PrintConfig(print_config) => print_config.run(),
            Command::Components(components) => components.run(),
            Command::Pipelines(pipelines) => pipelines.run(),
            Command::Plan(plan) => plan.run(),
            Command::Load(load) => load.run(),
            Command::Search(search) => search.run(),
            Command::Journal(journal) => journal.run(),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
}

/// Prints a result. Who reads it may stop reading at any time.
fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn arguments_do_not_contradict_one_another() {
        Cli::command().debug_assert();
    }
}
