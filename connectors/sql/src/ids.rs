//! From the text of a record's id back to the values it may stand for in the database.

use crate::config::Encoding;
use crate::text;
use crate::value::{Key, Kind};

/// Keys that a row with this id may have in a column of this kind; none where the text is no value
/// of the kind. There are several, since text may stand for bytes in more than one encoding:
/// whether a row found has this id, its own text tells.
pub(crate) fn keys_of(id: &str, kind: Kind, encoding: Encoding, raw_text: bool) -> Vec<Key> {
    let one = |kind, fits: bool| {
        fits.then(|| Key {
            kind,
            value: id.as_bytes().to_vec(),
        })
    };
    let bytes = hex::decode(id).ok().map(|value| Key {
        kind: Kind::Bytes,
        value,
    });
    let whole = one(Kind::Integer, id.parse::<i64>().is_ok());
    let keys: Vec<Option<Key>> = match kind {
        Kind::Integer => vec![whole],
        Kind::Unsigned => vec![one(kind, id.parse::<u64>().is_ok())],
        Kind::Decimal => vec![one(kind, is_decimal(id))],
        Kind::Uuid => vec![one(kind, is_uuid(id))],
        Kind::Bytes => vec![bytes],
        Kind::Dynamic => {
            let real = one(Kind::Float, id.parse::<f64>().is_ok());
            texts(id, Kind::Text, encoding, raw_text)
                .chain([whole, real, bytes])
                .collect()
        }
        kind => texts(id, kind, encoding, raw_text).collect(),
    };
    keys.into_iter().flatten().collect()
}

/// Keys that text may stand for. Where it is handed out as it is stored it may have been decoded,
/// or written in hexadecimal because it could not be.
fn texts(id: &str, kind: Kind, encoding: Encoding, raw: bool) -> impl Iterator<Item = Option<Key>> {
    let stored = Some(id.as_bytes().to_vec());
    let encoded = text::encode(id, encoding).filter(|_| raw);
    let undecodable = hex::decode(id)
        .ok()
        .filter(|bytes| raw && std::str::from_utf8(bytes).is_err());
    let encoded = encoded.filter(|bytes| Some(bytes) != stored.as_ref());
    [stored, encoded, undecodable]
        .into_iter()
        .map(move |value| value.map(|value| Key { kind, value }))
}

fn is_decimal(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (all_digits(whole) && all_digits(fraction)) || ["NaN", "Infinity"].contains(&digits)
}

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(id: &str, kind: Kind, raw: bool) -> Vec<(Kind, Vec<u8>)> {
        keys_of(id, kind, Encoding::Windows1251, raw)
            .into_iter()
            .map(|key| (key.kind, key.value))
            .collect()
    }

    #[test]
    fn text_that_is_no_value_of_the_column_stands_for_no_row() {
        for (id, kind) in [
            ("x", Kind::Integer),
            ("9223372036854775808", Kind::Integer),
            ("", Kind::Integer),
            ("-1", Kind::Unsigned),
            ("1e5", Kind::Decimal),
            (".5", Kind::Decimal),
            ("0b6e2b3c9d0a4d6f8a3e1f2d3c4b5a69", Kind::Uuid),
            ("0b6e2b3c-9d0a-4d6f-8a3e-1f2d3c4b5ag9", Kind::Uuid),
            ("0b6", Kind::Bytes),
        ] {
            assert_eq!(keys(id, kind, true), [], "{id} {kind:?}");
        }
    }

    #[test]
    fn text_stands_for_every_way_it_may_be_stored() {
        let text = |bytes: &[u8]| (Kind::Text, bytes.to_vec());
        assert_eq!(keys("№1", Kind::Text, false), [text("№1".as_bytes())]);
        assert_eq!(
            keys("№1", Kind::Text, true),
            [text("№1".as_bytes()), text(b"\xb91")]
        );
        assert_eq!(keys("98", Kind::Text, true), [text(b"98"), text(b"\x98")]);
        let of_any_class = [
            text(b"42"),
            (Kind::Integer, b"42".into()),
            (Kind::Float, b"42".into()),
            (Kind::Bytes, b"B".into()),
        ];
        assert_eq!(keys("42", Kind::Dynamic, true), of_any_class);
        assert_eq!(
            keys("-10.50", Kind::Decimal, false),
            [(Kind::Decimal, b"-10.50".into())]
        );
    }
}
