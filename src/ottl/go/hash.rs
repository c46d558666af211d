//! Hashes of texts, written as the Collector writes them.

use std::fmt::Write as _;

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use twox_hash::{XxHash3_64, XxHash3_128};

/// The 64-bit FNV-1a hash.
#[must_use]
pub fn fnv(text: &str) -> i64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash.cast_signed()
}

/// The MD5 digest in hexadecimal digits.
#[must_use]
pub fn md5(text: &str) -> String {
    hex(&Md5::digest(text))
}

/// The SHA-1 digest in hexadecimal digits.
#[must_use]
pub fn sha1(text: &str) -> String {
    hex(&Sha1::digest(text))
}

/// The SHA-256 digest in hexadecimal digits.
#[must_use]
pub fn sha256(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// The SHA-512 digest in hexadecimal digits.
#[must_use]
pub fn sha512(text: &str) -> String {
    hex(&Sha512::digest(text))
}

/// The 64-bit XXH3 hash in hexadecimal digits, big-endian.
#[must_use]
pub fn xxh3(text: &str) -> String {
    format!("{:016x}", XxHash3_64::oneshot(text.as_bytes()))
}

/// The 128-bit XXH3 hash in hexadecimal digits, big-endian.
#[must_use]
pub fn xxh128(text: &str) -> String {
    format!("{:032x}", XxHash3_128::oneshot(text.as_bytes()))
}

/// The 32-bit Murmur3 hash in hexadecimal digits, little-endian.
#[must_use]
pub fn murmur3(text: &str) -> String {
    hex(&murmur3_32(text.as_bytes()).to_le_bytes())
}

/// The 128-bit Murmur3 hash for 64-bit machines in hexadecimal digits, both halves little-endian.
#[must_use]
pub fn murmur3_128(text: &str) -> String {
    let (first, second) = murmur3_x64(text.as_bytes());
    hex(&first.to_le_bytes()) + &hex(&second.to_le_bytes())
}

/// Bytes in hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok(), "a String takes all");
    }
    text
}

// Both by the public description of MurmurHash3 by its author, with seed 0.

#[expect(clippy::cast_possible_truncation, reason = "the hash takes the length modulo 2^32")]
fn murmur3_32(bytes: &[u8]) -> u32 {
    let mix =
        |block: u32| block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
    let mut hash: u32 = 0;
    let (blocks, tail) = bytes.as_chunks::<4>();
    for block in blocks {
        hash ^= mix(u32::from_le_bytes(*block));
        hash = hash.rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64);
    }
    let mut last = [0; 4];
    for (slot, byte) in last.iter_mut().zip(tail) {
        *slot = *byte;
    }
    hash ^= mix(u32::from_le_bytes(last));
    hash ^= bytes.len() as u32;
    hash = (hash ^ (hash >> 16)).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ (hash >> 13)).wrapping_mul(0xc2b2_ae35);
    hash ^ (hash >> 16)
}

const FIRST: u64 = 0x87c3_7b91_1142_53d5;
const SECOND: u64 = 0x4cf5_ad43_2745_937f;

fn murmur3_x64(bytes: &[u8]) -> (u64, u64) {
    let mix_first = |half: u64| half.wrapping_mul(FIRST).rotate_left(31).wrapping_mul(SECOND);
    let mix_second = |half: u64| half.wrapping_mul(SECOND).rotate_left(33).wrapping_mul(FIRST);
    let halves = |block: &[u8; 16]| {
        let both = u128::from_le_bytes(*block);
        (low(both), low(both >> 64))
    };
    let (mut first, mut second) = (0u64, 0u64);
    let (blocks, tail) = bytes.as_chunks::<16>();
    for block in blocks {
        let (one, two) = halves(block);
        first = (first ^ mix_first(one)).rotate_left(27).wrapping_add(second);
        first = first.wrapping_mul(5).wrapping_add(0x52dc_e729);
        second = (second ^ mix_second(two)).rotate_left(31).wrapping_add(first);
        second = second.wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    let mut last = [0; 16];
    for (slot, byte) in last.iter_mut().zip(tail) {
        *slot = *byte;
    }
    let (one, two) = halves(&last);
    let length = bytes.len() as u64;
    first = first ^ mix_first(one) ^ length;
    second = second ^ mix_second(two) ^ length;
    first = first.wrapping_add(second);
    second = second.wrapping_add(first);
    (first, second) = (finish(first), finish(second));
    first = first.wrapping_add(second);
    (first, second.wrapping_add(first))
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is what is asked for")]
const fn low(both: u128) -> u64 {
    both as u64
}

const fn finish(half: u64) -> u64 {
    let half = (half ^ (half >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let half = (half ^ (half >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    half ^ (half >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_others() {
        // Go 1.26: hash/fnv New64a.
        assert_eq!(fnv(""), -3_750_763_034_362_895_579);
        assert_eq!(fnv("hello world"), 8_618_312_879_776_256_743);
        assert_eq!(fnv("name"), -4_270_347_329_889_690_746);
        // RFC 1321, FIPS 180.
        assert_eq!(md5("hello world"), "5eb63bbbe01eeed093cb22bb8f5acdc3");
        assert_eq!(sha1("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256("abc"), abc);
        assert!(sha512("abc").starts_with("ddaf35a193617abacc417349ae204131"));
        // The Collector's tests of Murmur3Hash.
        assert_eq!(murmur3("Hello World"), "ce837619");
        assert_eq!(murmur3(""), "00000000");
        assert_eq!(murmur3_128(""), "0".repeat(32));
        // Results of the Collector's OTTL 1.4.
        assert_eq!(murmur3("hello, world of hashes and more"), "027b3378");
        assert_eq!(murmur3_128("Hello World"), "dbc2a0c1ab26631a27b4c09fcf1fe683");
        let long = murmur3_128("hello, world of hashes and more");
        assert_eq!(long, "11bb5fd8d5c7f4fa3c2d7f97acefbaaf");
        assert_eq!(xxh3("hello world"), "d447b1ea40e6988b");
        assert_eq!(xxh3(""), "2d06800538d394c2");
        assert_eq!(xxh128("hello world"), "df8d09e93f874900a99b8775cc15b6c7");
    }
}
