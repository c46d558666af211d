//! The agent's own logs.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Mutex;

use tracing::Level;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// The variable that may set levels by module, as in other Rust programs.
const FILTER_VARIABLE: &str = "RUST_LOG";

/// The form of a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Console,
    /// For programs.
    Json,
}

/// How logs are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: Level,
    /// The form of a line.
    pub format: LogFormat,
    /// `stderr`, `stdout` or a file.
    pub output: String,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { level: Level::INFO, format: LogFormat::Console, output: "stderr".to_owned() }
    }
}

/// Why logs cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The file cannot be written.
    #[error("cannot write the log `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Logs are being written already.
    #[error("logs were set up twice")]
    Twice {
        /// What was said to that.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Starts to write logs; once in a process.
///
/// # Errors
///
/// Fails when the file cannot be written, or logs are written already.
pub fn init_logs(settings: &LogSettings) -> Result<(), LogError> {
    let level = settings.level.as_str().to_ascii_lowercase();
    // Libraries tell of every connection at info; that is for debugging.
    let default = match settings.level {
        Level::DEBUG | Level::TRACE => format!("{level},h2=info,hyper_util=info,rustls=info"),
        _ => format!("{level},tantivy=warn"),
    };
    let filter =
        EnvFilter::try_from_env(FILTER_VARIABLE).unwrap_or_else(|_| EnvFilter::new(default));
    let writer = writer(&settings.output)?;
    let has_colours = settings.output == "stderr" && io::stderr().is_terminal();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(has_colours)
        .with_target(false);
    let started = match settings.format {
        LogFormat::Console => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    started.map_err(|source| LogError::Twice { source })
}

fn writer(output: &str) -> Result<BoxMakeWriter, LogError> {
    match output {
        "stderr" | "" => Ok(BoxMakeWriter::new(io::stderr)),
        "stdout" => Ok(BoxMakeWriter::new(io::stdout)),
        path => {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            let file =
                opened.map_err(|source| LogError::File { path: PathBuf::from(path), source })?;
            Ok(BoxMakeWriter::new(Mutex::new(file)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_that_cannot_be_written_is_named() {
        let error = writer("/no/such/folder/log").err().unwrap();
        assert_eq!(error.to_string(), "cannot write the log `/no/such/folder/log`");
        assert!(writer("stdout").is_ok());
    }
}
