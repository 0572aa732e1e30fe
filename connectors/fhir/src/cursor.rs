//! The text form of positions in a cursor.

use connector_kit::{Cursor, SourceError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads a position from a cursor's text.
///
/// # Errors
/// [`SourceError::Misconfigured`] for a text that another kind of source wrote.
pub(crate) fn read_text<T: DeserializeOwned>(cursor: &Cursor) -> Result<T, SourceError> {
    serde_json::from_str(cursor.as_str()).map_err(|_| {
        SourceError::misconfigured(
            "the stored position of this feed was not written by a FHIR source",
            "was the source of this name of another kind before? read it again from the beginning \
             (sync --full)",
        )
    })
}

/// Writes a position as a cursor's text.
///
/// # Errors
/// [`SourceError::Misconfigured`] where a page link makes the text longer than
/// [`Cursor::MAX_BYTES`].
pub(crate) fn write_text<T: Serialize>(position: &T) -> Result<Cursor, SourceError> {
    let text = serde_json::to_string(position)
        .map_err(|_| SourceError::retry("the position in the feed cannot be written down"))?;
    let bytes = text.len();
    Cursor::new(text).ok_or_else(|| {
        SourceError::misconfigured(
            format!(
                "the FHIR server's link to the next page, or to its export, is too long to keep \
                 ({bytes} of {} bytes)",
                Cursor::MAX_BYTES
            ),
            "have the server use short page links (a page id instead of the whole query), or list \
             fewer codes",
        )
    })
}
