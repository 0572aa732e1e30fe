//! The seal: zstd, padding to a few sizes, HPKE (RFC 9180) to the registry's public key.
//!
//! Bytes of a sealed batch: `CGB1` | key id (8) | batch id (16) | encapsulated key (32) |
//! ciphertext | tag (16). All before the ciphertext is authenticated as associated data. The
//! plaintext is the compressed length (4 bytes, big-endian), one zstd frame that states its content
//! size, and zeros up to a padded size. If the top bit of the length is set, a block of one-use
//! tokens stands between the length and the frame.

mod error;
mod format;
mod keys;
mod opener;
mod padded_sizes;
mod relay;
mod sealer;
#[cfg(test)]
mod tests;
mod tokens;

pub use error::{OpenError, SealError};
#[cfg(test)]
pub(crate) use format::{HEADER_BYTES, TAG_BYTES};
pub use format::{
    MAX_SEALED_BYTES, MIN_SEALED_BYTES, PADDED_SIZES_BYTES, batch_id_of, batch_id_of_whole,
};
pub use keys::{PrivateKey, PublicKey};
pub use opener::Opened;
pub use padded_sizes::{PaddedSizes, PaddedSizesError};
pub use relay::{
    RELAY_SEAL_BYTES, RelayPrivateKey, RelayPublicKey, RelaySealer, is_sealed_to_a_relay,
};
pub use sealer::{CompressedBatch, Sealer};
pub use tokens::{SealedTokens, TOKEN_BLOCK_BYTES, TOKEN_BYTES};
