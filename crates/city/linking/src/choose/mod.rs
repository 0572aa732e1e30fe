//! Choice of the version of each record to write, out of a group of events, and the answer to each
//! event.
//!
//! The highest version of a record holds; of equal ones the first to arrive, but a known content
//! wins over an unknown one. Events are judged by what holds after the whole group, so that the
//! order within it does not show.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use az::SaturatingAs;
use contract::{
    FactKind, RecordDigest, RefusalReason, RefusedEvent, StoredAnswer, Superseded, Version,
};

use crate::batch::{EventRefusal, IncomingEvent, OpenBatch};
use crate::link::EventPseudonyms;
use crate::outcome::GroupOutcome;

/// Version of a record that holds, as far as choosing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredVersion {
    /// Highest version of the record.
    pub version: i64,
    /// Kind of the fact.
    pub kind: FactKind,
    /// True where the record was taken back.
    pub withdrawn: bool,
    /// Digest of the version's content; `None` when unknown.
    pub content: Option<[u8; 16]>,
}

impl StoredVersion {
    /// True where the same version with this status and content would say something else. An
    /// unknown content counts as equal.
    #[must_use]
    pub fn differs_from(&self, withdrawn: bool, content: Option<[u8; 16]>) -> bool {
        let contents_differ = self
            .content
            .zip(content)
            .is_some_and(|(stored, other)| stored != other);
        self.withdrawn != withdrawn || contents_differ
    }

    /// True where the event becomes the stored version. The stores' `PUT_FACTS` statements have the
    /// same condition.
    fn is_replaced_by(&self, event: &IncomingEvent) -> bool {
        let completes = self.content.is_none() && event.content.is_some();
        event.version > self.version
            || event.version == self.version && event.is_withdrawn() == self.withdrawn && completes
    }
}

impl From<&IncomingEvent> for StoredVersion {
    fn from(event: &IncomingEvent) -> Self {
        Self {
            version: event.version,
            kind: event.kind,
            withdrawn: event.is_withdrawn(),
            content: event.content,
        }
    }
}

/// Changes and answers that a group of batches comes to.
#[derive(Debug)]
pub struct Chosen<'a> {
    /// Events to write: at most one a record, sorted by record.
    pub write: Vec<&'a IncomingEvent>,
    /// Persons of the events to write. Old versions link nobody: one of them may be the very
    /// mistake that was corrected since.
    pub persons: Vec<EventPseudonyms<'a>>,
    /// Events that contradict what holds.
    pub refusals: Vec<EventRefusal>,
    /// Answer to each batch, in the batches' order.
    pub answers: Vec<StoredAnswer>,
    /// Counts of the events; those of links are 0.
    pub outcome: GroupOutcome,
}

/// Version that holds of a record after the group.
struct Latest<'a> {
    version: StoredVersion,
    /// Event to write for it; `None` when the store has it already.
    write: Option<&'a IncomingEvent>,
}

/// Judgement of one event.
enum Judgement {
    Applied,
    Unchanged,
    Superseded(i64),
    Refused(RefusalReason),
}

/// Chooses what to write and what to answer. `stored` has every record of the group that is stored.
#[must_use]
pub fn choose<'a>(
    batches: &[&'a OpenBatch],
    stored: &HashMap<[u8; 32], StoredVersion>,
) -> Chosen<'a> {
    let latest = latest_versions(batches, stored);
    let mut write: Vec<&IncomingEvent> =
        latest.values().filter_map(|latest| latest.write).collect();
    write.sort_unstable_by_key(|event| event.record);
    let persons = write
        .iter()
        .filter_map(|event| {
            let asserted = event.asserted.as_ref()?;
            Some(EventPseudonyms {
                record: event.record,
                pseudonyms: &asserted.pseudonyms,
            })
        })
        .collect();
    let mut chosen = Chosen {
        write,
        persons,
        refusals: Vec::new(),
        answers: Vec::with_capacity(batches.len()),
        outcome: GroupOutcome::default(),
    };
    for batch in batches {
        let answer = answer(batch, &latest, stored, &mut chosen);
        chosen.answers.push(answer);
    }
    chosen
}

