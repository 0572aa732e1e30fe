//! Types of one text each, for fields that are always the same on the wire: nothing else can be
//! written or read there.

use std::fmt;

use serde::de::{Error, Visitor};

/// Visitor that accepts one text and no other.
pub(super) struct Exactly(pub(super) &'static str);

impl Visitor<'_> for Exactly {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        // The text that came instead is not repeated: it may be anything.
        if text == self.0 {
            Ok(())
        } else {
            Err(E::custom("another text than the contract's"))
        }
    }
}

/// Declares unit types that stand for one text each.
macro_rules! fixed {
    ($($name:ident = $text:literal;)*) => {$(
        #[derive(Debug, Clone, Copy, Default)]
        pub(crate) struct $name;

        #[cfg(test)]
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str($text)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::wire::fixed::Exactly($text)).map(|()| Self)
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "const": $text })
            }
        }
    )*};
}
pub(super) use fixed;
