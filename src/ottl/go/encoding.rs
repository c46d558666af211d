//! Encodings of bytes as texts, and of texts as bytes.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::hash::hex;
use super::{Answer, Refusal};

const PADDED: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::RequireCanonical);
const RAW: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_encode_padding(false)
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::RequireNone);

/// The four variants of base64 that there are.
fn base64_variant(name: &str) -> Option<GeneralPurpose> {
    Some(match name {
        "base64" => GeneralPurpose::new(&STANDARD, PADDED),
        "base64-raw" => GeneralPurpose::new(&STANDARD, RAW),
        "base64-url" => GeneralPurpose::new(&URL_SAFE, PADDED),
        "base64-raw-url" => GeneralPurpose::new(&URL_SAFE, RAW),
        _ => return None,
    })
}

/// Encodes bytes as `base64`, `base64-raw`, `base64-url` or `base64-raw-url`.
///
/// # Errors
///
/// Fails for another variant.
pub fn base64_encode(bytes: &[u8], variant: &str) -> Answer<String> {
    let engine = base64_variant(variant).ok_or_else(|| {
        let known = "use base64, base64-raw, base64-url or base64-raw-url";
        Refusal::new(format!("there is no base64 variant `{variant}`: {known}"))
    })?;
    Ok(engine.encode(bytes))
}

/// The text that the bytes stand for in an encoding: a variant of base64, or a character set by its
/// IANA name or alias.
///
/// What stands for no letter becomes U+FFFD. Character sets are those of web browsers, in which
/// `GB2312` is GBK, and which the Collector refuses.
///
/// # Errors
///
/// Fails for an unknown encoding and for wrong base64.
pub fn decode<'b>(bytes: &'b [u8], encoding: &str) -> Answer<Cow<'b, str>> {
    if let Some(engine) = base64_variant(encoding) {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        let plain: Vec<u8> = bytes.iter().filter(|byte| !is_line_end(byte)).copied().collect();
        let decoded = engine
            .decode(plain)
            .map_err(|error| Refusal::new(format!("the text is not {encoding}: {error}")))?;
        let text = String::from_utf8(decoded)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        return Ok(Cow::Owned(text));
    }
    let lower = encoding.to_ascii_lowercase();
    let set = match &*lower {
        "" | "nop" | "ascii" | "us-ascii" | "utf8" | "utf-8" | "utf8-raw" => UTF_8,
        "utf16" | "utf-16" | "utf-16le" => UTF_16LE,
        "utf-16be" => UTF_16BE,
        "iso-8859-1" | "latin1" | "l1" | "iso_8859-1" => {
            return Ok(encoding_rs::mem::decode_latin1(bytes));
        }
        _ => Encoding::for_label(lower.as_bytes())
            .ok_or_else(|| Refusal::new(format!("there is no encoding `{encoding}`")))?,
    };
    Ok(set.decode_without_bom_handling(bytes).0)
}

/// A number, text or bytes in hexadecimal digits.
pub trait ToHex {
    /// The digits.
    fn to_hex(&self) -> String;
}

impl ToHex for i64 {
    fn to_hex(&self) -> String {
        hex(&self.to_be_bytes())
    }
}

impl ToHex for f64 {
    fn to_hex(&self) -> String {
        hex(&self.to_be_bytes())
    }
}

impl ToHex for bool {
    fn to_hex(&self) -> String {
        hex(&[u8::from(*self)])
    }
}

impl ToHex for [u8] {
    fn to_hex(&self) -> String {
        hex(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_the_collector() {
        // The Collector's tests of Decode.
        let utf16 = [116, 0, 101, 0, 115, 0, 116, 0];
        let cases: [(&[u8], &str, &str); 14] = [
            (b"dGVzdAo=", "base64", "test\n"),
            (b"aGVsbG8gd29ybGQ=", "base64", "hello world"),
            (b"R28/L1p+eA==", "base64", "Go?/Z~x"),
            (b"R28/L1p+eA", "base64-raw", "Go?/Z~x"),
            (b"R28_L1p-eA==", "base64-url", "Go?/Z~x"),
            (b"R28_L1p-eA", "base64-raw-url", "Go?/Z~x"),
            (b"test string", "us-ascii", "test string"),
            (b"test string", "ISO-8859-1", "test string"),
            (b"\xe9\x80", "ISO-8859-1", "\u{e9}\u{80}"),
            (b"test string", "WINDOWS-1251", "test string"),
            (b"\x80", "WINDOWS-1252", "\u{20ac}"),
            (b"test string", "UTF-8", "test string"),
            (&utf16, "UTF-16", "test"),
            (&utf16, "UTF16", "test"),
        ];
        for (bytes, encoding, text) in cases {
            assert_eq!(decode(bytes, encoding).as_deref(), Ok(text), "{encoding}");
        }
        assert_eq!(decode(b"aGVs\r\nbG8=", "base64").as_deref(), Ok("hello"));
        assert!(decode(b"!@#$%^&*()_+", "base64").is_err());
        assert!(decode(b"cmVtb3ZlZCBwYWRkaW5nCg", "base64").is_err());
        assert!(decode(b"x", "klingon").is_err());
        assert_eq!(decode(b"a\xff", "utf-8").as_deref(), Ok("a\u{fffd}"));
    }

    #[test]
    fn encodes_as_documented() {
        assert_eq!(base64_encode(b"test string", "base64").unwrap(), "dGVzdCBzdHJpbmc=");
        assert_eq!(base64_encode(b"Go?/Z~x", "base64-raw-url").unwrap(), "R28_L1p-eA");
        assert!(base64_encode(b"", "base32").is_err());
    }

    #[test]
    fn hexadecimal_digits() {
        // The Collector's documentation of Hex.
        assert_eq!(1.1f64.to_hex(), "3ff199999999999a");
        assert_eq!(b"1".to_hex(), "31");
        assert_eq!(true.to_hex(), "01");
    }
}
