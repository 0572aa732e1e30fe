//! Faults of a container, each named by the step at which it shows.

use super::limits::{MAX_COSE_BYTES, MAX_INFLATED_BYTES, MAX_TEXT_CHARS};

/// Fault of a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContainerFault {
    /// The text does not begin with the prefix `HC1:`.
    #[error("the text does not begin with HC1:, so it is no pass")]
    NoPrefix,
    /// The text is longer than [`MAX_TEXT_CHARS`].
    #[error("the text is longer than {MAX_TEXT_CHARS} characters, more than any QR code holds")]
    TextTooLong,
    /// The text after the prefix is no base45 (RFC 9285).
    #[error("what follows HC1: is not base45")]
    Base45,
    /// The bytes are a COSE structure that was not compressed.
    #[error("the bytes are not a zlib stream but uncompressed COSE")]
    Uncompressed,
    /// The bytes do not begin with the header of a zlib stream (RFC 1950 section 2.2).
    #[error("the bytes do not begin like a zlib stream")]
    ZlibHeader,
    /// The zlib stream ends too early.
    #[error("the zlib stream is cut short")]
    ZlibTruncated,
    /// The checksum (Adler-32) of the zlib stream is another one.
    #[error("the checksum of the zlib stream does not fit its contents")]
    ZlibChecksum,
    /// The zlib stream holds a block that cannot be inflated.
    #[error("the zlib stream is damaged")]
    ZlibDamaged,
    /// The contents of the zlib stream are longer than [`MAX_INFLATED_BYTES`].
    #[error("the zlib stream holds more than {MAX_INFLATED_BYTES} bytes")]
    ZlibTooLong,
    /// Bytes follow the end of the zlib stream.
    #[error("bytes follow the end of the zlib stream")]
    ZlibTrailing,
    /// A COSE structure is longer than [`MAX_COSE_BYTES`].
    #[error("the COSE structure is longer than {MAX_COSE_BYTES} bytes")]
    CoseTooLong,
    /// The bytes are no well-formed CBOR (RFC 8949).
    #[error("the bytes are not well-formed CBOR")]
    Cbor,
    /// Bytes follow the end of the CBOR item.
    #[error("bytes follow the end of the CBOR item")]
    CborTrailing,
    /// The CBOR item carries other tags than 18 or 61 and 18.
    #[error("the CBOR item has tag {0} where COSE_Sign1 has 18, 61 and 18, or none")]
    Tag(u64),
    /// The CBOR item is no COSE_Sign1 (RFC 9052 section 4.2).
    #[error("the CBOR item is not a COSE_Sign1: {0}")]
    NotSign1(String),
    /// A header marks a parameter as critical (RFC 9052 section 3.1); none is understood here.
    #[error("the COSE header holds critical parameters, which are not understood")]
    Critical,
    /// The COSE structure has a detached payload.
    #[error("the COSE structure has no payload")]
    PayloadMissing,
    /// Neither header names the key.
    #[error("the COSE header has no kid, so the key is unknown")]
    KeyIdMissing,
    /// The protected header names no algorithm.
    #[error("the protected COSE header names no algorithm, where ES256 is wanted")]
    AlgorithmMissing,
    /// The protected header names another algorithm than ES256.
    #[error("the signature is made by {0}, where ES256 is wanted")]
    Algorithm(String),
}

/// Step of reading a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// The prefix `HC1:`.
    Prefix,
    /// Base45.
    Base45,
    /// The zlib stream.
    Zlib,
    /// CBOR.
    Cbor,
    /// The COSE structure and its tags.
    Cose,
    /// The signature's algorithm.
    Algorithm,
}

impl Step {
    /// Name of the step, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prefix => "prefix",
            Self::Base45 => "base45",
            Self::Zlib => "zlib",
            Self::Cbor => "cbor",
            Self::Cose => "cose",
            Self::Algorithm => "algorithm",
        }
    }
}

impl ContainerFault {
    /// Step at which the fault shows.
    #[must_use]
    pub fn step(&self) -> Step {
        match self {
            Self::NoPrefix | Self::TextTooLong => Step::Prefix,
            Self::Base45 => Step::Base45,
            Self::Uncompressed
            | Self::ZlibHeader
            | Self::ZlibTruncated
            | Self::ZlibChecksum
            | Self::ZlibDamaged
            | Self::ZlibTooLong
            | Self::ZlibTrailing => Step::Zlib,
            Self::CoseTooLong | Self::Cbor | Self::CborTrailing => Step::Cbor,
            Self::Tag(_)
            | Self::NotSign1(_)
            | Self::Critical
            | Self::PayloadMissing
            | Self::KeyIdMissing => Step::Cose,
            Self::AlgorithmMissing | Self::Algorithm(_) => Step::Algorithm,
        }
    }
}
