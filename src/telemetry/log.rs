//! The agent's own log, as `service::telemetry::logs` has it.
//!
//! A line is `2026-11-24T07:30:00.123Z WARN  export failed, will retry component=otlp`, or an
//! object with `level`, `ts`, `msg` and the fields. Libraries are heard from `warn` on only.

mod line;
mod sampler;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry};

use self::sampler::Sampler;
use super::Clock;

/// How the log is written.
#[derive(Clone, Debug)]
pub struct LogSettings {
    /// The least severe level that is written.
    pub level: LogLevel,
    /// The form of a line.
    pub encoding: LogEncoding,
    /// `stdout`, `stderr` or files, which are appended to.
    pub output_paths: Vec<String>,
    /// Limits repeated lines; `None`: all are written.
    pub sampling: Option<LogSampling>,
    /// Fields of every line.
    pub initial_fields: BTreeMap<String, String>,
}

/// How severe a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Per batch.
    Debug,
    /// Start, stop, configuration.
    Info,
    /// Data refused or late.
    Warn,
    /// Someone must act.
    Error,
}

/// The form of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogEncoding {
    /// For people.
    Console,
    /// For programs: an object on each line.
    Json,
}

/// Limits lines that repeat: of each message in each `tick`, the `initial` first lines are
/// written, then every `thereafter`th.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogSampling {
    /// Counting starts anew after this.
    pub tick: Duration,
    /// Lines that are written first.
    pub initial: u64,
    /// Of those that follow every how many are written; 0: none.
    pub thereafter: u64,
}

/// Why the log cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// A file cannot be opened.
    #[error("cannot open log file `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What failed.
        source: io::Error,
    },
    /// The process has a log already.
    #[error("the log is set up already")]
    Again(#[source] TryInitError),
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            level: LogLevel::Info,
            encoding: LogEncoding::Console,
            output_paths: vec!["stderr".to_owned()],
            sampling: Some(LogSampling::default()),
            initial_fields: BTreeMap::new(),
        }
    }
}

impl Default for LogSampling {
    fn default() -> Self {
        Self { tick: Duration::from_secs(10), initial: 10, thereafter: 100 }
    }
}

/// Sets up the log of the process; to be called once.
///
/// # Errors
///
/// Fails when a file cannot be opened or the process has a log already.
pub fn init_logs(settings: &LogSettings) -> Result<(), LogError> {
    let outputs = settings.output_paths.iter().map(|path| Output::open(path));
    let outputs = outputs.collect::<Result<_, _>>()?;
    let layer = LogLayer::new(settings, outputs, Clock::system());
    Registry::default()
        .with(layer.with_filter(levels(settings.level)))
        .try_init()
        .map_err(LogError::Again)
}

/// Our own lines from `level` on, those of libraries from `warn` on.
fn levels(level: LogLevel) -> Targets {
    let own = match level {
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Error => LevelFilter::ERROR,
    };
    let others = own.min(LevelFilter::WARN);
    Targets::new().with_target(env!("CARGO_CRATE_NAME"), own).with_default(others)
}

/// Writes every event to all outputs.
struct LogLayer {
    encoding: LogEncoding,
    initial_fields: BTreeMap<String, String>,
    sampler: Option<Sampler>,
    outputs: Vec<Output>,
    clock: Clock,
}

enum Output {
    Stdout,
    Stderr,
    Other(Mutex<Box<dyn Write + Send>>),
}

impl LogLayer {
    fn new(settings: &LogSettings, outputs: Vec<Output>, clock: Clock) -> Self {
        Self {
            encoding: settings.encoding,
            initial_fields: settings.initial_fields.clone(),
            sampler: settings.sampling.map(Sampler::new),
            outputs,
            clock,
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let now = self.clock.now();
        let callsite = event.metadata().callsite();
        if self.sampler.as_ref().is_some_and(|sampler| !sampler.takes(callsite, now)) {
            return;
        }
        let line = match self.encoding {
            LogEncoding::Console => line::console(event, now, &self.initial_fields),
            LogEncoding::Json => line::json(event, now, &self.initial_fields),
        };
        for output in &self.outputs {
            output.write(line.as_bytes());
        }
    }
}

impl Output {
    fn open(path: &str) -> Result<Self, LogError> {
        match path {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            path => {
                // The Collector takes file URLs, too.
                let path = PathBuf::from(path.strip_prefix("file://").unwrap_or(path));
                match OpenOptions::new().create(true).append(true).open(&path) {
                    Ok(file) => Ok(Self::file(file)),
                    Err(source) => Err(LogError::Open { path, source }),
                }
            }
        }
    }

