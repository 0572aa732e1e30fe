//! The cursor's text form: the keys of the last row seen, and a fingerprint of the settings they were read with.

use connector_kit::{Cursor, SourceError};
use serde::{Deserialize, Serialize};

use crate::value::Key;

/// A place between two rows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Position {
    /// Fingerprint of the feed's settings; a stored position from other settings starts the feed over.
    settings: String,
    /// The row's `changed_at`.
    pub at: Key,
    /// The row's `record_id`; absent in what is stored for the next run, which begins at a stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Key>,
}

impl Position {
    pub fn new(fingerprint: &str, at: Key, id: Option<Key>) -> Self {
        Self { settings: fingerprint.to_owned(), at, id }
    }

    /// Reads a cursor; None when it was written under other settings.
    pub fn read(cursor: &Cursor, fingerprint: &str) -> Result<Option<Self>, SourceError> {
        let position: Self = serde_json::from_str(cursor.as_str()).map_err(|_| {
            SourceError::misconfigured(
                "the stored cursor is not one of this kind of source",
                "start the source over with `clinic-gateway sync --full`",
            )
        })?;
        Ok((position.settings == fingerprint).then_some(position))
    }

    pub fn write(&self) -> Result<Cursor, SourceError> {
        serde_json::to_string(self).ok().and_then(Cursor::new).ok_or_else(|| {
            SourceError::misconfigured(
                "a record_id or changed_at is too long to remember",
                "select a shorter record_id, at most 512 characters",
            )
        })
    }
}

/// A short digest (FNV-1a, 64 bits) of settings, to notice a change; it protects nothing.
pub(crate) fn fingerprint(settings: &[u8]) -> String {
    let hash = settings.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Kind;

    #[test]
    fn a_position_survives_its_text_form_whatever_bytes_it_holds() {
        for id in [&b"42"[..], "№ 7 \"а\"\\\n".as_bytes(), b"\xb9\x00\xff", b""] {
            let at = Key { kind: Kind::TimestampTz, value: b"2021-07-01 00:00:00.123456+00".to_vec() };
            let position = Position::new("f", at, Some(Key { kind: Kind::Text, value: id.to_vec() }));
            let read = Position::read(&position.write().unwrap(), "f").unwrap().unwrap();
            assert!(read == position);
        }
    }

    #[test]
    fn other_settings_start_over_and_a_foreign_cursor_is_refused() {
        let position = Position::new("a", Key { kind: Kind::Date, value: b"2021-07-01".to_vec() }, None);
        assert!(Position::read(&position.write().unwrap(), "b").unwrap().is_none());
        assert!(Position::read(&Cursor::new("2021-07-01T00:00:00Z").unwrap(), "a").is_err());
        assert_ne!(fingerprint(b"a"), fingerprint(b"b"));
    }
}