/// Answers one batch; adds its refusals and counts to `chosen`.
fn answer(
    batch: &OpenBatch,
    latest: &HashMap<[u8; 32], Latest<'_>>,
    stored: &HashMap<[u8; 32], StoredVersion>,
    chosen: &mut Chosen<'_>,
) -> StoredAnswer {
    let outcome = &mut chosen.outcome;
    let mut answer = StoredAnswer {
        accepted: 0,
        refused: Vec::new(),
        superseded: Vec::new(),
    };
    for event in &batch.events {
        match judge(event, &latest[&event.record], stored.get(&event.record)) {
            Judgement::Applied => outcome.applied += 1,
            Judgement::Unchanged => outcome.unchanged += 1,
            Judgement::Superseded(version) => {
                outcome.superseded += 1;
                answer.superseded.push(Superseded {
                    record: RecordDigest(event.record),
                    held: version_from_column(version),
                });
            }
            Judgement::Refused(reason) => {
                outcome.version_reused += usize::from(reason == RefusalReason::VersionReused);
                let refusal = refusal(event, reason);
                answer.refused.push(refused_event(&refusal));
                chosen.refusals.push(refusal);
            }
        }
    }
    // The wire's MAX_EVENTS bounds the counts of a batch, so nothing is cut off.
    answer.accepted = (batch.events.len() - answer.refused.len()).saturating_as();
    answer
        .refused
        .extend(batch.refusals.iter().map(refused_event));
    answer.refused.sort_unstable_by_key(|refused| refused.index);
    answer
        .superseded
        .sort_unstable_by_key(|superseded| superseded.record);
    answer.superseded.dedup();
    outcome.refused += answer.refused.len();
    answer
}

/// Version that holds of every record of the group in the end.
fn latest_versions<'a>(
    batches: &[&'a OpenBatch],
    stored: &HashMap<[u8; 32], StoredVersion>,
) -> HashMap<[u8; 32], Latest<'a>> {
    let events = batches.iter().map(|batch| batch.events.len()).sum();
    let mut all: HashMap<[u8; 32], Latest<'a>> = HashMap::with_capacity(events);
    for event in batches.iter().flat_map(|batch| &batch.events) {
        let from_event = Latest {
            version: event.into(),
            write: Some(event),
        };
        let latest = match all.entry(event.record) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => match stored.get(&event.record) {
                Some(version) => slot.insert(Latest {
                    version: *version,
                    write: None,
                }),
                None => {
                    slot.insert(from_event);
                    continue;
                }
            },
        };
        if event.kind == latest.version.kind && latest.version.is_replaced_by(event) {
            *latest = from_event;
        }
    }
    all
}

fn judge(event: &IncomingEvent, latest: &Latest<'_>, stored: Option<&StoredVersion>) -> Judgement {
    let holds = &latest.version;
    if event.kind != holds.kind {
        return Judgement::Refused(RefusalReason::KindChanged);
    }
    if event.version < holds.version {
        return Judgement::Superseded(holds.version);
    }
    if holds.differs_from(event.is_withdrawn(), event.content) {
        return Judgement::Refused(RefusalReason::VersionReused);
    }
    let known = stored.is_some_and(|stored| stored.version == event.version);
    let is_written = latest.write.is_some_and(|write| std::ptr::eq(write, event));
    if !known && is_written {
        Judgement::Applied
    } else {
        Judgement::Unchanged
    }
}

fn refusal(event: &IncomingEvent, reason: RefusalReason) -> EventRefusal {
    EventRefusal {
        batch: event.batch,
        index: event.index,
        record: Some(event.record),
        version: Some(event.version),
        reason,
    }
}

/// Entry for a refusal in its batch's receipt.
fn refused_event(refusal: &EventRefusal) -> RefusedEvent {
    RefusedEvent {
        index: refusal.index.saturating_as(),
        record: refusal.record.map(RecordDigest),
        version: refusal.version.map(version_from_column),
        reason: refusal.reason,
    }
}

/// Version behind a stored number, which is never negative.
#[must_use]
pub fn version_from_column(version: i64) -> Version {
    Version::from_u64(u64::try_from(version).unwrap_or(0))
}

#[cfg(test)]
mod tests;
