//! Addresses to listen on and to send to.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A host and a port to listen on: `localhost:4317`, `[::1]:4317`, `:4317` (all addresses).
///
/// Whether a name resolves is found when it is used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    host: Box<str>,
    port: u16,
}

impl Endpoint {
    /// The address of these parts; an IPv6 address is given without brackets.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// The loopback address.
    #[must_use]
    pub fn localhost(port: u16) -> Self {
        Self::new("localhost", port)
    }

    /// A name or an address without brackets; empty: all addresses.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// 0: one that is free.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether only this machine can reach it, as far as the text says.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let address: Option<std::net::IpAddr> = self.host.parse().ok();
        &*self.host == "localhost" || address.is_some_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            return write!(out, "[{}]:{}", self.host, self.port);
        }
        write!(out, "{}:{}", self.host, self.port)
    }
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is nothing.
    #[error("the endpoint is empty")]
    Empty,
    /// No port is given.
    #[error("`{text}` has no port, it must be `host:port`")]
    NoPort {
        /// What stands there.
        text: String,
    },
    /// The port is not a number up to 65535.
    #[error("`{port}` in `{text}` is not a port, a number from 0 to 65535")]
    Port {
        /// What stands there.
        text: String,
        /// The part that should be the port.
        port: String,
    },
    /// The host has characters that no host has, or an IPv6 address has no brackets.
    #[error("`{host}` in `{text}` is not a host name or address")]
    Host {
        /// What stands there.
        text: String,
        /// The part that should be the host.
        host: String,
    },
    /// It is no URL.
    #[error("`{text}` is not a URL such as `https://host:4318/path`")]
    Url {
        /// What stands there.
        text: String,
    },
    /// There is a scheme where `host:port` is wanted.
    #[error("`{text}` must be `host:port`, without a scheme")]
    Scheme {
        /// What stands there.
        text: String,
    },
    /// The scheme is not one that can be used.
    #[error("`{text}` must start with `http://` or `https://`")]
    NotHttp {
        /// What stands there.
        text: String,
    },
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.contains("://") {
            return Err(EndpointError::Scheme { text: text.to_owned() });
        }
        split_address(text, None)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Where a gRPC client connects to: `host:port`, also with `http://`, `https://` or `dns://`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcTarget {
    address: Endpoint,
    is_https: bool,
}

impl GrpcTarget {
    /// Host and port.
    #[must_use]
    pub const fn address(&self) -> &Endpoint {
        &self.address
    }

    /// Whether `https://` was written, which switches TLS on even with `insecure: true`.
    #[must_use]
    pub const fn is_https(&self) -> bool {
        self.is_https
    }
}

impl FromStr for GrpcTarget {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let default_port = match scheme {
            "" => None,
            "http" => Some(80),
            "https" => Some(443),
            // `dns://authority/host:port`, the authority is usually empty; gRPC's default port.
            "dns" => {
                let (_, host) = rest.split_once('/').unwrap_or(("", rest));
                let address = split_address(host, Some(443))?;
                return Ok(Self { address, is_https: false });
            }
            _ => return Err(EndpointError::NotHttp { text: text.to_owned() }),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let address = split_address(rest, default_port)?;
        if address.host.is_empty() {
            return Err(EndpointError::Host { text: text.to_owned(), host: String::new() });
        }
        Ok(Self { address, is_https: scheme == "https" })
    }
}

impl<'de> Deserialize<'de> for GrpcTarget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Where an HTTP client sends to: an absolute `http://` or `https://` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl(http::Uri);

impl HttpUrl {
    /// The URL.
    #[must_use]
    pub const fn uri(&self) -> &http::Uri {
        &self.0
    }

    /// Whether it starts with `https://`.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.scheme() == Some(&http::uri::Scheme::HTTPS)
    }

    /// The URL with `path` behind its own path, one slash between; a query stays at the end.
    ///
    /// # Errors
    ///
    /// Fails when `path` has characters that no URL has.
    pub fn join(&self, path: &str) -> Result<Self, http::uri::InvalidUri> {
        let text = self.0.to_string();
        let (base, query) = text.split_once('?').unwrap_or((&text, ""));
        let mut joined = format!("{}/{}", base.trim_end_matches('/'), path.trim_start_matches('/'));
        if !query.is_empty() {
            joined = format!("{joined}?{query}");
        }
        joined.parse().map(Self)
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl FromStr for HttpUrl {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        if text.trim().is_empty() {
            return Err(EndpointError::Empty);
        }
        let not_http = || EndpointError::NotHttp { text: text.to_owned() };
        let host = || EndpointError::Url { text: text.to_owned() };
        let lower = text.to_ascii_lowercase();
        if !lower.starts_with("http://") && !lower.starts_with("https://") {
            return Err(not_http());
        }
        let uri: http::Uri = text.parse().map_err(|_| host())?;
        if uri.host().is_none_or(str::is_empty) {
            return Err(host());
        }
        Ok(Self(uri))
    }
}

