//! Findings from a set of verdicts, before they are written down: pure, no database.

use std::collections::HashSet;

use contract::{Answer, RecordDigest, RefusalReason, RefusedEvent, StoredAnswer, Verdict, Version};
use record_secrets::{MAX_GENERATION, RecordSecrets};

use super::beacon::BeaconAnswer;
use super::probes::AnsweredProbe;
use crate::corrections::Noticed;
use crate::dead_letters::{RefusedByRegistry, SUPERSEDED};
use crate::records::{KnownRecord, RecordMap};

/// Result of receipts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettledVerdicts {
    /// Batches settled for good.
    pub batches: u64,
    /// Events the registry has, now or already before, or in a later version given out here.
    pub accepted_events: u64,
    /// Events the registry refused, or dropped for a higher version that was never given out here.
    pub refused_events: u64,
    /// Batches the registry could not read; they stay, and are sent again in their time.
    pub unreadable: u64,
    /// True if the generation rose, because the registry holds versions that this outbox never
    /// sent: the sources are to be read.
    pub raised: bool,
    /// True if the generation would have to rise, and did not: receipts have raised it within the
    /// day, or it is the last one. An operator may raise it.
    pub raise_waits: bool,
    /// True if another gateway runs on a copy of this state: this one gives out nothing any more.
    pub other_gateway: bool,
}

/// A batch of this outbox that a verdict speaks of.
pub(super) struct AnsweredBatch {
    pub(super) seq: i64,
    pub(super) event_count: i64,
    /// Number of events, or of records of a probe, that the answer has to account for; `None` for
    /// a probe from before this was written down.
    pub(super) answers: Option<u32>,
    /// True if it holds the beacon, and no fact.
    pub(super) is_beacon: bool,
    /// Deliveries that were settled.
    pub(super) sends: i64,
    pub(super) reconciliation_id: Option<i64>,
}

/// Findings from a set of verdicts.
#[derive(Default)]
pub(super) struct Findings {
    /// Batches to delete.
    pub(super) done: Vec<i64>,
    /// Batches whose delivery nobody has settled yet, and their events.
    pub(super) delivered_batches: i64,
    pub(super) delivered_events: i64,
    /// Batches the registry could not read, and why.
    pub(super) unreadable: Vec<(i64, &'static str)>,
    /// Refused events that become dead letters.
    pub(super) refused: Vec<RefusedByRegistry>,
    /// Refused events, before they are judged.
    refusals: Vec<RefusedEvent>,
    pub(super) probes: Vec<AnsweredProbe>,
    pub(super) beacons: Vec<BeaconAnswer>,
    pub(super) settled: SettledVerdicts,
    /// Records of which the registry holds these versions, and kept them: one for each event.
    superseded: Vec<(RecordDigest, Version)>,
    /// Highest generation of a version that the registry holds and this outbox, as it is now,
    /// cannot have given out.
    held_generation: Option<u32>,
}

/// Returns whether the refusal is of what the event says. Other refusals are of its record or its
/// version: a withdrawal would be refused as well, or the event is sent again by itself.
const fn leaves_older(reason: RefusalReason) -> bool {
    match reason {
        RefusalReason::Malformed
        | RefusalReason::UnknownCode
        | RefusalReason::BadSubject
        | RefusalReason::BadDate
        | RefusalReason::EpochNotOpen => true,
        RefusalReason::KindChanged
        | RefusalReason::VersionReused
        | RefusalReason::NotTheOwner
        | RefusalReason::Purged
        | RefusalReason::Token => false,
    }
}

impl Findings {
    /// Adds the verdict on a batch.
    pub(super) fn add(&mut self, batch: &AnsweredBatch, verdict: Verdict) {
        match (verdict, batch.reconciliation_id) {
            // Neither a fact nor a record may be forgotten for an answer that leaves it out.
            (Verdict::Answered(answer), _) if !accounts_for(&answer, batch.answers) => {
                tracing::error!(
                    "the registry's answer does not add up to its batch, and so proves nothing: \
                     the batch is sent again"
                );
                return self.leave(batch, "answer-does-not-add-up");
            }
            (Verdict::Answered(Answer::Stored(answer)), None) if batch.is_beacon => {
                self.done.push(batch.seq);
                self.beacons.push(BeaconAnswer {
                    seq: batch.seq,
                    answer,
                });
                return;
            }
            (Verdict::Answered(Answer::Stored(answer)), None) => self.add_stored(answer),
            (Verdict::Answered(Answer::Probed(answer)), Some(reconciliation_id)) => {
                self.probes.push(AnsweredProbe {
                    reconciliation_id,
                    answer,
                });
            }
            (Verdict::Unreadable(reason), _) => return self.leave(batch, reason.as_str()),
            // The registry answers something else than was asked: nothing can be taken from that.
            (Verdict::Answered(_), _) => return self.leave(batch, "other-answer"),
        }
        self.done.push(batch.seq);
        self.settled.batches += 1;
        if batch.sends == 0 {
            self.delivered_batches += 1;
            self.delivered_events += batch.event_count;
        }
    }

