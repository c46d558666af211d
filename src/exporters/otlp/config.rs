//! The exporter's settings, and building it from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Uri;
use serde::Deserialize;

use super::super::client_settings::{CONNECT_TIMEOUT, authenticator, header_map, tls_failed};
use super::exporter::{GrpcExporter, Parts};
use crate::codec::compress::Compression;
use crate::component::{BuildContext, BuildError, Exporter, ExporterConfig};
use crate::config::{
    AuthRef, ByteSize, ClientTls, Duration, GrpcTarget, Optional, Refused, Secret,
};
use crate::data::Signal;
use crate::net::{ClientTlsConfig, Connector};

/// Settings of `otlp`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// Where to: `host:port`, also with `http://`, `https://` or `dns://`. Required.
    pub endpoint: Option<GrpcTarget>,
    /// How messages are compressed; default gzip.
    pub compression: Compression,
    /// TLS; on unless `insecure`.
    pub tls: ClientTls,
    /// Headers of every call.
    pub headers: BTreeMap<String, Secret>,
    /// Who adds credentials.
    pub auth: Option<AuthRef>,
    /// Pings while nothing is heard.
    pub keepalive: Optional<ClientKeepalive>,
    /// What to call the server in `:authority`, if not by its address.
    pub authority: String,
    /// Taken for the sake of Collector files: one connection is used, and made again when it fails.
    pub balancer_name: Balancer,
    /// Taken for the sake of Collector files: calls without a connection are always tried again.
    pub wait_for_ready: bool,
    /// Taken for the sake of Collector files; buffers here are as large as what is sent.
    pub read_buffer_size: ByteSize,
    /// As `read_buffer_size`.
    pub write_buffer_size: ByteSize,
    /// Whether `RESOURCE_EXHAUSTED` is tried again even if the server does not say when.
    pub retry_resource_exhausted: bool,
    /// Middlewares are not supported.
    pub middlewares: Refused,
}

/// Pings of a gRPC client.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientKeepalive {
    /// Silence after which the server is pinged; at least 10s, as in gRPC; 0: never.
    pub time: Duration,
    /// How long it has to answer; default 20s.
    pub timeout: Duration,
    /// Whether that is done without calls under way.
    pub permit_without_stream: bool,
}

impl Default for ClientKeepalive {
    fn default() -> Self {
        Self {
            time: Duration::ZERO,
            timeout: Duration::from_secs(20),
            permit_without_stream: false,
        }
    }
}

/// How calls are spread over a server's addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balancer {
    /// Address by address.
    #[default]
    #[serde(alias = "")]
    RoundRobin,
    /// The first that answers.
    PickFirst,
}

impl ExporterConfig for OtlpConfig {
    const TYPE: &'static str = "otlp";
    const ALIASES: &'static [&'static str] = &["otlp_grpc"];
    const EXAMPLE: &'static str = "endpoint: localhost:4317\ntls:\n  insecure: true\n";
    const SIGNALS: &'static [Signal] = &Signal::ALL;
    const IS_SPOOLED: bool = true;

    fn build(&self, context: &BuildContext) -> Result<Arc<dyn Exporter>, BuildError> {
        let parts = Parts {
            server: self.server()?,
            connector: self.connector()?,
            authority: self.authority()?,
            headers: header_map(&self.headers)?,
            auth: authenticator(self.auth.as_ref(), context)?,
            compression: self.compression()?,
            keepalive: self.keepalive.get().and_then(ClientKeepalive::pings),
            retries_exhausted: self.retry_resource_exhausted,
        };
        let exporter = GrpcExporter::try_new(parts, context.signal).map_err(|error| {
            BuildError::Cause { what: "cannot use `endpoint`", source: error.into() }
        })?;
        Ok(Arc::new(exporter))
    }
}

impl OtlpConfig {
    fn target(&self) -> Result<&GrpcTarget, BuildError> {
        self.endpoint.as_ref().ok_or_else(|| BuildError::setting("`endpoint` is missing"))
    }

    /// Whether TLS is on: `https://` says so even with `insecure`.
    fn is_tls(&self) -> Result<bool, BuildError> {
        Ok(!self.tls.insecure || self.target()?.is_https())
    }

