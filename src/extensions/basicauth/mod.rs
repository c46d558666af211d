//! Extension `basicauth`: user name and password, for servers and for clients.

mod htpasswd;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde::Deserialize;

use crate::component::{
    AuthError, BuildError, ClientAuth, Extension, ExtensionConfig, Host, Identity, ServerAuth,
};
use crate::config::Secret;
use htpasswd::Users;

/// Longest header that is looked at.
const MAX_HEADER_BYTES: usize = 4096;

/// Settings of `basicauth`: either `htpasswd` for servers or `client_auth` for clients.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BasicAuthConfig {
    /// The users that a server lets in.
    pub htpasswd: Option<Htpasswd>,
    /// What a client says.
    pub client_auth: Option<ClientCredentials>,
}

/// Users and their passwords' hashes: bcrypt, `{SHA}` or plain text.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Htpasswd {
    /// A file of lines `user:hash`, read at start.
    pub file: Option<PathBuf>,
    /// The lines themselves; of a user that is in both, this one counts.
    pub inline: Secret,
}

/// Who a client is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientCredentials {
    /// The user's name.
    pub username: String,
    /// A file with the user's name, read again for every request.
    pub username_file: Option<PathBuf>,
    /// The password.
    pub password: Secret,
    /// A file with the password, read again for every request.
    pub password_file: Option<PathBuf>,
}

impl ExtensionConfig for BasicAuthConfig {
    const TYPE: &'static str = "basicauth";
    const ALIASES: &'static [&'static str] = &["basic_auth"];
    const EXAMPLE: &'static str = "client_auth:\n  username: agent\n  password: secret\n";

    fn build(&self, _host: &Host) -> Result<Arc<dyn Extension>, BuildError> {
        match (&self.htpasswd, &self.client_auth) {
            (Some(htpasswd), None) => {
                let users = Arc::new(htpasswd.users()?);
                Ok(Arc::new(BasicAuth { server: Some(Arc::new(Server { users })), client: None }))
            }
            (None, Some(credentials)) => {
                credentials.check()?;
                let client = Arc::new(Client { credentials: credentials.clone() });
                Ok(Arc::new(BasicAuth { server: None, client: Some(client) }))
            }
            (Some(_), Some(_)) => Err(BuildError::setting(
                "both `htpasswd` and `client_auth` are set: an extension is for servers or for clients",
            )),
            (None, None) => Err(BuildError::setting(
                "neither `htpasswd` (for servers) nor `client_auth` (for clients) is set",
            )),
        }
    }
}

impl Htpasswd {
    fn users(&self) -> Result<Users, BuildError> {
        let mut lines = self.inline.expose().to_owned();
        if let Some(path) = &self.file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| BuildError::Path { path: path.clone(), source })?;
            lines.push('\n');
            lines.push_str(&text);
        }
        let users = Users::parse(&lines).map_err(|error| BuildError::setting(error.to_string()))?;
        if users.is_empty() {
            return Err(BuildError::setting("htpasswd has no users: set `file` or `inline`"));
        }
        Ok(users)
    }
}

impl ClientCredentials {
    fn check(&self) -> Result<(), BuildError> {
        if self.username.is_empty() && self.username_file.is_none() {
            return Err(BuildError::setting("client_auth needs `username` or `username_file`"));
        }
        if self.username.contains(':') {
            return Err(BuildError::setting("client_auth: a `username` cannot have a colon"));
        }
        Ok(())
    }
}

struct BasicAuth {
    server: Option<Arc<Server>>,
    client: Option<Arc<Client>>,
}

#[async_trait]
impl Extension for BasicAuth {
    fn server_auth(&self) -> Option<Arc<dyn ServerAuth>> {
        self.server.clone().map(|server| server as Arc<dyn ServerAuth>)
    }

    fn client_auth(&self) -> Option<Arc<dyn ClientAuth>> {
        self.client.clone().map(|client| client as Arc<dyn ClientAuth>)
    }
}

struct Server {
    users: Arc<Users>,
}