    fn leave(&mut self, batch: &AnsweredBatch, reason: &'static str) {
        self.unreadable.push((batch.seq, reason));
        if batch.is_beacon {
            tracing::warn!(
                reason,
                "the registry does not take the beacon: a restored state is not noticed for now"
            );
        } else {
            self.settled.unreadable += 1;
        }
    }

    fn add_stored(&mut self, answer: StoredAnswer) {
        self.settled.accepted_events += u64::from(answer.accepted);
        self.settled.refused_events += answer.refused.len() as u64;
        let superseded = answer.superseded.into_iter();
        self.superseded
            .extend(superseded.map(|superseded| (superseded.record, superseded.held)));
        self.refusals.extend(answer.refused);
    }

    /// Records that the verdicts speak of.
    pub(super) fn records(&self) -> Vec<RecordDigest> {
        let superseded = self.superseded.iter().map(|(record, _)| *record);
        let refused = self.refusals.iter().filter_map(|event| event.record);
        let differing = self
            .probes
            .iter()
            .flat_map(|probe| &probe.answer.differences);
        superseded
            .chain(refused)
            .chain(differing.map(|difference| difference.record))
            .collect()
    }

    /// Judges refused and superseded events by the records as they are known.
    pub(super) fn judge(&mut self, known: &RecordMap<KnownRecord>, secrets: &RecordSecrets) {
        for refused in std::mem::take(&mut self.refusals) {
            self.judge_refused(&refused, secrets);
        }
        for (record, held) in std::mem::take(&mut self.superseded) {
            let sent = known.get(&record).map(|known| known.state.revision);
            match secrets.revision(&record, held) {
                // A later version from here has overtaken the event.
                Some(held) if sent.is_some_and(|sent| held <= sent) => {
                    self.settled.accepted_events += 1;
                    continue;
                }
                Some(held) => self.note_held(held.generation),
                None => tracing::error!(
                    "the registry holds a version of a record of this clinic that this clinic \
                     cannot have given out"
                ),
            }
            self.settled.refused_events += 1;
            self.refused.push(RefusedByRegistry {
                record,
                revision: None,
                reason: SUPERSEDED.to_owned(),
                leaves_older: false,
            });
        }
    }

    fn judge_refused(&mut self, refused: &RefusedEvent, secrets: &RecordSecrets) {
        let reason = refused.reason.as_str();
        let Some(record) = refused.record else {
            tracing::error!(
                reason,
                "the registry refused an event without being able to say of which record"
            );
            return;
        };
        let version = refused.version;
        let revision = version.and_then(|version| secrets.revision(&record, version));
        if let Some(reused) = revision
            && refused.reason == RefusalReason::VersionReused
        {
            self.note_held(reused.generation);
        }
        self.refused.push(RefusedByRegistry {
            record,
            revision,
            reason: format!("registry:{reason}"),
            leaves_older: leaves_older(refused.reason),
        });
    }

