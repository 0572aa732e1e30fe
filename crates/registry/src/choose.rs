//! Which version of which record to write, out of a group of events: the highest, once, and only if it is news.

use std::collections::{BTreeMap, HashMap};

use contract::{FactKind, RefusalReason};

use crate::incoming::{Incoming, OpenBatch, Refusal};
use crate::link::Person;

/// What is stored of a record: its version and its kind as written.
pub(crate) type Stored = (i64, String);

/// What a group of batches comes to.
#[derive(Debug)]
pub(crate) struct Chosen<'a> {
    /// At most one event a record, sorted by record.
    pub write: Vec<&'a Incoming>,
    /// The persons of what is written. Old news links nobody: it may be the very mistake that was corrected since.
    pub persons: Vec<Person<'a>>,
    /// Events that change a record's kind.
    pub refusals: Vec<Refusal>,
    /// How many events were old news.
    pub unchanged: usize,
}

/// Chooses. `stored` has every record of the group that is stored.
pub(crate) fn choose<'a>(batches: &'a [OpenBatch], stored: &HashMap<[u8; 32], Stored>) -> Chosen<'a> {
    let mut kinds: HashMap<[u8; 32], FactKind> = HashMap::new();
    let mut best: BTreeMap<[u8; 32], &Incoming> = BTreeMap::new();
    let mut chosen = Chosen { write: Vec::new(), persons: Vec::new(), refusals: Vec::new(), unchanged: 0 };
    for event in batches.iter().flat_map(|batch| &batch.events) {
        let stored = stored.get(&event.record);
        let first_kind = *kinds.entry(event.record).or_insert(event.kind);
        let kind = stored.map_or(first_kind.as_str(), |(_, kind)| kind);
        if event.kind.as_str() != kind {
            chosen.refusals.push(refusal(event));
            continue;
        }
        if stored.is_some_and(|(version, _)| *version >= event.version) {
            chosen.unchanged += 1;
            continue;
        }
        match best.get(&event.record) {
            Some(other) if other.version >= event.version => chosen.unchanged += 1,
            Some(_) => {
                chosen.unchanged += 1;
                best.insert(event.record, event);
            }
            None => {
                best.insert(event.record, event);
            }
        }
    }
    chosen.write = best.into_values().collect();
    let person = |event: &&'a Incoming| {
        let (_, pseudonyms) = event.asserted.as_ref()?;
        Some(Person { record: event.record, pseudonyms })
    };
    chosen.persons = chosen.write.iter().filter_map(person).collect();
    chosen
}

fn refusal(event: &Incoming) -> Refusal {
    Refusal {
        batch: event.batch,
        index: event.index,
        record: Some(event.record),
        version: Some(event.version),
        reason: RefusalReason::KindChanged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::BatchId;

    fn withdrawn(record: u8, version: i64, kind: FactKind) -> Incoming {
        Incoming { batch: BatchId([0; 16]), index: 0, record: [record; 32], version, kind, asserted: None }
    }

    fn batches(events: Vec<Incoming>) -> Vec<OpenBatch> {
        vec![OpenBatch { id: BatchId([0; 16]), events, refusals: Vec::new() }]
    }

    #[test]
    fn the_highest_version_of_a_record_is_written_once() {
        let test = FactKind::Test;
        let group = batches(vec![withdrawn(1, 2, test), withdrawn(1, 5, test), withdrawn(1, 3, test)]);
        let chosen = choose(&group, &HashMap::new());
        assert_eq!(chosen.write.iter().map(|event| event.version).collect::<Vec<_>>(), [5]);
        assert_eq!(chosen.unchanged, 2);
    }

    #[test]
    fn what_is_stored_is_not_written_again() {
        let group = batches(vec![withdrawn(1, 4, FactKind::Test), withdrawn(2, 4, FactKind::Test)]);
        let stored = HashMap::from([([1; 32], (4, "test".to_owned())), ([2; 32], (3, "test".to_owned()))]);
        let chosen = choose(&group, &stored);
        assert_eq!(chosen.write.iter().map(|event| event.record).collect::<Vec<_>>(), [[2; 32]]);
    }

    #[test]
    fn a_record_keeps_the_kind_it_was_announced_with() {
        let group = batches(vec![withdrawn(1, 1, FactKind::Test), withdrawn(1, 9, FactKind::Recovery)]);
        let chosen = choose(&group, &HashMap::new());
        assert_eq!(chosen.refusals[0].reason, RefusalReason::KindChanged);
        assert_eq!(chosen.write[0].version, 1);
        let stored = HashMap::from([([1; 32], (1, "recovery".to_owned()))]);
        let chosen = choose(&group, &stored);
        assert_eq!((chosen.refusals.len(), chosen.write[0].version), (1, 9));
    }
}
