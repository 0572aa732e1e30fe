//! Deterministic CBOR (RFC 8949 section 4.2.1): maps are written sorted, and read strictly.

mod strict;

#[cfg(test)]
mod tests;

use ciborium::Value;

pub(crate) use strict::is_deterministic;
pub use strict::{MAX_DEPTH, MAX_INTEGER};

/// Fault of a CBOR map that was read strictly.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldFault {
    /// The bytes are not one item of deterministic CBOR.
    #[error("{0} is not deterministic CBOR (RFC 8949 section 4.2.1)")]
    Cbor(&'static str),
    /// The item is no map.
    #[error("{0} is not a map")]
    NotMap(&'static str),
    /// A key stands in the map more than once.
    #[error("{place} has the key {key} twice")]
    Duplicate {
        /// Name of the map.
        place: &'static str,
        /// The key in CBOR's diagnostic notation.
        key: String,
    },
    /// The map has a key that it must not have.
    #[error("{place} has the unknown key {key}")]
    Unknown {
        /// Name of the map.
        place: &'static str,
        /// The key in CBOR's diagnostic notation.
        key: String,
    },
    /// The map lacks a field.
    #[error("{field} of {place} is missing")]
    Missing {
        /// Name of the map.
        place: &'static str,
        /// Name of the field.
        field: &'static str,
    },
    /// A field has a value of another type, length or range.
    #[error("{field} of {place} is not {wanted}")]
    Value {
        /// Name of the map.
        place: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Type or value that it must have.
        wanted: &'static str,
    },
}

/// Encoding of an item. Integers, lengths and tags come in their shortest form; maps come as they
/// are, so they are made by [`map`].
pub(crate) fn encode(item: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(item, &mut bytes).expect("writing into memory does not fail");
    bytes
}

/// Map whose entries are sorted bytewise by the encoding of their keys.
pub(crate) fn map(entries: Vec<(Value, Value)>) -> Value {
    let mut entries = entries;
    entries.sort_by_cached_key(|entry| encode(&entry.0));
    Value::Map(entries)
}

/// Item that the bytes encode, all of them, by deterministic CBOR.
pub(crate) fn decode(bytes: &[u8], place: &'static str) -> Result<Value, FieldFault> {
    if !is_deterministic(bytes) {
        return Err(FieldFault::Cbor(place));
    }
    ciborium::from_reader(bytes).map_err(|_| FieldFault::Cbor(place))
}

/// Map whose fields are taken one by one; what is left at the end is unknown.
pub(crate) struct Fields {
    place: &'static str,
    entries: Vec<(Value, Value)>,
}

impl Fields {
    pub(crate) fn new(item: Value, place: &'static str) -> Result<Self, FieldFault> {
        let Value::Map(entries) = item else {
            return Err(FieldFault::NotMap(place));
        };
        // Quadratic, but no map of a pass has more than a dozen entries; see MAX_ENTRIES.
        if entries.len() > MAX_ENTRIES {
            return Err(FieldFault::Unknown {
                place,
                key: format!("of its {}th entry", MAX_ENTRIES + 1),
            });
        }
        for (number, entry) in entries.iter().enumerate() {
            if entries[..number].iter().any(|earlier| earlier.0 == entry.0) {
                let key = shown(&entry.0);
                return Err(FieldFault::Duplicate { place, key });
            }
        }
        Ok(Self { place, entries })
    }

    pub(crate) fn optional(&mut self, key: impl Into<Value>) -> Option<Value> {
        let key = key.into();
        let place = self.entries.iter().position(|entry| entry.0 == key)?;
        Some(self.entries.swap_remove(place).1)
    }

    pub(crate) fn any(
        &mut self,
        key: impl Into<Value>,
        field: &'static str,
    ) -> Result<Value, FieldFault> {
        let place = self.place;
        self.optional(key)
            .ok_or(FieldFault::Missing { place, field })
    }

    pub(crate) fn uint(
        &mut self,
        key: impl Into<Value>,
        field: &'static str,
    ) -> Result<u64, FieldFault> {
        let value = self.any(key, field)?;
        let number = value.as_integer().and_then(|n| u64::try_from(n).ok());
        number.ok_or_else(|| self.fault(field, "an unsigned integer"))
    }

    pub(crate) fn text(
        &mut self,
        key: impl Into<Value>,
        field: &'static str,
    ) -> Result<String, FieldFault> {
        let value = self.any(key, field)?;
        value.into_text().map_err(|_| self.fault(field, "a text"))
    }

    pub(crate) fn array(
        &mut self,
        key: impl Into<Value>,
        field: &'static str,
    ) -> Result<Vec<Value>, FieldFault> {
        let value = self.any(key, field)?;
        value
            .into_array()
            .map_err(|_| self.fault(field, "an array"))
    }

    pub(crate) fn bytes<const N: usize>(
        &mut self,
        key: impl Into<Value>,
        field: &'static str,
        wanted: &'static str,
    ) -> Result<[u8; N], FieldFault> {
        let value = self.any(key, field)?;
        let bytes = value.into_bytes().ok();
        bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(|| self.fault(field, wanted))
    }

    pub(crate) fn end(self) -> Result<(), FieldFault> {
        match self.entries.first() {
            None => Ok(()),
            Some(entry) => Err(FieldFault::Unknown {
                place: self.place,
                key: shown(&entry.0),
            }),
        }
    }

    pub(crate) fn fault(&self, field: &'static str, wanted: &'static str) -> FieldFault {
        FieldFault::Value {
            place: self.place,
            field,
            wanted,
        }
    }
}

/// Number of entries that a map may have.
const MAX_ENTRIES: usize = 32;

/// A key as it is shown in a fault: never longer than a line, since it came from outside.
fn shown(key: &Value) -> String {
    match key {
        Value::Integer(number) => i128::from(*number).to_string(),
        Value::Text(text) => format!("{:?}", text.chars().take(20).collect::<String>()),
        _ => "that is neither integer nor text".to_owned(),
    }
}