    /// Corrections that the registry refused, of records whose older version may stand there.
    pub(super) fn refused_corrections(&self, known: &RecordMap<KnownRecord>) -> Vec<Noticed> {
        let corrections = self.refused.iter().filter(|event| event.leaves_older);
        let noticed = corrections.filter_map(|event| {
            let state = event.latest(known)?.state;
            // The first version that was ever given out leaves nothing behind.
            let is_first = state.revision.generation == 1 && state.revision.count == 1;
            let stands = state.was_sent() && !state.withdrawn && !is_first;
            Some(Noticed {
                record: event.record,
                feed_id: state.feed_id.filter(|_| stands)?,
                possible: false,
                by_registry: true,
                content: state.content,
            })
        });
        noticed.collect()
    }

    fn note_held(&mut self, generation: u32) {
        if generation < MAX_GENERATION {
            self.held_generation = self.held_generation.max(Some(generation));
        } else {
            tracing::error!("the registry holds a version of the last generation there can be");
        }
    }

    /// Generation that is above all that the registry holds and this outbox, as it is now, cannot
    /// have given out; `None` if `generation` is above it already.
    pub(super) fn needed_generation(&self, generation: u32) -> Option<u32> {
        let held = self.held_generation.filter(|held| *held >= generation)?;
        Some(held + 1)
    }
}

/// Returns whether an answer accounts for so many events or records, each of them once.
fn accounts_for(answer: &Answer, records: Option<u32>) -> bool {
    let Some(records) = records else {
        return true;
    };
    let length = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    match answer {
        Answer::Stored(answer) => {
            let listed = answer.refused.len().saturating_add(answer.superseded.len());
            let places: HashSet<u32> = answer.refused.iter().map(|event| event.index).collect();
            answer.accepted.checked_add(length(listed)) == Some(records)
                && places.len() == answer.refused.len()
                && places.iter().all(|place| *place < records)
        }
        Answer::Probed(answer) => {
            let listed = length(answer.differences.len());
            let named: HashSet<_> = answer.differences.iter().map(|one| one.record).collect();
            answer.equal.checked_add(listed) == Some(records)
                && named.len() == answer.differences.len()
        }
    }
}

#[cfg(test)]
mod tests {
    use contract::{Difference, DifferenceKind, ProbeAnswer};

    use super::*;

    fn refused(index: u32) -> RefusedEvent {
        RefusedEvent {
            index,
            record: None,
            version: None,
            reason: RefusalReason::BadDate,
        }
    }

    fn stored(accepted: u32, refused: Vec<RefusedEvent>) -> Answer {
        Answer::Stored(StoredAnswer {
            accepted,
            refused,
            ..StoredAnswer::default()
        })
    }

    #[test]
    fn answer_has_to_account_for_every_event_once() {
        let fits = |answer| accounts_for(&answer, Some(4));
        assert!(fits(stored(4, vec![])) && fits(stored(2, vec![refused(0), refused(3)])));
        assert!(!fits(stored(3, vec![])) && !fits(stored(5, vec![])));
        assert!(!fits(stored(u32::MAX, vec![refused(0)])));
        assert!(!fits(stored(2, vec![refused(1), refused(1)])), "one twice");
        assert!(!fits(stored(3, vec![refused(4)])), "beyond the batch");
        assert!(accounts_for(&stored(3, vec![]), None), "from before");
    }

    #[test]
    fn answer_to_a_probe_has_to_account_for_every_record_once() {
        let difference = |record| Difference {
            record: RecordDigest([record; 32]),
            what: DifferenceKind::Missing,
            held: None,
        };
        let answer = |equal, records: &[u8]| {
            let differences = records.iter().map(|record| difference(*record)).collect();
            Answer::Probed(ProbeAnswer { equal, differences })
        };
        let fits = |answer| accounts_for(&answer, Some(4));
        assert!(fits(answer(4, &[])) && fits(answer(2, &[1, 2])));
        assert!(!fits(answer(3, &[])) && !fits(answer(4, &[1])));
        assert!(!fits(answer(2, &[1, 1])), "one twice");
    }
}
