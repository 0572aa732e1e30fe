//! Drafts of a page, sorted and without repetitions.

use std::cmp::Reverse;
use std::collections::HashMap;

use contract::RecordDigest;

use super::types::Pulled;
use crate::dead_letters::Refused;

/// Drafts sorted by record, one of each.
pub(super) struct SortedDrafts {
    pub(super) drafts: Vec<Pulled>,
    /// Number of drafts that a later one of the same record replaced.
    pub(super) replaced: u64,
}

/// Keeps the last draft of every record. Places are sorted, not the drafts: those are many times as
/// large.
pub(super) fn sort_and_keep_last(drafts: Vec<Pulled>) -> SortedDrafts {
    let offered = drafts.len();
    let records = drafts.iter().map(|pulled| pulled.draft.record);
    let mut places: Vec<(RecordDigest, Reverse<usize>)> = records.zip((0..).map(Reverse)).collect();
    places.sort_unstable();
    places.dedup_by_key(|(record, _)| *record);
    let mut drafts: Vec<Option<Pulled>> = drafts.into_iter().map(Some).collect();
    SortedDrafts {
        drafts: places
            .iter()
            .filter_map(|(_, Reverse(place))| drafts[*place].take())
            .collect(),
        replaced: (offered - places.len()) as u64,
    }
}

/// Refused rows without a draft of their record, the last of each record. `sorted` are the page's
/// drafts, sorted by record.
pub(super) fn refused_without_draft<'a>(
    refused: &'a [Refused],
    sorted: &[Pulled],
) -> HashMap<RecordDigest, &'a Refused> {
    let has_draft = |record| {
        sorted
            .binary_search_by_key(&record, |pulled| pulled.draft.record)
            .is_ok()
    };
    refused
        .iter()
        .filter(|row| !has_draft(row.record))
        .map(|row| (row.record, row))
        .collect()
}

#[cfg(test)]
mod tests {
    use contract::{Body, ContentDigest, FactKind};
    use draft::Draft;

    use super::*;

    fn pulled(record: u8, content: u8) -> Pulled {
        Pulled {
            draft: Draft {
                record: RecordDigest([record; 32]),
                content: ContentDigest([content; 16]),
                body: Body::Withdrawn {
                    kind: FactKind::Test,
                }
                .into(),
                only_if_sent: false,
                class: None,
            },
            stamp: None,
        }
    }

    #[test]
    fn last_draft_of_a_record_counts() {
        let offered = vec![pulled(1, 1), pulled(0, 5), pulled(1, 2)];
        let sorted = sort_and_keep_last(offered);
        assert_eq!(sorted.drafts, [pulled(0, 5), pulled(1, 2)]);
        assert_eq!(sorted.replaced, 1);
    }
}
