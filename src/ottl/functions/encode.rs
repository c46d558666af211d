//! Converters that hash, encode and decode.

use std::borrow::Cow;

use super::{Answer, Args, Function, Kind, impure, needed, optional, pure};
use crate::ottl::error::EvalError;
use crate::ottl::go::encoding::{self, ToHex};
use crate::ottl::go::network::{self, End, Network};
use crate::ottl::go::{hash, uuid};
use crate::ottl::value::{Value, hex};

const VARIANTS: Kind = Kind::Word(&["base64", "base64-raw", "base64-url", "base64-raw-url"]);
const PROTOCOLS: Kind = Kind::Word(&["ICMP", "TCP", "UDP", "RSVP", "ICMP6", "SCTP"]);

pub(super) const FUNCTIONS: &[Function] = &[
    pure("Hex", &[needed("value", Kind::Any)], hexadecimal),
    pure("Base64Decode", &[needed("value", Kind::Str)], base64_decode),
    pure(
        "Base64Encode",
        &[needed("value", Kind::Str), optional("variant", VARIANTS)],
        base64_encode,
    ),
    pure("Decode", &[needed("value", Kind::Bytes), needed("encoding", Kind::Str)], decode),
    pure("FNV", &[needed("value", Kind::Str)], fnv),
    pure("MD5", &[needed("value", Kind::Str)], md5),
    pure("Murmur3Hash", &[needed("target", Kind::Str)], murmur3),
    pure("Murmur3Hash128", &[needed("target", Kind::Str)], murmur3_128),
    pure("SHA1", &[needed("value", Kind::Str)], sha1),
    pure("SHA256", &[needed("value", Kind::Str)], sha256),
    pure("SHA512", &[needed("input", Kind::Str)], sha512),
    pure("XXH3", &[needed("value", Kind::Str)], xxh3),
    pure("XXH128", &[needed("value", Kind::Str)], xxh128),
    pure(
        "CommunityID",
        &[
            needed("sourceIP", Kind::Str),
            needed("sourcePort", Kind::Int),
            needed("destinationIP", Kind::Str),
            needed("destinationPort", Kind::Int),
            optional("protocol", PROTOCOLS),
            optional("seed", Kind::Int),
        ],
        community_id,
    ),
    pure("IsInCIDR", &[needed("target", Kind::Str), needed("networks", Kind::List)], is_in_cidr),
    pure("IsValidLuhn", &[needed("value", Kind::StrLike)], is_valid_luhn),
    impure("UUID", &[], uuid_v4),
    impure("UUIDv7", &[], uuid_v7),
];

fn hexadecimal(mut args: Args<'_>) -> Answer<'_> {
    Ok(match args.take(0) {
        Value::Bool(flag) => Value::from(flag.to_hex()),
        Value::Int(number) => Value::from(number.to_hex()),
        Value::Double(number) => Value::from(number.to_hex()),
        Value::Str(text) => Value::from(hex(text.as_bytes())),
        Value::Bytes(bytes) => Value::from(hex(&bytes)),
        Value::TraceId(id) => Value::from(hex(id.as_bytes())),
        Value::SpanId(id) => Value::from(hex(id.as_bytes())),
        _ => Value::Nil,
    })
}

fn base64_decode(mut args: Args<'_>) -> Answer<'_> {
    let text = args.str(0);
    Ok(Value::from(encoding::decode(text.as_bytes(), "base64")?.into_owned()))
}

fn base64_encode(mut args: Args<'_>) -> Answer<'_> {
    let text = args.str(0);
    let variant = args.text(1).unwrap_or(Cow::Borrowed("base64"));
    Ok(Value::from(encoding::base64_encode(text.as_bytes(), &variant)?))
}

fn decode(mut args: Args<'_>) -> Answer<'_> {
    let bytes = args.bytes(0).unwrap_or_default();
    Ok(Value::from(encoding::decode(&bytes, &args.str(1))?.into_owned()))
}

fn fnv(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Int(hash::fnv(&args.str(0))))
}

fn md5(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(hash::md5(&args.str(0))))
}

fn murmur3(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(hash::murmur3(&args.str(0))))
}

fn murmur3_128(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(hash::murmur3_128(&args.str(0))))
}

fn sha1(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(hash::sha1(&args.str(0))))
}

fn sha256(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(hash::sha256(&args.str(0))))
}

fn sha512(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(hash::sha512(&args.str(0))))
}

fn xxh3(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(hash::xxh3(&args.str(0))))
}

fn xxh128(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(hash::xxh128(&args.str(0))))
}

fn community_id(mut args: Args<'_>) -> Answer<'_> {
    let (source, target) = (args.str(0), args.str(2));
    let source = End { address: &source, port: args.int(1).unwrap_or_default() };
    let target = End { address: &target, port: args.int(3).unwrap_or_default() };
    let protocol = args.text(4).unwrap_or(Cow::Borrowed("TCP"));
    let seed = args.int(5).unwrap_or_default();
    Ok(Value::from(network::community_id(source, target, &protocol, seed)?))
}

/// What is no address is in no network.
fn is_in_cidr(mut args: Args<'_>) -> Answer<'_> {
    let address = network::parse_address(&args.str(0));
    let mut is_in = false;
    for network in args.list(1).iter() {
        let Value::Str(text) = network else {
            return Err(EvalError::expected("a network as a string", &network));
        };
        let network = Network::parse(&text)?;
        is_in |= address.as_ref().is_ok_and(|address| network.contains(*address));
    }
    Ok(Value::Bool(is_in))
}

fn is_valid_luhn(mut args: Args<'_>) -> Answer<'_> {
    Ok(Value::Bool(network::is_valid_luhn(&args.str(0))))
}

fn uuid_v4(_: Args<'_>) -> Answer<'_> {
    Ok(Value::from(uuid::v4()))
}

#[expect(clippy::needless_pass_by_value, reason = "as every converter")]
fn uuid_v7(args: Args<'_>) -> Answer<'_> {
    Ok(Value::from(uuid::v7(args.scene().now.as_unix_millis())))
}
