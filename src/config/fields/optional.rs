//! Blocks that are there or not, and options that are not supported.

use std::{fmt, marker::PhantomData};

use serde::{Deserialize, Deserializer, de};

use super::names;

/// A block that is on or off.
///
/// In the file a null or a map switches it on, with defaults for what is not written, and `enabled: false`
/// off. What counts when nothing is written is said by the default of the struct that has the field,
/// [`Optional::off`] or [`Optional::on`]; `T` has no field `enabled`.
///
/// ```
/// # use catchment::config::{Node, Optional, from_node};
/// #[derive(serde::Deserialize, Default)]
/// #[serde(default)]
/// struct Grpc { max_streams: u32 }
/// #[derive(serde::Deserialize, Default)]
/// #[serde(default)]
/// struct Protocols { grpc: Optional<Grpc> }
///
/// let read = |text| from_node::<Protocols>(&Node::parse("x.yaml", text).unwrap(), "").unwrap();
/// assert!(read("grpc:").grpc.is_on());
/// assert!(!read("{}").grpc.is_on());
/// assert!(!read("grpc: {enabled: false}").grpc.is_on());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Optional<T>(Option<T>);

impl<T> Optional<T> {
    /// A block that is off.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// A block that is on with its defaults.
    #[must_use]
    pub fn on() -> Self
    where
        T: Default,
    {
        Self(Some(T::default()))
    }

    /// Whether it is on.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// The block, if it is on.
    #[must_use]
    pub const fn get(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The block, if it is on.
    #[must_use]
    pub fn into_inner(self) -> Option<T> {
        self.0
    }
}

impl<T> Default for Optional<T> {
    fn default() -> Self {
        Self::off()
    }
}

impl<T> From<Option<T>> for Optional<T> {
    fn from(block: Option<T>) -> Self {
        Self(block)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Optional<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(names::OPTIONAL, OptionalVisitor(PhantomData))
    }
}

struct OptionalVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> de::Visitor<'de> for OptionalVisitor<T> {
    type Value = Optional<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a map, nothing, or `enabled: false`")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<Optional<T>, D::Error> {
        Option::<T>::deserialize(inner).map(Optional)
    }

    fn visit_none<E: de::Error>(self) -> Result<Optional<T>, E> {
        Ok(Optional(None))
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Optional<T>, D::Error> {
        T::deserialize(inner).map(|block| Optional(Some(block)))
    }
}

/// An option of the Collector that is refused by name unless it is off: null, false, empty or `enabled: false`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused;

impl<'de> Deserialize<'de> for Refused {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(names::REFUSED, RefusedVisitor)
    }
}

struct RefusedVisitor;

impl de::Visitor<'_> for RefusedVisitor {
    type Value = Refused;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("nothing: the option is not supported")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Refused, E> {
        Ok(Refused)
    }
}
