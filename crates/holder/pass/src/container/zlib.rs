//! Zlib streams (RFC 1950): written as stored blocks, read whatever their blocks are, to a bound.

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::limits::MAX_INFLATED_BYTES;
use crate::container::ContainerFault;

/// Header of a zlib stream with a window of 32 KiB and the fastest level (RFC 1950 section 2.2).
const HEADER: [u8; 2] = [0x78, 0x01];

/// First bytes of a COSE_Sign1: an array of four, tag 18, a tag of one byte (61).
const COSE_BEGINNINGS: [u8; 3] = [0x84, 0xd2, 0xd8];

/// Modulus of Adler-32 (RFC 1950 section 8.2).
const ADLER_MODULUS: u32 = 65521;

/// Zlib stream of stored blocks. Compression would make a pass longer, since most of it is a
/// signature, and any decoder inflates a stored block.
#[must_use]
pub fn store(bytes: &[u8]) -> Vec<u8> {
    let mut stream = Vec::with_capacity(bytes.len() + 11);
    stream.extend_from_slice(&HEADER);
    let mut rest = bytes;
    loop {
        let length = u16::try_from(rest.len()).unwrap_or(u16::MAX);
        let block = &rest[..usize::from(length)];
        rest = &rest[usize::from(length)..];
        stream.push(u8::from(rest.is_empty()));
        stream.extend_from_slice(&length.to_le_bytes());
        stream.extend_from_slice(&(!length).to_le_bytes());
        stream.extend_from_slice(block);
        if rest.is_empty() {
            break;
        }
    }
    stream.extend_from_slice(&adler32(bytes).to_be_bytes());
    stream
}

/// Contents of a zlib stream of any kind of blocks.
///
/// # Errors
/// The fault of the stream: no zlib stream, damaged, cut short, too long, or followed by bytes.
pub fn inflate(stream: &[u8]) -> Result<Vec<u8>, ContainerFault> {
    check_header(stream)?;
    let flags = TINFL_FLAG_PARSE_ZLIB_HEADER | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = Box::<DecompressorOxide>::default();
    // One byte more than is allowed, so that a stream of exactly the bound can end.
    let bound = MAX_INFLATED_BYTES + 1;
    let mut contents = vec![0; stream.len().saturating_mul(2).clamp(1, bound)];
    let mut read = 0;
    let mut written = 0;
    loop {
        let step = decompress(&mut state, &stream[read..], &mut contents, written, flags);
        read += step.1;
        written += step.2;
        if written > MAX_INFLATED_BYTES {
            return Err(ContainerFault::ZlibTooLong);
        }
        match step.0 {
            TINFLStatus::Done if read < stream.len() => return Err(ContainerFault::ZlibTrailing),
            TINFLStatus::Done => {
                contents.truncate(written);
                return Ok(contents);
            }
            TINFLStatus::HasMoreOutput => {
                let longer = contents.len().saturating_mul(2).min(bound);
                contents.resize(longer, 0);
            }
            TINFLStatus::FailedCannotMakeProgress | TINFLStatus::NeedsMoreInput => {
                return Err(ContainerFault::ZlibTruncated);
            }
            TINFLStatus::Adler32Mismatch => return Err(ContainerFault::ZlibChecksum),
            _ => return Err(ContainerFault::ZlibDamaged),
        }
    }
}

/// Checks the two bytes of the header: method deflate, window of at most 32 KiB, check bits, no
/// preset dictionary.
fn check_header(stream: &[u8]) -> Result<(), ContainerFault> {
    let [method, flags, ..] = stream else {
        return Err(ContainerFault::ZlibTruncated);
    };
    if COSE_BEGINNINGS.contains(method) {
        return Err(ContainerFault::Uncompressed);
    }
    let deflate = method & 0x0f == 8 && method >> 4 <= 7;
    let checked = u16::from_be_bytes([*method, *flags]) % 31 == 0;
    let dictionary = flags & 0x20 != 0;
    if deflate && checked && !dictionary {
        Ok(())
    } else {
        Err(ContainerFault::ZlibHeader)
    }
}

/// Adler-32 (RFC 1950 section 8.2).
fn adler32(bytes: &[u8]) -> u32 {
    let mut low = 1_u32;
    let mut high = 0_u32;
    // 5552 is the greatest number of bytes after which neither sum can have overflowed.
    for part in bytes.chunks(5552) {
        for byte in part {
            low += u32::from(*byte);
            high += low;
        }
        low %= ADLER_MODULUS;
        high %= ADLER_MODULUS;
    }
    high << 16 | low
}
