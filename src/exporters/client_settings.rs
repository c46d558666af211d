//! Settings of exporters that are clients: the Collector's keys for HTTP clients, and making
//! headers, TLS and credentials of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration as StdDuration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::codec::compress::Compression;
use crate::component::{BuildContext, BuildError, ClientAuth};
use crate::config::{AuthRef, ByteSize, ClientTls, Duration, Refused, Secret};
use crate::net::{Client, ClientOptions, ClientTlsConfig};

/// Longest time to connect; the driver's `timeout` limits the whole request.
pub(super) const CONNECT_TIMEOUT: StdDuration = StdDuration::from_secs(20);

/// An HTTP client's settings, less `endpoint`, `headers` and `compression`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpClientSettings {
    /// TLS; it is used for `https` addresses.
    pub tls: ClientTls,
    /// Headers of every request.
    pub headers: BTreeMap<String, Secret>,
    /// Who adds credentials.
    pub auth: Option<AuthRef>,
    /// Connections without use that are kept, over all hosts; as exporters have one host each, the
    /// lower of this and `max_idle_conns_per_host` counts. 0: as many as there are.
    pub max_idle_conns: usize,
    /// Connections to a host without use that are kept. 0: as many as there are.
    pub max_idle_conns_per_host: usize,
    /// How long they are kept; default 90s, 0: until the server closes them.
    pub idle_conn_timeout: Duration,
    /// Whether every request has a connection of its own.
    pub disable_keep_alives: bool,
    /// Silence after which an HTTP/2 server is pinged; 0: never.
    pub http2_read_idle_timeout: Duration,
    /// How long it has to answer; default 15s.
    pub http2_ping_timeout: Duration,
    /// Whether HTTP/2 is tried over TLS; default true.
    pub force_attempt_http2: bool,
    /// Taken for the sake of Collector files; buffers here are as large as what is sent.
    pub read_buffer_size: ByteSize,
    /// As `read_buffer_size`.
    pub write_buffer_size: ByteSize,
    /// Proxies are not supported.
    pub proxy_url: Refused,
    /// A limit of connections is not supported: `sending_queue::num_consumers` is one.
    pub max_conns_per_host: Refused,
    /// Cookies are not supported.
    pub cookies: Refused,
    /// Middlewares are not supported.
    pub middlewares: Refused,
}

impl Default for HttpClientSettings {
    fn default() -> Self {
        Self {
            tls: ClientTls::default(),
            headers: BTreeMap::new(),
            auth: None,
            max_idle_conns: 100,
            max_idle_conns_per_host: 0,
            idle_conn_timeout: Duration::from_secs(90),
            disable_keep_alives: false,
            http2_read_idle_timeout: Duration::ZERO,
            http2_ping_timeout: Duration::from_secs(15),
            force_attempt_http2: true,
            read_buffer_size: ByteSize::default(),
            write_buffer_size: ByteSize::default(),
            proxy_url: Refused,
            max_conns_per_host: Refused,
            cookies: Refused,
            middlewares: Refused,
        }
    }
}

impl HttpClientSettings {
    /// The keys, for splitting them off an exporter's settings.
    pub const KEYS: &'static [&'static str] = &[
        "tls",
        "headers",
        "auth",
        "max_idle_conns",
        "max_idle_conns_per_host",
        "idle_conn_timeout",
        "disable_keep_alives",
        "http2_read_idle_timeout",
        "http2_ping_timeout",
        "force_attempt_http2",
        "read_buffer_size",
        "write_buffer_size",
        "proxy_url",
        "max_conns_per_host",
        "cookies",
        "middlewares",
    ];

    /// A client without connections.
    pub(super) fn client(&self) -> Result<Client, BuildError> {
        let alpn: &[&str] =
            if self.force_attempt_http2 { &["h2", "http/1.1"] } else { &["http/1.1"] };
        let tls = ClientTlsConfig::try_new(&self.tls, alpn).map_err(tls_failed)?;
        let limit = |number: usize| if number == 0 { usize::MAX } else { number };
        let kept = limit(self.max_idle_conns).min(limit(self.max_idle_conns_per_host));
        Ok(Client::new(ClientOptions {
            tls: Some(Arc::new(tls)),
            connect_timeout: CONNECT_TIMEOUT,
            max_idle_per_host: if self.disable_keep_alives { 0 } else { kept },
            idle_timeout: self.idle_conn_timeout.non_zero(),
            ping_interval: self.http2_read_idle_timeout.non_zero(),
            ping_timeout: self.http2_ping_timeout.get(),
            ..ClientOptions::default()
        }))
    }
}

