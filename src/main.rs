//! The `catchment` program.

use std::io::Write as _;
use std::process::ExitCode;

use catchment::cli::Cli;
use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{}", report(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error with its causes; a list of problems is shown as it is.
fn report(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    if text.starts_with("error: ") { text } else { format!("error: {text}") }
}
