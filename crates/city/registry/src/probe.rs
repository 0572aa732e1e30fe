//! Comparison of a probe, what a gateway believes is stored, with what is.

use std::collections::HashMap;

use contract::wire::Probed;
use contract::{BatchId, Difference, DifferenceKind, ProbeAnswer};
use linking::{BatchTokens, SecondLayerKey, StoredRecord, StoredVersion, version_from_column};

use crate::tokens::TokenFault;

/// Probe that could be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenProbe {
    /// Id of its batch.
    pub id: BatchId,
    /// Records, each as the gateway believes it is stored.
    pub probed: Vec<Probed>,
    /// Names that the store has for the records, in the same order.
    pub records: Vec<StoredRecord>,
    /// Tokens that the probe spends, if any, or why it gets no answer.
    pub tokens: Result<Option<BatchTokens>, TokenFault>,
}

impl OpenProbe {
    /// Brings the records of a probe under the second layer.
    pub(crate) fn new(id: BatchId, probed: Vec<Probed>, key: &SecondLayerKey) -> Self {
        let records = probed.iter().map(|probed| key.record(&probed.record));
        Self {
            id,
            records: records.collect(),
            probed,
            tokens: Ok(None),
        }
    }

    /// Compares; `stored` has every probed record that is stored. A content that is unknown here
    /// counts as equal.
    pub(crate) fn compare(&self, stored: &HashMap<StoredRecord, StoredVersion>) -> ProbeAnswer {
        let mut answer = ProbeAnswer {
            equal: 0,
            differences: Vec::new(),
        };
        for (probed, record) in self.probed.iter().zip(&self.records) {
            let stored = stored.get(record);
            match difference(probed, stored) {
                None => answer.equal += 1,
                Some(what) => answer.differences.push(Difference {
                    record: probed.record,
                    what,
                    held: stored.map(|stored| version_from_column(stored.version)),
                }),
            }
        }
        answer
    }
}

fn difference(probed: &Probed, stored: Option<&StoredVersion>) -> Option<DifferenceKind> {
    let Some(stored) = stored else {
        return Some(DifferenceKind::Missing);
    };
    let version = version_from_column(stored.version);
    if version < probed.version {
        return Some(DifferenceKind::Stale);
    }
    if version > probed.version {
        return Some(DifferenceKind::Newer);
    }
    stored
        .differs_from(probed.withdrawn, probed.content.0)
        .then_some(DifferenceKind::Conflicting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{ContentDigest, FactKind, RecordDigest, Version};

    #[test]
    fn every_kind_of_difference_is_told_with_what_is_held() {
        let asked = |record: u8, version, content: u8, withdrawn| Probed {
            record: RecordDigest([record; 32]),
            version: Version::new(version).unwrap(),
            content: ContentDigest([content; 16]),
            withdrawn,
        };
        let known = |content| StoredVersion {
            version: 5,
            kind: FactKind::Test,
            withdrawn: false,
            content,
            owner: None,
            name_set: None,
            purged: false,
            expired: false,
        };
        let key = SecondLayerKey::generate();
        let name = |record: u8| key.record(&RecordDigest([record; 32]));
        let held = HashMap::from([(name(1), known(Some([7; 16]))), (name(2), known(None))]);
        let probed = vec![
            asked(1, 5, 7, false),
            asked(2, 5, 9, false),
            asked(1, 6, 7, false),
            asked(1, 4, 7, false),
            asked(1, 5, 8, false),
            asked(2, 5, 9, true),
            asked(3, 1, 0, false),
            asked(4, 1, 0, true),
        ];
        let answer = OpenProbe::new(BatchId([0; 16]), probed, &key).compare(&held);
        assert_eq!(answer.equal, 2);
        use DifferenceKind::{Conflicting, Missing, Newer, Stale};
        let found: Vec<_> = answer
            .differences
            .iter()
            .map(|difference| difference.what)
            .collect();
        assert_eq!(
            found,
            [Stale, Newer, Conflicting, Conflicting, Missing, Missing]
        );
        let told = |difference: &Difference| difference.held.map(Version::to_u64);
        assert_eq!(
            answer.differences.iter().map(told).collect::<Vec<_>>(),
            [Some(5), Some(5), Some(5), Some(5), None, None]
        );
    }
}
