//! Tests of the choice between versions.

use super::*;
use crate::batch::{Assertion, RecordName};
use contract::{BatchId, Fact, PartialDate, RecordDigest, Scheme, Suite, Vaccine};

const OWNER: StoredOwner = [0x0a; 16];
const OTHER_OWNER: StoredOwner = [0x0b; 16];

fn choose_all<'a>(
    batches: &'a [OpenBatch],
    stored: &HashMap<StoredRecord, StoredVersion>,
) -> Chosen<'a> {
    choose(&batches.iter().collect::<Vec<_>>(), stored)
}

fn record(number: u8) -> RecordName {
    RecordName {
        sent: RecordDigest([0xf0 | number; 32]),
        stored: [number; 32],
    }
}

fn withdrawn(number: u8, version: i64, kind: FactKind) -> IncomingEvent {
    IncomingEvent {
        batch: BatchId([0; 16]),
        index: 0,
        record: record(number),
        version,
        content: [0; 16],
        owner: OWNER,
        kind,
        asserted: None,
        is_outdated: false,
    }
}

/// Vaccination of the person with this number.
fn asserted(number: u8, version: i64, person: u8) -> IncomingEvent {
    let fact = Fact::Vaccination {
        vaccine: Vaccine::SputnikV,
        dose_number: None,
        series_doses: None,
        occurred_on: PartialDate::from_year(2021).unwrap(),
    };
    IncomingEvent {
        asserted: Some(Assertion::new(fact, vec![snils(person)])),
        ..withdrawn(number, version, FactKind::Vaccination)
    }
}

fn snils(person: u8) -> CityPseudonym {
    CityPseudonym {
        scheme: Scheme::Snils,
        suite: Suite::Hmac,
        epoch: 1,
        value: [person; 32],
    }
}

fn set_of(person: u8) -> NameSetId {
    NameSetId::of(&[[person; 32]])
}

fn of_content(content: u8, event: IncomingEvent) -> IncomingEvent {
    IncomingEvent {
        content: [content; 16],
        ..event
    }
}

fn of_owner(owner: StoredOwner, event: IncomingEvent) -> IncomingEvent {
    IncomingEvent { owner, ..event }
}

fn stored(version: i64, kind: FactKind, content: u8) -> StoredVersion {
    StoredVersion {
        version,
        kind,
        withdrawn: true,
        content: Some([content; 16]),
        owner: Some(OWNER),
        name_set: None,
        purged: false,
        expired: false,
    }
}

fn batches(events: Vec<IncomingEvent>) -> Vec<OpenBatch> {
    vec![OpenBatch {
        id: BatchId([0; 16]),
        name: None,
        tokens: None,
        events,
        refusals: Vec::new(),
    }]
}

fn written(chosen: &Chosen<'_>) -> Vec<i64> {
    chosen.write.iter().map(|event| event.version).collect()
}

