//! Text out of a cell: UTF-8 where the database vouches for it, the configured encoding where it
//! does not.

use std::borrow::Cow;

use crate::config::Encoding;
use crate::value::{Cell, Kind, Value};

/// Text of a cell.
pub(crate) enum Text<'r> {
    /// NULL, empty or blank.
    Missing,
    /// Text without outer blanks.
    Value(Cow<'r, str>),
    /// Bytes that are not text in the configured encoding; the readable part, with U+FFFD for the
    /// rest.
    Unreadable(Cow<'r, str>),
}

/// Reads a cell as text.
pub(crate) fn read(cell: Cell<'_>, encoding: Encoding) -> Text<'_> {
    let Some((text, readable)) = whole(cell, encoding) else {
        return Text::Missing;
    };
    let is_outer = |c: char| c.is_whitespace() || c == '\0';
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches(is_outer)),
        Cow::Owned(text) => Cow::Owned(text.trim_matches(is_outer).to_owned()),
    };
    match (text.is_empty(), readable) {
        (true, _) => Text::Missing,
        (false, true) => Text::Value(text),
        (false, false) => Text::Unreadable(text),
    }
}

/// A cell's text with its outer blanks; None where it cannot be decoded.
pub(crate) fn untrimmed(cell: Cell<'_>, encoding: Encoding) -> Option<Cow<'_, str>> {
    whole(cell, encoding).and_then(|(text, readable)| readable.then_some(text))
}

/// A cell's text, and whether all of it could be decoded.
fn whole(cell: Cell<'_>, encoding: Encoding) -> Option<(Cow<'_, str>, bool)> {
    match (cell.value, cell.bytes()?) {
        (Value::Bytes(bytes), _) => Some(decode(bytes, cell.kind, encoding)),
        // Digits and dates.
        (_, made) => Some((
            Cow::Owned(String::from_utf8_lossy(&made).into_owned()),
            true,
        )),
    }
}

/// Text as the configured encoding writes it; None where it has no letter for some of it.
pub(crate) fn encode(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    let (bytes, _, unmappable) = table(encoding).encode(text);
    (!unmappable).then(|| bytes.into_owned())
}

fn table(encoding: Encoding) -> &'static encoding_rs::Encoding {
    match encoding {
        Encoding::Utf8 => encoding_rs::UTF_8,
        Encoding::Windows1251 => encoding_rs::WINDOWS_1251,
        Encoding::Koi8R => encoding_rs::KOI8_R,
        Encoding::Ibm866 => encoding_rs::IBM866,
    }
}

/// Bytes columns follow the configured encoding. Text columns are UTF-8; only where they are not
/// (SQL_ASCII databases, SQLite) the configured encoding is tried.
fn decode(bytes: &[u8], kind: Kind, encoding: Encoding) -> (Cow<'_, str>, bool) {
    let table = table(encoding);
    if kind != Kind::Bytes
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return (Cow::Borrowed(text), true);
    }
    let (text, bad) = table.decode_without_bom_handling(bytes);
    // The tables of the web map holes (0x98 in windows-1251) to C1 controls, which no record
    // contains.
    let hole = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    if bad || text.contains(hole) {
        (Cow::Owned(text.replace(hole, "\u{fffd}")), false)
    } else {
        (text, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Kind, bytes: &[u8], encoding: Encoding) -> String {
        match read(Cell::of(kind, bytes), encoding) {
            Text::Missing => "missing".into(),
            Text::Value(text) => format!("= {text}"),
            Text::Unreadable(text) => format!("? {text}"),
        }
    }

    #[test]
    fn bytes_follow_the_configured_encoding_and_text_is_utf8_first() {
        let cp1251 = b"\xcf\xf0\xe8\xe2\xe8\xf2"; // Привит
        for (kind, bytes, encoding, expected) in [
            (Kind::Bytes, &cp1251[..], Encoding::Windows1251, "= Привит"),
            (Kind::Text, &cp1251[..], Encoding::Windows1251, "= Привит"),
            (
                Kind::Text,
                "Привит".as_bytes(),
                Encoding::Windows1251,
                "= Привит",
            ),
            (Kind::Bytes, "Привит".as_bytes(), Encoding::Utf8, "= Привит"),
            (Kind::Bytes, "Ё".as_bytes(), Encoding::Windows1251, "= РЃ"),
            (
                Kind::Bytes,
                b"\xf0\xd2\xc9\xd7\xc9\xd4",
                Encoding::Koi8R,
                "= Привит",
            ),
            (
                Kind::Bytes,
                b"\x8f\xe0\xa8\xa2\xa8\xe2",
                Encoding::Ibm866,
                "= Привит",
            ),
            (
                Kind::Bytes,
                b"A\x98B",
                Encoding::Windows1251,
                "? A\u{fffd}B",
            ),
            (Kind::Text, b"A\xff", Encoding::Utf8, "? A\u{fffd}"),
            (Kind::Text, b" \t\xc2\xa0 ", Encoding::Utf8, "missing"),
            (Kind::FixedText, b"x  ", Encoding::Utf8, "= x"),
            (Kind::Bytes, b"x\0\0", Encoding::Utf8, "= x"),
            (Kind::Text, b"", Encoding::Utf8, "missing"),
        ] {
            assert_eq!(shown(kind, bytes, encoding), expected);
        }
        assert!(matches!(
            read(
                Cell {
                    kind: Kind::Text,
                    value: Value::Null
                },
                Encoding::Utf8
            ),
            Text::Missing
        ));
    }
}
