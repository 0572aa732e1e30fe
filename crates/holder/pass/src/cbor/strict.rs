//! Check that bytes are one item of deterministic CBOR, by walking over them without memory.

use std::str;

/// Depth to which arrays, maps and tags may be nested.
pub const MAX_DEPTH: usize = 16;

/// Greatest integer: 2^53 - 1, so that a verifier in JavaScript reads the same number.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// True where the bytes are exactly one item of deterministic CBOR (RFC 8949 section 4.2.1): heads
/// in their shortest form, lengths that are said before, map keys that are integers or texts and
/// rise bytewise. Floats, simple values but false, true and null, integers above [`MAX_INTEGER`]
/// and nesting below [`MAX_DEPTH`] are refused too: nothing of ours has them.
pub(crate) fn is_deterministic(bytes: &[u8]) -> bool {
    let mut walk = Walk { rest: bytes };
    walk.item(0).is_some() && walk.rest.is_empty()
}

const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
const SIMPLE: u8 = 7;

struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    /// Steps over one item and gives its major type; `None` where it is refused.
    fn item(&mut self, depth: usize) -> Option<u8> {
        if depth > MAX_DEPTH {
            return None;
        }
        let first = *self.take(1)?.first()?;
        let major = first >> 5;
        if major == SIMPLE {
            return matches!(first, 0xf4..=0xf6).then_some(major);
        }
        let argument = self.argument(first & 0x1f)?;
        match major {
            BYTES => {
                self.take(argument)?;
            }
            TEXT => {
                str::from_utf8(self.take(argument)?).ok()?;
            }
            ARRAY => {
                for _ in 0..argument {
                    self.item(depth + 1)?;
                }
            }
            MAP => self.entries(argument, depth)?,
            TAG => {
                self.item(depth + 1)?;
            }
            _ => {}
        }
        Some(major)
    }

    fn entries(&mut self, count: u64, depth: usize) -> Option<()> {
        let mut previous: &[u8] = &[];
        for _ in 0..count {
            let before = self.rest;
            let major = self.item(depth + 1)?;
            let key = before.get(..before.len() - self.rest.len())?;
            if major > TEXT || major == BYTES || key <= previous {
                return None;
            }
            previous = key;
            self.item(depth + 1)?;
        }
        Some(())
    }

    /// Argument of a head, in its shortest form.
    fn argument(&mut self, short: u8) -> Option<u64> {
        let width = match short {
            0..=23 => return Some(u64::from(short)),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return None,
        };
        let digits = self.take(width)?;
        let value = digits
            .iter()
            .fold(0, |value: u64, digit| value << 8 | u64::from(*digit));
        let least = match width {
            1 => 24,
            2 => 1 << 8,
            4 => 1 << 16,
            _ => 1 << 32,
        };
        (least..=MAX_INTEGER).contains(&value).then_some(value)
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(usize::try_from(length).ok()?)?;
        self.rest = rest;
        Some(taken)
    }
}