#[test]
fn the_highest_version_of_a_record_is_written_once() {
    let versions = [2, 5, 3].map(|version| withdrawn(1, version, FactKind::Test));
    let group = batches(versions.to_vec());
    let chosen = choose_all(&group, &HashMap::new());
    assert_eq!(written(&chosen), [5]);
    assert_eq!((chosen.outcome.applied, chosen.outcome.superseded), (1, 2));
    let superseded = Superseded {
        record: record(1).sent,
        held: version_from_column(5),
    };
    assert_eq!(
        chosen.answers,
        [StoredAnswer {
            accepted: 1,
            refused: vec![],
            superseded: vec![superseded; 2]
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
        ([1; 32], stored(4, FactKind::Test, 0)),
        ([2; 32], stored(3, FactKind::Test, 0)),
    ]);
    let chosen = choose_all(&group, &held);
    assert_eq!(chosen.write.len(), 1);
    assert_eq!(chosen.write[0].record, record(2));
    assert_eq!((chosen.outcome.applied, chosen.outcome.unchanged), (1, 1));
}

#[test]
fn a_record_keeps_the_kind_it_was_announced_with() {
    let group = batches(vec![
        withdrawn(1, 1, FactKind::Test),
        withdrawn(1, 9, FactKind::Recovery),
    ]);
    let chosen = choose_all(&group, &HashMap::new());
    assert_eq!(chosen.refusals[0].reason, RefusalReason::KindChanged);
    assert_eq!(chosen.write[0].version, 1);
    let held = HashMap::from([([1; 32], stored(1, FactKind::Recovery, 0))]);
    let chosen = choose_all(&group, &held);
    assert_eq!((chosen.refusals.len(), chosen.write[0].version), (1, 9));
}

#[test]
fn a_record_can_be_changed_only_by_who_made_it() {
    let forged = |version| of_owner(OTHER_OWNER, withdrawn(1, version, FactKind::Test));
    let held = HashMap::from([([1; 32], stored(4, FactKind::Test, 0))]);
    for version in [1, 4, 5, i64::MAX] {
        let group = batches(vec![forged(version)]);
        let chosen = choose_all(&group, &held);
        assert!(chosen.write.is_empty(), "{version}");
        assert_eq!(chosen.refusals[0].reason, RefusalReason::NotTheOwner);
        let answer = &chosen.answers[0];
        assert!(answer.superseded.is_empty(), "the forger learns no version");
    }
    let group = batches(vec![forged(9), withdrawn(1, 5, FactKind::Test)]);
    let chosen = choose_all(&group, &held);
    assert_eq!((written(&chosen), chosen.refusals.len()), (vec![5], 1));
}

#[test]
fn a_purged_record_takes_no_newer_version_and_others_learn_nothing_of_it() {
    let purged = StoredVersion {
        purged: true,
        ..stored(4, FactKind::Test, 0)
    };
    let held = HashMap::from([([1; 32], purged)]);
    let group = batches(vec![
        asserted(1, 5, 1),
        withdrawn(1, 4, FactKind::Test),
        of_owner(OTHER_OWNER, withdrawn(1, 6, FactKind::Test)),
    ]);
    let chosen = choose_all(&group, &held);
    assert!(chosen.write.is_empty() && chosen.set_changes.is_empty());
    let reasons = chosen.refusals.iter().map(|refusal| refusal.reason);
    let expected = [
        RefusalReason::Purged,
        RefusalReason::Purged,
        RefusalReason::NotTheOwner,
    ];
    assert_eq!(reasons.collect::<Vec<_>>(), expected);
}

#[test]
fn the_first_to_arrive_claims_a_record_whatever_version_another_names() {
    let forged = of_owner(OTHER_OWNER, withdrawn(1, i64::MAX, FactKind::Test));
    let group = batches(vec![withdrawn(1, 2, FactKind::Test), forged]);
    let chosen = choose_all(&group, &HashMap::new());
    assert_eq!(written(&chosen), [2]);
    assert_eq!(chosen.refusals[0].reason, RefusalReason::NotTheOwner);
}

#[test]
fn a_record_from_before_owner_tokens_is_claimed_by_its_next_version() {
    let before = StoredVersion {
        owner: None,
        ..stored(4, FactKind::Test, 0)
    };
    let held = HashMap::from([([1; 32], before)]);
    let group = batches(vec![
        withdrawn(1, 3, FactKind::Test),
        withdrawn(1, 5, FactKind::Test),
        of_owner(OTHER_OWNER, withdrawn(1, 6, FactKind::Test)),
    ]);
    let chosen = choose_all(&group, &held);
    assert_eq!(written(&chosen), [5]);
    assert_eq!((chosen.outcome.superseded, chosen.refusals.len()), (1, 1));
}

#[test]
fn the_same_version_with_another_content_or_status_is_refused() {
    let event = withdrawn(1, 4, FactKind::Test);
    let held = HashMap::from([([1; 32], stored(4, FactKind::Test, 7))]);
    let group = batches(vec![of_content(7, event.clone()), of_content(8, event)]);
    let chosen = choose_all(&group, &held);
    assert_eq!(
        (chosen.outcome.unchanged, chosen.outcome.version_reused),
        (1, 1)
    );
    assert!(chosen.write.is_empty());
    assert_eq!(chosen.answers[0].accepted, 1);
    assert_eq!(
        chosen.answers[0].refused[0].reason,
        RefusalReason::VersionReused
    );
    let other_status = StoredVersion {
        withdrawn: false,
        ..held[&[1; 32]]
    };
    let asserted = HashMap::from([([1; 32], other_status)]);
    assert_eq!(choose_all(&group, &asserted).outcome.version_reused, 2);
    // Under a higher version nobody asks what an older one said.
    let newer = HashMap::from([([1; 32], stored(5, FactKind::Test, 9))]);
    let superseded = GroupOutcome {
        superseded: 2,
        ..GroupOutcome::default()
    };
    assert_eq!(choose_all(&group, &newer).outcome, superseded);
}

#[test]
fn a_record_in_two_batches_is_answered_in_both() {
    let event = |content| of_content(content, withdrawn(1, 4, FactKind::Test));
    let of_id = |id, contents: [u8; 2]| OpenBatch {
        id: BatchId([id; 16]),
        name: None,
        tokens: None,
        events: contents.map(event).to_vec(),
        refusals: Vec::new(),
    };
    let group = [of_id(1, [7, 7]), of_id(2, [7, 8])];
    let chosen = choose_all(&group, &HashMap::new());
    let accepted = chosen.answers.iter().map(|answer| answer.accepted);
    assert_eq!(accepted.collect::<Vec<_>>(), [2, 1]);
    assert_eq!(
        (chosen.write.len(), chosen.answers[1].refused.len()),
        (1, 1)
    );
}

#[test]
fn set_changes_are_what_the_written_versions_add_and_take() {
    let held = |person| StoredVersion {
        withdrawn: false,
        name_set: Some(set_of(person)),
        ..stored(1, FactKind::Vaccination, 0)
    };
    let stored = HashMap::from([
        ([1; 32], held(1)),
        ([2; 32], held(1)),
        ([3; 32], held(3)),
        ([4; 32], held(4)),
    ]);
    let group = batches(vec![
        asserted(1, 2, 2),
        withdrawn(2, 2, FactKind::Vaccination),
        asserted(3, 2, 3),
        asserted(4, 1, 9),
        asserted(5, 1, 2),
    ]);
    let chosen = choose_all(&group, &stored);
    let names = [snils(2)];
    let mut expected = [
        SetChange {
            id: set_of(1),
            change: -2,
            names: &[],
        },
        SetChange {
            id: set_of(2),
            change: 2,
            names: &names,
        },
    ];
    expected.sort_unstable_by_key(|change| change.id);
    assert_eq!(chosen.set_changes, expected);
}

#[test]
fn an_expired_record_keeps_its_owner_and_its_kind_and_takes_what_is_newer() {
    let expired = StoredVersion {
        expired: true,
        content: None,
        ..stored(4, FactKind::Vaccination, 0)
    };
    let held = HashMap::from([([1; 32], expired)]);
    let chosen_of = |event: IncomingEvent| {
        let group = batches(vec![event]);
        let chosen = choose_all(&group, &held);
        let reasons: Vec<RefusalReason> = chosen
            .refusals
            .iter()
            .map(|refusal| refusal.reason)
            .collect();
        (written(&chosen), chosen.outcome.unchanged, reasons)
    };
    let nothing = Vec::<RefusalReason>::new;
    assert_eq!(chosen_of(asserted(1, 4, 1)), (vec![], 1, nothing()));
    assert_eq!(chosen_of(asserted(1, 5, 1)), (vec![5], 0, nothing()));
    assert_eq!(chosen_of(asserted(1, 3, 1)), (vec![], 0, nothing()));
    let outdated = IncomingEvent {
        is_outdated: true,
        ..asserted(1, 5, 1)
    };
    let tombstone = outdated.tombstone();
    assert!(tombstone.is_tombstone() && !tombstone.is_withdrawn());
    assert_eq!(chosen_of(tombstone), (vec![5], 0, nothing()));
    let forged = of_owner(OTHER_OWNER, asserted(1, 5, 1));
    let not_the_owner = vec![RefusalReason::NotTheOwner];
    assert_eq!(chosen_of(forged), (vec![], 0, not_the_owner));
    let other_kind = withdrawn(1, 5, FactKind::Test);
    let kind_changed = vec![RefusalReason::KindChanged];
    assert_eq!(chosen_of(other_kind), (vec![], 0, kind_changed));
}
