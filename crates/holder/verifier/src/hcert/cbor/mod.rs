//! CBOR (RFC 8949) as certificates use it: one item, bounded, and its likeness in JSON.

use chrono::DateTime;
use ciborium::Value;
use ciborium::de::from_reader_with_recursion_limit;
use serde_json::{Map, Number};
use thiserror::Error;

use super::moments::{moment, shown};

/// Greatest depth of arrays, maps and tags within each other.
pub(crate) const MAX_DEPTH: usize = 32;

/// Tags whose content is a date or a time (RFC 8949, section 3.4; RFC 8943): text or a number.
const DATE_TAGS: [u64; 4] = [0, 1, 100, 1004];

/// Fault of a CBOR item.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CborFault {
    /// The bytes end within the item, or are no CBOR.
    #[error("the bytes are no CBOR, or are cut short")]
    Malformed,
    /// The item is nested deeper than [`MAX_DEPTH`].
    #[error("the CBOR is nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// Bytes follow the item.
    #[error("{0} bytes follow the CBOR item")]
    Trailing(usize),
    /// A map has the same key twice.
    #[error("a map in the CBOR has the same key twice")]
    DuplicateKey,
}

/// Reads the one item that the bytes are.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, CborFault> {
    let mut rest = bytes;
    let value: Value =
        from_reader_with_recursion_limit(&mut rest, MAX_DEPTH).map_err(|error| match error {
            ciborium::de::Error::RecursionLimitExceeded => CborFault::TooDeep,
            _ => CborFault::Malformed,
        })?;
    if !rest.is_empty() {
        return Err(CborFault::Trailing(rest.len()));
    }
    without_duplicates(&value)?;
    Ok(value)
}

fn without_duplicates(value: &Value) -> Result<(), CborFault> {
    match value {
        Value::Array(items) => items.iter().try_for_each(without_duplicates),
        Value::Tag(_, inner) => without_duplicates(inner),
        Value::Map(entries) => {
            for (index, (key, value)) in entries.iter().enumerate() {
                if entries[..index].iter().any(|(earlier, _)| earlier == key) {
                    return Err(CborFault::DuplicateKey);
                }
                without_duplicates(value)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Value under an integer key of a map.
pub(crate) fn entry(map: &[(Value, Value)], key: i64) -> Option<&Value> {
    let key = Value::from(key);
    let found = map.iter().find(|(name, _)| *name == key);
    found.map(|(_, value)| value)
}

/// Tag of a time as a number of seconds since 1970 (RFC 8949, section 3.4.2).
const EPOCH_TIME_TAG: u64 = 1;
/// Tag of a date as a number of days since 1970 (RFC 8943, section 1.1).
const EPOCH_DATE_TAG: u64 = 100;
/// Seconds of a day.
const DAY_SECONDS: i64 = 24 * 60 * 60;

/// Likeness of an item in JSON. Dates lose their tag, and those that are numbers become the text of
/// the date or time, as JSON has no other form; integer keys become text; bytes, which JSON
/// does not have, become an object with their hexadecimal form, so that no schema takes them for
/// text.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        Value::Integer(number) => {
            let number = i128::from(*number);
            Number::from_i128(number).map_or(Json::Null, Json::Number)
        }
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Text(text) => Json::String(text.clone()),
        Value::Bool(value) => Json::Bool(*value),
        Value::Bytes(bytes) => object("bytes", Json::String(hex::encode(bytes))),
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(entries) => Json::Object(
            entries
                .iter()
                .map(|(key, value)| (key_text(key), to_json(value)))
                .collect(),
        ),
        Value::Tag(tag, inner) if DATE_TAGS.contains(tag) => {
            date_text(*tag, inner).map_or_else(|| to_json(inner), Json::String)
        }
        Value::Tag(tag, inner) => object(&format!("tag {tag}"), to_json(inner)),
        _ => Json::Null,
    }
}

/// Text of a date or time that is a number; `None` for one that is text already, or out of range.
fn date_text(tag: u64, value: &Value) -> Option<String> {
    match (tag, value) {
        (EPOCH_TIME_TAG, Value::Integer(_) | Value::Float(_)) => Some(shown(moment(value)?)),
        (EPOCH_DATE_TAG, Value::Integer(days)) => {
            let seconds = i64::try_from(*days).ok()?.checked_mul(DAY_SECONDS)?;
            let day = DateTime::from_timestamp(seconds, 0)?;
            Some(day.format("%Y-%m-%d").to_string())
        }
        _ => None,
    }
}

fn object(name: &str, value: serde_json::Value) -> serde_json::Value {
    let mut members = Map::new();
    members.insert(name.to_owned(), value);
    serde_json::Value::Object(members)
}

fn key_text(key: &Value) -> String {
    match key {
        Value::Text(text) => text.clone(),
        Value::Integer(number) => i128::from(*number).to_string(),
        other => to_json(other).to_string(),
    }
}

#[cfg(test)]
mod tests;
