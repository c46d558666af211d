//! Values of arguments that more than one command takes.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::ValueEnum;
use http::{HeaderName, HeaderValue};

use crate::config;

/// When there are colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

impl Color {
    /// Whether standard output gets colours.
    pub(super) fn is_on(self, env: impl Fn(&str) -> Option<String>) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Auto => {
                let is_set = |name| env(name).is_some_and(|value| !value.is_empty());
                let is_dumb = env("TERM").is_some_and(|terminal| terminal == "dumb");
                io::stdout().is_terminal() && !is_set("NO_COLOR") && !is_dumb
            }
        }
    }
}

/// Reads a duration; unlike in the file, a number needs a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let is_bare = text.parse::<f64>().is_ok_and(|number| number != 0.0);
    if is_bare {
        return Err("a unit is missing, as in `10s` or `500ms`".to_owned());
    }
    let duration: config::Duration =
        text.parse().map_err(|error: config::DurationError| error.to_string())?;
    Ok(duration.get())
}

/// Reads a header, `name=value`.
pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once('=').ok_or("`name=value` is needed")?;
    let name = name.trim().parse().map_err(|_| format!("`{name}` is not a header's name"))?;
    let value = value.trim().parse().map_err(|_| "the value has characters that headers cannot")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert!(duration("10").unwrap_err().contains("unit"));
        assert!(duration("soon").is_err());
    }

    #[test]
    fn headers_are_names_with_values() {
        let (name, value) = header("X-Key = a=b").unwrap();
        assert_eq!((name.as_str(), value.as_bytes()), ("x-key", b"a=b".as_slice()));
        for wrong in ["x", "x y=1", "x=\u{1}"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
    }
}
