//! Stored cursors: each goes with the settings it was made under; after a change of these the feed
//! is read from its beginning.

use connector_kit::Cursor;

/// Writes the stored text: the settings' digest, a blank, the connector's own text.
#[must_use]
pub(crate) fn write(settings: &str, cursor: &Cursor) -> String {
    format!("{settings} {}", cursor.as_str())
}

/// Reads the connector's cursor from the stored text, unless there is none or it was made under
/// other settings.
#[must_use]
pub(crate) fn read(settings: &str, stored: Option<&str>) -> Option<Cursor> {
    let (made_under, cursor) = stored?.split_once(' ')?;
    if made_under == settings {
        Cursor::new(cursor)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_forgotten_with_the_settings_it_was_made_under() {
        let cursor = Cursor::new("{\"at\": \"2021-07-01 10:00\"}").expect("short enough");
        let stored = write("a1b2", &cursor);
        assert_eq!(read("a1b2", Some(&stored)), Some(cursor));
        assert_eq!(read("ffff", Some(&stored)), None);
        assert_eq!(read("a1b2", None), None);
        assert_eq!(read("a1b2", Some("without-settings")), None);
    }
}
