//! Extension `bearertokenauth`: tokens, for servers and for clients.

mod tokens;

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use crate::component::{
    AuthError, BuildError, ClientAuth, Extension, ExtensionConfig, Host, Identity, ServerAuth,
};
use crate::config::Secret;
use tokens::{Source, Tokens};

/// Settings of `bearertokenauth`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BearerTokenAuthConfig {
    /// The scheme before the token; empty: the header holds the token alone.
    pub scheme: String,
    /// The header that holds the token.
    pub header: String,
    /// The token.
    pub token: Secret,
    /// Tokens that a server lets in; a client sends the first.
    pub tokens: Vec<Secret>,
    /// A file with one token a line, read again when it changes; counts instead of the others.
    pub filename: Option<PathBuf>,
}

impl Default for BearerTokenAuthConfig {
    fn default() -> Self {
        Self {
            scheme: "Bearer".into(),
            header: AUTHORIZATION.as_str().into(),
            token: Secret::default(),
            tokens: Vec::new(),
            filename: None,
        }
    }
}

impl ExtensionConfig for BearerTokenAuthConfig {
    const TYPE: &'static str = "bearertokenauth";
    const ALIASES: &'static [&'static str] = &["bearer_token_auth"];
    const EXAMPLE: &'static str = "token: secret\n";

    fn build(&self, _host: &Host) -> Result<Arc<dyn Extension>, BuildError> {
        let header = HeaderName::try_from(self.header.as_str()).map_err(|_| {
            BuildError::setting(format!("`{}` is not a header's name", self.header))
        })?;
        if !self.token.is_empty() && !self.tokens.is_empty() {
            return Err(BuildError::setting("both `token` and `tokens` are set"));
        }
        let source = match &self.filename {
            Some(path) => Source::open(path)
                .map_err(|source| BuildError::Path { path: path.clone(), source })?,
            None => {
                let given = std::iter::once(&self.token).chain(&self.tokens).cloned();
                Source::Given(Arc::new(Tokens::new(given)))
            }
        };
        let tokens = source
            .now()
            .map_err(|error| BuildError::setting(format!("cannot read tokens: {error}")))?;
        if tokens.is_empty() {
            return Err(BuildError::setting("no token: set `token`, `tokens` or `filename`"));
        }
        let scheme = self.scheme.trim().to_owned();
        Ok(Arc::new(BearerTokenAuth { authenticator: Arc::new(Bearer { scheme, header, source }) }))
    }
}

struct BearerTokenAuth {
    authenticator: Arc<Bearer>,
}

#[async_trait]
impl Extension for BearerTokenAuth {
    fn server_auth(&self) -> Option<Arc<dyn ServerAuth>> {
        Some(self.authenticator.clone())
    }

    fn client_auth(&self) -> Option<Arc<dyn ClientAuth>> {
        Some(self.authenticator.clone())
    }
}

struct Bearer {
    scheme: String,
    header: HeaderName,
    source: Source,
}

impl Bearer {
    /// The token in a header's value, if its scheme is the right one.
    fn token<'v>(&self, value: &'v str) -> Option<&'v str> {
        if self.scheme.is_empty() {
            return Some(value.trim());
        }
        let (scheme, token) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case(&self.scheme).then_some(token.trim())
    }
}

impl ServerAuth for Bearer {
    fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError> {
        let missing = AuthError::Missing { expected: "a header with scheme and token" };
        let Some(value) = headers.get(&self.header).and_then(|value| value.to_str().ok()) else {
            return Err(missing);
        };
        let Some(token) = self.token(value) else { return Err(missing) };
        let tokens = self.source.now().map_err(|source| AuthError::Unreadable { source })?;
        match tokens.find(token) {
            // The token itself is a secret; which one of the list it was is not.
            Some(position) => Ok(Identity::from(format!("token {}", position + 1))),
            None => Err(AuthError::Wrong),
        }
    }

    fn challenge(&self) -> &'static str {
        "Bearer"
    }
}

impl ClientAuth for Bearer {
    fn authorize(&self, headers: &mut HeaderMap) -> Result<(), AuthError> {
        let tokens = self.source.now().map_err(|source| AuthError::Unreadable { source })?;
        let token = tokens.first().ok_or(AuthError::Wrong)?;
        let said = if self.scheme.is_empty() {
            token.expose().to_owned()
        } else {
            format!("{} {}", self.scheme, token.expose())
        };
        let mut value = HeaderValue::try_from(said).map_err(|_| AuthError::Wrong)?;
        value.set_sensitive(true);
        headers.insert(self.header.clone(), value);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(scheme: &str, header: &'static str, tokens: &[&str]) -> Bearer {
        let tokens = tokens.iter().map(|token| Secret::new((*token).to_owned()));
        Bearer {
            scheme: scheme.into(),
            header: HeaderName::from_static(header),
            source: Source::Given(Arc::new(Tokens::new(tokens))),
        }
    }

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), value.parse().unwrap())])
    }

    #[test]
    fn any_of_the_tokens_lets_in() {
        let auth = bearer("Bearer", "authorization", &["one", "two"]);
        let ask = |value: &str| auth.authenticate(&headers("authorization", value));
        assert_eq!(ask("Bearer two").unwrap().as_ref(), "token 2");
        assert_eq!(ask("bearer one").unwrap().as_ref(), "token 1");
        assert!(matches!(ask("Bearer three"), Err(AuthError::Wrong)));
        assert!(matches!(ask("Bearer "), Err(AuthError::Wrong)));
        assert!(matches!(ask("Basic one"), Err(AuthError::Missing { .. })));
        let nothing = auth.authenticate(&HeaderMap::new());
        assert!(matches!(nothing, Err(AuthError::Missing { .. })));
    }

    #[test]
    fn header_and_scheme_can_be_others() {
        let auth = bearer("", "x-api-key", &["one"]);
        assert!(auth.authenticate(&headers("x-api-key", "one")).is_ok());
        let mut sent = HeaderMap::new();
        auth.authorize(&mut sent).unwrap();
        assert_eq!(sent["x-api-key"], "one");
        let mut sent = HeaderMap::new();
        bearer("Token", "authorization", &["one", "two"]).authorize(&mut sent).unwrap();
        assert_eq!(sent["authorization"], "Token one");
    }
}
