//! Ids of resources, as searches and cursors hold them.

use az::SaturatingAs;

use crate::query::MAX_CORRECTED;

/// Most bytes of the ids of patients whose records are asked for at once.
const MAX_IDS_BYTES: usize = 800;

/// R4 `id`, and the underscore that some servers use; nothing that could change a search.
pub(crate) fn is_fhir_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
}

/// Number of the first ids whose records can be asked for at once: few enough that they fit into a
/// cursor.
pub(crate) fn fitting<'a>(ids: impl Iterator<Item = Option<&'a str>>) -> usize {
    let mut bytes = 0;
    ids.take(MAX_CORRECTED.saturating_as())
        .enumerate()
        .take_while(|(place, id)| {
            bytes += id.map_or(0, str::len);
            *place == 0 || bytes <= MAX_IDS_BYTES
        })
        .count()
}
