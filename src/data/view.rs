//! What all views are made of: fields of a message by number.

use super::wire::{Fields, Raw, Search, read_varint};

/// Declares a view of a message: a type with a method for each listed field.
macro_rules! message_view {
    (
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$field_doc:meta])* $number:literal $method:ident: $kind:ident $(($inner:ident))?,)*
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name<'a> {
            message: &'a [u8],
        }

        impl<'a> $name<'a> {
            /// A view of an encoded message of this kind that came through the door.
            #[must_use]
            #[inline]
            pub const fn of_encoded(message: &'a [u8]) -> Self {
                Self { message }
            }

            /// The encoded message, without a tag or length before it.
            #[must_use]
            #[inline]
            pub const fn bytes(&self) -> &'a [u8] {
                self.message
            }

            $(message_view!(@ $(#[$field_doc])* $number $method $kind $(($inner))?);)*
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident str) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> &'a str {
            $crate::data::value::text_of($crate::data::view::bytes(self.message, $number))
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident time) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> $crate::data::Time {
            $crate::data::Time::from_unix_nanos($crate::data::view::bits(self.message, $number))
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident u64) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> u64 {
            $crate::data::view::bits(self.message, $number)
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident u32) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        #[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits")]
        pub fn $method(&self) -> u32 {
            $crate::data::view::bits(self.message, $number) as u32
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident i32) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        #[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits")]
        pub fn $method(&self) -> i32 {
            ($crate::data::view::bits(self.message, $number) as u32).cast_signed()
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident sint) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        #[expect(clippy::cast_possible_truncation, reason = "protobuf keeps the low bits")]
        pub fn $method(&self) -> i32 {
            let bits = $crate::data::view::bits(self.message, $number) as u32;
            (bits >> 1).cast_signed() ^ -(bits & 1).cast_signed()
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident bool) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> bool {
            $crate::data::view::bits(self.message, $number) != 0
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident f64) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> f64 {
            f64::from_bits($crate::data::view::bits(self.message, $number))
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident maybe_f64) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> Option<f64> {
            $crate::data::wire::Search::new(self.message).bits($number).map(f64::from_bits)
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident trace_id) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> Option<$crate::data::TraceId> {
            $crate::data::TraceId::from_slice($crate::data::view::bytes(self.message, $number))
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident span_id) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> Option<$crate::data::SpanId> {
            $crate::data::SpanId::from_slice($crate::data::view::bytes(self.message, $number))
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident value) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> $crate::data::Value<'a> {
            $crate::data::Value::read($crate::data::view::bytes(self.message, $number))
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident attributes) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub const fn $method(&self) -> $crate::data::Attributes<'a> {
            $crate::data::Attributes::new(self.message, $number)
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident one($inner:ident)) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> $inner<'a> {
            $inner::of_encoded($crate::data::view::bytes(self.message, $number))
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident maybe($inner:ident)) => {
        $(#[$doc])*
        #[must_use]
        #[inline]
        pub fn $method(&self) -> Option<$inner<'a>> {
            $crate::data::wire::Search::new(self.message).bytes($number).map($inner::of_encoded)
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident many($inner:ident)) => {
        $(#[$doc])*
        #[inline]
        pub fn $method(&self) -> impl Iterator<Item = $inner<'a>> + use<'a> {
            $crate::data::view::messages(self.message, $number).map($inner::of_encoded)
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident strs) => {
        $(#[$doc])*
        pub fn $method(&self) -> impl Iterator<Item = &'a str> + use<'a> {
            $crate::data::view::messages(self.message, $number).map($crate::data::value::text_of)
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident u64s) => {
        $(#[$doc])*
        pub fn $method(&self) -> impl Iterator<Item = u64> + use<'a> {
            $crate::data::view::numbers(self.message, $number)
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident f64s) => {
        $(#[$doc])*
        pub fn $method(&self) -> impl Iterator<Item = f64> + use<'a> {
            $crate::data::view::numbers(self.message, $number).map(f64::from_bits)
        }
    };
    (@ $(#[$doc:meta])* $number:literal $method:ident varints) => {
        $(#[$doc])*
        pub fn $method(&self) -> impl Iterator<Item = u64> + use<'a> {
            $crate::data::view::varints(self.message, $number)
        }
    };
}

pub(super) use message_view;

/// The payload of the field called `number`; empty if there is none.
#[inline]
pub(super) fn bytes(message: &[u8], number: u32) -> &[u8] {
    Search::new(message).bytes(number).unwrap_or_default()
}

/// The bits of the number called `number`; 0 if there is none.
#[inline]
pub(super) fn bits(message: &[u8], number: u32) -> u64 {
    Search::new(message).bits(number).unwrap_or_default()
}

/// The payloads of all fields called `number`.
#[inline]
pub(super) fn messages(message: &[u8], number: u32) -> impl Iterator<Item = &[u8]> {
    let mut search = Search::new(message);
    std::iter::from_fn(move || search.bytes(number))
}

/// Numbers of eight bytes, packed or one by one.
pub(super) fn numbers(message: &[u8], number: u32) -> impl Iterator<Item = u64> {
    Fields::new(message).filter(move |field| field.number == number).flat_map(|field| {
        let single = match field.value {
            Raw::Bytes(_) => None,
            _ => Some(field.bits()),
        };
        let (packed, _) = field.bytes().as_chunks::<8>();
        packed.iter().map(|chunk| u64::from_le_bytes(*chunk)).chain(single)
    })
}

/// Numbers of variable length, packed or one by one.
pub(super) fn varints(message: &[u8], number: u32) -> impl Iterator<Item = u64> {
    Fields::new(message).filter(move |field| field.number == number).flat_map(|field| {
        let single = match field.value {
            Raw::Bytes(_) => None,
            _ => Some(field.bits()),
        };
        PackedVarints { bytes: field.bytes(), position: 0 }.chain(single)
    })
}

struct PackedVarints<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Iterator for PackedVarints<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let (value, end) = read_varint(self.bytes, self.position)?;
        self.position = end;
        Some(value)
    }
}
