//! TLS of clients.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::sign::SingleCertAndKey;
use rustls::{DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use super::TlsError;
use super::material::{Identity, Source, provider, versions};
use super::reload::Reloading;
use crate::config::{ClientTls, Duration};

/// The TLS of a client, by its `tls:` block.
pub struct ClientTlsConfig {
    config: Reloading<ClientConfig>,
    server_name: Option<ServerName<'static>>,
}

impl ClientTlsConfig {
    /// Reads the certificates of `settings`; `alpn` lists the protocols in order of preference.
    /// Without a `ca_file` servers are checked with the system's authorities.
    ///
    /// # Errors
    ///
    /// Fails when a file cannot be read, or what it holds cannot be used.
    pub fn try_new(settings: &ClientTls, alpn: &[&str]) -> Result<Self, TlsError> {
        let server_name = match settings.server_name_override.as_deref() {
            None | Some("") => None,
            Some(name) => {
                Some(ServerName::try_from(name.to_owned()).map_err(|_| TlsError::Unsupported {
                    key: "server_name_override",
                    value: name.to_owned(),
                    expected: "a host name or an address".to_owned(),
                })?)
            }
        };
        let parts = Parts::try_new(settings, alpn)?;
        let interval = settings.reload_interval.map(Duration::get);
        let config = Reloading::try_new(parts.files(), interval, move || parts.load())?;
        Ok(Self { config, server_name })
    }

    /// The configuration of now.
    #[must_use]
    pub fn current(&self) -> Arc<ClientConfig> {
        self.config.current()
    }

    /// The name that the server's certificate must have instead of the host's.
    #[must_use]
    pub const fn server_name(&self) -> Option<&ServerName<'static>> {
        self.server_name.as_ref()
    }
}

impl fmt::Debug for ClientTlsConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientTlsConfig").finish_non_exhaustive()
    }
}

/// How servers are checked.
enum Trust {
    Authorities { own: Option<Source>, with_system: bool },
    Anything,
}

/// What a configuration is made from, each time its files change.
struct Parts {
    trust: Trust,
    identity: Option<Identity>,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    alpn: Vec<Vec<u8>>,
}

impl Parts {
    fn try_new(settings: &ClientTls, alpn: &[&str]) -> Result<Self, TlsError> {
        let certificate = Source::of(
            ("cert_file", settings.cert_file.as_deref()),
            ("cert_pem", settings.cert_pem.as_ref()),
        )?;
        let key = Source::of(
            ("key_file", settings.key_file.as_deref()),
            ("key_pem", settings.key_pem.as_ref()),
        )?;
        let own = Source::of(
            ("ca_file", settings.ca_file.as_deref()),
            ("ca_pem", settings.ca_pem.as_ref()),
        )?;
        let with_system = own.is_none() || settings.include_system_ca_certs_pool;
        let trust = if settings.insecure_skip_verify {
            Trust::Anything
        } else {
            Trust::Authorities { own, with_system }
        };
        Ok(Self {
            trust,
            identity: Identity::of(certificate, key)?,
            provider: provider(&settings.cipher_suites, &settings.curve_preferences)?,
            versions: versions(settings.min_version.as_deref(), settings.max_version.as_deref())?,
            alpn: alpn.iter().map(|name| name.as_bytes().to_vec()).collect(),
        })
    }

    fn files(&self) -> Vec<PathBuf> {
        let ca = match &self.trust {
            Trust::Authorities { own, .. } => own.as_ref().and_then(Source::file).cloned(),
            Trust::Anything => None,
        };
        self.identity.iter().flat_map(Identity::files).chain(ca).collect()
    }

    fn load(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::clone(&self.provider);
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(|source| TlsError::Setup { source })?;
        let verifier: Arc<dyn ServerCertVerifier> = match &self.trust {
            Trust::Anything => Arc::new(NoVerifier { provider }),
            Trust::Authorities { own, with_system } => {
                let mut roots = RootCertStore::empty();
                if let Some(own) = own {
                    own.add_roots(&mut roots)?;
                }
                if *with_system {
                    add_system_roots(&mut roots)?;
                }
                let place =
                    own.as_ref().map_or_else(|| "the system's authorities".into(), Source::place);
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
                    .build()
                    .map_err(|source| TlsError::Verifier { place, source })?
            }
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = identity.load(&self.provider)?;
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key)))
            }
        };
        config.alpn_protocols.clone_from(&self.alpn);
        Ok(config)
    }
}

fn add_system_roots(roots: &mut RootCertStore) -> Result<(), TlsError> {
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() { Err(TlsError::NoSystemRoots) } else { Ok(()) }
}

/// Takes any server for the right one (`insecure_skip_verify`).
#[derive(Debug)]
struct NoVerifier {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NoVerifier {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
