//! The receiver's settings, and building it from them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::cors::CrossOrigin;
use super::gate::Rules;
use super::http::Routes;
use super::limits::{InvalidUtf8, Limits};
use super::{GrpcPart, HttpPart, Otlp};
use crate::codec::inflate::Encoding;
use crate::component::{
    BuildContext, BuildError, Endpoint, Receiver, ReceiverConfig, ServerAuth, Transport,
};
use crate::config::{
    AuthRef, ByteSize, Cors, Duration, GrpcServer, GrpcTransport, Optional, Secret, ServerTls,
};
use crate::data::{DoorLimits, Signal};
use crate::net::{Alpn, BodyLimits, Protocol, ServerOptions, ServerTlsConfig};
use crate::telemetry::Counter;

const MIB: usize = 1024 * 1024;
/// Largest request where the file says nothing (OTLP specification, "OTLP/gRPC").
const DEFAULT_MAX_BYTES: usize = 64 * MIB;
/// What gRPC servers do where the file says nothing (grpc-go, package keepalive).
const DEFAULT_PING_INTERVAL: time::Duration = time::Duration::from_secs(2 * 3600);
const DEFAULT_PING_TIMEOUT: time::Duration = time::Duration::from_secs(20);

/// The settings of the `otlp` receiver.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What it listens to; at least one.
    pub protocols: Protocols,
    /// What to do with text that is not UTF-8; default `replace`.
    pub invalid_utf8: InvalidUtf8,
    /// What a request may hold.
    pub limits: Limits,
}

/// The protocols of OTLP; one that is named without settings has its defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Protocols {
    /// OTLP/gRPC, by default on localhost:4317.
    pub grpc: Optional<GrpcServer>,
    /// OTLP/HTTP, by default on localhost:4318.
    pub http: Optional<HttpSettings>,
}

/// The settings of OTLP/HTTP: the keys of an HTTP server, and where each signal is posted to.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpSettings {
    /// `host:port`; default `localhost:4318`.
    pub endpoint: String,
    /// Present: TLS.
    pub tls: Optional<ServerTls>,
    /// Who checks clients.
    pub auth: Option<AuthRef>,
    /// Which pages in browsers may send; absent: none.
    pub cors: Optional<Cors>,
    /// Largest body, on the wire and inflated; default 64 MiB.
    pub max_request_body_size: ByteSize,
    /// Whether request headers go with the records.
    pub include_metadata: bool,
    /// Headers of every response.
    pub response_headers: BTreeMap<String, Secret>,
    /// Which compressions are taken; empty: all that are known.
    pub compression_algorithms: Vec<String>,
    /// Longest time for a body; default 5m.
    pub read_timeout: Duration,
    /// Longest time for the headers of a request; default 1m.
    pub read_header_timeout: Duration,
    /// Longest time that a response may wait for the client; default 30s, 0: no limit.
    pub write_timeout: Duration,
    /// Longest time without a request; default 1m, 0: no limit.
    pub idle_timeout: Duration,
    /// Whether connections serve more than one request; default true.
    pub keep_alives_enabled: bool,
    /// Default `/v1/traces`.
    pub traces_url_path: String,
    /// Default `/v1/metrics`.
    pub metrics_url_path: String,
    /// Default `/v1/logs`.
    pub logs_url_path: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            endpoint: "localhost:4318".to_owned(),
            tls: Optional::off(),
            auth: None,
            cors: Optional::off(),
            max_request_body_size: ByteSize::default(),
            include_metadata: false,
            response_headers: BTreeMap::new(),
            compression_algorithms: Vec::new(),
            read_timeout: Duration::ZERO,
            read_header_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(60),
            keep_alives_enabled: true,
            traces_url_path: "/v1/traces".to_owned(),
            metrics_url_path: "/v1/metrics".to_owned(),
            logs_url_path: "/v1/logs".to_owned(),
        }
    }
}

impl ReceiverConfig for Config {
    const TYPE: &'static str = "otlp";
    const EXAMPLE: &'static str = "\
protocols:
  grpc:
    endpoint: localhost:4317
  http:
    endpoint: localhost:4318
";
    const SIGNALS: &'static [Signal] = &Signal::ALL;

