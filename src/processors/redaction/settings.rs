//! The settings as users write them.

use regex::Regex;
use serde::Deserialize;

use super::detectors::Detector;
use crate::config::{Refused, Secret};
use crate::ottl::go::{Refusal, re2};

/// The settings of `redaction`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(try_from = "Fields")]
pub(super) struct Settings {
    pub(super) allow_all_keys: bool,
    pub(super) allowed_keys: Vec<String>,
    pub(super) ignored_keys: Vec<String>,
    pub(super) ignored_key_patterns: Vec<Regex>,
    pub(super) blocked_key_patterns: Vec<Regex>,
    pub(super) blocked_values: Vec<Regex>,
    pub(super) allowed_values: Vec<Regex>,
    pub(super) redact_all_types: bool,
    pub(super) hash: HashFunction,
    pub(super) hmac_key: Secret,
    pub(super) summary: Summary,
    /// Each once.
    pub(super) detectors: Vec<Detector>,
}

/// One by one.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    /// Whether attributes stay that `allowed_keys` does not name.
    allow_all_keys: bool,
    /// Attributes that stay.
    allowed_keys: Vec<String>,
    /// Attributes that stay and are not looked at.
    ignored_keys: Vec<String>,
    /// Expressions for such attributes.
    ignored_key_patterns: Vec<Pattern>,
    /// Expressions for attributes whose values are masked.
    blocked_key_patterns: Vec<Pattern>,
    /// Expressions for what is masked in values.
    blocked_values: Vec<Pattern>,
    /// Expressions for values in which nothing is masked.
    allowed_values: Vec<Pattern>,
    /// Whether values that are no text are looked at as text.
    redact_all_types: bool,
    /// What stands in the place of what is masked: a hash, or `****`.
    hash_function: HashFunction,
    /// The key of the hash, for `hmac-sha256` and `hmac-sha512`.
    hmac_key: Secret,
    /// What is said in attributes about what was done.
    summary: Summary,
    /// What is looked for in values besides.
    detectors: Vec<Detector>,
    url_sanitizer: Refused,
    db_sanitizer: DbSanitizer,
}

/// The sanitizer of database queries, of which none is supported.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DbSanitizer {
    sql: Refused,
    redis: Refused,
    valkey: Refused,
    memcached: Refused,
    mongo: Refused,
    opensearch: Refused,
    es: Refused,
    /// Without effect, for nothing is sanitized.
    #[serde(rename = "sanitize_span_name")]
    _sanitize_span_name: bool,
}

/// An expression as Go reads it.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Pattern(Regex);

impl TryFrom<String> for Pattern {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        re2::compile(&text).map(Self)
    }
}

/// What stands in the place of what is masked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum HashFunction {
    /// Four asterisks.
    #[default]
    None,
    Md5,
    Sha1,
    /// SHA3-256.
    Sha3,
    HmacSha256,
    HmacSha512,
}

impl HashFunction {
    /// How long a key must be at least, in bytes; 0 where there is none.
    const fn min_key_len(self) -> usize {
        match self {
            Self::HmacSha256 => 32,
            Self::HmacSha512 => 64,
            _ => 0,
        }
    }
}

impl TryFrom<String> for HashFunction {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match &*text.to_ascii_lowercase() {
            "" => Self::None,
            "md5" => Self::Md5,
            "sha1" => Self::Sha1,
            "sha3" => Self::Sha3,
            "hmac-sha256" => Self::HmacSha256,
            "hmac-sha512" => Self::HmacSha512,
            _ => {
                return Err(format!(
                    "unknown hash function `{text}`: it is `md5`, `sha1`, `sha3`, `hmac-sha256` or \
                     `hmac-sha512`"
                ));
            }
        })
    }
}

/// What is said in attributes about what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) enum Summary {
    /// Nothing.
    #[default]
    Silent,
    /// How many keys.
    Info,
    /// How many, and which.
    Debug,
}

impl TryFrom<String> for Summary {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Ok(match &*text {
            "" | "silent" => Self::Silent,
            "info" => Self::Info,
            "debug" => Self::Debug,
            _ => {
                return Err(format!("unknown summary `{text}`: it is `debug`, `info` or `silent`"));
            }
        })
    }
}

impl TryFrom<Fields> for Settings {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let (key_len, min_len) =
            (fields.hmac_key.expose().len(), fields.hash_function.min_key_len());
        if key_len < min_len {
            return Err(format!(
                "`hmac_key` must have at least {min_len} bytes for this `hash_function`, and has \
                 {key_len}"
            ));
        }
        let mut detectors = fields.detectors;
        detectors.sort_unstable();
        detectors.dedup();
        Ok(Self {
            allow_all_keys: fields.allow_all_keys,
            allowed_keys: fields.allowed_keys,
            ignored_keys: fields.ignored_keys,
            ignored_key_patterns: regexes(fields.ignored_key_patterns),
            blocked_key_patterns: regexes(fields.blocked_key_patterns),
            blocked_values: regexes(fields.blocked_values),
            allowed_values: regexes(fields.allowed_values),
            redact_all_types: fields.redact_all_types,
            hash: fields.hash_function,
            hmac_key: fields.hmac_key,
            summary: fields.summary,
            detectors,
        })
    }
}

fn regexes(patterns: Vec<Pattern>) -> Vec<Regex> {
    patterns.into_iter().map(|pattern| pattern.0).collect()
}
