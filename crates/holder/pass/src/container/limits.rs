//! Limits of what is read.

/// Number of characters that the text of a pass may have: what a QR code of version 40 holds at
/// level L in alphanumeric mode (ISO/IEC 18004, table 7).
pub const MAX_TEXT_CHARS: usize = 4296;

/// Number of bytes that a zlib stream may inflate to.
pub const MAX_INFLATED_BYTES: usize = 64 * 1024;

/// Number of bytes that a COSE structure may have: above a whole revocation list of the greatest
/// size.
pub const MAX_COSE_BYTES: usize = 32 * 1024 * 1024;
