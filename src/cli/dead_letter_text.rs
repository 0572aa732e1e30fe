//! Text for the record of a dead letter.

use outbox::DeadLetter;

/// Returns the clinic's own record id; where only a sweep met the record, the beginning of its
/// digest.
pub(super) fn record_text(letter: &DeadLetter) -> String {
    letter
        .record_id
        .clone()
        .unwrap_or_else(|| format!("[{}]", letter.record))
}
