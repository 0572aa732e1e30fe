//! Lines of newline-delimited JSON, out of pieces that end anywhere.

use serde::de::IgnoredAny;

/// Most bytes that are kept of the beginning of a line that is too long.
const MAX_HEAD: usize = 64 * 1024;

/// FileLine of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileLine<'a> {
    Whole(&'a [u8]),
    /// The beginning of a line that is too long.
    TooLong(&'a [u8]),
}

impl FileLine<'_> {
    /// True for a line that is JSON: of a line that no line feed ends, nothing is missing then.
    pub(crate) fn is_whole_json(&self) -> bool {
        match self {
            Self::Whole(line) => serde_json::from_slice::<IgnoredAny>(line).is_ok(),
            Self::TooLong(_) => false,
        }
    }
}

/// Splits a file into its lines. It holds one line and one piece at most.
pub(crate) struct Lines {
    held: Vec<u8>,
    /// Bytes held that have been given out.
    given: usize,
    /// Bytes held that are known to hold no end of a line.
    searched: usize,
    /// Longest line, in bytes without its end.
    limit: usize,
    /// Of the line that is held, the bytes behind its beginning have been dropped: it is too long.
    is_cut: bool,
}

impl Lines {
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            held: Vec::new(),
            given: 0,
            searched: 0,
            limit,
            is_cut: false,
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
    pub(crate) fn next_whole(&mut self) -> Option<FileLine<'_>> {
        loop {
            let found = self.held[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n');
            let Some(found) = found else {
                self.cut_if_too_long();
                return None;
            };
            let start = self.given;
            let end = self.searched + found;
            self.given = end + 1;
            self.searched = self.given;
            let is_cut = std::mem::take(&mut self.is_cut);
            if !is_blank(&self.held[start..end]) {
                return Some(self.line(start, end, is_cut));
            }
        }
    }

    /// The line behind the last end of a line, at the end of the file; `None` where that is blank.
    pub(crate) fn rest(&mut self) -> Option<FileLine<'_>> {
        let start = self.given;
        let end = self.held.len();
        self.given = end;
        self.searched = end;
        let is_cut = std::mem::take(&mut self.is_cut);
        (!is_blank(&self.held[start..end])).then(|| self.line(start, end, is_cut))
    }

    fn line(&self, start: usize, end: usize, is_cut: bool) -> FileLine<'_> {
        let line = &self.held[start..end];
        if is_cut || line.len() > self.limit {
            // What is held behind the beginning need not follow on it.
            FileLine::TooLong(without_mark(&line[..self.kept_of_long()]))
        } else {
            FileLine::Whole(without_mark(line))
        }
    }

    fn kept_of_long(&self) -> usize {
        self.limit.min(MAX_HEAD)
    }

    /// Notes that everything held has been searched; of a line that is too long already only the
    /// beginning is kept.
    fn cut_if_too_long(&mut self) {
        if self.is_cut || self.held.len() - self.given > self.limit {
            self.is_cut = true;
            self.held.truncate(self.given + self.kept_of_long());
        }
        self.searched = self.held.len();
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

    /// The lines of a file that comes in pieces of this size; those that are too long with a mark.
    fn lines(file: &[u8], piece: usize, limit: usize) -> Vec<String> {
        let text = |line: FileLine<'_>| match line {
            FileLine::Whole(line) => String::from_utf8(line.to_vec()).unwrap(),
            FileLine::TooLong(head) => format!("{}…", String::from_utf8_lossy(head)),
        };
        let mut lines = Lines::new(limit);
        let mut found = Vec::new();
        for piece in file.chunks(piece) {
            lines.push(piece);
            while let Some(line) = lines.next_whole() {
                found.push(text(line));
            }
        }
        found.extend(lines.rest().map(text));
        found
    }

    #[test]
    fn lines_are_the_same_however_the_pieces_fall() {
        let file = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \n{\"b\":2}\n{\"c\":3}";
        for piece in 1..=file.len() {
            assert_eq!(
                lines(file, piece, 100),
                ["{\"a\":1}\r", "{\"b\":2}", "{\"c\":3}"],
                "pieces of {piece}"
            );
        }
        assert!(lines(b"\n\n", 1, 10).is_empty());
        assert!(lines(b"", 1, 10).is_empty());
    }

    #[test]
    fn of_a_line_that_is_too_long_only_the_beginning_comes_and_the_next_one_whole() {
        for piece in 1..20 {
            let all = lines(b"12345\n1234567890123456\n54321\n123456", piece, 5);
            assert_eq!(all.len(), 4, "pieces of {piece}: {all:?}");
            assert_eq!((all[0].as_str(), all[2].as_str()), ("12345", "54321"));
            assert_eq!((all[1].as_str(), all[3].as_str()), ("12345…", "12345…"));
        }
    }

    #[test]
    fn no_more_is_held_than_a_line_and_a_piece() {
        let mut lines = Lines::new(20);
        for number in 0..10_000 {
            lines.push(b"0123456789\n01234");
            // Now and then a line of a hundred pieces.
            let end: &[u8] = if number % 200 < 100 {
                b"56789\n"
            } else {
                b"56789"
            };
            lines.push(end);
            if number % 200 < 100 {
                while lines.next_whole().is_some() {}
            } else {
                lines.push(b"without an end");
                while lines.next_whole().is_some() {}
            }
            assert!(lines.held.len() <= 64, "{}", lines.held.len());
        }
        let mut long = Lines::new(20);
        for _ in 0..10_000 {
            long.push(b"0123456789");
            assert!(long.next_whole().is_none());
            assert!(long.held.len() <= 30, "{}", long.held.len());
        }
        assert!(matches!(long.rest(), Some(FileLine::TooLong(_))));
    }
}