    fn endpoints(&self) -> Vec<Endpoint> {
        let grpc = self.protocols.grpc.get().map(grpc_endpoint);
        let http = self.protocols.http.get().map(http_endpoint);
        grpc.into_iter().chain(http).collect()
    }

    fn build(&self, context: &BuildContext) -> Result<Box<dyn Receiver>, BuildError> {
        let protocols = &self.protocols;
        let door = self.limits.door(self.invalid_utf8)?;
        let grpc = protocols.grpc.get().map(|grpc| grpc_part(grpc, door, context)).transpose()?;
        let http = protocols.http.get().map(|http| http_part(http, door, context)).transpose()?;
        if grpc.is_none() && http.is_none() {
            let message = "`protocols` must have `grpc`, `http` or both";
            return Err(BuildError::setting(message));
        }
        Ok(Box::new(Otlp { grpc, http }))
    }
}

fn grpc_endpoint(settings: &GrpcServer) -> Endpoint {
    let transport = match settings.transport {
        GrpcTransport::Tcp => Transport::Tcp,
        GrpcTransport::Unix => Transport::Unix,
    };
    Endpoint {
        transport,
        address: or_default(&settings.endpoint, "localhost:4317"),
        is_authenticated: settings.auth.is_some(),
        name: "grpc",
    }
}

fn http_endpoint(settings: &HttpSettings) -> Endpoint {
    let address = or_default(&settings.endpoint, "localhost:4318");
    Endpoint::tcp(address, settings.auth.is_some()).named("http")
}

fn or_default(address: &str, default: &str) -> String {
    if address.is_empty() { default.to_owned() } else { address.to_owned() }
}

fn grpc_part(
    settings: &GrpcServer,
    door: DoorLimits,
    context: &BuildContext,
) -> Result<GrpcPart, BuildError> {
    let keepalive = settings.keepalive.get();
    let parameters = keepalive.and_then(|keepalive| keepalive.server_parameters.get()).cloned();
    let parameters = parameters.unwrap_or_default();
    let max_bytes = match usize::try_from(settings.max_recv_msg_size_mib) {
        Ok(0) => DEFAULT_MAX_BYTES,
        Ok(mib) => mib.saturating_mul(MIB),
        Err(_) => usize::MAX,
    };
    let defaults = ServerOptions::default();
    let options = ServerOptions {
        protocol: Protocol::Http2,
        tls: tls(settings.tls.get(), Alpn::Http2)?,
        idle_timeout: parameters.max_connection_idle.non_zero(),
        max_connection_age: parameters.max_connection_age.non_zero(),
        max_connection_age_grace: parameters
            .max_connection_age_grace
            .non_zero()
            .unwrap_or(defaults.max_connection_age_grace),
        ping_interval: Some(parameters.time.non_zero().unwrap_or(DEFAULT_PING_INTERVAL)),
        ping_timeout: parameters.timeout.non_zero().unwrap_or(DEFAULT_PING_TIMEOUT),
        max_concurrent_streams: match settings.max_concurrent_streams {
            0 => defaults.max_concurrent_streams,
            count => count,
        },
        ..defaults
    };
    let rules = Rules {
        auth: auth(settings.auth.as_ref(), context)?,
        includes_metadata: settings.include_metadata,
        limits: BodyLimits { max_bytes, ..BodyLimits::default() },
        door,
        num_invalid_utf8: num_invalid_utf8(context),
    };
    Ok(GrpcPart { endpoint: grpc_endpoint(settings), options, rules })
}

