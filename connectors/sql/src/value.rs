//! What a database hands over: a column's kind, a cell, a key to compare with, and a statement with its bound values.

use serde::{Deserialize, Serialize};

/// The meaning of a column's type, the same for all databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Text,
    /// Text padded with blanks to a fixed length.
    FixedText,
    Bytes,
    Integer,
    Unsigned,
    Decimal,
    Float,
    Boolean,
    Uuid,
    Date,
    /// Date and time without a zone.
    Timestamp,
    /// An instant; its text is in UTC.
    TimestampTz,
    /// MySQL's YEAR.
    Year,
    /// Known only value by value (SQLite).
    Dynamic,
    /// Anything else; its text form is read where text will do.
    Other,
}

/// One value: its text form (bytes for [`Kind::Bytes`]), or none for NULL.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    pub kind: Kind,
    pub bytes: Option<Vec<u8>>,
}

impl Cell {
    pub fn key(&self) -> Option<Key> {
        self.bytes.as_ref().map(|value| Key { kind: self.kind, value: value.clone() })
    }
}

/// A value rows are ordered by, in the database's own text form, byte for byte.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "KeyForm", into = "KeyForm")]
pub(crate) struct Key {
    pub kind: Kind,
    pub value: Vec<u8>,
}

/// A key in a cursor's JSON: `v` as text, or `x` in hexadecimal where the bytes are not UTF-8.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyForm {
    k: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    v: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x: Option<String>,
}

impl From<Key> for KeyForm {
    fn from(key: Key) -> Self {
        match String::from_utf8(key.value) {
            Ok(text) => Self { k: key.kind, v: Some(text), x: None },
            Err(error) => Self { k: key.kind, v: None, x: Some(hex::encode(error.into_bytes())) },
        }
    }
}

impl TryFrom<KeyForm> for Key {
    type Error = &'static str;

    fn try_from(form: KeyForm) -> Result<Self, Self::Error> {
        let value = match (form.v, form.x) {
            (Some(text), None) => text.into_bytes(),
            (None, Some(digits)) => hex::decode(digits).map_err(|_| "x is not hexadecimal")?,
            _ => return Err("one of v and x"),
        };
        Ok(Self { kind: form.k, value })
    }
}

/// A value bound to a statement.
#[derive(Clone)]
#[cfg_attr(not(feature = "sqlite"), expect(dead_code, reason = "the servers take every key as text"))]
pub(crate) enum Bind {
    Text(String),
    Bytes(Vec<u8>),
    Integer(i64),
    Real(f64),
}

/// A statement and the values bound to it, in order.
#[derive(Clone, Default)]
pub(crate) struct Sql {
    pub text: String,
    pub binds: Vec<Bind>,
}

impl Sql {
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), binds: Vec::new() }
    }

    pub fn push(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }
}

/// A short digest (FNV-1a, 64 bits), to tell values apart that are not kept; it protects nothing.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
