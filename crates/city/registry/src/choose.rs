//! Which version of which record to write, out of a group of events, and what becomes of each
//! event.
//!
//! The highest version of a record holds; of equal ones the first to arrive, but a known content
//! wins over an unknown one. Events are judged by what holds after the whole group, so that the
//! order within it does not show.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use contract::{
    FactKind, RecordDigest, RefusalReason, RefusedEvent, StoredAnswer, Superseded, Version,
};

use crate::incoming::{Incoming, OpenBatch, Refusal};
use crate::link::Person;

/// What is stored of a record, as far as choosing goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    /// Its highest version.
    pub version: i64,
    /// What kind of fact.
    pub kind: FactKind,
    /// Whether it was taken back.
    pub withdrawn: bool,
    /// What the version says; `None` when unknown.
    pub content: Option<[u8; 16]>,
}

/// How many events ended in which way.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// They became the stored version.
    pub applied: usize,
    /// The same version was there before, or came twice.
    pub duplicate: usize,
    /// A higher version is held.
    pub superseded: usize,
    /// Refused, the next included.
    pub refused: usize,
    /// The same version says something else.
    pub version_reused: usize,
}

/// What a group of batches comes to.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    /// At most one event a record, sorted by record.
    pub write: Vec<&'a Incoming>,
    /// The persons of what is written. Old news links nobody: it may be the very mistake that was
    /// corrected since.
    pub persons: Vec<Person<'a>>,
    /// Events that contradict what holds.
    pub refusals: Vec<Refusal>,
    /// What to answer each batch, in the batches' order.
    pub answers: Vec<StoredAnswer>,
    /// The events, counted.
    pub counts: Counts,
}

/// What holds of a record after the group.
struct Held<'a> {
    state: Stored,
    /// The event to write for it; `None` when the store has it already.
    news: Option<&'a Incoming>,
}

/// What becomes of an event.
enum Fate {
    Applied,
    Duplicate,
    Superseded(i64),
    Refused(RefusalReason),
}

/// Chooses. `stored` has every record of the group that is stored.
pub(crate) fn choose<'a, B: Borrow<OpenBatch>>(
    batches: &'a [B],
    stored: &HashMap<[u8; 32], Stored>,
) -> Chosen<'a> {
    let batches: Vec<&'a OpenBatch> = batches.iter().map(Borrow::borrow).collect();
    let held = hold(&batches, stored);
    let mut write: Vec<&Incoming> = held.values().filter_map(|held| held.news).collect();
    write.sort_unstable_by_key(|event| event.record);
    let person = |event: &&'a Incoming| {
        let (_, pseudonyms) = event.asserted.as_ref()?;
        Some(Person {
            record: event.record,
            pseudonyms,
        })
    };
    let persons = write.iter().filter_map(person).collect();
    let mut refusals = Vec::new();
    let mut counts = Counts::default();
    let answer = |batch: &'a OpenBatch| {
        let mut answer = StoredAnswer {
            accepted: 0,
            refused: Vec::new(),
            superseded: Vec::new(),
        };
        for event in &batch.events {
            match fate(event, &held[&event.record], stored.get(&event.record)) {
                Fate::Applied => counts.applied += 1,
                Fate::Duplicate => counts.duplicate += 1,
                Fate::Superseded(version) => {
                    counts.superseded += 1;
                    answer.superseded.push(Superseded {
                        record: RecordDigest(event.record),
                        held: of(version),
                    });
                }
                Fate::Refused(reason) => {
                    counts.version_reused += usize::from(reason == RefusalReason::VersionReused);
                    let refusal = refusal(event, reason);
                    answer.refused.push(told(&refusal));
                    refusals.push(refusal);
                }
            }
        }
        answer.accepted = small(batch.events.len() - answer.refused.len());
        answer.refused.extend(batch.refusals.iter().map(told));
        answer.refused.sort_unstable_by_key(|refused| refused.index);
        answer
            .superseded
            .sort_unstable_by_key(|superseded| superseded.record);
        answer.superseded.dedup();
        counts.refused += answer.refused.len();
        answer
    };
    let answers = batches.into_iter().map(answer).collect();
    Chosen {
        write,
        persons,
        refusals,
        answers,
        counts,
    }
}

