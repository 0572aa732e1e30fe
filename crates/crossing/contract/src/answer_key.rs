//! Secret that the sender of a batch and the registry share: the registry encrypts its answer under
//! it.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

/// Key of the answer to one batch, 32 bytes from HPKE's exporter (RFC 9180, section 5.3); zeroed on
/// drop.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct AnswerKey([u8; Self::BYTES]);

impl AnswerKey {
    /// Length of the key.
    pub const BYTES: usize = 32;

    /// Restores a key that was kept.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// Returns the secret itself, to be kept beside the sealed batch.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for AnswerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerKey(…)")
    }
}
