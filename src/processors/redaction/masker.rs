//! What stands in the place of what is masked.

use hmac::{Hmac, Mac};
use regex::Regex;
use sha2::{Sha256, Sha512};
use sha3::{Digest as _, Sha3_256};

use super::settings::HashFunction;
use crate::config::Secret;
use crate::ottl::go::hash::{hex, md5, sha1};

const MASK: &str = "****";

/// Writes masks or hashes.
#[derive(Clone)]
pub(super) enum Masker {
    /// Four asterisks, however long the secret is.
    Fixed,
    Md5,
    Sha1,
    Sha3,
    HmacSha256(Box<Hmac<Sha256>>),
    HmacSha512(Box<Hmac<Sha512>>),
}

impl Masker {
    pub(super) fn new(hash: HashFunction, key: &Secret) -> Self {
        let key = key.expose().as_bytes();
        match hash {
            HashFunction::None => Self::Fixed,
            HashFunction::Md5 => Self::Md5,
            HashFunction::Sha1 => Self::Sha1,
            HashFunction::Sha3 => Self::Sha3,
            HashFunction::HmacSha256 => Self::HmacSha256(Box::new(keyed(key))),
            HashFunction::HmacSha512 => Self::HmacSha512(Box::new(keyed(key))),
        }
    }

    /// Appends what stands in the place of `secret`.
    pub(super) fn push(&self, secret: &str, text: &mut String) {
        match self {
            Self::Fixed => text.push_str(MASK),
            Self::Md5 => text.push_str(&md5(secret)),
            Self::Sha1 => text.push_str(&sha1(secret)),
            Self::Sha3 => text.push_str(&hex(&Sha3_256::digest(secret))),
            Self::HmacSha256(mac) => text.push_str(&code(mac.as_ref(), secret)),
            Self::HmacSha512(mac) => text.push_str(&code(mac.as_ref(), secret)),
        }
    }

    /// Masks all of a value: each of its lines by itself, as the expression `.*` matches them.
    pub(super) fn whole(&self, value: &str) -> String {
        let mut text = String::new();
        for (index, line) in value.split('\n').enumerate() {
            if index > 0 {
                text.push('\n');
            }
            self.push(line, &mut text);
        }
        text
    }

    /// Masks all matches; nothing if there are none.
    pub(super) fn matches(&self, regex: &Regex, value: &str) -> Option<String> {
        let mut matches = regex.find_iter(value).peekable();
        matches.peek()?;
        let mut text = String::with_capacity(value.len());
        let mut position = 0;
        for found in matches {
            text.push_str(value.get(position..found.start()).unwrap_or_default());
            self.push(found.as_str(), &mut text);
            position = found.end();
        }
        text.push_str(value.get(position..).unwrap_or_default());
        Some(text)
    }
}

#[expect(clippy::expect_used, reason = "HMAC takes keys of all lengths")]
fn keyed<M: Mac + hmac::digest::KeyInit>(key: &[u8]) -> M {
    <M as Mac>::new_from_slice(key).expect("HMAC takes keys of all lengths")
}

fn code<M: Mac + Clone>(mac: &M, secret: &str) -> String {
    hex(&mac.clone().chain_update(secret).finalize().into_bytes())
}