    fn server(&self) -> Result<Uri, BuildError> {
        let scheme = if self.is_tls()? { "https" } else { "http" };
        let address = self.target()?.address();
        format!("{scheme}://{address}").parse().map_err(|_| {
            BuildError::setting(format!("`endpoint`: `{address}` is not an address to connect to"))
        })
    }

    fn connector(&self) -> Result<Connector, BuildError> {
        let tls = if self.is_tls()? {
            let tls = ClientTlsConfig::try_new(&self.tls, &["h2"]).map_err(tls_failed)?;
            Some(Arc::new(tls))
        } else {
            None
        };
        Ok(Connector::new(tls, CONNECT_TIMEOUT))
    }

    fn authority(&self) -> Result<Option<http::uri::Authority>, BuildError> {
        if self.authority.is_empty() {
            return Ok(None);
        }
        let parsed = self.authority.parse().map_err(|_| {
            BuildError::setting(format!("`authority`: `{}` is not host and port", self.authority))
        })?;
        Ok(Some(parsed))
    }

    fn compression(&self) -> Result<Compression, BuildError> {
        match self.compression {
            Compression::Deflate => Err(BuildError::setting(
                "`compression`: gRPC has gzip, zstd, snappy and none here, not zlib or deflate",
            )),
            other => Ok(other),
        }
    }
}

impl ClientKeepalive {
    /// Ten seconds, as in gRPC: servers close the connection of clients that ping more often.
    const MIN_TIME: std::time::Duration = std::time::Duration::from_secs(10);

    fn pings(&self) -> Option<(std::time::Duration, std::time::Duration, bool)> {
        let time = self.time.non_zero()?.max(Self::MIN_TIME);
        Some((time, self.timeout.get(), self.permit_without_stream))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Node, from_node, render};

    fn read(text: &str) -> Result<OtlpConfig, String> {
        let node = Node::parse("a.yaml", text).unwrap();
        from_node(&node, "exporters::otlp").map_err(|problems| render(&problems))
    }

    #[test]
    fn endpoint_is_address_or_url_and_tls_is_on() {
        for (text, server) in [
            ("endpoint: collector:4317", "https://collector:4317/"),
            ("{endpoint: 'collector:4317', tls: {insecure: true}}", "http://collector:4317/"),
            ("{endpoint: 'http://collector:1', tls: {insecure: true}}", "http://collector:1/"),
            ("{endpoint: 'https://collector:1', tls: {insecure: true}}", "https://collector:1/"),
            ("endpoint: dns:///collector:4317", "https://collector:4317/"),
            ("endpoint: '[::1]:4317'", "https://[::1]:4317/"),
        ] {
            assert_eq!(read(text).unwrap().server().unwrap().to_string(), server, "{text}");
        }
        let error = read("{}").unwrap().server().unwrap_err();
        assert_eq!(error.to_string(), "`endpoint` is missing");
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let config = read("{endpoint: 'a:1', compression: zlib}").unwrap();
        assert!(config.compression().unwrap_err().to_string().contains("not zlib"));
        let error = read("compression: lz4").unwrap_err();
        assert!(error.contains("lz4"), "{error}");
        let error = read("middlewares: [{id: a}]").unwrap_err();
        assert!(error.contains("middlewares"), "{error}");
        let error = read("balancer_name: weighted").unwrap_err();
        assert!(error.contains("weighted"), "{error}");
        let config = read("authority: 'a b'").unwrap();
        assert!(config.authority().unwrap_err().to_string().contains("`a b`"));
    }

    #[test]
    fn pings_are_not_more_often_than_servers_bear() {
        let config = read("keepalive: {time: 1s, timeout: 3s}").unwrap();
        let (time, timeout, while_idle) = config.keepalive.get().unwrap().pings().unwrap();
        assert_eq!((time.as_secs(), timeout.as_secs(), while_idle), (10, 3, false));
        assert!(
            read("keepalive: {timeout: 3s}").unwrap().keepalive.get().unwrap().pings().is_none()
        );
    }
}
