//! Limits on what is read.

/// Largest configuration file accepted, in bytes.
pub const MAX_FILE_BYTES: u64 = 1 << 20;

/// Most brackets open at once in a configuration file.
pub const MAX_OPEN_BRACKETS: usize = 200;

/// Longest secret accepted, in bytes: a certificate key fits, a disk image does not.
pub const MAX_SECRET_BYTES: u64 = 64 * 1024;
