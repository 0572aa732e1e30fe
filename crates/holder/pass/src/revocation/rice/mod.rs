//! Golomb-Rice code of a set of tags: gaps between sorted tags, with one parameter for all.
//!
//! A gap is the first tag itself, then each tag less the one before less 1. It is written as its
//! quotient by 2^k in ones, a zero, then its k low bits, most significant first. Bits fill bytes
//! from the most significant bit; the last byte is filled up with zeros.

use super::tags::{MAX_TAGS, TAG_BITS, Tag, TagSet};

/// Greatest Rice parameter k.
pub const MAX_PARAMETER: u32 = TAG_BITS;

/// Fault of a coded set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Count is above [`MAX_TAGS`].
    #[error("the coded set says to hold more than 4000000 tags; fetch the list again")]
    TooMany,
    /// Rice parameter is above [`MAX_PARAMETER`].
    #[error("the Rice parameter of the coded set is above 48; fetch the list again")]
    Parameter,
    /// Bits end before the last tag does.
    #[error("the coded set ends before its last tag; fetch the list again")]
    Short,
    /// A tag is greater than 48 bits hold.
    #[error("the coded set holds a tag of more than 48 bits; fetch the list again")]
    TagTooGreat,
    /// Something follows the last tag: a bit that is not zero, or a byte.
    #[error("the coded set goes on after its last tag; fetch the list again")]
    Trailing,
}

/// Coded set of tags, as it stands in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CodedSet<B> {
    /// Number of tags.
    pub(super) count: u64,
    /// Rice parameter k.
    pub(super) parameter: u64,
    /// Bits of the gaps.
    pub(super) bytes: B,
}

/// Codes a set with the parameter that makes it shortest, the smallest of several.
pub(super) fn encode(tags: &TagSet) -> CodedSet<Vec<u8>> {
    let tags = tags.as_slice();
    let parameter = best_parameter(tags);
    let bits = coded_bits(tags, parameter);
    let mut writer = BitWriter::with_capacity(usize::try_from(bits.div_ceil(8)).unwrap_or(0));
    for gap in gaps(tags) {
        for _ in 0..gap >> parameter {
            writer.push(true);
        }
        writer.push(false);
        for place in (0..parameter).rev() {
            writer.push(gap >> place & 1 == 1);
        }
    }
    CodedSet {
        count: tags.len() as u64,
        parameter: u64::from(parameter),
        bytes: writer.finish(),
    }
}

/// Reads a coded set. Memory stays below 64 times the length of its bytes.
pub(super) fn decode(coded: CodedSet<&[u8]>) -> Result<TagSet, CodeError> {
    let count = usize::try_from(coded.count).map_err(|_| CodeError::TooMany)?;
    if count > MAX_TAGS {
        return Err(CodeError::TooMany);
    }
    let parameter = u32::try_from(coded.parameter).map_err(|_| CodeError::Parameter)?;
    if parameter > MAX_PARAMETER {
        return Err(CodeError::Parameter);
    }
    let least_bits = coded.count * (u64::from(parameter) + 1);
    if least_bits.div_ceil(8) > coded.bytes.len() as u64 {
        return Err(CodeError::Short);
    }
    let mut bits = BitReader::new(coded.bytes);
    let mut tags = Vec::with_capacity(count);
    let mut least = 0;
    for _ in 0..count {
        let gap = bits.gap(parameter)?;
        let tag = Tag::new(least + gap).ok_or(CodeError::TagTooGreat)?;
        tags.push(tag);
        least = tag.value() + 1;
    }
    bits.end()?;
    // Rising by construction: every tag is at least one more than the one before.
    TagSet::of_rising(tags).ok_or(CodeError::TooMany)
}

/// Gaps of sorted tags.
fn gaps(tags: &[Tag]) -> impl Iterator<Item = u64> {
    let mut least = 0;
    tags.iter().map(move |tag| {
        let gap = tag.value() - least;
        least = tag.value() + 1;
        gap
    })
}

/// Number of bits that the tags take with a parameter.
fn coded_bits(tags: &[Tag], parameter: u32) -> u64 {
    let quotients: u64 = gaps(tags).map(|gap| gap >> parameter).sum();
    quotients + tags.len() as u64 * (u64::from(parameter) + 1)
}

fn best_parameter(tags: &[Tag]) -> u32 {
    // What one step of k saves in quotients falls with every step, and its price, one bit for each
    // tag, does not: so the first k that the next one does not better is the best.
    let mut best = 0;
    let mut bits = coded_bits(tags, best);
    while best < MAX_PARAMETER {
        let next = coded_bits(tags, best + 1);
        if next >= bits {
            break;
        }
        bits = next;
        best += 1;
    }
    best
}

struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of the byte that is not full yet.
    pending: u8,
    /// Number of pending bits, below 8.
    filled: u32,
}

impl BitWriter {
    fn with_capacity(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            pending: 0,
            filled: 0,
        }
    }

    fn push(&mut self, bit: bool) {
        self.pending = self.pending << 1 | u8::from(bit);
        self.filled += 1;
        if self.filled == u8::BITS {
            self.bytes.push(self.pending);
            self.pending = 0;
            self.filled = 0;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        while self.filled != 0 {
            self.push(false);
        }
        self.bytes
    }
}

struct BitReader<'a> {
    bytes: &'a [u8],
    /// Number of bits of the first byte that were read, below 8.
    read: u32,
}

impl<'a> BitReader<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, read: 0 }
    }

    fn bit(&mut self) -> Result<bool, CodeError> {
        let (first, rest) = self.bytes.split_first().ok_or(CodeError::Short)?;
        let bit = first >> (u8::BITS - 1 - self.read) & 1 == 1;
        self.read += 1;
        if self.read == u8::BITS {
            self.bytes = rest;
            self.read = 0;
        }
        Ok(bit)
    }

    /// Next gap, at most 2 to the power of 48 less 1.
    fn gap(&mut self, parameter: u32) -> Result<u64, CodeError> {
        let greatest = Tag::MAX.value() >> parameter;
        let mut gap = 0;
        while self.bit()? {
            gap += 1;
            if gap > greatest {
                return Err(CodeError::TagTooGreat);
            }
        }
        for _ in 0..parameter {
            gap = gap << 1 | u64::from(self.bit()?);
        }
        Ok(gap)
    }

    /// Only zeros of the byte that was begun may be left.
    fn end(&self) -> Result<(), CodeError> {
        let padding = match (self.read, self.bytes) {
            (0, []) => 0,
            (1.., [last]) => last << self.read,
            _ => return Err(CodeError::Trailing),
        };
        if padding == 0 {
            Ok(())
        } else {
            Err(CodeError::Trailing)
        }
    }
}

#[cfg(test)]
mod tests;
