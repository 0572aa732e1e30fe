//! Reads lines by their places, file by file.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use connector_kit::SourceError;

use super::index::Index;
use super::line_place::LinePlace;
use super::unpacked::{self, Unpacked};

/// Reads the lines at these places, in the order of the files, and hands each over with its number
/// among the places. One line is in memory at a time. A packed file is unpacked from its beginning
/// to the last of its places.
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
        let failed = |error: io::Error| file.failed(error.kind());
        let mut content = PlacedContent::new(&opened).map_err(failed)?;
        for number in of_file {
            let place = places[*number];
            content.read_at(place, &mut buffer).map_err(failed)?;
            take(*number, &String::from_utf8_lossy(&buffer))?;
        }
        file.verify_unchanged(&opened)?;
    }
    Ok(())
}

/// Content of a file, of which lines are read in the order of their places.
enum PlacedContent<'a> {
    Plain(&'a File),
    Packed {
        content: Unpacked<'a>,
        /// Place of the next byte.
        offset: u64,
        /// The line read last.
        last: Option<LinePlace>,
    },
}

impl<'a> PlacedContent<'a> {
    fn new(file: &'a File) -> io::Result<Self> {
        if !unpacked::is_packed(file)? {
            return Ok(Self::Plain(file));
        }
        Ok(Self::Packed {
            content: Unpacked::new(file)?,
            offset: 0,
            last: None,
        })
    }

    /// Reads a line into a buffer that holds the one read last.
    fn read_at(&mut self, place: LinePlace, buffer: &mut Vec<u8>) -> io::Result<()> {
        let length = usize::try_from(place.length).unwrap_or(usize::MAX);
        match self {
            Self::Plain(file) => {
                buffer.resize(length, 0);
                file.read_exact_at(buffer, place.offset)
            }
            Self::Packed { last, .. } if *last == Some(place) => Ok(()),
            Self::Packed {
                content,
                offset,
                last,
            } => {
                let gap = place.offset.saturating_sub(*offset);
                let skipped = io::copy(&mut content.by_ref().take(gap), &mut io::sink())?;
                if skipped < gap {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                buffer.resize(length, 0);
                content.read_exact(buffer)?;
                *offset = place.offset + u64::from(place.length);
                *last = Some(place);
                Ok(())
            }
        }
    }
}
