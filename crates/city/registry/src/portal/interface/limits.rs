//! Limits of a request, besides those of the connections and the ceilings.

use std::time::Duration;

/// Longest body, in bytes.
pub const MAX_BODY_BYTES: usize = 16 * 1024;
/// Time in which a request must be answered, its body included.
pub(super) const REQUEST_TIME: Duration = Duration::from_secs(20);
