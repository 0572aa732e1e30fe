//! Headers of received messages, of those that pass the filter.

use lapin::BasicProperties;
use lapin::types::AMQPValue;

use super::frames::{DELIVERY_COUNT_HEADER, FIRST_DEATH_HEADER, LENGTH_HEADER, REASON_HEADER};
use crate::dead_letters::reason_word;

/// Number of times a quorum queue has handed a message out before, by its own count.
pub(super) fn times_handed_out(properties: &BasicProperties) -> i64 {
    number(properties, DELIVERY_COUNT_HEADER).unwrap_or(0)
}

/// Length in bytes of a message of which only the beginning was read.
pub(super) fn whole_length(properties: &BasicProperties) -> Option<u64> {
    u64::try_from(number(properties, LENGTH_HEADER)?).ok()
}

/// Reason for which the broker itself made a message a dead letter, or else the one that a program
/// of ours gave. A sender may have written the latter.
pub(super) fn reason(properties: &BasicProperties) -> Option<String> {
    word(properties, FIRST_DEATH_HEADER).or_else(|| word(properties, REASON_HEADER))
}

fn value<'a>(properties: &'a BasicProperties, key: &str) -> Option<&'a AMQPValue> {
    properties.headers().as_ref()?.inner().get(key)
}

fn number(properties: &BasicProperties, key: &str) -> Option<i64> {
    match value(properties, key)? {
        AMQPValue::LongLongInt(number) => Some(*number),
        AMQPValue::LongInt(number) => Some((*number).into()),
        AMQPValue::LongUInt(number) => Some((*number).into()),
        _ => None,
    }
}

fn word(properties: &BasicProperties, key: &str) -> Option<String> {
    match value(properties, key)? {
        AMQPValue::LongString(text) => reason_word(std::str::from_utf8(text.as_bytes()).ok()?),
        _ => None,
    }
}
