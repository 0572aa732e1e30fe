//! Limits on what is configured, sent and read.

use std::num::NonZeroU16;
use std::time::Duration;

/// Most key services that are asked in turn.
pub const MAX_SERVICES: usize = 4;

/// Most pseudonym epochs that may be open at once: the present one and the next.
pub const MAX_OPEN_EPOCHS: usize = 2;

/// Seconds that one request may take where nothing is configured.
pub const DEFAULT_TIMEOUT_SECONDS: NonZeroU16 = NonZeroU16::new(10).expect("10 is not zero");

/// Most seconds that one request may take.
pub const MAX_TIMEOUT_SECONDS: u16 = 120;

/// Wait after a ceiling was reached, where the service names none.
pub const DEFAULT_CEILING_WAIT: Duration = Duration::from_secs(15 * 60);

/// Shortest wait that is taken from a service: its client is not to ask without a pause.
pub const MIN_CEILING_WAIT: Duration = Duration::from_secs(1);

/// Longest wait that is taken from a service: a ceiling is one of a day.
pub const MAX_CEILING_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Longest body of an error that is looked into, in bytes.
pub(crate) const MAX_PROBLEM_BYTES: usize = 4 * 1024;

/// Longest list of keys that is read, in bytes.
pub(crate) const MAX_KEYS_BYTES: usize = 64 * 1024;

/// Largest file of certificates, in bytes.
pub(crate) const MAX_PEM_BYTES: u64 = 1024 * 1024;
