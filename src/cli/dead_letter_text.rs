//! Texts for the record of a dead letter, and for an older version of it.

use outbox::{DeadLetter, OlderVersion};

/// Returns the clinic's own record id; where only a sweep met the record, the beginning of its
/// digest.
pub(super) fn record_text(letter: &DeadLetter) -> String {
    letter
        .record_id
        .clone()
        .unwrap_or_else(|| format!("[{}]", letter.record))
}

/// Returns the word for the state of the older version; empty where there is none.
pub(super) fn older_version_word(letter: &DeadLetter) -> String {
    let word = letter.older_version.map(OlderVersion::as_str);
    word.unwrap_or_default().to_owned()
}

/// Returns a sentence on the older version of a record that cannot be sent any more.
pub(super) const fn older_version_text(older: OlderVersion) -> &'static str {
    match older {
        OlderVersion::Waiting => {
            "an older version stands at the registry; it is withdrawn, or held, at the end of the \
             feed's next run"
        }
        OlderVersion::Held => {
            "an older version is held at the registry: more records of the feed cannot be sent any \
             more than may be withdrawn unasked. If the rows are right: clinic-gateway \
             confirm-withdrawals"
        }
        OlderVersion::Kept => {
            "an older version is kept at the registry, since on_refused_correction is \"keep\""
        }
        OlderVersion::Possible => {
            "a state that was lost may have sent an older version, which stands at the registry \
             then. clinic-gateway reconcile asks; confirm-withdrawals withdraws it in any case"
        }
        OlderVersion::Parked => {
            "an older version stands at the registry, and no version of this generation is left to \
             withdraw it with: clinic-gateway dead-letters list --reason versions-exhausted"
        }
        OlderVersion::Withdrawn => {
            "an older version is withdrawn at the registry until the row can be sent again"
        }
    }
}
