//! Errors of sealing and opening.

/// Failure to seal a batch.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Larger than the largest padded size even when compressed: seal fewer events at a time.
    #[error(
        "the batch takes {bytes} bytes, more than fits the largest padded size: seal fewer events \
         at a time"
    )]
    TooLarge {
        /// Compressed size; the encoded size if that alone is beyond
        /// [`MAX_ENCODED_BYTES`](crate::wire::MAX_ENCODED_BYTES).
        bytes: usize,
    },
    /// The text is no key of the expected kind.
    #[error("not a registry key: {0}")]
    BadKey(&'static str),
    /// The text is no key of a relay.
    #[error("not a relay's key: {0}")]
    BadRelayKey(&'static str),
}

/// Failure to open a sealed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No sealed batch at all, or cut short, or of an unknown format version.
    #[error("not a sealed batch of a known format")]
    Format,
    /// Sealed to a key this registry does not hold.
    #[error("sealed to another key")]
    WrongKey,
    /// Changed on the way, or sealed to another key with the same id.
    #[error("does not authenticate")]
    NotAuthentic,
    /// The content expands beyond the limit or is not what the seal promised.
    #[error("the content is not a batch within the limits")]
    Content,
}
