//! Where requests go, and what each says in its head.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, TE, USER_AGENT};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;

use super::arguments::{Load, Protocol, TlsArguments};
use super::encoding::Encoding;
use crate::config::ClientTls;
use crate::data::Signal;
use crate::net::{ClientTlsConfig, Connector};

const AGENT: &str = concat!("catchment-load/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where requests go.
pub(super) struct Target {
    /// How they are sent.
    pub(super) protocol: Protocol,
    /// How they are encoded.
    pub(super) encoding: Encoding,
    /// How long an answer may take.
    pub(super) timeout: Duration,
    /// Makes connections.
    pub(super) connector: Connector,
    /// Scheme, host and port.
    pub(super) server: Uri,
    paths: [Uri; 3],
    headers: HeaderMap,
}

impl Target {
    /// Reads where the arguments say that requests go.
    pub(super) fn try_new(arguments: &Load) -> anyhow::Result<Self> {
        let protocol = arguments.protocol;
        let server = server(arguments)?;
        let encoding = Encoding { protocol, compression: arguments.compression.into() };
        let tls = match server.scheme() == Some(&Scheme::HTTPS) {
            true => Some(Arc::new(tls(&arguments.tls, protocol)?)),
            false => None,
        };
        let paths = [Signal::Logs, Signal::Traces, Signal::Metrics]
            .map(|signal| path(&server, protocol, signal));
        let [Ok(logs), Ok(traces), Ok(metrics)] = paths else {
            bail!("`{server}` is not an address to send to");
        };
        Ok(Self {
            protocol,
            encoding,
            timeout: arguments.timeout,
            connector: Connector::new(tls, CONNECT_TIMEOUT),
            headers: headers(arguments, encoding, &server)?,
            server,
            paths: [logs, traces, metrics],
        })
    }

    /// A request with this body.
    pub(super) fn request(&self, signal: Signal, body: Bytes) -> Request<Full<Bytes>> {
        let [logs, traces, metrics] = &self.paths;
        let path = match signal {
            Signal::Logs => logs,
            Signal::Traces => traces,
            Signal::Metrics => metrics,
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// The address with its scheme.
fn server(arguments: &Load) -> anyhow::Result<Uri> {
    let default = if arguments.protocol.is_http() { "localhost:4318" } else { "localhost:4317" };
    let given = arguments.endpoint.as_deref().unwrap_or(default);
    let scheme = if arguments.tls.tls { "https" } else { "http" };
    let full = match given.contains("://") {
        true => given.to_owned(),
        false => format!("{scheme}://{given}"),
    };
    let uri: Uri = full.parse().with_context(|| format!("`{given}` is not an address"))?;
    if uri.port_u16().is_none() || !matches!(uri.scheme_str(), Some("http" | "https")) {
        bail!(
            "`{given}` is not an address: `host:port`, or a URL with `http` or `https` and a port"
        );
    }
    if arguments.tls.tls && uri.scheme() == Some(&Scheme::HTTP) {
        bail!("`{given}` is without TLS, which `--tls` asks for");
    }
    if !arguments.protocol.is_http() && uri.path() != "/" {
        bail!("`{given}` has a path, which gRPC does not");
    }
    Ok(uri)
}

/// For gRPC the whole address, for HTTP/1.1 only the path, as each says it on the wire.
fn path(server: &Uri, protocol: Protocol, signal: Signal) -> Result<Uri, http::Error> {
    if protocol.is_http() {
        let base = server.path().trim_end_matches('/');
        return Ok(format!("{base}/v1/{}", signal.as_str()).parse()?);
    }
    let service = match signal {
        Signal::Logs => "logs.v1.LogsService",
        Signal::Traces => "trace.v1.TraceService",
        Signal::Metrics => "metrics.v1.MetricsService",
    };
    let mut parts = server.clone().into_parts();
    let path = format!("/opentelemetry.proto.collector.{service}/Export");
    parts.path_and_query = Some(path.parse()?);
    Ok(Uri::from_parts(parts)?)
}

fn headers(arguments: &Load, encoding: Encoding, server: &Uri) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.extend(arguments.headers.iter().cloned());
    let content_type = match encoding.protocol {
        Protocol::Grpc => "application/grpc",
        Protocol::Http => "application/x-protobuf",
        Protocol::HttpJson => "application/json",
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let about_encoding = match encoding.protocol {
        Protocol::Grpc => HeaderName::from_static("grpc-encoding"),
        Protocol::Http | Protocol::HttpJson => CONTENT_ENCODING,
    };
    if let Some(name) = encoding.compression.header() {
        headers.insert(about_encoding, HeaderValue::from_static(name));
    }
    if encoding.protocol.is_http() {
        let authority = server.authority().map_or("", |authority| authority.as_str());
        headers.insert(HOST, authority.parse().context("the address cannot be a header")?);
    } else {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    Ok(headers)
}

fn tls(arguments: &TlsArguments, protocol: Protocol) -> anyhow::Result<ClientTlsConfig> {
    let settings = ClientTls {
        insecure_skip_verify: arguments.tls_skip_verify,
        server_name_override: arguments.tls_server_name.clone(),
        ca_file: arguments.tls_ca.clone(),
        cert_file: arguments.tls_cert.clone(),
        key_file: arguments.tls_key.clone(),
        ..ClientTls::default()
    };
    let alpn = if protocol.is_http() { "http/1.1" } else { "h2" };
    Ok(ClientTlsConfig::try_new(&settings, &[alpn])?)
}