/// What holds of every record of the group in the end.
fn hold<'a>(
    batches: &[&'a OpenBatch],
    stored: &HashMap<[u8; 32], Stored>,
) -> HashMap<[u8; 32], Held<'a>> {
    let events = batches.iter().map(|batch| batch.events.len()).sum();
    let mut all: HashMap<[u8; 32], Held<'a>> = HashMap::with_capacity(events);
    for event in batches.iter().flat_map(|batch| &batch.events) {
        let held = match all.entry(event.record) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(slot) => match stored.get(&event.record) {
                Some(state) => slot.insert(Held {
                    state: *state,
                    news: None,
                }),
                None => {
                    slot.insert(Held {
                        state: state_of(event),
                        news: Some(event),
                    });
                    continue;
                }
            },
        };
        if event.kind == held.state.kind && beats(event, &held.state) {
            *held = Held {
                state: state_of(event),
                news: Some(event),
            };
        }
    }
    all
}

fn state_of(event: &Incoming) -> Stored {
    Stored {
        version: event.version,
        kind: event.kind,
        withdrawn: event.asserted.is_none(),
        content: event.content,
    }
}

/// Also the stores' condition for an update (`PUT_FACTS`).
fn beats(event: &Incoming, held: &Stored) -> bool {
    let completes = held.content.is_none() && event.content.is_some();
    event.version > held.version
        || event.version == held.version && event.asserted.is_none() == held.withdrawn && completes
}

fn fate(event: &Incoming, held: &Held<'_>, stored: Option<&Stored>) -> Fate {
    let state = &held.state;
    if event.kind != state.kind {
        return Fate::Refused(RefusalReason::KindChanged);
    }
    if event.version < state.version {
        return Fate::Superseded(state.version);
    }
    if state.says_otherwise(event.asserted.is_none(), event.content) {
        return Fate::Refused(RefusalReason::VersionReused);
    }
    let known = stored.is_some_and(|stored| stored.version == event.version);
    if !known && held.news.is_some_and(|news| std::ptr::eq(news, event)) {
        Fate::Applied
    } else {
        Fate::Duplicate
    }
}

impl Stored {
    /// Whether the same version with this status and content is not what is held.
    pub(crate) fn says_otherwise(&self, withdrawn: bool, content: Option<[u8; 16]>) -> bool {
        let differ = self
            .content
            .zip(content)
            .is_some_and(|(held, other)| held != other);
        self.withdrawn != withdrawn || differ
    }
}

fn refusal(event: &Incoming, reason: RefusalReason) -> Refusal {
    Refusal {
        batch: event.batch,
        index: event.index,
        record: Some(event.record),
        version: Some(event.version),
        reason,
    }
}

/// A refusal as its batch's receipt tells it.
fn told(refusal: &Refusal) -> RefusedEvent {
    RefusedEvent {
        index: small(refusal.index),
        record: refusal.record.map(RecordDigest),
        version: refusal.version.map(of),
        reason: refusal.reason,
    }
}

/// The version behind a stored number, which is never negative.
pub(crate) fn of(version: i64) -> Version {
    Version::from_u64(u64::try_from(version).unwrap_or(0))
}