    fn file(file: File) -> Self {
        Self::Other(Mutex::new(Box::new(file)))
    }

    fn write(&self, line: &[u8]) {
        // There is nobody to tell that the log cannot be written.
        let _ = match self {
            Self::Stdout => io::stdout().lock().write_all(line),
            Self::Stderr => io::stderr().lock().write_all(line),
            Self::Other(output) => {
                output.lock().unwrap_or_else(PoisonError::into_inner).write_all(line)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::{debug, error, info, warn};

    use super::*;
    use crate::data::Time;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(settings: &LogSettings, work: impl FnOnce()) -> String {
        let lines = Lines::default();
        let (clock, _) = Clock::manual(Time::from_unix_nanos(1_795_505_400_123_456_789));
        let outputs = vec![Output::Other(Mutex::new(Box::new(lines.clone())))];
        let layer = LogLayer::new(settings, outputs, clock);
        let registry = Registry::default().with(layer.with_filter(levels(settings.level)));
        tracing::subscriber::with_default(registry, work);
        let lines = lines.0.lock().unwrap();
        String::from_utf8(lines.clone()).unwrap()
    }

    #[test]
    fn console_line_has_time_level_message_and_fields() {
        let initial_fields = BTreeMap::from([("node".to_owned(), "a b".to_owned())]);
        let settings = LogSettings { initial_fields, ..LogSettings::default() };
        let text = log(&settings, || {
            warn!(error = %"no \"route\"\n", records = 5, ok = true, "export failed");
        });
        let expected = "2026-11-24T07:30:00.123456Z WARN  export failed \
                        error=\"no \\\"route\\\"\\n\" records=5 ok=true node=\"a b\"\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn further_lines_of_a_message_are_indented() {
        let settings = LogSettings::default();
        let text = log(&settings, || info!("Logs\nBody: 2026-11-24T07:30:00Z ERROR forged\r\n"));
        let expected = "2026-11-24T07:30:00.123456Z INFO  Logs\n    \
                        Body: 2026-11-24T07:30:00Z ERROR forged\\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn json_line_is_an_object_with_the_collectors_keys() {
        let initial_fields = BTreeMap::from([("node".to_owned(), "a".to_owned())]);
        let encoding = LogEncoding::Json;
        let settings = LogSettings { initial_fields, encoding, ..LogSettings::default() };
        let text = log(&settings, || {
            error!(component = "otlp", share = 0.5, records = -5, list = ?[1], "gone");
        });
        let line: serde_json::Value = serde_json::from_str(text.trim_end()).unwrap();
        let expected = serde_json::json!({
            "level": "error", "ts": "2026-11-24T07:30:00.123456Z", "msg": "gone",
            "component": "otlp", "share": 0.5, "records": -5, "list": "[1]", "node": "a",
        });
        assert_eq!(line, expected);
        assert!(text.starts_with(r#"{"level":"error","ts":"#), "{text}");
    }

    #[test]
    fn level_holds_for_us_and_libraries_are_quieter() {
        let text = log(&LogSettings::default(), || {
            debug!("not written");
            info!("written");
            info!(target: "hyper", "not written");
            warn!(target: "hyper", "written");
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        let settings = LogSettings { level: LogLevel::Error, ..LogSettings::default() };
        assert_eq!(log(&settings, || warn!(target: "hyper", "not written")), "");
    }

    #[test]
    fn repeated_lines_are_sampled() {
        let sampling = LogSampling { initial: 2, thereafter: 3, ..LogSampling::default() };
        let settings = LogSettings { sampling: Some(sampling), ..LogSettings::default() };
        let text = log(&settings, || {
            for number in 1..=8 {
                info!(number, "again");
            }
            info!("other");
        });
        let numbers: Vec<_> = text.lines().filter_map(|line| line.split_once("number=")).collect();
        let numbers: Vec<_> = numbers.iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers, ["1", "2", "5", "8"]);
        assert!(text.ends_with("other\n"));
    }

    #[test]
    fn file_is_appended_to_and_an_impossible_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("own.log");
        for _ in 0..2 {
            Output::open(&format!("file://{}", path.display())).unwrap().write(b"line\n");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line\nline\n");
        let impossible = directory.path().join("none/own.log");
        let error = Output::open(impossible.to_str().unwrap()).err().unwrap();
        assert!(error.to_string().contains("none/own.log"), "{error}");
    }
}
