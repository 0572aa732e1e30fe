//! The version of a record's next event.

use contract::Version;

use crate::file::OutboxError;
use crate::records::KnownRecord;

/// Counts up within the present generation, or within the later one of a version that was adopted
/// from the registry.
///
/// # Errors
/// [`OutboxError::Exhausted`] after the last version.
pub(crate) fn next_version(
    known: Option<&KnownRecord>,
    generation: u32,
) -> Result<Version, OutboxError> {
    let sent = known.filter(|known| known.state.was_sent());
    let (generation, count) = match sent.map(|known| known.state.version) {
        Some(version) if version.generation >= generation => {
            (version.generation, version.count.checked_add(1))
        }
        _ => (generation, Some(1)),
    };
    let count = count.ok_or(OutboxError::Exhausted {
        what: "version of a record",
    })?;
    Ok(Version { generation, count })
}

#[cfg(test)]
mod tests {
    use contract::ContentDigest;
    use record_index::RecordState;

    use super::*;

    fn sent(generation: u32, count: u32) -> KnownRecord {
        KnownRecord {
            record_no: 1,
            state: RecordState {
                feed_id: Some(1),
                stamp: None,
                content: Some(ContentDigest([1; 16])),
                version: Version { generation, count },
                withdrawn: false,
            },
        }
    }

    #[track_caller]
    fn check(known: &KnownRecord, generation: u32, expected: (u32, u32)) {
        let next = next_version(Some(known), generation).unwrap();
        assert_eq!((next.generation, next.count), expected);
    }

    #[test]
    fn version_counts_up_within_a_generation_and_begins_again_in_the_next() {
        check(&sent(2, 7), 2, (2, 8));
        check(&sent(1, 7), 2, (2, 1));
        check(&sent(1, 0), 1, (1, 1));
    }

    #[test]
    fn adopted_version_of_a_later_generation_is_counted_up() {
        check(&sent(5, 7), 2, (5, 8));
        check(&sent(5, 7), 6, (6, 1));
    }
}
