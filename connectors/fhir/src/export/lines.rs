//! Lines of newline-delimited JSON, out of pieces that end anywhere.

use connector_kit::SourceError;

/// Splits a file into its lines. It holds one line and one piece at most.
pub(crate) struct Lines {
    held: Vec<u8>,
    /// Bytes held that have been given out.
    given: usize,
    /// Bytes held that are known to hold no end of a line.
    searched: usize,
    /// Longest line, in bytes without its end.
    limit: usize,
}

impl Lines {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            held: Vec::new(),
            given: 0,
            searched: 0,
            limit,
        }
    }

    /// Adds the next piece of the file.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.held.drain(..self.given);
        self.searched -= self.given;
        self.given = 0;
        self.held.extend_from_slice(piece);
    }

    /// The next whole line that is not blank; `None` where another piece is needed.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] for a line that is longer than the limit.
    pub(crate) fn next_whole(&mut self) -> Result<Option<&[u8]>, SourceError> {
        loop {
            let found = self.held[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            let Some(found) = found else {
                self.searched = self.held.len();
                self.check(self.searched - self.given)?;
                return Ok(None);
            };
            let start = self.given;
            let end = self.searched + found;
            self.check(end - start)?;
            self.given = end + 1;
            self.searched = self.given;
            if !is_blank(&self.held[start..end]) {
                return Ok(Some(without_mark(&self.held[start..end])));
            }
        }
    }

    /// What follows the last end of a line, at the end of the file; `None` where that is blank.
    pub(crate) fn rest(&mut self) -> Option<&[u8]> {
        let start = self.given;
        self.given = self.held.len();
        self.searched = self.given;
        let rest = &self.held[start..];
        (!is_blank(rest)).then(|| without_mark(rest))
    }

    fn check(&self, bytes: usize) -> Result<(), SourceError> {
        if bytes <= self.limit {
            return Ok(());
        }
        Err(SourceError::misconfigured(
            format!(
                "a line of the bulk export is longer than {} bytes",
                self.limit
            ),
            "raise max_body_bytes, or write first_load = \"search\"",
        ))
    }
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// A line without a byte order mark, which some servers begin a file with.
fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of a file that comes in pieces of this size.
    fn lines(file: &[u8], piece: usize, limit: usize) -> Result<Vec<String>, SourceError> {
        let text = |line: &[u8]| String::from_utf8(line.to_vec()).unwrap();
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for piece in file.chunks(piece) {
            lines.push(piece);
            while let Some(line) = lines.next_whole()? {
                found.push(text(line));
            }
        }
        found.extend(lines.rest().map(text));
        Ok(found)
    }

    #[test]
    fn lines_are_the_same_however_the_pieces_fall() {
        let file = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\":3}";
        for piece in 1..=file.len() {
            assert_eq!(
                lines(file, piece, 100).unwrap(),
                ["{\"a\":1}\r", "{\"b\":2}", "{\"c\":3}"],
                "pieces of {piece}"
            );
        }
        assert!(lines(b"\n\n", 1, 10).unwrap().is_empty());
        assert!(lines(b"", 1, 10).unwrap().is_empty());
    }

    #[test]
    fn a_line_has_at_most_as_many_bytes_as_an_answer() {
        for piece in [1, 3, 100] {
            assert_eq!(lines(b"12345\n12345", piece, 5).unwrap().len(), 2);
            assert!(lines(b"123456\n1", piece, 5).is_err());
            assert!(lines(b"1\n123456", piece, 5).is_err());
        }
    }

    #[test]
    fn no_more_is_held_than_a_line_and_a_piece() {
        let mut lines = Lines::new(20);
        for _ in 0..10_000 {
            lines.push(b"0123456789\n01234");
            lines.push(b"56789\n");
            while lines.next_whole().unwrap().is_some() {}
            assert!(lines.held.len() <= 32, "{}", lines.held.len());
        }
    }
}
