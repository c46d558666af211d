//! Addresses: of mail, of machines, and passwords in URLs.

use std::net::Ipv6Addr;
use std::ops::Range;

use super::haystack::{Haystack, is_word};

/// RFC 5321, 4.5.3.1.
const MAX_LOCAL: usize = 64;
/// RFC 5321, 4.5.3.1, less the length bytes.
const MAX_DOMAIN: usize = 253;
/// RFC 1035, 2.3.4.
const MAX_LABEL: usize = 63;

/// A mail address; the trigger is its `@`.
pub(super) fn email(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let at = run.start;
    let mut start = text.run_back(at, MAX_LOCAL, is_local);
    if is_local(text.before(start, 1)) && at - start == MAX_LOCAL {
        return None;
    }
    while matches!(text.at(start), b'.' | b'-' | b'\'') {
        start += 1;
    }
    if start >= at || text.before(at, 1) == b'.' {
        return None;
    }
    let end = domain_end(text, run.end)?;
    (end - run.end <= MAX_DOMAIN).then_some(start..end)
}

/// What RFC 5322 allows before the `@` without quotes, less what separates things in logs.
const fn is_local(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'.' | b'+' | b'-' | b'%' | b'\'')
}

/// The end of a domain of at least two labels, whose last is of letters.
fn domain_end(text: Haystack<'_>, start: usize) -> Option<usize> {
    let is_label = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte >= 0x80;
    let mut label = start;
    loop {
        let end = text.run(label, MAX_LABEL + 1, is_label);
        let length = end - label;
        if length == 0 || length > MAX_LABEL || text.at(label) == b'-' {
            return None;
        }
        if text.at(end) == b'.' && is_label(text.at(end + 1)) && end - start < MAX_DOMAIN {
            label = end + 1;
            continue;
        }
        let last = text.slice(label, end);
        let is_letters = last.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
        let is_top = length >= 2 && (is_letters || last.starts_with(b"xn--"));
        return (is_top && label > start).then_some(end);
    }
}

/// Four numbers up to 255 with points between them; the trigger is the first.
pub(super) fn ipv4(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    if run.len() > 3 || text.at(run.end) != b'.' {
        return None;
    }
    let previous = text.before(run.start, 1);
    if is_word(previous) || previous == b'.' {
        return None;
    }
    let mut end = octet_end(text, run.start)?;
    for _ in 0..3 {
        if text.at(end) != b'.' {
            return None;
        }
        end = octet_end(text, end + 1)?;
    }
    text.is_number_end(end).then_some(run.start..end)
}

fn octet_end(text: Haystack<'_>, start: usize) -> Option<usize> {
    let end = text.run(start, 4, |byte| byte.is_ascii_digit());
    let digits = text.slice(start, end);
    let is_octet = match digits {
        [_] | [b'1'..=b'9', _] | [b'1', _, _] => true,
        [b'2', ..] => digits.len() == 3 && digits <= b"255".as_slice(),
        _ => false,
    };
    is_octet.then_some(end)
}

/// The longest text of an address of IPv6: with one of IPv4 at its end.
const MAX_IPV6: usize = 45;

/// An address of IPv6; the trigger is a `:` of it.
///
/// It must have a decimal digit, for names such as `dead::beef` are common in programs.
pub(super) fn ipv6(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    let next = text.at(run.end);
    if next != b':' && !next.is_ascii_hexdigit() {
        return None;
    }
    let start = text.run_back(run.start, 5, |byte| byte.is_ascii_hexdigit());
    let previous = text.before(start, 1);
    if run.start - start > 4 || is_word(previous) || matches!(previous, b':' | b'.') {
        return None;
    }
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.');
    let mut end = text.run(start, MAX_IPV6 + 1, is_part);
    if is_word(text.at(end)) {
        return None;
    }
    // What ends a sentence or begins an explanation is not of it.
    while text.before(end, 1) == b'.'
        || (text.before(end, 1) == b':' && text.before(end, 2) != b':')
    {
        end -= 1;
    }
    let address = text.slice(start, end);
    let num_colons = address.iter().filter(|byte| **byte == b':').count();
    let is_short = address.windows(2).any(|pair| pair == b"::");
    let may_be = (is_short && num_colons >= 2) || num_colons >= 6;
    if !may_be || !address.iter().any(u8::is_ascii_digit) {
        return None;
    }
    let address = std::str::from_utf8(address).ok()?;
    address.parse::<Ipv6Addr>().is_ok().then_some(start..end)
}

/// A user and password of a URL are not looked for beyond this.
const MAX_AUTHORITY: usize = 512;

/// The password in the authority of a URL; the trigger is the `:` of its scheme.
pub(super) fn url_password(text: Haystack<'_>, run: Range<usize>) -> Option<Range<usize>> {
    if !text.has(run.end, b"//") || !is_word(text.before(run.start, 1)) {
        return None;
    }
    let start = run.end + 2;
    let end = text.run(start, MAX_AUTHORITY, |byte| {
        byte > b' '
            && !matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>' | b'\\' | b'`')
    });
    let authority = text.slice(start, end);
    let at = authority.iter().rposition(|byte| *byte == b'@')?;
    let colon = authority.iter().take(at).position(|byte| *byte == b':')?;
    let password = start + colon + 1..start + at;
    let is_masked = text.slice(password.start, password.end).iter().all(|byte| *byte == b'*');
    (!is_masked).then_some(password)
}