/// A batch's counts are bounded by [`contract::wire::MAX_EVENTS`].
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::BatchId;

    fn withdrawn(record: u8, version: i64, kind: FactKind) -> Incoming {
        Incoming {
            batch: BatchId([0; 16]),
            index: 0,
            record: [record; 32],
            version,
            content: None,
            kind,
            asserted: None,
        }
    }

    fn says(content: u8, event: Incoming) -> Incoming {
        Incoming {
            content: Some([content; 16]),
            ..event
        }
    }

    fn stored(version: i64, kind: FactKind, content: Option<u8>) -> Stored {
        Stored {
            version,
            kind,
            withdrawn: true,
            content: content.map(|byte| [byte; 16]),
        }
    }

    fn batches(events: Vec<Incoming>) -> Vec<OpenBatch> {
        vec![OpenBatch {
            id: BatchId([0; 16]),
            events,
            refusals: Vec::new(),
        }]
    }

    #[test]
    fn the_highest_version_of_a_record_is_written_once() {
        let test = FactKind::Test;
        let group = batches(vec![
            withdrawn(1, 2, test),
            withdrawn(1, 5, test),
            withdrawn(1, 3, test),
        ]);
        let chosen = choose(&group, &HashMap::new());
        assert_eq!(
            chosen
                .write
                .iter()
                .map(|event| event.version)
                .collect::<Vec<_>>(),
            [5]
        );
        assert_eq!((chosen.counts.applied, chosen.counts.superseded), (1, 2));
        let told = Superseded {
            record: RecordDigest([1; 32]),
            held: of(5),
        };
        assert_eq!(
            chosen.answers,
            [StoredAnswer {
                accepted: 3,
                refused: vec![],
                superseded: vec![told]
            }]
        );
    }

    #[test]
    fn what_is_stored_is_not_written_again() {
        let group = batches(vec![
            withdrawn(1, 4, FactKind::Test),
            withdrawn(2, 4, FactKind::Test),
        ]);
        let held = HashMap::from([
            ([1; 32], stored(4, FactKind::Test, None)),
            ([2; 32], stored(3, FactKind::Test, None)),
        ]);
        let chosen = choose(&group, &held);
        assert_eq!(
            chosen
                .write
                .iter()
                .map(|event| event.record)
                .collect::<Vec<_>>(),
            [[2; 32]]
        );
        assert_eq!((chosen.counts.applied, chosen.counts.duplicate), (1, 1));
    }

    #[test]
    fn a_record_keeps_the_kind_it_was_announced_with() {
        let group = batches(vec![
            withdrawn(1, 1, FactKind::Test),
            withdrawn(1, 9, FactKind::Recovery),
        ]);
        let chosen = choose(&group, &HashMap::new());
        assert_eq!(chosen.refusals[0].reason, RefusalReason::KindChanged);
        assert_eq!(chosen.write[0].version, 1);
        let held = HashMap::from([([1; 32], stored(1, FactKind::Recovery, None))]);
        let chosen = choose(&group, &held);
        assert_eq!((chosen.refusals.len(), chosen.write[0].version), (1, 9));
    }

    #[test]
    fn the_same_version_with_another_content_or_status_is_refused() {
        let event = withdrawn(1, 4, FactKind::Test);
        let held = HashMap::from([([1; 32], stored(4, FactKind::Test, Some(7)))]);
        let group = batches(vec![
            says(7, event.clone()),
            event.clone(),
            says(8, event.clone()),
        ]);
        let chosen = choose(&group, &held);
        assert_eq!(
            (
                chosen.counts.duplicate,
                chosen.counts.version_reused,
                chosen.write.len()
            ),
            (2, 1, 0)
        );
        assert_eq!(chosen.answers[0].accepted, 2);
        assert_eq!(
            chosen.answers[0].refused[0].reason,
            RefusalReason::VersionReused
        );
        let asserted = HashMap::from([(
            [1; 32],
            Stored {
                withdrawn: false,
                ..held[&[1; 32]]
            },
        )]);
        assert_eq!(choose(&group, &asserted).counts.version_reused, 3);
        // Under a higher version nobody asks what an older one said.
        let newer = HashMap::from([([1; 32], stored(5, FactKind::Test, Some(9)))]);
        assert_eq!(
            choose(&group, &newer).counts,
            Counts {
                superseded: 3,
                ..Counts::default()
            }
        );
    }

    #[test]
    fn a_known_content_completes_an_unknown_one_in_either_order() {
        let event = withdrawn(1, 4, FactKind::Test);
        let unknown = HashMap::from([([1; 32], stored(4, FactKind::Test, None))]);
        let group = batches(vec![says(7, event.clone())]);
        let chosen = choose(&group, &unknown);
        assert_eq!((chosen.counts.duplicate, chosen.write.len()), (1, 1));
        for events in [
            vec![event.clone(), says(7, event.clone())],
            vec![says(7, event.clone()), event],
        ] {
            let group = batches(events);
            let chosen = choose(&group, &HashMap::new());
            assert_eq!((chosen.counts.applied, chosen.counts.duplicate), (1, 1));
            assert_eq!(chosen.write[0].content, Some([7; 16]));
        }
    }

    #[test]
    fn a_record_in_two_batches_is_answered_in_both() {
        let event = |content| says(content, withdrawn(1, 4, FactKind::Test));
        let one = OpenBatch {
            id: BatchId([1; 16]),
            events: vec![event(7), event(7)],
            refusals: Vec::new(),
        };
        let other = OpenBatch {
            id: BatchId([2; 16]),
            events: vec![event(7), event(8)],
            refusals: Vec::new(),
        };
        let group = [one, other];
        let chosen = choose(&group, &HashMap::new());
        assert_eq!(
            chosen
                .answers
                .iter()
                .map(|answer| answer.accepted)
                .collect::<Vec<_>>(),
            [2, 1]
        );
        assert_eq!(
            (chosen.write.len(), chosen.answers[1].refused.len()),
            (1, 1)
        );
    }
}
