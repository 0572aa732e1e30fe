//! Choice of the version of each record to write, out of a group of events, and the answer to each
//! event.
//!
//! The first event to arrive of a record claims it for its owner token; events with another token
//! are refused. The highest version of a record holds; of equal ones the first to arrive. Events
//! are judged by what holds after the whole group, so that the order within it does not show.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use az::SaturatingAs;
use contract::{FactKind, RefusalReason, RefusedEvent, StoredAnswer, Superseded, Version};

use crate::batch::{EventRefusal, IncomingEvent, OpenBatch};
use crate::outcome::GroupOutcome;
use crate::persons::NameSetId;
use crate::second_layer::{CityPseudonym, StoredOwner, StoredRecord};

/// Version of a record that holds, as far as choosing needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredVersion {
    /// Highest version of the record.
    pub version: i64,
    /// Kind of the fact.
    pub kind: FactKind,
    /// True where the record was taken back.
    pub withdrawn: bool,
    /// Digest of the version's content; `None` in a store of before contents.
    pub content: Option<[u8; 16]>,
    /// Digest of the owner token; `None` in a store of before owner tokens, where the next higher
    /// version claims the record.
    pub owner: Option<StoredOwner>,
    /// Set of the person's names; `None` when withdrawn.
    pub name_set: Option<NameSetId>,
    /// True where an operator has purged the record, and has not permitted newer versions since.
    pub purged: bool,
    /// True where the fact has expired: of the version nothing but its number is kept.
    pub expired: bool,
}

impl StoredVersion {
    /// True where the same version with this status and content would say something else. An
    /// unknown content counts as equal, and so does everything where the fact has expired.
    #[must_use]
    pub fn differs_from(&self, withdrawn: bool, content: [u8; 16]) -> bool {
        if self.expired {
            return false;
        }
        let contents_differ = self.content.is_some_and(|stored| stored != content);
        self.withdrawn != withdrawn || contents_differ
    }

    /// Reason for which the event may not touch the record.
    fn refuses(&self, event: &IncomingEvent) -> Option<RefusalReason> {
        if self.owner.is_some_and(|owner| owner != event.owner) {
            return Some(RefusalReason::NotTheOwner);
        }
        if self.purged {
            return Some(RefusalReason::Purged);
        }
        (self.kind != event.kind).then_some(RefusalReason::KindChanged)
    }

    /// True where the event becomes the stored version. The stores' `PUT_FACTS` statements have the
    /// same condition.
    fn is_replaced_by(&self, event: &IncomingEvent) -> bool {
        self.refuses(event).is_none() && event.version > self.version
    }
}

impl From<&IncomingEvent> for StoredVersion {
    fn from(event: &IncomingEvent) -> Self {
        Self {
            version: event.version,
            kind: event.kind,
            withdrawn: event.asserted.is_none(),
            content: (!event.is_tombstone()).then_some(event.content),
            owner: Some(event.owner),
            name_set: event.name_set(),
            purged: false,
            expired: event.is_tombstone(),
        }
    }
}

/// Change of the number of stored records that state a set of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetChange<'a> {
    /// Id of the set.
    pub id: NameSetId,
    /// Number of records more, or fewer where negative; never 0.
    pub change: i64,
    /// Names of the set, strongest first; known where the number rises.
    pub names: &'a [CityPseudonym],
}

