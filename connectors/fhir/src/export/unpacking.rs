//! Unpacks files that are packed with gzip, which shows by their first bytes: whatever their names
//! and headers say. What HTTP packs itself (Content-Encoding) is unpacked before.

use std::io::Write as _;

use flate2::write::MultiGzDecoder;

use super::lines::Lines;
use crate::gzip::{self, MAGIC};

/// Packed bytes that are unpacked at once, to a thousand times as many at most.
const STEP: usize = 512;

/// Fault of a packed file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnpackFault {
    /// It is not whole, or damaged.
    Broken,
    /// It unpacks to more than an export has.
    TooMuch,
}

/// Way of a file's pieces to its lines.
pub(crate) struct Unpacking {
    way: Way,
    /// Pieces that have not been unpacked.
    held: Vec<u8>,
    /// Bytes of these that have been.
    taken: usize,
    packed: u64,
    unpacked: u64,
}

enum Way {
    /// The first bytes have not come.
    Unknown,
    Plain,
    Packed(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Unpacking {
    pub(crate) const fn new() -> Self {
        Self {
            way: Way::Unknown,
            held: Vec::new(),
            taken: 0,
            packed: 0,
            unpacked: 0,
        }
    }

    /// Adds the next piece of the file. [`Unpacking::go_on`] unpacks it.
    pub(crate) fn add(&mut self, piece: &[u8], lines: &mut Lines) {
        if matches!(self.way, Way::Plain) {
            lines.push(piece);
            return;
        }
        self.held.drain(..self.taken);
        self.taken = 0;
        self.held.extend_from_slice(piece);
        if !matches!(self.way, Way::Unknown) || self.held.len() < MAGIC.len() {
            return;
        }
        if self.held.starts_with(&MAGIC) {
            self.way = Way::Packed(Box::new(MultiGzDecoder::new(Vec::new())));
        } else {
            self.way = Way::Plain;
            lines.push(&std::mem::take(&mut self.held));
        }
    }

    /// Unpacks a part of the pieces; returns false where nothing is left of them.
    pub(crate) fn go_on(&mut self, lines: &mut Lines) -> Result<bool, UnpackFault> {
        let Way::Packed(decoder) = &mut self.way else {
            return Ok(false);
        };
        let left = &self.held[self.taken..];
        let part = &left[..left.len().min(STEP)];
        if part.is_empty() {
            return Ok(false);
        }
        let written = decoder.write_all(part).and_then(|()| decoder.flush());
        written.map_err(|_| UnpackFault::Broken)?;
        self.taken += part.len();
        self.packed += part.len() as u64;
        let unpacked = decoder.get_mut();
        self.unpacked += unpacked.len() as u64;
        lines.push(unpacked);
        unpacked.clear();
        if gzip::is_too_much(self.packed, self.unpacked) {
            return Err(UnpackFault::TooMuch);
        }
        Ok(true)
    }

    /// Ends the file, of which everything has been unpacked.
    pub(crate) fn finish(&mut self, lines: &mut Lines) -> Result<(), UnpackFault> {
        match &mut self.way {
            Way::Unknown => lines.push(&std::mem::take(&mut self.held)),
            Way::Plain => {}
            Way::Packed(decoder) => {
                decoder.try_finish().map_err(|_| UnpackFault::Broken)?;
                lines.push(decoder.get_ref());
                decoder.get_mut().clear();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::super::lines::FileLine;
    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The lines of a file that comes in pieces of this size.
    fn lines(file: &[u8], piece: usize) -> Result<Vec<String>, UnpackFault> {
        let mut unpacking = Unpacking::new();
        let mut lines = Lines::new(1000);
        let mut found = Vec::new();
        let text = |line: FileLine<'_>| match line {
            FileLine::Whole(line) | FileLine::TooLong(line) => {
                String::from_utf8_lossy(line).into_owned()
            }
        };
        for piece in file.chunks(piece) {
            unpacking.add(piece, &mut lines);
            loop {
                while let Some(line) = lines.next_whole() {
                    found.push(text(line));
                }
                if !unpacking.go_on(&mut lines)? {
                    break;
                }
            }
        }
        unpacking.finish(&mut lines)?;
        while let Some(line) = lines.next_whole() {
            found.push(text(line));
        }
        found.extend(lines.rest().map(text));
        Ok(found)
    }

    #[test]
    fn packed_and_plain_files_have_the_same_lines_however_the_pieces_fall() {
        let plain = b"{\"a\":1}\n\n{\"b\":2}\r\n{\"c\":3}";
        let mut members = packed(&plain[..11]);
        members.extend(packed(&plain[11..]));
        let expected = lines(plain, 1000).unwrap();
        assert_eq!(expected.len(), 3);
        for file in [plain.to_vec(), packed(plain), members] {
            for piece in 1..=file.len() {
                assert_eq!(
                    lines(&file, piece).as_ref(),
                    Ok(&expected),
                    "pieces of {piece}"
                );
            }
        }
    }

    #[test]
    fn a_packed_file_that_is_cut_off_anywhere_is_never_whole() {
        let file = packed(b"{\"a\":1}\n{\"b\":2}\n");
        for length in 2..file.len() {
            assert_eq!(
                lines(&file[..length], 7),
                Err(UnpackFault::Broken),
                "{length} bytes"
            );
        }
        for place in 0..file.len() {
            let mut damaged = file.clone();
            damaged[place] ^= 0x10;
            let read = lines(&damaged, 1000);
            // Some bits mean nothing; without its first bytes the file is plain, and no JSON.
            if let Ok(found) = read {
                let is_same = found == ["{\"a\":1}", "{\"b\":2}"];
                assert!(place < 2 || is_same, "byte {place}");
            }
        }
    }

    #[test]
    fn a_bomb_is_refused_before_it_takes_memory() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        let zeros = vec![b' '; 1024 * 1024];
        for _ in 0..100 {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        assert!(bomb.len() < 200_000, "{}", bomb.len());
        assert_eq!(lines(&bomb, 8192), Err(UnpackFault::TooMuch));
    }
}
