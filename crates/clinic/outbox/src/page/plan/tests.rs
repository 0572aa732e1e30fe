//! Tests of the plan of a page.

use std::sync::LazyLock;

use contract::{Body, FactKind};
use record_index::RecordState;
use record_secrets::MAX_COUNT;

use super::super::drafts::refused_without_draft;
use super::*;
use crate::{PERSON_HIDDEN, RECORD_UNREADABLE};

const RECORD: RecordDigest = RecordDigest([1; 32]);

static NONE_REFUSED: LazyLock<RecordMap<ContentDigest>> = LazyLock::new(RecordMap::default);

static NO_CLASSES: LazyLock<Opening> = LazyLock::new(Opening::default);

fn basis(generation: u32) -> PlanBasis<'static> {
    PlanBasis {
        feed_id: Some(1),
        generation,
        contents_since: 1,
        may_be_lost: false,
        refused_contents: &NONE_REFUSED,
        classes: &NO_CLASSES,
    }
}

fn withdrawal(only_if_sent: bool) -> Draft {
    let body = Body::Withdrawn {
        kind: FactKind::Vaccination,
    };
    Draft {
        record: RECORD,
        content: ContentDigest([0; 16]),
        body: body.into(),
        only_if_sent,
        class: None,
    }
}

fn assertion(content: u8) -> Draft {
    let pseudonym = contract::Pseudonym {
        scheme: contract::Scheme::Snils,
        suite: contract::Suite::Hmac,
        epoch: 1,
        value: [9; 32],
    };
    let occurred_on = contract::PartialDate::from_year(2021).unwrap();
    let body = Body::Asserted {
        subject: contract::Subject::new(vec![pseudonym]).unwrap(),
        fact: contract::Fact::Recovery {
            began_on: None,
            occurred_on,
        },
    };
    Draft {
        record: RECORD,
        content: ContentDigest([content; 16]),
        body: body.into(),
        only_if_sent: false,
        class: None,
    }
}

fn known(content: u8, generation: u32, withdrawn: bool) -> KnownRecord {
    let revision = Revision {
        generation,
        count: 7,
    };
    let content = Some(ContentDigest([content; 16]));
    KnownRecord {
        record_no: 1,
        state: RecordState {
            feed_id: Some(1),
            stamp: None,
            content,
            revision,
            withdrawn,
        },
    }
}

#[test]
fn changes_within_a_generation() {
    let asserted = known(1, 1, false);
    let withdrawn = known(0, 1, true);
    assert_eq!(change_of(&assertion(1), None, basis(1)), Change::New);
    assert_eq!(
        change_of(&assertion(1), Some(&asserted), basis(1)),
        Change::Unchanged
    );
    assert_eq!(
        change_of(&assertion(2), Some(&asserted), basis(1)),
        Change::Corrected
    );
    assert_eq!(
        change_of(&assertion(1), Some(&withdrawn), basis(1)),
        Change::Corrected,
        "asserted again"
    );
    assert_eq!(
        change_of(&withdrawal(true), None, basis(1)),
        Change::Unchanged,
        "never sent"
    );
    assert_eq!(
        change_of(&withdrawal(false), None, basis(1)),
        Change::WithdrawnUnsent,
        "nothing of it was sent, as far as this state knows"
    );
    assert_eq!(
        change_of(&withdrawal(true), Some(&asserted), basis(1)),
        Change::Withdrawn
    );
    assert_eq!(
        change_of(&withdrawal(true), Some(&withdrawn), basis(1)),
        Change::Unchanged
    );
    assert_eq!(
        change_of(&withdrawal(false), Some(&withdrawn), basis(1)),
        Change::Unchanged
    );
}

#[test]
fn everything_is_sent_again_in_a_later_generation() {
    assert_eq!(
        change_of(&assertion(1), Some(&known(1, 1, false)), basis(2)),
        Change::Resent
    );
    assert_eq!(
        change_of(&assertion(2), Some(&known(1, 1, false)), basis(2)),
        Change::Corrected
    );
    assert_eq!(
        change_of(&withdrawal(true), Some(&known(0, 1, true)), basis(2)),
        Change::Resent
    );
    assert_eq!(
        change_of(&withdrawal(true), None, basis(2)),
        Change::WithdrawnUnsent,
        "the lost state may have sent it"
    );
}

#[test]
fn forgotten_or_never_sent_content_is_sent() {
    let forgotten = |withdrawn| {
        let mut known = known(0, 1, withdrawn);
        known.state.content = None;
        known
    };
    assert_eq!(
        change_of(&assertion(1), Some(&forgotten(false)), basis(1)),
        Change::Resent,
        "nothing was corrected, as far as can be told"
    );
    assert_eq!(
        change_of(&withdrawal(true), Some(&forgotten(true)), basis(1)),
        Change::Resent
    );
    assert_eq!(
        change_of(&withdrawal(true), Some(&forgotten(false)), basis(1)),
        Change::Withdrawn
    );
    assert_eq!(
        change_of(&assertion(1), Some(&forgotten(true)), basis(1)),
        Change::Corrected
    );
    let mut never = known(1, 1, false);
    never.state.revision.count = 0;
    assert_eq!(
        change_of(&assertion(1), Some(&never), basis(1)),
        Change::New
    );
    assert_eq!(
        change_of(&withdrawal(true), Some(&never), basis(1)),
        Change::Unchanged
    );
}

