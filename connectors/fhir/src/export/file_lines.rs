//! Lines of one file of an export, out of its pieces: unpacked, and never a part of one.

use connector_kit::SourceError;

use super::lines::{FileLine, Lines};
use super::unpacking::{UnpackFault, Unpacking};
use crate::gzip::MAX_RATIO;

/// Lines of a file whose pieces are handed in as they come.
pub(crate) struct FileLines {
    unpacking: Unpacking,
    lines: Lines,
    is_at_end: bool,
}

/// Step on the way to a file's next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextLine {
    /// A line was taken.
    Taken,
    /// A part of what has come was unpacked: the next line may be there.
    Unpacked,
    /// Another piece is needed, or the word that there is none.
    PieceNeeded,
    /// There is none.
    End,
}

impl FileLines {
    /// `limit`: the longest line, in bytes.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            unpacking: Unpacking::new(),
            lines: Lines::new(limit),
            is_at_end: false,
        }
    }

    /// Adds the next piece, where one is needed.
    pub(crate) fn add(&mut self, piece: &[u8]) {
        self.unpacking.add(piece, &mut self.lines);
    }

    /// Ends the file, where another piece is needed.
    ///
    /// # Errors
    /// [`SourceError::Retry`] where what it is packed in is not whole.
    pub(crate) fn end(&mut self) -> Result<(), SourceError> {
        self.unpacking.finish(&mut self.lines)?;
        self.is_at_end = true;
        Ok(())
    }

    /// Gives the next line to `take`, if it has come.
    ///
    /// # Errors
    /// Those of `take`; [`SourceError::Retry`] where the file ends within a line, or is packed and
    /// damaged; [`SourceError::Misconfigured`] where it unpacks to too much.
    pub(crate) fn next_line(
        &mut self,
        take: &mut impl FnMut(FileLine<'_>) -> Result<(), SourceError>,
    ) -> Result<NextLine, SourceError> {
        if let Some(line) = self.lines.next_whole() {
            return take(line).map(|()| NextLine::Taken);
        }
        if self.unpacking.go_on(&mut self.lines)? {
            return Ok(NextLine::Unpacked);
        }
        if !self.is_at_end {
            return Ok(NextLine::PieceNeeded);
        }
        match self.lines.rest() {
            None => Ok(NextLine::End),
            Some(line) if line.is_whole_json() => take(line).map(|()| NextLine::Taken),
            Some(_) => Err(cut_off()),
        }
    }
}

fn cut_off() -> SourceError {
    SourceError::retry(
        "a file of the FHIR server's bulk export ends within a line; where it stays so, load from \
         the beginning (sync --full), or write first_load = \"search\"",
    )
}

impl From<UnpackFault> for SourceError {
    fn from(fault: UnpackFault) -> Self {
        match fault {
            UnpackFault::Broken => Self::retry(
                "a packed file of the FHIR server's bulk export cannot be unpacked, or is not \
                 whole; where it stays so, load from the beginning (sync --full), or write \
                 first_load = \"search\"",
            ),
            UnpackFault::TooMuch => Self::misconfigured(
                format!(
                    "a packed file of the FHIR server's bulk export unpacks to more than \
                     {MAX_RATIO} times its size, which no export does"
                ),
                "see what wrote it; have the files sent unpacked",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use proptest::prelude::*;

    use super::*;

    /// The lines of a file that comes in pieces of this size.
    fn read(file: &[u8], piece: usize) -> Result<Vec<Vec<u8>>, SourceError> {
        let mut lines = FileLines::new(200);
        let mut pieces = file.chunks(piece);
        let mut found = Vec::new();
        loop {
            let mut take = |line: FileLine<'_>| {
                let (FileLine::Whole(text) | FileLine::TooLong(text)) = line;
                found.push(text.to_vec());
                Ok(())
            };
            match lines.next_line(&mut take)? {
                NextLine::Taken | NextLine::Unpacked => {}
                NextLine::PieceNeeded => match pieces.next() {
                    Some(piece) => lines.add(piece),
                    None => lines.end()?,
                },
                NextLine::End => return Ok(found),
            }
        }
    }

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn resources() -> impl Strategy<Value = Vec<String>> {
        let resource = "[a-z{}\\[\\]\\\\\"ä]{0,40}".prop_map(|text| {
            serde_json::json!({"resourceType": "Immunization", "id": text}).to_string()
        });
        proptest::collection::vec(resource, 1..6)
    }

    fn is_retry(error: &SourceError) -> bool {
        matches!(error, SourceError::Retry { .. })
    }

    proptest! {
        /// However much of a file comes, in whatever pieces: no part of a line is ever a line, and
        /// of a packed file nothing is whole but the whole.
        #[test]
        fn a_file_that_is_cut_off_anywhere_is_never_read_as_a_whole_one(
            resources in resources(),
            is_ended in any::<bool>(),
            cut in any::<prop::sample::Index>(),
            piece in 1_usize..300,
        ) {
            let end = if is_ended { "\r\n" } else { "" };
            let text = format!("{}{end}", resources.join("\n"));
            let file = text.as_bytes();
            let whole: Vec<Vec<u8>> = read(file, piece).unwrap();
            prop_assert_eq!(whole.len(), resources.len());
            let cut_to = cut.index(file.len());
            match read(&file[..cut_to], piece) {
                Err(error) => prop_assert!(is_retry(&error)),
                Ok(found) => {
                    // Whole lines, and the cut is at the end of one.
                    let trimmed = |line: &Vec<u8>| line.trim_ascii_end().to_vec();
                    let lines: Vec<_> = whole.iter().map(trimmed).take(found.len()).collect();
                    prop_assert_eq!(found.iter().map(trimmed).collect::<Vec<_>>(), lines);
                    let rest = text[cut_to..].trim_start();
                    let is_between = rest.is_empty() || rest.starts_with('{');
                    prop_assert!(is_between, "{}", rest);
                }
            }
            let packed = packed(file);
            prop_assert_eq!(read(&packed, piece).unwrap(), whole);
            let cut_to = 1 + cut.index(packed.len() - 1);
            let failure = read(&packed[..cut_to], piece).err();
            prop_assert!(failure.is_some_and(|error| is_retry(&error)), "{} bytes", cut_to);
        }
    }
}
