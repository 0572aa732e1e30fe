//! Persons whose pseudonyms key services evaluate: local names, what is held, and contents.

use draft::LocalSubject;

use super::*;
use crate::held::HeldIdentifiers;
use crate::subject::MAX_LOCAL_NAMES;
use crate::suites::Suites;

const RECORD_KEY: &str = "record ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";

fn strong(ring: &KeyRing) -> Pseudonymiser {
    with(ring, Suite::Voprf, &PolicyConfig::default())
}

fn record_ring() -> KeyRing {
    KeyRing::parse_for(&RECORD_KEY.into(), Suite::Voprf).unwrap()
}

fn local(outcome: RecordOutcome) -> (LocalSubject, Draft) {
    let (draft, _) = draft(outcome);
    match &draft.body {
        DraftBody::Unevaluated { person, .. } => (person.clone(), draft),
        DraftBody::Ready(_) => panic!("nothing to evaluate"),
    }
}

#[test]
fn a_person_has_local_names_and_the_identifiers_are_held() {
    let pseudonymiser = strong(&record_ring());
    let mut held = HeldIdentifiers::default();
    let people = vec![
        id(IdentifierKind::PassportRu, "4509 123456"),
        id(IdentifierKind::Snils, SNILS),
        id(IdentifierKind::Snils, "11223344595"),
    ];
    let outcome = pseudonymiser.apply_and_hold(record(people, shot()), today(), &mut held);
    let (person, draft) = local(outcome);
    assert_eq!((person.names().len(), held.len()), (2, 2));
    let mut blinding = held.blind(person.names()).expect("both are held");
    let service = oprf::ServiceKey::generate();
    let request = blinding.request(1);
    let answer = service.evaluate(&oprf::Request::parse(&request).unwrap());
    blinding.accept(&answer, 1, &service.public_key()).unwrap();
    assert_eq!(blinding.unblind().len(), 2);
    // Nobody is held for a look alone, and whoever is not held cannot be blinded.
    let (again, drafted) = local(pseudonymiser.apply(snils_shot(), today()));
    assert!(HeldIdentifiers::default().blind(again.names()).is_none());
    assert_ne!(drafted.content, draft.content);
    assert!(!format!("{held:?} {person:?} {draft:?}").contains("112"));
}

#[test]
fn contents_rest_on_the_record_key_and_on_no_pseudonym_key() {
    let alone = local(strong(&record_ring()).apply(snils_shot(), today()));
    for keys in [ONE_EPOCH.to_owned(), ONE_EPOCH.to_owned() + SECOND_EPOCH] {
        let beside = local(strong(&ring(&keys)).apply(snils_shot(), today()));
        assert_eq!(alone, beside, "a rotation changes no content");
    }
    let other = local(strong(&KeyRing::record_only()).apply(snils_shot(), today()));
    assert_ne!(alone.0, other.0, "each clinic has names of its own");
    let keyed = draft(plain().apply(snils_shot(), today())).0;
    assert_ne!(
        keyed.content, alone.1.content,
        "another suite is another content"
    );
}

/// Ten identifiers of a person, two of each of five kinds.
fn ten_identifiers() -> Vec<Identifier> {
    let kinds = [
        (
            IdentifierKind::Oms,
            ["7700000000000004", "7700000000000012"],
        ),
        (IdentifierKind::PassportRu, ["4509 123456", "4509 123457"]),
        (IdentifierKind::PassportForeign, ["C01X00T47", "C01X00T48"]),
        (IdentifierKind::NationalId, ["NR1234561", "NR1234562"]),
        (IdentifierKind::ResidencePermit, ["RP1234561", "RP1234562"]),
    ];
    let of_kind = |(kind, values): (IdentifierKind, [&str; 2])| {
        values.map(|value| Identifier {
            country: Some("FR".into()),
            ..id(kind, value)
        })
    };
    kinds.into_iter().flat_map(of_kind).collect()
}

#[test]
fn the_limit_on_local_names_holds_at_its_edge() {
    let all = ten_identifiers();
    for (offered, kept, dropped) in [(7, 7, 0), (8, 8, 0), (9, 8, 1), (10, 8, 2)] {
        let people = all.iter().take(offered).map(|one| Identifier {
            kind: one.kind,
            value: one.value.clone(),
            country: one.country.clone(),
        });
        let mut held = HeldIdentifiers::default();
        let person = record(people.collect(), shot());
        let outcome = strong(&record_ring()).apply_and_hold(person, today(), &mut held);
        let (made, warnings) = draft(outcome);
        let DraftBody::Unevaluated { person, .. } = &made.body else {
            panic!("nothing to evaluate")
        };
        assert_eq!(person.names().len(), kept);
        assert_eq!(held.len(), kept);
        assert_eq!(warnings.identifiers_dropped, dropped);
    }
    assert_eq!(MAX_LOCAL_NAMES, 8);
}

#[test]
fn two_snils_contradict_each_other_under_local_names_too() {
    let people = vec![
        id(IdentifierKind::Snils, SNILS),
        id(IdentifierKind::Snils, "501-377-201 39"),
    ];
    let outcome = strong(&record_ring()).apply(record(people, shot()), today());
    let RecordOutcome::Rejected(rejection) = outcome else {
        panic!("accepted")
    };
    assert_eq!(rejection.reason, RejectionReason::IdentifierConflict);
}

const MOVING: Suites = Suites {
    suite: Suite::Voprf,
    moving_from: Some(Suite::Hmac),
};

fn moving(keys: &str) -> Pseudonymiser {
    let policy = Policy::new(&PolicyConfig::default()).unwrap();
    Pseudonymiser::new(&ring(keys), MOVING, "mis", policy).unwrap()
}

#[test]
fn while_a_city_moves_the_old_names_leave_beside_the_evaluated_ones() {
    let old = draft(plain().apply(snils_shot(), today())).0;
    let new = local(strong(&ring(ONE_EPOCH)).apply(snils_shot(), today()));
    let mut held = HeldIdentifiers::default();
    let outcome = moving(ONE_EPOCH).apply_and_hold(snils_shot(), today(), &mut held);
    let (both, _) = draft(outcome);
    let DraftBody::Unevaluated { person, beside, .. } = &both.body else {
        panic!("nothing to evaluate")
    };
    let DraftBody::Ready(Body::Asserted { subject, .. }) = &old.body else {
        panic!("a fact")
    };
    assert_eq!((person, beside.as_ref()), (&new.0, Some(subject)));
    assert_eq!(held.len(), 1);
    assert_eq!(both.record, old.record);
    // The beginning and the end of the move each send the record again, and a way back does.
    assert_ne!(both.content, old.content);
    assert_ne!(both.content, new.1.content);
    let again = draft(moving(ONE_EPOCH).apply(snils_shot(), today())).0;
    assert_eq!(again.content, both.content);
}

#[test]
fn a_person_with_the_most_identifiers_fits_into_an_event_under_both_suites() {
    let outcome = moving(ONE_EPOCH).apply(record(ten_identifiers(), shot()), today());
    let (made, warnings) = draft(outcome);
    let DraftBody::Unevaluated { person, beside, .. } = &made.body else {
        panic!("nothing to evaluate")
    };
    let beside = beside.as_ref().map_or(0, |names| names.pseudonyms().len());
    assert_eq!((person.names().len(), beside), (8, 8));
    assert_eq!(warnings.identifiers_dropped, 2);
    assert_eq!(person.names().len() + beside, contract::Subject::MAX);
}
