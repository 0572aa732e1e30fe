//! Comparison of a probe, what a gateway believes is stored, with what is.

use std::collections::HashMap;

use contract::wire::Probed;
use contract::{BatchId, Difference, DifferenceKind, ProbeAnswer};
use linking::{StoredVersion, version_from_column};

/// Probe that could be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenProbe {
    /// Id of its batch.
    pub id: BatchId,
    /// Records, each as the gateway believes it is stored.
    pub probed: Vec<Probed>,
}

/// Compares; `stored` has every probed record that is stored. A content that is unknown here counts
/// as equal.
pub(crate) fn compare(probed: &[Probed], stored: &HashMap<[u8; 32], StoredVersion>) -> ProbeAnswer {
    let mut answer = ProbeAnswer {
        equal: 0,
        differences: Vec::new(),
    };
    for probed in probed {
        let stored = stored.get(&probed.record.0);
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
        .differs_from(probed.withdrawn, Some(probed.content.0))
        .then_some(DifferenceKind::Conflicting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::{ContentDigest, FactKind, RecordDigest, Version};

    #[test]
    fn every_kind_of_difference_is_told_with_what_is_held() {
        let asked = |record: u8, count, content: u8, withdrawn| Probed {
            record: RecordDigest([record; 32]),
            version: Version {
                generation: 1,
                count,
            },
            content: ContentDigest([content; 16]),
            withdrawn,
        };
        let version = i64::try_from(
            Version {
                generation: 1,
                count: 5,
            }
            .to_u64(),
        )
        .unwrap();
        let known = |content| StoredVersion {
            version,
            kind: FactKind::Test,
            withdrawn: false,
            content,
        };
        let held = HashMap::from([([1; 32], known(Some([7; 16]))), ([2; 32], known(None))]);
        let answer = compare(
            &[
                asked(1, 5, 7, false),
                asked(2, 5, 9, false),
                asked(1, 6, 7, false),
                asked(1, 4, 7, false),
                asked(1, 5, 8, false),
                asked(2, 5, 9, true),
                asked(3, 1, 0, false),
                asked(4, 1, 0, true),
            ],
            &held,
        );
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
        let told = |difference: &Difference| difference.held.map(|version| version.count);
        assert_eq!(
            answer.differences.iter().map(told).collect::<Vec<_>>(),
            [Some(5), Some(5), Some(5), Some(5), None, None]
        );
    }
}
