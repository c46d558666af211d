//! `catchment print-config`: the configuration in force.

use clap::{Args, ValueEnum};

use super::ConfigArgs;
use crate::app::Loaded;
use crate::config::Secrets;

/// Prints the configuration that files, overrides and the environment make
///
/// Secrets are masked: what components read as secrets, and whatever has a name like one.
#[derive(Args, Debug)]
pub(super) struct PrintConfig {
    #[command(flatten)]
    config: ConfigArgs,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Yaml)]
    format: Format,
    /// Whether secrets are masked
    #[arg(long, value_enum, default_value_t = Mode::Redacted)]
    mode: Mode,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Mode {
    /// Secrets are masked
    Redacted,
    /// Secrets are printed
    Unredacted,
}

impl PrintConfig {
    pub(super) fn run(&self) -> anyhow::Result<()> {
        super::print(&self.printed(&self.config.load()?))
    }

    fn printed(&self, loaded: &Loaded) -> String {
        let secrets = match self.mode {
            Mode::Redacted => Secrets::Masked,
            Mode::Unredacted => Secrets::Shown,
        };
        let mut text = match self.format {
            Format::Yaml => loaded.document.to_yaml(secrets),
            Format::Json => loaded.document.to_json(secrets),
        };
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::app;
    use crate::config::{Diagnostic, render};

    const CONFIG: &str = "yaml:\
{receivers: {otlp: {protocols: {grpc: {}}}}, \
exporters: {otlphttp: {endpoint: 'http://h:1', timeout: 2s, headers: {x-key: '${env:KEY}'}}}, \
service: {pipelines: {logs: {receivers: [otlp], exporters: [otlphttp]}}}}";

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        print_config: PrintConfig,
    }

    fn print(more: &[&str]) -> Result<String, Vec<Diagnostic>> {
        let line = ["print-config", "-c", CONFIG].into_iter().chain(more.iter().copied());
        let print_config = Line::try_parse_from(line).unwrap().print_config;
        let env = |name: &str| (name == "KEY").then(|| "sesame".to_owned());
        let sources = app::sources(&print_config.config.configs, &env)?;
        let loaded = app::load(&sources, &print_config.config.sets, &env)?;
        Ok(print_config.printed(&loaded))
    }

    #[test]
    fn secrets_are_masked_unless_asked_for() {
        for format in ["yaml", "json"] {
            let masked = print(&["--format", format]).unwrap();
            assert!(masked.contains("[REDACTED]") && !masked.contains("sesame"), "{masked}");
            let shown = print(&["--format", format, "--mode", "unredacted"]).unwrap();
            assert!(shown.contains("sesame") && shown.ends_with('\n'), "{shown}");
        }
    }

    #[test]
    fn overrides_are_in_force() {
        let text = print(&["--set", "exporters.otlphttp.timeout=7s"]).unwrap();
        assert!(text.contains("timeout: 7s") && !text.contains("2s"), "{text}");
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let set = ["--set", "exporters.otlphttp.nonsense=1", "--set", "processors.nope.a=1"];
        let problems = render(&print(&set).unwrap_err());
        assert!(problems.contains("nonsense") && problems.contains("nope"), "{problems}");
    }
}
