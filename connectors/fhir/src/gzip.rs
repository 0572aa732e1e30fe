//! Bounds on what packed files (gzip, RFC 1952) unpack to.

/// Greatest size of what a packed file holds, as a multiple of its own: exports have 10 to 50, and
/// the format allows 1032.
pub(crate) const MAX_RATIO: u64 = 200;
/// Bytes that may always be unpacked.
const FREE_BYTES: u64 = 64 * 1024 * 1024;
/// First bytes of a packed file.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// True where more has been unpacked than an export has.
pub(crate) const fn is_too_much(packed: u64, unpacked: u64) -> bool {
    unpacked > FREE_BYTES && unpacked / MAX_RATIO > packed
}