#[test]
fn adopted_version_of_a_later_generation_is_counted_up() {
    let adopted = known(1, 5, false);
    assert_eq!(
        change_of(&assertion(1), Some(&adopted), basis(2)),
        Change::Unchanged
    );
}

#[test]
fn page_moves_stamps_and_keeps_the_refused_without_sending() {
    let mut unchanged = known(1, 1, false);
    unchanged.state.stamp = Some(5);
    let known = RecordMap::from_iter([(RECORD, unchanged)]);
    let refused = Refused {
        value: None,
        record_id: "r".into(),
        reason: "bad-snils",
        record: RecordDigest([2; 32]),
        stamp: Some(9),
    };
    let drafts = vec![Pulled {
        draft: assertion(1),
        stamp: Some(6),
    }];
    let list = [refused];
    let refused = refused_without_draft(&list, &drafts);
    let plan = PagePlan::new(drafts.clone(), &refused, &known, basis(1));
    assert_eq!(
        (plan.new_events.len(), plan.moved.as_slice()),
        (0, [(1, Some(6))].as_slice())
    );
    assert_eq!(
        (
            plan.updates.len(),
            plan.updates[0].revision.count,
            plan.updates[0].stamp
        ),
        (1, 0, Some(9))
    );
    let also_drafted = [Refused {
        value: None,
        record: RECORD,
        ..list[0].clone()
    }];
    assert!(
        refused_without_draft(&also_drafted, &drafts).is_empty(),
        "the draft counts for its record"
    );
}

#[test]
fn a_row_that_may_be_unreadable_for_a_moment_is_no_refused_correction_yet() {
    let known = RecordMap::from_iter([(RECORD, known(1, 1, false))]);
    for (reason, stamp, unread) in [
        (RECORD_UNREADABLE, None, true),
        (RECORD_UNREADABLE, Some(9), false),
        ("bad-snils", None, false),
    ] {
        let list = [Refused {
            value: None,
            record_id: "r".into(),
            reason,
            record: RECORD,
            stamp,
        }];
        let refused = refused_without_draft(&list, &[]);
        let plan = PagePlan::new(Vec::new(), &refused, &known, basis(1));
        let sorted = |yes| if yes { vec![RECORD] } else { vec![] };
        assert_eq!(plan.unread_corrections, sorted(unread), "{reason}");
        assert_eq!(plan.refused_corrections, sorted(!unread), "{reason}");
    }
}

#[test]
fn a_row_whose_person_is_hidden_leaves_its_older_version_alone() {
    let sent = RecordMap::from_iter([(RECORD, known(1, 1, false))]);
    let after_loss = PlanBasis {
        may_be_lost: true,
        ..basis(2)
    };
    for (reason, corrections, possible) in [(PERSON_HIDDEN, 0, 0), ("date-invalid", 1, 1)] {
        let list = [Refused {
            value: None,
            record_id: "r".into(),
            reason,
            record: RECORD,
            stamp: None,
        }];
        let refused = refused_without_draft(&list, &[]);
        let plan = PagePlan::new(Vec::new(), &refused, &sent, after_loss);
        let noted = plan.refused_corrections.len() + plan.unread_corrections.len();
        assert_eq!(noted, corrections, "{reason}");
        let plan = PagePlan::new(Vec::new(), &refused, &RecordMap::default(), after_loss);
        assert_eq!(plan.possible_corrections.len(), possible, "{reason}");
    }
}

#[test]
fn content_of_the_first_contract_is_sent_again_whatever_it_was() {
    let renewed = PlanBasis {
        contents_since: 3,
        ..basis(3)
    };
    let change = |draft: &Draft, known: KnownRecord| change_of(draft, Some(&known), renewed);
    assert_eq!(
        change(&assertion(2), known(1, 2, false)),
        Change::Resent,
        "nobody can tell it from a correction"
    );
    assert_eq!(change(&assertion(2), known(1, 3, false)), Change::Corrected);
    assert_eq!(change(&assertion(2), known(1, 2, true)), Change::Corrected);
    assert_eq!(
        change(&withdrawal(true), known(1, 2, false)),
        Change::Withdrawn
    );
}

#[test]
fn record_without_a_version_left_is_parked_and_the_rest_of_the_page_goes_on() {
    let mut exhausted = known(1, 1, false);
    exhausted.state.revision.count = MAX_COUNT;
    let known = RecordMap::from_iter([(RECORD, exhausted)]);
    let other = Draft {
        record: RecordDigest([2; 32]),
        ..assertion(5)
    };
    let drafts = [assertion(2), other.clone()].map(|draft| Pulled {
        draft,
        stamp: Some(9),
    });
    let plan =
        |generation| PagePlan::new(drafts.to_vec(), &HashMap::new(), &known, basis(generation));
    let parked = plan(1);
    assert_eq!(
        (parked.parked.len(), parked.parked[0].draft.record),
        (1, RECORD)
    );
    assert_eq!((parked.counts.parked, parked.counts.new), (1, 1));
    assert_eq!(parked.new_events[0].record, other.record);
    assert_eq!(
        parked.moved,
        [(1, Some(9))],
        "a sweep need not read it again"
    );
    assert_eq!(
        parked.into_drafts().len(),
        1,
        "the other one is being sealed"
    );
    let risen = plan(2);
    assert_eq!((risen.parked.len(), risen.new_events.len()), (0, 2));
}
