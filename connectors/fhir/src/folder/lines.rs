//! The lines of a file, one after the other, each within a limit.

use std::io::{self, BufRead, BufReader, Read};

/// Mark with which some systems begin a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Bytes of a line that are no part of its content: the mark, CR and LF.
const FRAME_BYTES: usize = 5;
/// Bytes read from the file at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// A line that is not blank.
pub(super) struct Line<'a> {
    /// Place of its first byte in the file.
    pub offset: u64,
    /// The line without the blanks around it; of one that is too long its beginning.
    pub bytes: &'a [u8],
    pub is_too_long: bool,
    /// False for a last line that no line feed ends.
    pub is_ended: bool,
}

/// Reader of a file's lines.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    /// Place of the next byte.
    offset: u64,
    line_bytes: usize,
    buffer: Vec<u8>,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(file: R, line_bytes: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(BUFFER_BYTES, file),
            offset: 0,
            line_bytes,
            buffer: Vec::new(),
        }
    }

    /// The next line that is not blank; `None` at the end of the file.
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            let begin = self.offset;
            self.buffer.clear();
            let most = self.line_bytes.saturating_add(FRAME_BYTES);
            let mut limited = (&mut self.reader).take(most as u64);
            let read = limited.read_until(b'\n', &mut self.buffer)?;
            if read == 0 {
                return Ok(None);
            }
            self.offset += read as u64;
            let mut is_ended = self.buffer.last() == Some(&b'\n');
            let is_cut = !is_ended && read == most;
            if is_cut {
                let rest = skip_line(&mut self.reader)?;
                self.offset += rest.bytes;
                is_ended = rest.is_ended;
            }
            let is_first = begin == 0;
            let marked = is_first && self.buffer.starts_with(BYTE_ORDER_MARK);
            let mark = if marked { BYTE_ORDER_MARK.len() } else { 0 };
            let after_mark = &self.buffer[mark..];
            let content = after_mark.trim_ascii();
            if content.is_empty() && !is_cut {
                continue;
            }
            let blanks = after_mark.len() - after_mark.trim_ascii_start().len();
            let from = mark + blanks;
            let length = content.len();
            return Ok(Some(Line {
                offset: begin + from as u64,
                bytes: &self.buffer[from..from + length],
                is_too_long: is_cut || length > self.line_bytes,
                is_ended,
            }));
        }
    }
}

/// The rest of a line that was skipped.
struct SkippedRest {
    bytes: u64,
    is_ended: bool,
}

fn skip_line(reader: &mut impl BufRead) -> io::Result<SkippedRest> {
    let mut bytes = 0;
    loop {
        let held = match reader.fill_buf() {
            Ok(held) => held,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let end = held.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(held.len(), |end| end + 1);
        reader.consume(count);
        bytes += count as u64;
        if count == 0 || end.is_some() {
            return Ok(SkippedRest {
                bytes,
                is_ended: end.is_some(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Offset, text, too long, ended.
    fn lines(text: &str, most: usize) -> Vec<(u64, String, bool, bool)> {
        let mut lines = Lines::new(text.as_bytes(), most);
        let mut found = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            let bytes = String::from_utf8_lossy(line.bytes).into_owned();
            found.push((line.offset, bytes, line.is_too_long, line.is_ended));
        }
        found
    }

    #[test]
    fn marks_blanks_and_blank_lines_are_no_content() {
        let text = "\u{feff}{\"a\":1}\r\n\r\n  \n\t{}  \r\n\n{}";
        assert_eq!(
            lines(text, 64 * 1024),
            [
                (3, "{\"a\":1}".to_owned(), false, true),
                (18, "{}".to_owned(), false, true),
                (25, "{}".to_owned(), false, false),
            ]
        );
        for empty in ["", "\n", "\u{feff}", "\r\n\r\n", " \n "] {
            assert_eq!(lines(empty, 10), [], "{empty:?}");
        }
    }

    #[test]
    fn a_line_of_just_the_limit_is_read_and_one_more_is_too_long() {
        for end in ["\n", "\r\n", ""] {
            let exact = format!("\u{feff}{}{end}{{}}", "x".repeat(8));
            let found = lines(&exact, if end.is_empty() { 10 } else { 8 });
            assert!(!found[0].2, "{end:?}");
        }
        for length in [9, 12, 13, 14, 5000] {
            let text = format!("{}\nabc\n", "x".repeat(length));
            let found = lines(&text, 8);
            assert!(found[0].2 && found[0].1.len() <= 13, "{length}");
            let behind = (length as u64 + 1, "abc".to_owned(), false, true);
            assert_eq!(found[1..], [behind], "{length}");
        }
        let unended = lines(&"x".repeat(500), 8);
        assert_eq!(unended.len(), 1);
        assert!(unended[0].2 && !unended[0].3);
    }
}