fn http_part(
    settings: &HttpSettings,
    door: DoorLimits,
    context: &BuildContext,
) -> Result<HttpPart, BuildError> {
    let options = ServerOptions {
        protocol: Protocol::Auto,
        tls: tls(settings.tls.get(), Alpn::Http)?,
        header_timeout: settings
            .read_header_timeout
            .non_zero()
            .unwrap_or(ServerOptions::default().header_timeout),
        write_timeout: settings.write_timeout.non_zero(),
        idle_timeout: settings.idle_timeout.non_zero(),
        keep_alive: settings.keep_alives_enabled,
        ..ServerOptions::default()
    };
    let defaults = BodyLimits::default();
    let rules = Rules {
        auth: auth(settings.auth.as_ref(), context)?,
        includes_metadata: settings.include_metadata,
        limits: BodyLimits {
            max_bytes: match settings.max_request_body_size.as_usize() {
                0 => DEFAULT_MAX_BYTES,
                max_bytes => max_bytes,
            },
            total: settings.read_timeout.non_zero().unwrap_or(defaults.total),
            ..defaults
        },
        door,
        num_invalid_utf8: num_invalid_utf8(context),
    };
    let routes = Routes {
        paths: paths(settings)?,
        encodings: encodings(&settings.compression_algorithms)?,
        cross_origin: settings.cors.get().map(|cors| {
            CrossOrigin::new(
                &cors.allowed_origins,
                &cors.allowed_headers,
                &cors.exposed_headers,
                cors.max_age,
            )
        }),
        response_headers: response_headers(settings)?,
    };
    Ok(HttpPart { endpoint: http_endpoint(settings), options, rules, routes })
}

fn tls(
    settings: Option<&ServerTls>,
    alpn: Alpn,
) -> Result<Option<Arc<ServerTlsConfig>>, BuildError> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    match ServerTlsConfig::try_new(settings, alpn) {
        Ok(tls) => Ok(Some(Arc::new(tls))),
        Err(error) => Err(BuildError::Cause { what: "cannot set up TLS", source: Box::new(error) }),
    }
}

/// Text fields in which U+FFFD was put.
fn num_invalid_utf8(context: &BuildContext) -> Counter {
    let id = context.id.to_string();
    context.host.metrics.counter("catchment_receiver_invalid_utf8_fields", &[("receiver", &id)])
}

fn auth(
    settings: Option<&AuthRef>,
    context: &BuildContext,
) -> Result<Option<Arc<dyn ServerAuth>>, BuildError> {
    settings.map(|auth| context.host.extensions.server_auth(&auth.authenticator)).transpose()
}

fn paths(settings: &HttpSettings) -> Result<Vec<(String, Signal)>, BuildError> {
    let wanted = [
        ("traces_url_path", &settings.traces_url_path, Signal::Traces),
        ("metrics_url_path", &settings.metrics_url_path, Signal::Metrics),
        ("logs_url_path", &settings.logs_url_path, Signal::Logs),
    ];
    let mut paths: Vec<(String, Signal)> = Vec::new();
    for (key, path, signal) in wanted {
        let path = format!("/{}", path.trim_start_matches('/'));
        if path == "/" {
            return Err(BuildError::setting(format!("`{key}` is empty")));
        }
        if paths.iter().any(|(other, _)| *other == path) {
            let message = format!("`{key}` is `{path}`, which another signal has already");
            return Err(BuildError::setting(message));
        }
        paths.push((path, signal));
    }
    Ok(paths)
}

fn encodings(names: &[String]) -> Result<Vec<Encoding>, BuildError> {
    if names.is_empty() {
        return Ok(vec![Encoding::Gzip, Encoding::Zstd, Encoding::Zlib, Encoding::Snappy]);
    }
    names
        .iter()
        .map(|name| {
            Encoding::from_name(name).ok_or_else(|| {
                BuildError::setting(format!(
                    "compression `{name}` in `compression_algorithms` is not supported, expected \
                     some of gzip, zstd, zlib, deflate, snappy, x-snappy-framed"
                ))
            })
        })
        .collect()
}

fn response_headers(settings: &HttpSettings) -> Result<HeaderMap, BuildError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.response_headers {
        let malformed =
            || BuildError::setting(format!("`{name}` is not a header that can be sent"));
        let header = HeaderName::try_from(name.as_str()).map_err(|_| malformed())?;
        let value = HeaderValue::from_str(value.expose()).map_err(|_| malformed())?;
        headers.append(header, value);
    }
    Ok(headers)
}