/// How hard a compressor tries, in the Collector's own block.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CompressionParams {
    /// The format's own number; 0: its default.
    pub level: i32,
}

impl CompressionParams {
    /// The level for a compressor, if one is set.
    ///
    /// # Errors
    ///
    /// Fails when the format has no such level.
    pub(super) fn level(self, compression: Compression) -> Result<Option<i32>, BuildError> {
        let allowed = match (compression, self.level) {
            (_, 0) => return Ok(None),
            // What Go's compressors call the default; their other negative level means no effort.
            (Compression::Gzip | Compression::Deflate, -1) => return Ok(None),
            (Compression::Gzip | Compression::Deflate, _) => 1..=9,
            (Compression::Zstd, _) => 1..=22,
            (Compression::None | Compression::Snappy, _) => {
                let message = "`compression_params::level` is for gzip, zlib, deflate and zstd";
                return Err(BuildError::setting(message));
            }
        };
        if !allowed.contains(&self.level) {
            return Err(BuildError::setting(format!(
                "`compression_params::level` is {}, expected {} to {}",
                self.level,
                allowed.start(),
                allowed.end()
            )));
        }
        Ok(Some(self.level))
    }
}

/// The headers that the file sets.
pub(super) fn header_map(headers: &BTreeMap<String, Secret>) -> Result<HeaderMap, BuildError> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::try_from(name.as_str()).map_err(|_| {
            BuildError::setting(format!("`headers`: `{name}` is not a header's name"))
        })?;
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| {
            BuildError::setting(format!(
                "`headers::{name}` has characters that a header cannot have, such as line ends"
            ))
        })?;
        value.set_sensitive(true);
        map.insert(name, value);
    }
    Ok(map)
}

/// The authenticator that the file names.
pub(super) fn authenticator(
    auth: Option<&AuthRef>,
    context: &BuildContext,
) -> Result<Option<Arc<dyn ClientAuth>>, BuildError> {
    auth.map(|auth| context.host.extensions.client_auth(&auth.authenticator)).transpose()
}

/// TLS that cannot be set up.
pub(super) fn tls_failed(error: crate::net::TlsError) -> BuildError {
    BuildError::Cause { what: "cannot set up TLS", source: error.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_those_of_the_format() {
        let level = |level, compression| CompressionParams { level }.level(compression);
        assert_eq!(level(0, Compression::None).unwrap(), None);
        assert_eq!(level(-1, Compression::Gzip).unwrap(), None);
        assert_eq!(level(9, Compression::Gzip).unwrap(), Some(9));
        assert_eq!(level(22, Compression::Zstd).unwrap(), Some(22));
        assert!(level(10, Compression::Deflate).is_err());
        assert!(level(1, Compression::Snappy).is_err());
    }

    #[test]
    fn headers_are_kept_from_print() {
        let headers = |name: &str, value: &str| {
            header_map(&BTreeMap::from([(name.to_owned(), Secret::new(value.to_owned()))]))
        };
        assert!(headers("X-Tenant", "blue").unwrap()["x-tenant"].is_sensitive());
        let error = headers("a b", "c").unwrap_err().to_string();
        assert_eq!(error, "`headers`: `a b` is not a header's name");
        let error = headers("a", "c\n").unwrap_err().to_string();
        assert_eq!(
            error,
            "`headers::a` has characters that a header cannot have, such as line ends"
        );
    }
}
