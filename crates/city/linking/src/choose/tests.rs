//! Tests of the choice between versions.

use super::*;
use contract::BatchId;

fn choose_all<'a>(
    batches: &'a [OpenBatch],
    stored: &HashMap<[u8; 32], StoredVersion>,
) -> Chosen<'a> {
    choose(&batches.iter().collect::<Vec<_>>(), stored)
}

fn withdrawn(record: u8, version: i64, kind: FactKind) -> IncomingEvent {
    IncomingEvent {
        batch: BatchId([0; 16]),
        index: 0,
        record: [record; 32],
        version,
        content: None,
        kind,
        asserted: None,
    }
}

fn says(content: u8, event: IncomingEvent) -> IncomingEvent {
    IncomingEvent {
        content: Some([content; 16]),
        ..event
    }
}

fn stored(version: i64, kind: FactKind, content: Option<u8>) -> StoredVersion {
    StoredVersion {
        version,
        kind,
        withdrawn: true,
        content: content.map(|byte| [byte; 16]),
    }
}

fn batches(events: Vec<IncomingEvent>) -> Vec<OpenBatch> {
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
    let chosen = choose_all(&group, &HashMap::new());
    assert_eq!(
        chosen
            .write
            .iter()
            .map(|event| event.version)
            .collect::<Vec<_>>(),
        [5]
    );
    assert_eq!((chosen.outcome.applied, chosen.outcome.superseded), (1, 2));
    let told = Superseded {
        record: RecordDigest([1; 32]),
        held: version_from_column(5),
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
    let chosen = choose_all(&group, &held);
    assert_eq!(
        chosen
            .write
            .iter()
            .map(|event| event.record)
            .collect::<Vec<_>>(),
        [[2; 32]]
    );
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
    let held = HashMap::from([([1; 32], stored(1, FactKind::Recovery, None))]);
    let chosen = choose_all(&group, &held);
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
    let chosen = choose_all(&group, &held);
    assert_eq!(
        (
            chosen.outcome.unchanged,
            chosen.outcome.version_reused,
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
        StoredVersion {
            withdrawn: false,
            ..held[&[1; 32]]
        },
    )]);
    assert_eq!(choose_all(&group, &asserted).outcome.version_reused, 3);
    // Under a higher version nobody asks what an older one said.
    let newer = HashMap::from([([1; 32], stored(5, FactKind::Test, Some(9)))]);
    assert_eq!(
        choose_all(&group, &newer).outcome,
        GroupOutcome {
            superseded: 3,
            ..GroupOutcome::default()
        }
    );
}

#[test]
fn a_known_content_completes_an_unknown_one_in_either_order() {
    let event = withdrawn(1, 4, FactKind::Test);
    let unknown = HashMap::from([([1; 32], stored(4, FactKind::Test, None))]);
    let group = batches(vec![says(7, event.clone())]);
    let chosen = choose_all(&group, &unknown);
    assert_eq!((chosen.outcome.unchanged, chosen.write.len()), (1, 1));
    for events in [
        vec![event.clone(), says(7, event.clone())],
        vec![says(7, event.clone()), event],
    ] {
        let group = batches(events);
        let chosen = choose_all(&group, &HashMap::new());
        assert_eq!((chosen.outcome.applied, chosen.outcome.unchanged), (1, 1));
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
    let chosen = choose_all(&group, &HashMap::new());
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
