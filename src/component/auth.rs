//! What authenticators offer to receivers and exporters.

use std::sync::Arc;

use http::HeaderMap;

/// Who a client is, as its authenticator says; a user name or a token's subject.
pub type Identity = Arc<str>;

/// Why a client is not let in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// No credentials, or none of the kind that is asked for. HTTP 401, `UNAUTHENTICATED`.
    #[error("no credentials: {expected} expected")]
    Missing {
        /// What was expected, such as ``an `authorization` header with scheme Bearer``.
        expected: &'static str,
    },
    /// Wrong credentials. HTTP 401, `UNAUTHENTICATED`.
    #[error("wrong credentials")]
    Wrong,
    /// Known, but not allowed. HTTP 403, `PERMISSION_DENIED`.
    #[error("not allowed")]
    Forbidden,
    /// The credentials to send cannot be had.
    #[error("cannot read credentials")]
    Unreadable {
        /// What failed.
        source: std::io::Error,
    },
}

/// Checks the clients of a server.
pub trait ServerAuth: Send + Sync {
    /// Says who the client is by its request's headers, before the body is read.
    ///
    /// # Errors
    ///
    /// Fails when the client is not to be let in.
    fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError>;

    /// The value of the `www-authenticate` header that goes with a 401.
    fn challenge(&self) -> &'static str;
}

/// Adds credentials to a client's requests.
pub trait ClientAuth: Send + Sync {
    /// Adds the headers of one request.
    ///
    /// # Errors
    ///
    /// Fails when the credentials cannot be read or are not a header's value.
    fn authorize(&self, headers: &mut HeaderMap) -> Result<(), AuthError>;
}
