//! Line of the log: its form, its writing and its reading.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::AuditError;
use crate::head::{DIGEST_BYTES, Head};
use crate::limits::{MAX_EVENT_BYTES, MAX_LINE_BYTES};

/// Line as it is written.
#[derive(Serialize)]
struct Written<'a, D> {
    sequence: u64,
    time: String,
    event: &'a str,
    details: &'a D,
    previous: String,
}

/// Line as the check reads it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<'a> {
    sequence: u64,
    #[serde(rename = "time")]
    _time: DateTime<Utc>,
    event: &'a str,
    #[serde(rename = "details")]
    _details: IgnoredAny,
    previous: &'a str,
}

/// Parts of a line that the check needs.
pub(crate) struct Link {
    /// Number of the line.
    pub sequence: u64,
    /// Digest of the line before.
    pub previous: [u8; DIGEST_BYTES],
}

fn is_event(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=MAX_EVENT_BYTES).contains(&name.len()) && name.bytes().all(fits)
}

/// Makes the line after `head`, without its line end.
pub(crate) fn write<D: Serialize>(
    head: Head,
    now: DateTime<Utc>,
    event: &str,
    details: &D,
) -> Result<Vec<u8>, AuditError> {
    if !is_event(event) {
        return Err(AuditError::Unfit);
    }
    let line = Written {
        sequence: head.sequence + 1,
        time: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        event,
        details,
        previous: hex::encode(head.digest),
    };
    // JSON escapes line ends within strings, so that the line is one.
    let bytes = serde_json::to_vec(&line).map_err(|_| AuditError::Unfit)?;
    if bytes.len() > MAX_LINE_BYTES {
        return Err(AuditError::Unfit);
    }
    Ok(bytes)
}

/// Reads a line, without its line end; `None` if it is none.
pub(crate) fn read(bytes: &[u8]) -> Option<Link> {
    let line: Read<'_> = serde_json::from_slice(bytes).ok()?;
    let mut previous = [0; DIGEST_BYTES];
    hex::decode_to_slice(line.previous, &mut previous).ok()?;
    is_event(line.event).then_some(Link {
        sequence: line.sequence,
        previous,
    })
}