impl ServerAuth for Server {
    fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError> {
        let missing =
            AuthError::Missing { expected: "an `authorization` header with scheme Basic" };
        let Some(header) = headers.get(AUTHORIZATION) else { return Err(missing) };
        let Some((scheme, encoded)) = header.to_str().ok().and_then(|text| text.split_once(' '))
        else {
            return Err(missing);
        };
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(missing);
        }
        if encoded.len() > MAX_HEADER_BYTES {
            return Err(AuthError::Wrong);
        }
        let decoded = STANDARD.decode(encoded.trim()).map_err(|_| AuthError::Wrong)?;
        let decoded = String::from_utf8(decoded).map_err(|_| AuthError::Wrong)?;
        let (name, password) = decoded.split_once(':').ok_or(AuthError::Wrong)?;
        if !self.users.is_right(name, password) {
            return Err(AuthError::Wrong);
        }
        Ok(Identity::from(name))
    }

    fn challenge(&self) -> &'static str {
        "Basic realm=\"catchment\", charset=\"UTF-8\""
    }
}

struct Client {
    credentials: ClientCredentials,
}

impl ClientAuth for Client {
    fn authorize(&self, headers: &mut HeaderMap) -> Result<(), AuthError> {
        let own = &self.credentials;
        let name = told(&own.username, own.username_file.as_deref())?;
        let password = told(own.password.expose(), own.password_file.as_deref())?;
        let encoded = STANDARD.encode(format!("{name}:{password}"));
        let Ok(mut value) = HeaderValue::try_from(format!("Basic {encoded}")) else {
            return Err(AuthError::Wrong);
        };
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }
}

/// What the file holds, without white space around it; else the text itself.
fn told(text: &str, file: Option<&Path>) -> Result<String, AuthError> {
    match file {
        None => Ok(text.to_owned()),
        Some(path) => match std::fs::read_to_string(path) {
            Ok(read) => Ok(read.trim().to_owned()),
            Err(source) => Err(AuthError::Unreadable { source }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server() -> Server {
        Server { users: Arc::new(Users::parse("ann:pass:word").unwrap()) }
    }

    fn ask(value: &str) -> Result<Identity, AuthError> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        server().authenticate(&headers)
    }

    #[test]
    fn right_password_lets_in_and_names_the_user() {
        let encoded = STANDARD.encode("ann:pass:word");
        assert_eq!(ask(&format!("Basic {encoded}")).unwrap().as_ref(), "ann");
        assert_eq!(ask(&format!("basic {encoded}")).unwrap().as_ref(), "ann");
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(matches!(server().authenticate(&HeaderMap::new()), Err(AuthError::Missing { .. })));
        assert!(matches!(ask("Bearer abc"), Err(AuthError::Missing { .. })));
        assert!(matches!(ask("Basic"), Err(AuthError::Missing { .. })));
        assert!(matches!(ask("Basic !!"), Err(AuthError::Wrong)));
        let encoded = STANDARD.encode("ann:word");
        assert!(matches!(ask(&format!("Basic {encoded}")), Err(AuthError::Wrong)));
        let long = STANDARD.encode("x".repeat(2 * MAX_HEADER_BYTES));
        assert!(matches!(ask(&format!("Basic {long}")), Err(AuthError::Wrong)));
    }

    #[test]
    fn client_says_what_the_file_holds_now() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("password");
        std::fs::write(&path, "one\n").unwrap();
        let client = Client {
            credentials: ClientCredentials {
                username: "ann".into(),
                password_file: Some(path.clone()),
                ..ClientCredentials::default()
            },
        };
        let said = || {
            let mut headers = HeaderMap::new();
            client.authorize(&mut headers)?;
            assert!(headers[AUTHORIZATION].is_sensitive());
            Ok::<_, AuthError>(headers[AUTHORIZATION].to_str().unwrap().to_owned())
        };
        assert_eq!(said().unwrap(), format!("Basic {}", STANDARD.encode("ann:one")));
        std::fs::write(&path, "two").unwrap();
        assert_eq!(said().unwrap(), format!("Basic {}", STANDARD.encode("ann:two")));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(said(), Err(AuthError::Unreadable { .. })));
    }
}
