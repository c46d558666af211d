//! TLS from the `tls:` blocks of the file: rustls with ring, read again when files change.

mod client;
mod material;
mod reload;
mod server;

use std::io;
use std::path::PathBuf;

use rustls::pki_types::pem;

pub use client::ClientTlsConfig;
pub use server::{Alpn, ServerTlsConfig};

/// Why a `tls:` block cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {what} `{}`", path.display())]
    Read {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is nothing of the kind that is asked for.
    #[error("{place} holds no {what} in PEM format")]
    Empty {
        /// What it should hold.
        what: &'static str,
        /// The file or key of the block.
        place: String,
    },
    /// It is not PEM.
    #[error("{place} is not a {what} in PEM format")]
    Malformed {
        /// What it should hold.
        what: &'static str,
        /// The file or key of the block.
        place: String,
        /// What is wrong.
        source: pem::Error,
    },
    /// It is PEM, but what it holds cannot be used.
    #[error("cannot use {what} in {place}")]
    Unusable {
        /// What it should hold.
        what: &'static str,
        /// The file or key of the block.
        place: String,
        /// What is wrong.
        source: rustls::Error,
    },
    /// Certificate and key do not belong together.
    #[error("the private key in {key} does not belong to the certificate in {certificate}")]
    Mismatch {
        /// Where the certificate is.
        certificate: String,
        /// Where the key is.
        key: String,
    },
    /// One key of the block needs another.
    #[error("tls: `{key}` is missing")]
    Missing {
        /// The key that is missing.
        key: &'static str,
    },
    /// Two keys for the same thing.
    #[error("tls: `{first}` and `{second}` exclude one another")]
    Both {
        /// One of them.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
    /// A value that is not known or that rustls does not have.
    #[error("tls: {key} `{value}` is not supported, expected {expected}")]
    Unsupported {
        /// The key of the block.
        key: &'static str,
        /// Its value.
        value: String,
        /// What can be had.
        expected: String,
    },
    /// The certificates to check clients or servers with cannot be used.
    #[error("cannot check certificates with {place}")]
    Verifier {
        /// Where they come from.
        place: String,
        /// What is wrong.
        source: rustls::server::VerifierBuilderError,
    },
    /// The system has no certificates of authorities.
    #[error("this system has no certificates of authorities, set `ca_file`")]
    NoSystemRoots,
    /// The settings contradict one another.
    #[error("cannot set up TLS")]
    Setup {
        /// What is wrong.
        source: rustls::Error,
    },
}
