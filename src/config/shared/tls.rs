//! The `tls:` blocks.

use std::path::PathBuf;

use serde::Deserialize;

use super::super::{Duration, Refused, Secret};

/// TLS of a server; where the block is present, TLS is on.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerTls {
    /// The server's certificate, and those up to the authority, in PEM.
    pub cert_file: Option<PathBuf>,
    /// The same in the configuration itself.
    pub cert_pem: Option<Secret>,
    /// The certificate's private key in PEM.
    pub key_file: Option<PathBuf>,
    /// The same in the configuration itself.
    pub key_pem: Option<Secret>,
    /// Authorities; servers do not need them.
    pub ca_file: Option<PathBuf>,
    /// The same in the configuration itself.
    pub ca_pem: Option<Secret>,
    /// Clients must have a certificate of these authorities.
    pub client_ca_file: Option<PathBuf>,
    /// Whether `client_ca_file` is read again when it changes.
    pub client_ca_file_reload: bool,
    /// Whether the system's authorities count too.
    pub include_system_ca_certs_pool: bool,
    /// The oldest version: `1.2` (default) or `1.3`.
    pub min_version: Option<String>,
    /// The newest version: `1.2` or `1.3` (default).
    pub max_version: Option<String>,
    /// The cipher suites of TLS 1.2; empty: all safe ones.
    pub cipher_suites: Vec<String>,
    /// The key exchanges in order of preference; empty: X25519, P256, P384.
    pub curve_preferences: Vec<String>,
    /// How often the files are looked at for changes; absent: never.
    pub reload_interval: Option<Duration>,
    /// Keys in a TPM are not supported.
    pub tpm: Refused,
}

/// TLS of a client.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// Without TLS.
    pub insecure: bool,
    /// With TLS, but to any server.
    pub insecure_skip_verify: bool,
    /// The name that the server's certificate must have.
    pub server_name_override: Option<String>,
    /// The authorities that servers are checked with, in PEM; absent: the system's.
    pub ca_file: Option<PathBuf>,
    /// The same in the configuration itself.
    pub ca_pem: Option<Secret>,
    /// The client's certificate in PEM (mTLS).
    pub cert_file: Option<PathBuf>,
    /// The same in the configuration itself.
    pub cert_pem: Option<Secret>,
    /// The certificate's private key in PEM.
    pub key_file: Option<PathBuf>,
    /// The same in the configuration itself.
    pub key_pem: Option<Secret>,
    /// Whether the system's authorities count beside `ca_file`.
    pub include_system_ca_certs_pool: bool,
    /// The oldest version: `1.2` (default) or `1.3`.
    pub min_version: Option<String>,
    /// The newest version: `1.2` or `1.3` (default).
    pub max_version: Option<String>,
    /// The cipher suites of TLS 1.2; empty: all safe ones.
    pub cipher_suites: Vec<String>,
    /// The key exchanges in order of preference; empty: X25519, P256, P384.
    pub curve_preferences: Vec<String>,
    /// How often the files are looked at for changes; absent: never.
    pub reload_interval: Option<Duration>,
    /// Keys in a TPM are not supported.
    pub tpm: Refused,
}
