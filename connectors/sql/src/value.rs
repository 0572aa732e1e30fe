//! Values of a database: a column's kind, a cell, a key to compare with, and a statement with its
//! bound values.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::native;

/// Characters (bytes of a bytes column) read of one value; no documented column is that long.
pub(crate) const MAX_VALUE_LENGTH: usize = 1024;

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
    /// MySQL's BIT; its text is the number that the bits make.
    Bit,
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

/// A value as the database handed it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Value<'r> {
    Null,
    /// Text form, or the bytes of a [`Kind::Bytes`].
    Bytes(&'r [u8]),
    /// A whole number.
    Whole(i64),
    /// A day of the years 1 to 9999, in days since 1970.
    Days(i32),
    /// A moment of the years 1 to 9999, in microseconds since 1970 (of the wall clock, where it has
    /// no zone).
    Micros(i64),
}

/// A value and the meaning of its type.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Cell<'r> {
    pub kind: Kind,
    pub value: Value<'r>,
}

impl<'r> Cell<'r> {
    /// A cell with a text form.
    #[cfg(test)]
    pub(crate) const fn of(kind: Kind, text: &'r [u8]) -> Self {
        Self {
            kind,
            value: Value::Bytes(text),
        }
    }

    /// The text form, or the bytes; none for NULL.
    pub(crate) fn bytes(&self) -> Option<Cow<'r, [u8]>> {
        let made = match self.value {
            Value::Null => return None,
            Value::Bytes(bytes) => return Some(Cow::Borrowed(bytes)),
            Value::Whole(number) => number.to_string(),
            Value::Days(days) => native::day_text(days.into()),
            Value::Micros(micros) => native::micros_text(micros),
        };
        Some(Cow::Owned(made.into_bytes()))
    }

    pub(crate) fn key(&self) -> Option<Key> {
        self.bytes().map(|value| Key {
            kind: self.kind,
            value: value.into_owned(),
        })
    }

    /// True for an id that may be only the beginning of the row's own: as a key it stands for all
    /// ids that begin so.
    pub(crate) fn is_cut(&self) -> bool {
        matches!(self.value, Value::Bytes(bytes) if bytes.len() >= MAX_VALUE_LENGTH)
    }
}

impl Key {
    /// True for the key of a cell that is cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.value.len() >= MAX_VALUE_LENGTH
    }
}

/// A value rows are ordered by, in the database's own text form, byte for byte.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
            Ok(text) => Self {
                k: key.kind,
                v: Some(text),
                x: None,
            },
            Err(error) => Self {
                k: key.kind,
                v: None,
                x: Some(hex::encode(error.into_bytes())),
            },
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
        Ok(Self {
            kind: form.k,
            value,
        })
    }
}

/// A value bound to a statement.
#[derive(Clone)]
#[cfg_attr(
    not(feature = "sqlite"),
    expect(dead_code, reason = "the servers take every key as text")
)]
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
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(
            dead_code,
            reason = "statements for MariaDB and MySQL hold their values as literals"
        )
    )]
    pub binds: Vec<Bind>,
    /// True for a statement that selects a layout's columns as `Driver::select` writes them:
    /// rows of other types are then no rows of that layout.
    pub is_typed: bool,
}

impl Sql {
    pub(crate) fn plain(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    pub(crate) fn push(&mut self, text: &str) -> &mut Self {
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
