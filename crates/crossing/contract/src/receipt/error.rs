//! Errors of reading receipts.

/// Failure to read receipts or their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// No receipts message, or cut short, or of an unknown format version, or beyond the limits.
    #[error("not a receipts message of a known format")]
    Format,
    /// Signed with another key than this verifier's: try the next pinned key.
    #[error("signed with a key that is not pinned here")]
    OtherKey,
    /// The signature does not hold: forged, or changed on the way.
    #[error("the signature does not hold")]
    NotAuthentic,
    /// Signed by the registry, yet not what the contract says: the registry is newer, or faulty.
    #[error(
        "signed, but not within this version of the contract: is the registry newer than the \
         gateway?"
    )]
    Content,
    /// Encrypted for the sender of another batch.
    #[error("the receipt is under another answer key")]
    NotOurs,
    /// The text is no key of the expected kind.
    #[error("not a receipt key: {0}")]
    BadKey(&'static str),
}
