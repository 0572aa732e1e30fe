//! Text out of a cell: UTF-8 where the database vouches for it, the configured encoding where it does not.

use crate::config::Encoding;
use crate::value::{Cell, Kind};

/// What a cell holds when it is read as text.
pub(crate) enum Text {
    /// NULL, empty or blank.
    Missing,
    /// Text without outer blanks.
    Value(String),
    /// Bytes that are not text in the configured encoding; the readable part, with U+FFFD for the rest.
    Unreadable(String),
}

/// Reads a cell as text.
pub(crate) fn read(cell: &Cell, encoding: Encoding) -> Text {
    let Some(bytes) = &cell.bytes else { return Text::Missing };
    let (text, readable) = decode(bytes, cell.kind, encoding);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    match (text.is_empty(), readable) {
        (true, _) => Text::Missing,
        (false, true) => Text::Value(text.to_owned()),
        (false, false) => Text::Unreadable(text.to_owned()),
    }
}

/// A cell's text with its outer blanks; None where it cannot be decoded.
pub(crate) fn untrimmed(cell: &Cell, encoding: Encoding) -> Option<String> {
    let (text, readable) = decode(cell.bytes.as_deref()?, cell.kind, encoding);
    readable.then_some(text)
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

/// Bytes columns follow the configured encoding. Text columns are UTF-8; only where they are not (SQL_ASCII databases,
/// SQLite) the configured encoding is tried.
fn decode(bytes: &[u8], kind: Kind, encoding: Encoding) -> (String, bool) {
    let table = table(encoding);
    if kind != Kind::Bytes
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return (text.to_owned(), true);
    }
    let (text, bad) = table.decode_without_bom_handling(bytes);
    // The tables of the web map holes (0x98 in windows-1251) to C1 controls, which no record contains.
    let hole = |c: char| ('\u{80}'..='\u{9f}').contains(&c);
    if bad || text.contains(hole) {
        (text.replace(hole, "\u{fffd}"), false)
    } else {
        (text.into_owned(), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(kind: Kind, bytes: &[u8], encoding: Encoding) -> String {
        match read(&Cell { kind, bytes: Some(bytes.to_vec()) }, encoding) {
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
            (Kind::Text, "Привит".as_bytes(), Encoding::Windows1251, "= Привит"),
            (Kind::Bytes, "Привит".as_bytes(), Encoding::Utf8, "= Привит"),
            (Kind::Bytes, "Ё".as_bytes(), Encoding::Windows1251, "= РЃ"),
            (Kind::Bytes, b"\xf0\xd2\xc9\xd7\xc9\xd4", Encoding::Koi8R, "= Привит"),
            (Kind::Bytes, b"\x8f\xe0\xa8\xa2\xa8\xe2", Encoding::Ibm866, "= Привит"),
            (Kind::Bytes, b"A\x98B", Encoding::Windows1251, "? A\u{fffd}B"),
            (Kind::Text, b"A\xff", Encoding::Utf8, "? A\u{fffd}"),
            (Kind::Text, b" \t\xc2\xa0 ", Encoding::Utf8, "missing"),
            (Kind::FixedText, b"x  ", Encoding::Utf8, "= x"),
            (Kind::Bytes, b"x\0\0", Encoding::Utf8, "= x"),
            (Kind::Text, b"", Encoding::Utf8, "missing"),
        ] {
            assert_eq!(shown(kind, bytes, encoding), expected);
        }
        assert!(matches!(read(&Cell { kind: Kind::Text, bytes: None }, Encoding::Utf8), Text::Missing));
    }
}
