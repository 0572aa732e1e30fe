//! The revision of a record's next event.

use record_secrets::Revision;

use crate::records::KnownRecord;

/// Counts up within the present generation, or within the later one of a revision that was adopted
/// from the registry; `None` after the last revision that a version can stand for. The record is
/// parked then, and no other one waits for it.
pub(crate) fn next_revision(known: Option<&KnownRecord>, generation: u32) -> Option<Revision> {
    let sent = known.filter(|known| known.state.was_sent());
    let next = match sent.map(|known| known.state.revision) {
        Some(revision) if revision.generation >= generation => Revision {
            generation: revision.generation,
            count: revision.count.checked_add(1)?,
        },
        _ => Revision {
            generation,
            count: 1,
        },
    };
    next.is_within_limits().then_some(next)
}

#[cfg(test)]
mod tests {
    use contract::ContentDigest;
    use record_index::RecordState;
    use record_secrets::{MAX_COUNT, MAX_GENERATION};

    use super::*;

    fn sent(generation: u32, count: u32) -> KnownRecord {
        KnownRecord {
            record_no: 1,
            state: RecordState {
                feed_id: Some(1),
                stamp: None,
                content: Some(ContentDigest([1; 16])),
                revision: Revision { generation, count },
                withdrawn: false,
            },
        }
    }

    #[track_caller]
    fn check(known: &KnownRecord, generation: u32, expected: Option<(u32, u32)>) {
        let next = next_revision(Some(known), generation);
        assert_eq!(next.map(|next| (next.generation, next.count)), expected);
    }

    #[test]
    fn revision_counts_up_within_a_generation_and_begins_again_in_the_next() {
        check(&sent(2, 7), 2, Some((2, 8)));
        check(&sent(1, 7), 2, Some((2, 1)));
        check(&sent(1, 0), 1, Some((1, 1)));
        assert_eq!(
            next_revision(None, 3),
            Some(Revision {
                generation: 3,
                count: 1
            })
        );
    }

    #[test]
    fn adopted_revision_of_a_later_generation_is_counted_up() {
        check(&sent(5, 7), 2, Some((5, 8)));
        check(&sent(5, 7), 6, Some((6, 1)));
    }

    #[test]
    fn there_is_none_after_the_last_of_a_generation_and_one_again_in_the_next() {
        check(&sent(2, MAX_COUNT - 1), 2, Some((2, MAX_COUNT)));
        check(&sent(2, MAX_COUNT), 2, None);
        check(&sent(2, MAX_COUNT), 3, Some((3, 1)));
        // Counts of files from before versions had a limit of their own.
        check(&sent(2, u32::MAX), 2, None);
        check(&sent(2, 1), MAX_GENERATION, Some((MAX_GENERATION, 1)));
        check(&sent(2, 1), MAX_GENERATION + 1, None);
    }
}
