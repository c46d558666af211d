//! User names and password hashes, as the `htpasswd` program writes them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Passwords found right are remembered for this many users, so that bcrypt is not paid for with
/// every request.
const MAX_REMEMBERED: usize = 1024;
/// A hash that no password has; checked for unknown users, so that they cannot be told by time.
const NOBODY: &str = "$2b$10$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK";

/// Why a list of users cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum HtpasswdError {
    /// A line without user or hash.
    #[error("htpasswd line {line} is not `user:hash`")]
    Line {
        /// The line's number, from 1.
        line: usize,
    },
    /// A hash of a kind that is not supported.
    #[error(
        "htpasswd line {line} has a hash that is not supported: expected bcrypt (`htpasswd -B`), \
         `{{SHA}}` or plain text"
    )]
    Hash {
        /// The line's number, from 1.
        line: usize,
    },
}

/// How a password is kept.
enum Kept {
    Bcrypt(String),
    Sha([u8; 20]),
    Plain(String),
}

/// The users that may come in.
pub(super) struct Users {
    by_name: HashMap<String, Kept>,
    remembered: Mutex<HashMap<String, [u8; 32]>>,
    salt: [u8; 32],
}

impl Users {
    /// Reads lines of `user:hash`; empty ones and those that start with `#` count for nothing. Of
    /// a user that is there twice the first one counts, as with Apache's server.
    pub(super) fn parse(text: &str) -> Result<Self, HtpasswdError> {
        let mut by_name = HashMap::new();
        for (position, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let number = position + 1;
            let (name, hash) = line.split_once(':').ok_or(HtpasswdError::Line { line: number })?;
            if name.is_empty() || hash.is_empty() {
                return Err(HtpasswdError::Line { line: number });
            }
            let kept = parse_hash(hash).ok_or(HtpasswdError::Hash { line: number })?;
            by_name.entry(name.to_owned()).or_insert(kept);
        }
        let mut salt = [0; 32];
        rand::rng().fill_bytes(&mut salt);
        Ok(Self { by_name, remembered: Mutex::default(), salt })
    }

    /// Whether there is nobody.
    pub(super) fn is_empty(&self) -> bool {
        self.by_name.is_empty()
    }

    /// Whether the password is that of the user. Takes the same time for users that there are not.
    pub(super) fn is_right(&self, name: &str, password: &str) -> bool {
        let print = self.print(password);
        if self.is_remembered(name, &print) {
            return true;
        }
        let is_right = match self.by_name.get(name) {
            Some(Kept::Bcrypt(hash)) => bcrypt::verify(password, hash).unwrap_or(false),
            Some(Kept::Sha(hash)) => Sha1::digest(password).ct_eq(hash).into(),
            Some(Kept::Plain(plain)) => print.ct_eq(&self.print(plain)).into(),
            None => {
                if self.by_name.values().any(|kept| matches!(kept, Kept::Bcrypt(_))) {
                    let _ = bcrypt::verify(password, NOBODY);
                }
                false
            }
        };
        if is_right {
            self.remember(name, print);
        }
        is_right
    }

    fn print(&self, password: &str) -> [u8; 32] {
        Sha256::new().chain_update(self.salt).chain_update(password).finalize().into()
    }

    fn is_remembered(&self, name: &str, print: &[u8; 32]) -> bool {
        let remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        remembered.get(name).is_some_and(|held| held.ct_eq(print).into())
    }

    fn remember(&self, name: &str, print: [u8; 32]) {
        let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.len() < MAX_REMEMBERED {
            remembered.insert(name.to_owned(), print);
        }
    }
}

fn parse_hash(hash: &str) -> Option<Kept> {
    if let Some(encoded) = hash.strip_prefix("{SHA}") {
        let digest = STANDARD.decode(encoded).ok()?;
        return digest.try_into().ok().map(Kept::Sha);
    }
    if ["$2y$", "$2b$", "$2a$", "$2x$"].iter().any(|prefix| hash.starts_with(prefix)) {
        return hash.parse::<bcrypt::HashParts>().ok().map(|_| Kept::Bcrypt(hash.to_owned()));
    }
    if hash.starts_with('$') {
        return None;
    }
    Some(Kept::Plain(hash.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `htpasswd -nbB -C 4` and `htpasswd -nbs` of Apache; `plain` is not hashed.
    const LIST: &str = "# users\n\
        sha:{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=\n\
        \n\
        plain:secret\n\
        plain:second\n";

    #[test]
    fn passwords_of_every_kind_are_checked() {
        let bcrypted = bcrypt::hash_with_salt("abc", 4, [7; 16]).unwrap();
        let line = format!("bc:{}", bcrypted.format_for_version(bcrypt::Version::TwoY));
        let users = Users::parse(&format!("{LIST}{line}\n")).unwrap();
        for (name, password, is_right) in [
            ("sha", "test", true),
            ("sha", "tes", false),
            ("plain", "secret", true),
            ("plain", "second", false),
            ("bc", "abc", true),
            ("bc", "abc", true),
            ("bc", "abd", false),
            ("nobody", "abc", false),
        ] {
            assert_eq!(users.is_right(name, password), is_right, "{name} {password}");
        }
    }

    #[test]
    fn wrong_lines_are_named() {
        let error = |text: &str| Users::parse(text).err().unwrap().to_string();
        assert_eq!(error("a:b\nnobody"), "htpasswd line 2 is not `user:hash`");
        assert!(error("a:$apr1$x$y").contains("line 1 has a hash that is not supported"));
        assert!(error("a:{SHA}AAAA").contains("not supported"));
        assert!(error("a:$2y$99$short").contains("not supported"));
    }

    #[test]
    fn nobodys_hash_is_one_that_takes_time_to_check() {
        assert_eq!(bcrypt::verify("", NOBODY).ok(), Some(false));
    }
}
