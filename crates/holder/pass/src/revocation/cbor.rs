//! The few kinds of CBOR that revocation lists consist of, deterministic (RFC 8949, section 4.2.1).
//!
//! Lists are data of strangers and may be large. This reader takes slices of its input, allocates
//! nothing, and refuses every longer form of a number, so one list has one encoding.

/// Major type of unsigned integers.
const UNSIGNED: u8 = 0;
/// Major type of byte strings.
const BYTES: u8 = 2;
/// Major type of text strings.
const TEXT: u8 = 3;
/// Major type of maps.
const MAP: u8 = 5;

/// Input is not CBOR, not deterministic, or of another kind than expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Reader of deterministic CBOR from a slice.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Unsigned integer.
    pub(super) fn unsigned(&mut self) -> Result<u64, Malformed> {
        self.head(UNSIGNED)
    }

    /// Number of entries of a map.
    pub(super) fn map(&mut self) -> Result<u64, Malformed> {
        self.head(MAP)
    }

    /// The next key of a map, which has to be this number.
    pub(super) fn key(&mut self, expected: u64) -> Result<(), Malformed> {
        if self.unsigned()? == expected {
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    /// Byte string.
    pub(super) fn bytes(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.head(BYTES)?;
        self.take(length)
    }

    /// Text string, which is not checked to be UTF-8: it is only compared.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let length = self.head(TEXT)?;
        self.take(length)
    }

    /// End of the input: refuses what follows the last item.
    pub(super) const fn end(&self) -> Result<(), Malformed> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(Malformed)
        }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(length).map_err(|_| Malformed)?;
        let taken = self.rest.get(..length).ok_or(Malformed)?;
        self.rest = self.rest.get(length..).ok_or(Malformed)?;
        Ok(taken)
    }

    /// Argument of an item of the major type, in its shortest form.
    fn head(&mut self, major: u8) -> Result<u64, Malformed> {
        let first = *self.take(1)?.first().ok_or(Malformed)?;
        if first >> 5 != major {
            return Err(Malformed);
        }
        let short = first & 0x1f;
        let width = match short {
            0..=23 => return Ok(u64::from(short)),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(Malformed),
        };
        let digits = self.take(width)?.iter();
        let value = digits.fold(0, |value, digit| value << 8 | u64::from(*digit));
        let shortest = match width {
            1 => value > 23,
            2 => value > 0xff,
            4 => value > 0xffff,
            _ => value > 0xffff_ffff,
        };
        if shortest { Ok(value) } else { Err(Malformed) }
    }
}

/// Writer of deterministic CBOR.
#[derive(Default)]
pub(super) struct Writer {
    written: Vec<u8>,
}

impl Writer {
    /// Unsigned integer.
    pub(super) fn unsigned(&mut self, value: u64) {
        self.head(UNSIGNED, value);
    }

    /// Head of a map of so many entries; keys and values follow in rising order.
    pub(super) fn map(&mut self, entries: u64) {
        self.head(MAP, entries);
    }

    /// Byte string.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.head(BYTES, length_of(bytes));
        self.written.extend_from_slice(bytes);
    }

    /// Text string.
    pub(super) fn text(&mut self, text: &str) {
        self.head(TEXT, length_of(text.as_bytes()));
        self.written.extend_from_slice(text.as_bytes());
    }

    /// Everything written so far.
    pub(super) fn finish(self) -> Vec<u8> {
        self.written
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        let digits = value.to_be_bytes();
        let (short, width) = match value {
            0..=23 => (digits[7], 0),
            24..=0xff => (24, 1),
            0x100..=0xffff => (25, 2),
            0x1_0000..=0xffff_ffff => (26, 4),
            _ => (27, 8),
        };
        self.written.push(major | short);
        self.written.extend_from_slice(&digits[8 - width..]);
    }
}

fn length_of(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_their_shortest_form_as_another_library_does() {
        let edges = [
            0,
            23,
            24,
            255,
            256,
            65_535,
            65_536,
            0xffff_ffff,
            0x1_0000_0000,
            u64::MAX,
        ];
        for value in edges {
            let mut writer = Writer::default();
            writer.unsigned(value);
            let written = writer.finish();
            let mut expected = Vec::new();
            ciborium::into_writer(&value, &mut expected).expect("memory");
            assert_eq!(written, expected);
            assert_eq!(Reader::new(&written).unsigned(), Ok(value));
        }
    }

    #[test]
    fn longer_forms_and_indefinite_lengths_are_refused() {
        let longer: [&[u8]; 6] = [
            &[0x18, 23],
            &[0x19, 0, 255],
            &[0x1a, 0, 0, 255, 255],
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
            &[0x1f],
            &[0x1c],
        ];
        for bytes in longer {
            assert_eq!(Reader::new(bytes).unsigned(), Err(Malformed), "{bytes:?}");
        }
        assert_eq!(Reader::new(&[0x5f, 0xff]).bytes(), Err(Malformed));
        assert_eq!(Reader::new(&[0xbf, 0xff]).map(), Err(Malformed));
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        assert_eq!(Reader::new(&[0x42, 1]).bytes(), Err(Malformed));
        let mut huge = vec![0x5b];
        huge.extend_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(Reader::new(&huge).bytes(), Err(Malformed));
        assert_eq!(Reader::new(&[]).map(), Err(Malformed));
    }
}