/// Changes and answers that a group of batches comes to.
#[derive(Debug)]
pub struct Chosen<'a> {
    /// Events to write: at most one a record, sorted by record.
    pub write: Vec<&'a IncomingEvent>,
    /// Changes of the name sets' records, sorted by id.
    pub set_changes: Vec<SetChange<'a>>,
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
    stored: &HashMap<StoredRecord, StoredVersion>,
) -> Chosen<'a> {
    let latest = latest_versions(batches, stored);
    let mut write: Vec<&IncomingEvent> =
        latest.values().filter_map(|latest| latest.write).collect();
    write.sort_unstable_by_key(|event| event.record.stored);
    let mut chosen = Chosen {
        set_changes: set_changes(&write, stored),
        write,
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

/// Changes that writing the events makes to the numbers of records that state each set of names.
fn set_changes<'a>(
    write: &[&'a IncomingEvent],
    stored: &HashMap<StoredRecord, StoredVersion>,
) -> Vec<SetChange<'a>> {
    let mut changes: BTreeMap<NameSetId, SetChange<'a>> = BTreeMap::new();
    let mut add = |id, change, names: &'a [CityPseudonym]| {
        let entry = changes.entry(id).or_insert(SetChange {
            id,
            change: 0,
            names,
        });
        entry.change += change;
        if entry.names.is_empty() {
            entry.names = names;
        }
    };
    for event in write {
        if let Some(asserted) = &event.asserted {
            add(asserted.name_set, 1, &asserted.pseudonyms);
        }
        let before = stored.get(&event.record.stored);
        if let Some(id) = before.and_then(|before| before.name_set) {
            add(id, -1, &[]);
        }
    }
    let changes = changes.into_values();
    changes.filter(|change| change.change != 0).collect()
}

/// Answers one batch; adds its refusals and counts to `chosen`.
fn answer(
    batch: &OpenBatch,
    latest: &HashMap<StoredRecord, Latest<'_>>,
    stored: &HashMap<StoredRecord, StoredVersion>,
    chosen: &mut Chosen<'_>,
) -> StoredAnswer {
    let outcome = &mut chosen.outcome;
    let mut answer = StoredAnswer {
        accepted: 0,
        refused: Vec::new(),
        superseded: Vec::new(),
    };
    for event in &batch.events {
        let record = event.record.stored;
        match judge(event, &latest[&record], stored.get(&record)) {
            Judgement::Applied => {
                outcome.applied += 1;
                answer.accepted += 1;
            }
            Judgement::Unchanged => {
                outcome.unchanged += 1;
                answer.accepted += 1;
            }
            Judgement::Superseded(version) => {
                outcome.superseded += 1;
                answer.superseded.push(Superseded {
                    record: event.record.sent,
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
    answer
        .refused
        .extend(batch.refusals.iter().map(refused_event));
    answer.refused.sort_unstable_by_key(|refused| refused.index);
    answer
        .superseded
        .sort_unstable_by_key(|superseded| superseded.record);
    outcome.refused += answer.refused.len();
    answer
}

/// Version that holds of every record of the group in the end.
fn latest_versions<'a>(
    batches: &[&'a OpenBatch],
    stored: &HashMap<StoredRecord, StoredVersion>,
) -> HashMap<StoredRecord, Latest<'a>> {
    let events = batches.iter().map(|batch| batch.events.len()).sum();
    let mut all: HashMap<StoredRecord, Latest<'a>> = HashMap::with_capacity(events);
    for event in batches.iter().flat_map(|batch| &batch.events) {
        let from_event = Latest {
            version: event.into(),
            write: Some(event),
        };
        let latest = match all.entry(event.record.stored) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => match stored.get(&event.record.stored) {
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
        if latest.version.is_replaced_by(event) {
            *latest = from_event;
        }
    }
    all
}

fn judge(event: &IncomingEvent, latest: &Latest<'_>, stored: Option<&StoredVersion>) -> Judgement {
    let holds = &latest.version;
    if let Some(reason) = holds.refuses(event) {
        return Judgement::Refused(reason);
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
        record: refusal.record.map(|record| record.sent),
        version: refusal.version.map(version_from_column),
        reason: refusal.reason,
    }
}

/// Version behind a stored number, which is never below 1.
#[must_use]
pub fn version_from_column(version: i64) -> Version {
    let version = u64::try_from(version).ok().and_then(Version::new);
    version.unwrap_or(Version::MAX)
}

#[cfg(test)]
mod tests;
