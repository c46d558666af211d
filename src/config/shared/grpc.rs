//! gRPC servers.

use serde::Deserialize;

use super::super::{AuthRef, ByteSize, Duration, Optional, Refused, ServerTls};

/// How a gRPC server is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GrpcTransport {
    /// TCP; the endpoint is `host:port`.
    #[default]
    #[serde(alias = "tcp4", alias = "tcp6")]
    Tcp,
    /// A Unix domain socket; the endpoint is its path.
    Unix,
}

/// A gRPC server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcServer {
    /// `host:port` or a path; empty: the component's default.
    pub endpoint: String,
    /// How it is reached; default `tcp`.
    pub transport: GrpcTransport,
    /// Present: TLS.
    pub tls: Optional<ServerTls>,
    /// Who checks clients.
    pub auth: Option<AuthRef>,
    /// Largest message in MiB, on the wire and inflated; 0: the component's default.
    pub max_recv_msg_size_mib: u64,
    /// Calls at one time on a connection; 0: the server's default.
    pub max_concurrent_streams: u32,
    /// Whether request headers go with the records.
    pub include_metadata: bool,
    /// How long connections live and when they are pinged.
    pub keepalive: Optional<Keepalive>,
    /// Accepted without effect: buffers grow as they are needed.
    pub read_buffer_size: ByteSize,
    /// Accepted without effect: buffers grow as they are needed.
    pub write_buffer_size: ByteSize,
    /// Not supported.
    pub middlewares: Refused,
}

/// `keepalive` of a gRPC server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Keepalive {
    /// What the server does.
    pub server_parameters: Optional<ServerKeepalive>,
    /// What clients may do; accepted without effect, for pings are always answered.
    pub enforcement_policy: Optional<Enforcement>,
}

/// `keepalive::server_parameters`; 0: the server's default.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerKeepalive {
    /// Longest time without a call; default: no limit.
    pub max_connection_idle: Duration,
    /// Longest life of a connection; default: no limit.
    pub max_connection_age: Duration,
    /// How long calls may go on after that.
    pub max_connection_age_grace: Duration,
    /// Silence after which the client is pinged; default 2h.
    pub time: Duration,
    /// How long the client has to answer; default 20s.
    pub timeout: Duration,
}

/// `keepalive::enforcement_policy`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Enforcement {
    /// Shortest time between a client's pings.
    pub min_time: Duration,
    /// Whether clients may ping without calls.
    pub permit_without_stream: bool,
}
