//! TLS of servers.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::CryptoProvider;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, SupportedProtocolVersion};

use super::TlsError;
use super::material::{Identity, Source, provider, versions};
use super::reload::Reloading;
use crate::config::ServerTls;

/// How often `client_ca_file_reload` looks at the file.
const CLIENT_CA_INTERVAL: Duration = Duration::from_secs(10);

/// Which protocols a server offers within TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alpn {
    /// HTTP/2 and HTTP/1.1.
    Http,
    /// HTTP/2 only.
    Http2,
}

impl Alpn {
    fn names(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http => &[b"h2", b"http/1.1"],
            Self::Http2 => &[b"h2"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// The TLS of a server, by its `tls:` block.
pub struct ServerTlsConfig {
    config: Reloading<ServerConfig>,
}

impl ServerTlsConfig {
    /// Reads the certificates of `settings`. With a `client_ca_file` clients must prove who they
    /// are.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read, or what it holds cannot be used.
    pub fn try_new(settings: &ServerTls, alpn: Alpn) -> Result<Self, TlsError> {
        let parts = Parts::try_new(settings, alpn)?;
        let interval = match settings.reload_interval {
            Some(interval) => Some(interval.get()),
            None => settings.client_ca_file_reload.then_some(CLIENT_CA_INTERVAL),
        };
        let config = Reloading::try_new(parts.files(), interval, move || parts.load())?;
        Ok(Self { config })
    }

    /// The configuration of now.
    #[must_use]
    pub fn current(&self) -> Arc<ServerConfig> {
        self.config.current()
    }
}

impl fmt::Debug for ServerTlsConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ServerTlsConfig").finish_non_exhaustive()
    }
}

/// What a configuration is made from, each time its files change.
struct Parts {
    identity: Identity,
    client_ca: Option<Source>,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Alpn,
}

impl Parts {
    fn try_new(settings: &ServerTls, alpn: Alpn) -> Result<Self, TlsError> {
        let certificate = Source::of(
            ("cert_file", settings.cert_file.as_deref()),
            ("cert_pem", settings.cert_pem.as_ref()),
        )?;
        let key = Source::of(
            ("key_file", settings.key_file.as_deref()),
            ("key_pem", settings.key_pem.as_ref()),
        )?;
        let identity = Identity::of(certificate, key)?;
        Ok(Self {
            identity: identity.ok_or(TlsError::Missing { key: "cert_file" })?,
            client_ca: settings.client_ca_file.clone().map(Source::File),
            provider: provider(&settings.cipher_suites, &settings.curve_preferences)?,
            versions: versions(settings.min_version.as_deref(), settings.max_version.as_deref())?,
            alpn,
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        let client_ca = self.client_ca.as_ref().and_then(Source::file).cloned();
        self.identity.files().chain(client_ca).collect()
    }

    fn load(&self) -> Result<ServerConfig, TlsError> {
        let identity = self.identity.load(&self.provider)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&self.versions)
            .map_err(|source| TlsError::Setup { source })?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(client_ca) => {
                let mut roots = RootCertStore::empty();
                client_ca.add_roots(&mut roots)?;
                let provider = Arc::clone(&self.provider);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .map_err(|source| TlsError::Verifier {
                            place: client_ca.place(),
                            source,
                        })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        config.alpn_protocols = self.alpn.names();
        Ok(config)
    }
}
