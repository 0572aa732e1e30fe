//! Judgement of the answers to beacons: pure, no database.

use contract::{RecordDigest, RefusalReason, StoredAnswer};
use record_secrets::{RecordSecrets, Revision};

/// An answer to a batch that holds the beacon.
pub(in crate::batches) struct BeaconAnswer {
    pub(in crate::batches) seq: i64,
    pub(in crate::batches) answer: StoredAnswer,
}

/// Finding from answers to beacons.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Finding {
    /// Batches whose beacon the registry took.
    pub(super) accepted: Vec<i64>,
    /// Highest revision that the registry holds and that did not leave from here.
    pub(super) held: Option<Revision>,
    /// Batches whose answers show such a revision.
    pub(super) shown_by: Vec<i64>,
}

impl Finding {
    /// Finding from the answers. `record` is the beacon's, `may_have_left` tells of a revision
    /// whether the registry can have it from here.
    pub(super) fn of(
        answers: &[BeaconAnswer],
        record: &RecordDigest,
        may_have_left: impl Fn(Revision) -> bool,
        secrets: &RecordSecrets,
    ) -> Self {
        let mut finding = Self::default();
        for one in answers {
            if one.answer.accepted > 0 {
                finding.accepted.push(one.seq);
            }
            finding.add_superseded(one, record, &may_have_left, secrets);
            finding.add_refused(one, record, secrets);
        }
        finding
    }

    fn add_superseded(
        &mut self,
        one: &BeaconAnswer,
        record: &RecordDigest,
        may_have_left: &impl Fn(Revision) -> bool,
        secrets: &RecordSecrets,
    ) {
        for superseded in &one.answer.superseded {
            let held = secrets.revision(record, superseded.held);
            match held.filter(|_| superseded.record == *record) {
                // A later one from here has overtaken it. If it was one of another state, the answer
                // to the same one from here shows that.
                Some(held) if may_have_left(held) => {}
                Some(held) => self.add_held(one.seq, held),
                None => tracing::error!(
                    "the registry answers the beacon with a version that this clinic cannot have \
                     given out"
                ),
            }
        }
    }

    /// Adds refusals. Another state has given out the very same revision if its content differs.
    fn add_refused(&mut self, one: &BeaconAnswer, record: &RecordDigest, secrets: &RecordSecrets) {
        for refused in &one.answer.refused {
            let revision = refused
                .version
                .and_then(|version| secrets.revision(record, version));
            let is_reused = refused.reason == RefusalReason::VersionReused;
            match revision.filter(|_| is_reused && refused.record == Some(*record)) {
                Some(revision) => self.add_held(one.seq, revision),
                None => tracing::error!(
                    reason = refused.reason.as_str(),
                    "the registry refuses the beacon: a restored state would not be noticed"
                ),
            }
        }
    }

    fn add_held(&mut self, seq: i64, held: Revision) {
        self.held = self.held.max(Some(held));
        self.shown_by.push(seq);
    }
}

/// Returns whether the registry's revision shows that another gateway is at work beside this one,
/// whose generation receipts have raised lately above all that the registry showed, which it then
/// took a beacon of. Either somebody has risen above that since, or that one was at work while this
/// very process ran, `is_beside`: nobody can have restored its state meanwhile.
pub(super) const fn is_other_gateway(held: Revision, generation: u32, is_beside: bool) -> bool {
    held.generation > generation || is_beside
}

#[cfg(test)]
mod tests {
    use contract::{RefusedEvent, Superseded, Version};

    use super::*;
    use crate::batches::test_events::secrets;

    const LEFT: Revision = Revision {
        generation: 2,
        count: 5,
    };

    fn version(generation: u32, count: u32) -> Version {
        let revision = Revision { generation, count };
        secrets().version(&record(), revision).unwrap()
    }

    fn record() -> RecordDigest {
        secrets().beacon(&["mis".to_owned()])
    }

    fn held(answer: StoredAnswer) -> Option<(u32, u32)> {
        let answers = [BeaconAnswer { seq: 7, answer }];
        let finding = Finding::of(&answers, &record(), |held| held <= LEFT, &secrets());
        finding.held.map(|held| (held.generation, held.count))
    }

    fn superseded(record: RecordDigest, held: Version) -> StoredAnswer {
        StoredAnswer {
            superseded: vec![Superseded { record, held }],
            ..StoredAnswer::default()
        }
    }

    fn refused(reason: RefusalReason) -> StoredAnswer {
        let event = RefusedEvent {
            index: 0,
            record: Some(record()),
            version: Some(version(2, 5)),
            reason,
        };
        StoredAnswer {
            refused: vec![event],
            ..StoredAnswer::default()
        }
    }

    #[test]
    fn only_a_revision_that_has_not_left_from_here_shows_another_state() {
        let answer = |generation, count| superseded(record(), version(generation, count));
        assert_eq!(held(answer(2, 5)), None, "the latest that left");
        assert_eq!(held(answer(2, 6)), Some((2, 6)));
        assert_eq!(held(answer(3, 1)), Some((3, 1)));
        assert_eq!(held(superseded(record(), Version::MAX)), None, "foreign");
        let of_another = superseded(RecordDigest([9; 32]), version(3, 1));
        assert_eq!(held(of_another), None);
    }

    #[test]
    fn same_revision_with_another_content_shows_another_state() {
        assert_eq!(held(refused(RefusalReason::VersionReused)), Some((2, 5)));
        assert_eq!(held(refused(RefusalReason::NotTheOwner)), None);
    }

    #[test]
    fn accepted_beacons_are_named_by_their_batches() {
        let answer = StoredAnswer {
            accepted: 1,
            ..StoredAnswer::default()
        };
        let answers = [BeaconAnswer { seq: 7, answer }];
        let finding = Finding::of(&answers, &record(), |held| held <= LEFT, &secrets());
        assert_eq!(finding.accepted, [7]);
    }

    #[test]
    fn another_gateway_is_one_above_a_raise_or_beside_a_running_process() {
        let held = |generation| Revision {
            generation,
            count: 9,
        };
        assert!(is_other_gateway(held(3), 2, false) && is_other_gateway(held(2), 2, true));
        assert!(
            !is_other_gateway(held(2), 2, false),
            "a later copy came back"
        );
    }
}
