//! Certificates, keys and cryptographic choices of a `tls:` block.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{NamedGroup, RootCertStore, SupportedProtocolVersion, version};

use super::TlsError;
use crate::config::Secret;

/// Where a certificate or a key is: in a file or in the configuration itself.
#[derive(Clone)]
pub(super) enum Source {
    File(PathBuf),
    Text { key: &'static str, pem: Secret },
}

impl Source {
    /// The one that is set of a pair of keys, `…_file` and `…_pem`; an empty one is not.
    pub(super) fn of(
        (file_key, file): (&'static str, Option<&Path>),
        (pem_key, pem): (&'static str, Option<&Secret>),
    ) -> Result<Option<Self>, TlsError> {
        let file = file.filter(|path| !path.as_os_str().is_empty());
        let pem = pem.filter(|pem| !pem.is_empty());
        match (file, pem) {
            (Some(_), Some(_)) => Err(TlsError::Both { first: file_key, second: pem_key }),
            (Some(file), None) => Ok(Some(Self::File(file.to_owned()))),
            (None, Some(pem)) => Ok(Some(Self::Text { key: pem_key, pem: pem.clone() })),
            (None, None) => Ok(None),
        }
    }

    pub(super) fn file(&self) -> Option<&PathBuf> {
        match self {
            Self::File(path) => Some(path),
            Self::Text { .. } => None,
        }
    }

    pub(super) fn place(&self) -> String {
        match self {
            Self::File(path) => format!("`{}`", path.display()),
            Self::Text { key, .. } => format!("`{key}`"),
        }
    }

    fn read(&self, what: &'static str) -> Result<Cow<'_, [u8]>, TlsError> {
        match self {
            Self::File(path) => fs::read(path).map(Cow::Owned).map_err(|source| TlsError::Read {
                what,
                path: path.clone(),
                source,
            }),
            Self::Text { pem, .. } => Ok(Cow::Borrowed(pem.expose().as_bytes())),
        }
    }

    /// The certificates in it, at least one.
    pub(super) fn certificates(
        &self,
        what: &'static str,
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = self.read(what)?;
        let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&text).collect();
        let found = found.map_err(|source| self.malformed(what, source))?;
        if found.is_empty() {
            return Err(TlsError::Empty { what, place: self.place() });
        }
        Ok(found)
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        const WHAT: &str = "private key";
        let text = self.read(WHAT)?;
        match PrivateKeyDer::from_pem_slice(&text) {
            Ok(key) => Ok(key),
            Err(pem::Error::NoItemsFound) => {
                Err(TlsError::Empty { what: WHAT, place: self.place() })
            }
            Err(source) => Err(self.malformed(WHAT, source)),
        }
    }

    /// The certificates in it as authorities.
    pub(super) fn add_roots(&self, roots: &mut RootCertStore) -> Result<(), TlsError> {
        const WHAT: &str = "certificate of an authority";
        for certificate in self.certificates(WHAT)? {
            roots.add(certificate).map_err(|source| TlsError::Unusable {
                what: WHAT,
                place: self.place(),
                source,
            })?;
        }
        Ok(())
    }

    fn malformed(&self, what: &'static str, source: pem::Error) -> TlsError {
        TlsError::Malformed { what, place: self.place(), source }
    }
}

/// A certificate chain with its private key.
#[derive(Clone)]
pub(super) struct Identity {
    certificate: Source,
    key: Source,
}

impl Identity {
    /// Both or none.
    pub(super) fn of(
        certificate: Option<Source>,
        key: Option<Source>,
    ) -> Result<Option<Self>, TlsError> {
        match (certificate, key) {
            (Some(certificate), Some(key)) => Ok(Some(Self { certificate, key })),
            (None, None) => Ok(None),
            (Some(_), None) => Err(TlsError::Missing { key: "key_file" }),
            (None, Some(_)) => Err(TlsError::Missing { key: "cert_file" }),
        }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = PathBuf> {
        [self.certificate.file().cloned(), self.key.file().cloned()].into_iter().flatten()
    }

    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
        let chain = self.certificate.certificates("certificate")?;
        let key = self.key.private_key()?;
        CertifiedKey::from_der(chain, key, provider).map_err(|source| match source {
            rustls::Error::InconsistentKeys(_) => {
                TlsError::Mismatch { certificate: self.certificate.place(), key: self.key.place() }
            }
            source @ rustls::Error::InvalidCertificate(_) => {
                TlsError::Unusable { what: "certificate", place: self.certificate.place(), source }
            }
            source => TlsError::Unusable { what: "private key", place: self.key.place(), source },
        })
    }
}

/// Ring, with the TLS 1.2 cipher suites and the key exchanges that are listed; all if none are.
pub(super) fn provider(
    cipher_suites: &[String],
    curves: &[String],
) -> Result<Arc<CryptoProvider>, TlsError> {
    let mut provider = ring::default_provider();
    if !cipher_suites.is_empty() {
        let is_configurable = |suite: &rustls::SupportedCipherSuite| suite.tls13().is_none();
        let name = |suite: &rustls::SupportedCipherSuite| suite.suite().as_str().unwrap_or("");
        let known: Vec<&str> = provider
            .cipher_suites
            .iter()
            .filter(|suite| is_configurable(suite))
            .map(name)
            .collect();
        require_known("cipher_suites", cipher_suites, &known)?;
        provider.cipher_suites.retain(|suite| {
            !is_configurable(suite) || cipher_suites.iter().any(|wanted| wanted == name(suite))
        });
    }
    if !curves.is_empty() {
        require_known("curve_preferences", curves, &["X25519", "P256", "P384"])?;
        let position = |group: NamedGroup| curves.iter().position(|wanted| wanted == curve(group));
        provider.kx_groups.retain(|group| position(group.name()).is_some());
        provider.kx_groups.sort_by_key(|group| position(group.name()));
    }
    Ok(Arc::new(provider))
}

/// The protocol versions from `min` to `max`, as the Collector writes them; 1.2 and up if empty.
pub(super) fn versions(
    min: Option<&str>,
    max: Option<&str>,
) -> Result<Vec<&'static SupportedProtocolVersion>, TlsError> {
    let min = version_number("min_version", min)?.unwrap_or(2);
    let max = version_number("max_version", max)?.unwrap_or(3);
    let mut versions = Vec::new();
    if max >= 3 {
        versions.push(&version::TLS13);
    }
    if min <= 2 {
        versions.push(&version::TLS12);
    }
    if versions.is_empty() {
        return Err(TlsError::Unsupported {
            key: "min_version",
            value: format!("1.{min}"),
            expected: "at most max_version".to_owned(),
        });
    }
    Ok(versions)
}

fn version_number(key: &'static str, value: Option<&str>) -> Result<Option<u8>, TlsError> {
    match value {
        None | Some("") => Ok(None),
        Some("1.2") => Ok(Some(2)),
        Some("1.3") => Ok(Some(3)),
        Some(other) => Err(TlsError::Unsupported {
            key,
            value: other.to_owned(),
            expected: "`1.2` or `1.3`".to_owned(),
        }),
    }
}

const fn curve(group: NamedGroup) -> &'static str {
    match group {
        NamedGroup::X25519 => "X25519",
        NamedGroup::secp256r1 => "P256",
        NamedGroup::secp384r1 => "P384",
        _ => "",
    }
}

fn require_known(key: &'static str, wanted: &[String], known: &[&str]) -> Result<(), TlsError> {
    match wanted.iter().find(|wanted| !known.contains(&wanted.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(TlsError::Unsupported {
            key,
            value: unknown.clone(),
            expected: format!("some of {}", known.join(", ")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused_by_name() {
        assert_eq!(versions(None, None).unwrap().len(), 2);
        assert_eq!(versions(Some("1.3"), Some("")).unwrap(), [&version::TLS13]);
        assert_eq!(versions(None, Some("1.2")).unwrap(), [&version::TLS12]);
        let message = versions(Some("1.0"), None).unwrap_err().to_string();
        assert!(message.contains("min_version `1.0`"), "{message}");
        assert!(versions(Some("1.3"), Some("1.2")).is_err());
    }

    #[test]
    fn suites_and_curves_are_chosen_by_the_names_of_the_collector() {
        let suites = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()];
        let curves = ["P384".to_owned(), "X25519".to_owned()];
        let chosen = provider(&suites, &curves).unwrap();
        let older = chosen.cipher_suites.iter().filter(|suite| suite.tls13().is_none());
        assert_eq!(older.count(), 1);
        let groups: Vec<_> = chosen.kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(groups, [NamedGroup::secp384r1, NamedGroup::X25519]);
        assert!(provider(&["TLS_RSA_WITH_RC4_128_SHA".to_owned()], &[]).is_err());
        assert!(provider(&[], &["P521".to_owned()]).is_err());
    }
}
