//! Sizes that the other modules share, and HPKE's `info`.

/// Size of every block, in bytes.
pub const BLOCK_BYTES: usize = 4096;
/// Longest name of an account, in bytes.
pub const MAX_ACCOUNT_BYTES: usize = 64;

/// HPKE's `info`.
pub(crate) const INFO: &[u8] = b"clinic-gateway escrow v1";