impl<'de> Deserialize<'de> for HttpUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

fn split_address(text: &str, default_port: Option<u16>) -> Result<Endpoint, EndpointError> {
    if text.trim().is_empty() {
        return Err(EndpointError::Empty);
    }
    let no_port = || EndpointError::NoPort { text: text.to_owned() };
    let bad_host =
        |host: &str| EndpointError::Host { text: text.to_owned(), host: host.to_owned() };
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(|| bad_host(text))?;
            host.parse::<std::net::Ipv6Addr>().map_err(|_| bad_host(host))?;
            (host, after.strip_prefix(':'))
        }
        None => match text.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let allowed = |char: char| char.is_alphanumeric() || "-._".contains(char);
    if !text.starts_with('[') && !host.chars().all(allowed) {
        return Err(bad_host(host));
    }
    let port = match (port, default_port) {
        (Some(port), _) => port
            .parse()
            .map_err(|_| EndpointError::Port { text: text.to_owned(), port: port.to_owned() })?,
        (None, Some(port)) => port,
        (None, None) => return Err(no_port()),
    };
    Ok(Endpoint::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<(String, u16), EndpointError> {
        text.parse::<Endpoint>().map(|endpoint| (endpoint.host().to_owned(), endpoint.port()))
    }

    #[test]
    fn addresses_are_read() {
        assert_eq!(parts("localhost:4317"), Ok(("localhost".into(), 4317)));
        assert_eq!(parts(":0"), Ok((String::new(), 0)));
        assert_eq!(parts("[::1]:4317"), Ok(("::1".into(), 4317)));
        assert!(matches!(parts(""), Err(EndpointError::Empty)));
        assert!(matches!(parts("localhost"), Err(EndpointError::NoPort { .. })));
        assert!(matches!(parts("localhost:x"), Err(EndpointError::Port { .. })));
        assert!(matches!(parts("localhost:65536"), Err(EndpointError::Port { .. })));
        assert!(matches!(parts("::1:4317"), Err(EndpointError::Host { .. })));
        assert!(matches!(parts("a b:1"), Err(EndpointError::Host { .. })));
        assert!(matches!(parts("http://a:1"), Err(EndpointError::Scheme { .. })));
        assert_eq!(Endpoint::new("::1", 5).to_string(), "[::1]:5");
    }

    #[test]
    fn only_loopback_is_local() {
        for (text, is_local) in [
            ("localhost:1", true),
            ("127.0.0.1:1", true),
            ("[::1]:1", true),
            ("0.0.0.0:1", false),
            (":1", false),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().is_local(), is_local, "{text}");
        }
    }

    #[test]
    fn targets_may_have_a_scheme() {
        let target = |text: &str| {
            text.parse::<GrpcTarget>()
                .map(|target| (target.address().to_string(), target.is_https()))
        };
        assert_eq!(target("backend:4317"), Ok(("backend:4317".into(), false)));
        assert_eq!(target("https://backend:4317/"), Ok(("backend:4317".into(), true)));
        assert_eq!(target("https://backend"), Ok(("backend:443".into(), true)));
        assert_eq!(target("dns:///backend:4317"), Ok(("backend:4317".into(), false)));
        assert!(target("unix:///tmp/x").is_err());
        assert!(target("backend").is_err());
        assert!(target(":4317").is_err());
    }

    #[test]
    fn urls_are_joined_with_one_slash() {
        let url: HttpUrl = "https://backend:4318/otlp/?tenant=a".parse().unwrap();
        assert_eq!(
            url.join("/v1/logs").unwrap().to_string(),
            "https://backend:4318/otlp/v1/logs?tenant=a"
        );
        let url: HttpUrl = "http://backend".parse().unwrap();
        assert_eq!(url.join("v1/logs").unwrap().to_string(), "http://backend/v1/logs");
        assert!("backend:4318".parse::<HttpUrl>().is_err());
        assert!("http://".parse::<HttpUrl>().is_err());
    }
}
