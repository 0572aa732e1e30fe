//! Records that a repair cannot send: no version of this clinic is above the registry's.

use record_secrets::RecordSecrets;

use super::differences::StoredDifference;
use crate::dead_letters::{FOREIGN_VERSION, RegistryLetter, VERSIONS_EXHAUSTED};
use crate::records::{KnownRecord, RecordMap};
use crate::versions::next_revision;

/// Dead letters of those differing records that cannot be sent above the versions the registry
/// holds.
pub(super) fn letters(
    differing: &[StoredDifference],
    known: &RecordMap<KnownRecord>,
    secrets: &RecordSecrets,
    generation: u32,
) -> Vec<RegistryLetter<'static>> {
    let letters = differing.iter().filter_map(|difference| {
        let known = known.get(&difference.record)?;
        let reason = reason(difference, known, secrets, generation)?;
        Some(RegistryLetter::of(difference.record, known, reason))
    });
    letters.collect()
}

/// Reason for which the record cannot be sent; `None` if it can.
fn reason(
    difference: &StoredDifference,
    known: &KnownRecord,
    secrets: &RecordSecrets,
    generation: u32,
) -> Option<&'static str> {
    let record = &difference.record;
    let mut adopted = *known;
    if let Some(version) = difference.held {
        match secrets.revision(record, version) {
            Some(held) => adopted.state.revision = held.max(known.state.revision),
            // Versions of the contract's first form are lower than all that are given out now.
            None if secrets.version(record, known.state.revision) > Some(version) => {}
            None => return Some(FOREIGN_VERSION),
        }
    }
    let next = next_revision(Some(&adopted), generation);
    next.is_none().then_some(VERSIONS_EXHAUSTED)
}
