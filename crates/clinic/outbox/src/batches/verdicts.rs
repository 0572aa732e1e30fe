//! Findings from a set of verdicts, before they are written down: pure, no database.

use contract::{Answer, RecordDigest, RefusalReason, StoredAnswer, Verdict, Version};

use super::probes::AnsweredProbe;
use crate::dead_letters::RefusedByRegistry;
use crate::limits::MAX_GENERATION;
use crate::records::{KnownRecord, RecordMap};

/// Result of receipts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SettledVerdicts {
    /// Batches settled for good.
    pub batches: u64,
    /// Events the registry has, now or already before.
    pub accepted_events: u64,
    /// Events the registry refused.
    pub refused_events: u64,
    /// Batches the registry could not read; they stay, and are sent again in their time.
    pub unreadable: u64,
    /// True if the generation rose, because the registry holds versions that this outbox never
    /// sent: the sources are to be read.
    pub raised: bool,
}

/// A batch of this outbox that a verdict speaks of.
pub(super) struct AnsweredBatch {
    pub(super) seq: i64,
    pub(super) event_count: i64,
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
    pub(super) refused: Vec<RefusedByRegistry>,
    pub(super) probes: Vec<AnsweredProbe>,
    pub(super) settled: SettledVerdicts,
    /// Records of which the registry holds these versions, and kept them.
    superseded: Vec<(RecordDigest, Version)>,
    /// Versions that the registry holds with another content.
    reused: Vec<Version>,
}

impl Findings {
    /// Adds the verdict on a batch.
    pub(super) fn add(&mut self, batch: &AnsweredBatch, verdict: Verdict) {
        match (verdict, batch.reconciliation_id) {
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
        self.settled.unreadable += 1;
    }

    fn add_stored(&mut self, answer: StoredAnswer) {
        self.settled.accepted_events += u64::from(answer.accepted);
        self.settled.refused_events += answer.refused.len() as u64;
        self.superseded.extend(
            answer
                .superseded
                .into_iter()
                .map(|superseded| (superseded.record, superseded.held)),
        );
        for refused in answer.refused {
            match (refused.reason, refused.record, refused.version) {
                (RefusalReason::VersionReused, _, Some(version)) => self.reused.push(version),
                (reason, Some(record), version) => {
                    let reason = format!("registry:{}", reason.as_str());
                    self.refused.push(RefusedByRegistry {
                        record,
                        version,
                        reason,
                    });
                }
                (reason, None, _) => {
                    tracing::error!(
                        reason = reason.as_str(),
                        "the registry refused an event without being able to say of which record"
                    );
                }
            }
        }
    }

    /// Records that the verdicts speak of.
    pub(super) fn records(&self) -> Vec<RecordDigest> {
        let superseded = self.superseded.iter().map(|(record, _)| *record);
        let refused = self.refused.iter().map(|event| event.record);
        let differing = self
            .probes
            .iter()
            .flat_map(|probe| &probe.answer.differences);
        superseded
            .chain(refused)
            .chain(differing.map(|difference| difference.record))
            .collect()
    }

    /// Generation to rise to, if the registry holds something that this outbox, as it is now,
    /// cannot have sent.
    pub(super) fn needed_generation(
        &self,
        known: &RecordMap<KnownRecord>,
        generation: u32,
    ) -> Option<u32> {
        let never_sent = self.superseded.iter().filter(|(record, held)| {
            known
                .get(record)
                .is_none_or(|known| *held > known.state.version)
        });
        let held = never_sent.map(|(_, held)| held).chain(&self.reused);
        // A version held before the present generation began is exceeded by whatever is sent in it.
        let highest = held
            .map(|held| held.generation)
            .filter(|held| *held >= generation)
            .max();
        match highest {
            Some(held) if held >= MAX_GENERATION => {
                tracing::error!("the registry holds a version of the last generation there can be");
                None
            }
            highest => highest.map(|held| held + 1),
        }
    }
}
