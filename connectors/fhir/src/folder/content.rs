//! Reads lines by their places, file by file.

use std::os::unix::fs::FileExt;

use connector_kit::SourceError;

use super::index::Index;
use super::line_place::LinePlace;

/// Reads the lines at these places, in the order of the files, and hands each over with its number
/// among the places. One line is in memory at a time.
///
/// # Errors
/// [`SourceError::Retry`] where a file has changed since the index was made.
pub(super) fn read(
    index: &Index,
    places: &[LinePlace],
    mut take: impl FnMut(usize, &str) -> Result<(), SourceError>,
) -> Result<(), SourceError> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|number| places[*number]);
    let mut buffer = Vec::new();
    for of_file in order.chunk_by(|a, b| places[*a].file == places[*b].file) {
        let Some(file) = of_file
            .first()
            .and_then(|first| index.files.get(usize::from(places[*first].file)))
        else {
            continue;
        };
        let opened = file.open()?;
        for number in of_file {
            let place = places[*number];
            buffer.resize(usize::try_from(place.length).unwrap_or(usize::MAX), 0);
            opened
                .read_exact_at(&mut buffer, place.offset)
                .map_err(|error| file.failed(error.kind()))?;
            take(*number, &String::from_utf8_lossy(&buffer))?;
        }
        file.verify_unchanged(&opened)?;
    }
    Ok(())
}
