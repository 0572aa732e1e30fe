//! Limits of a request, besides those of the connections and the ceiling of a client.

use std::time::Duration;

/// Longest body, in bytes: every field may be far too long and is still answered field by field.
pub const MAX_BODY_BYTES: usize = 128 * 1024;

/// Most characters of a field of the form.
pub const MAX_TYPED_CHARS: usize = pass::holder::MAX_NAME_CHARS;

/// Time in which a body must have arrived.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(10);

/// Largest answer of the registry that is read, in bytes.
pub(crate) const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Largest trust bundle or list of ended passes that is fetched, in bytes: a list of 4,000,000 passes
/// has about 13 MB.
pub(crate) const MAX_SIGNED_BYTES: usize = 32 * 1024 * 1024;

/// Most strips that an answer of the registry may have: 20 for each of four days.
pub(crate) const MAX_STRIPS: usize = 80;

/// Most reasons that an answer of the registry may have.
pub(crate) const MAX_REASONS: usize = 32;

/// Most characters of a sentence of the registry.
pub(crate) const MAX_SENTENCE_CHARS: usize = 600;

/// Most time that the key services together may take for one citizen; what is evaluated by then is
/// thrown away. A connection lives longer, whatever `timeout_seconds` of each service says.
pub(crate) const EVALUATION_TIME: Duration = Duration::from_secs(60);

/// Elements that one question about a citizen takes of each key service's ceiling in each open
/// epoch: the smaller size of a request, fill included.
pub const ELEMENTS_OF_A_QUESTION: u64 = 16;

/// Most requests that are made of one question: a lost answer is asked for again under the same
/// Idempotency-Key.
pub(crate) const MOST_TRIES: u32 = 3;

/// Pause before a request is made again.
pub(crate) const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);
