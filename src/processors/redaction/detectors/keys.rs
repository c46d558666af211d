//! Keys and tokens that services give out, and private keys.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use memchr::memmem;
use serde::Deserialize;

use super::haystack::{Haystack, is_base64url, is_word};

/// The id of an AWS access key: `AKIA` and the like, and 16 letters of Base32; the trigger is the
/// `A` that ends the prefix (AWS IAM User Guide, "Understanding unique ID prefixes").
pub(super) fn aws(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let prefixes: [&[u8]; 4] = [b"AKIA", b"ASIA", b"ABIA", b"ACCA"];
    let start = prefixes.iter().find_map(|prefix| text.start_of(run.end, prefix))?;
    let end = text.run(run.end, 17, |byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'));
    let is_key = end == run.end + 16 && !text.at(end).is_ascii_alphanumeric();
    (is_key && !text.before(start, 1).is_ascii_alphanumeric()).then_some(start..end)
}

/// A token of GitHub: `ghp_`, `gho_`, `ghu_`, `ghs_` or `ghr_` with 36 letters, the last six of which
/// are a checksum, or a fine-grained one; the trigger is the `_`.
pub(super) fn github(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    if let Some(start) = text.start_of(run.start, b"github") {
        return fine_grained(text, start, run.end);
    }
    let prefixes: [&[u8]; 5] = [b"ghp", b"gho", b"ghu", b"ghs", b"ghr"];
    let start = prefixes.iter().find_map(|prefix| text.start_of(run.start, prefix))?;
    let end = text.run(run.end, 37, |byte| byte.is_ascii_alphanumeric());
    let (random, checksum) = text.slice(run.end, end).split_at_checked(30)?;
    let is_token = checksum == base62(crc32fast::hash(random));
    (is_token && !text.before(start, 1).is_ascii_alphanumeric()).then_some(start..end)
}

/// `github_pat_`, 22 letters, `_`, 59 letters; `underscore` is the end of the first.
fn fine_grained(text: Haystack<'_>, start: usize, underscore: usize) -> Option<Range<usize>> {
    if !text.has(underscore, b"pat_") || text.before(start, 1).is_ascii_alphanumeric() {
        return None;
    }
    let middle = text.run(underscore + 4, 23, |byte| byte.is_ascii_alphanumeric());
    let end = text.run(middle + 1, 60, |byte| byte.is_ascii_alphanumeric());
    let is_token = middle == underscore + 26 && text.at(middle) == b'_' && end == middle + 60;
    is_token.then_some(start..end)
}

/// Six digits to the base 62: 0-9, A-Z, a-z.
fn base62(number: u32) -> [u8; 6] {
    let mut rest = number;
    let mut digits = [b'0'; 6];
    for slot in digits.iter_mut().rev() {
        let digit = u8::try_from(rest % 62).unwrap_or_default();
        *slot = match digit {
            0..=9 => b'0' + digit,
            10..=35 => b'A' + digit - 10,
            _ => b'a' + digit - 36,
        };
        rest /= 62;
    }
    digits
}

/// GitLab's documentation, "Token overview", "Token prefixes".
const GITLAB: [&[u8]; 12] = [
    b"glpat", b"gldt", b"glrt", b"glrtr", b"glcbt", b"glptt", b"glft", b"glimt", b"glagent",
    b"glsoat", b"glffct", b"gloas",
];
/// No token of GitLab or Slack is as long as this.
const MAX_TOKEN: usize = 512;

/// A token of GitLab: its prefix and 20 letters at least; the trigger is the `-` of the prefix.
pub(super) fn gitlab(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let start = text.run_back(run.start, 8, |byte| byte.is_ascii_lowercase());
    if !GITLAB.contains(&text.slice(start, run.start)) || is_word(text.before(start, 1)) {
        return None;
    }
    let mut end = text.run(run.end, MAX_TOKEN, is_base64url);
    let body = text.slice(run.end, end);
    if body.len() < 20 || !body.iter().any(u8::is_ascii_digit) {
        return None;
    }
    // Tokens that know their way have two more parts.
    for length in [2, 9] {
        let part_end = text.run(end + 1, length + 1, |byte| byte.is_ascii_alphanumeric());
        if text.at(end) == b'.' && part_end == end + 1 + length {
            end = part_end;
        }
    }
    Some(start..end)
}

/// An API key of Google: `AIza` and 35 letters; the trigger is the `z`.
pub(super) fn google(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let start = text.start_of(run.end, b"AIz")?;
    let end = text.run(run.end, 37, is_base64url);
    let is_key = text.at(run.end) == b'a' && end == start + 39;
    (is_key && !is_base64url(text.before(start, 1))).then_some(start..end)
}

/// Longer headers are not decoded.
const MAX_HEADER: usize = 4096;

/// What a header must have (RFC 7515, 4.1.1).
#[derive(Deserialize)]
struct Header {
    #[serde(rename = "alg")]
    _algorithm: String,
}

/// A JSON Web Token, signed, encrypted or neither; the trigger is the `J` of `eyJ`, which is `{"`.
pub(super) fn jwt(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let start = text.start_of(run.end, b"eyJ")?;
    if is_base64url(text.before(start, 1)) {
        return None;
    }
    let header_end = text.run(start, MAX_HEADER, is_base64url);
    if text.at(header_end) != b'.' || !is_base64url(text.at(header_end + 1)) {
        return None;
    }
    let header = URL_SAFE_NO_PAD.decode(text.slice(start, header_end)).ok()?;
    serde_json::from_slice::<Header>(&header).ok()?;
    let mut end = text.run(header_end + 1, usize::MAX, is_base64url);
    if text.at(end) != b'.' {
        return None;
    }
    // One signature, which may be empty, or what an encrypted one has instead (RFC 7516, 3.1).
    for _ in 0..3 {
        if text.at(end) == b'.' {
            end = text.run(end + 1, usize::MAX, is_base64url);
        }
    }
    Some(start..end)
}

/// A token of npm: `npm_` and 36 letters; the trigger is the `_`.
pub(super) fn npm(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let start = text.start_of(run.start, b"npm")?;
    let end = text.run(run.end, 37, |byte| byte.is_ascii_alphanumeric());
    (end == run.end + 36 && !is_word(text.before(start, 1))).then_some(start..end)
}

/// A private key in PEM with its lines; the trigger is the first `-`.
///
/// One that is cut off goes to the end of the text.
pub(super) fn private_key(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    if !text.has(run.start, b"-----BEGIN ") {
        return None;
    }
    let label = run.start + 11;
    let label_end = text
        .run(label, 64, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let name = text.slice(label, label_end);
    let is_key = name.ends_with(b"PRIVATE KEY") || name.ends_with(b"PRIVATE KEY BLOCK");
    if !is_key || !text.has(label_end, b"-----") {
        return None;
    }
    let rest = text.slice(label_end, text.len());
    let footer = memmem::find(rest, b"-----END ");
    let end = footer.and_then(|at| {
        let after = label_end + at + 9;
        memmem::find(text.slice(after, text.len()), b"-----").map(|at| after + at + 5)
    });
    Some(run.start..end.unwrap_or(text.len()))
}

/// A token of Slack: `xoxb-` and the like or `xapp-`, a digit, 20 letters at least; the trigger is
/// the `-` of the prefix.
pub(super) fn slack(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let prefixes: [&[u8]; 8] =
        [b"xoxb", b"xoxp", b"xoxa", b"xoxr", b"xoxs", b"xoxe", b"xoxc", b"xapp"];
    let start = prefixes.iter().find_map(|prefix| text.start_of(run.start, prefix))?;
    let end = text.run(run.end, MAX_TOKEN, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_token = end - run.end >= 20 && text.at(run.end).is_ascii_digit();
    (is_token && !is_word(text.before(start, 1))).then_some(start..end)
}

/// A secret or restricted key of Stripe, or the secret of a webhook; the trigger is the first `_`.
pub(super) fn stripe(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let prefixes: [&[u8]; 3] = [b"sk", b"rk", b"whsec"];
    let start = prefixes.iter().find_map(|prefix| text.start_of(run.start, prefix))?;
    let is_webhook = text.at(start) == b'w';
    let has_mode = text.has(run.end, b"live_") || text.has(run.end, b"test_");
    let body = if is_webhook { run.end } else { run.end + 5 };
    let end = text.run(body, MAX_TOKEN, |byte| byte.is_ascii_alphanumeric());
    let min_length = if is_webhook { 32 } else { 16 };
    let is_key = (is_webhook || has_mode) && end - body >= min_length;
    (is_key && !is_word(text.before(start, 1))).then_some(start..end)
}
