//! TLS of servers.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::{ServerConfig, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{RootCertStore, SupportedProtocolVersion};

use super::TlsError;
use super::material::{Identity, Source, provider, versions};
use super::reload::Reloading;

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
