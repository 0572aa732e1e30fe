//! Records to drafts: statuses, refusals, warnings, scope.

mod local;
mod properties;
mod settings;
mod vectors;

use connector_kit::{
    ClinicDate, ClinicFact, Coding, Field, FieldFault, Identifier, IdentifierKind, Person,
};
use contract::{Pseudonym, TestCode, TestResult, Vaccine};

use super::*;
use crate::{DatePrecision, DatesConfig, IdentifiersConfig, OmsCheck, PolicyConfig};

/// Pseudonym keys: bytes 0 to 31 and 64 to 95; record key: bytes 32 to 63.
const ONE_EPOCH: &str = "pseudonym 1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n\
                         record ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";
const SECOND_EPOCH: &str = "\npseudonym 2 QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8";
const SNILS: &str = "112-233-445 95";

fn ring(text: &str) -> KeyRing {
    KeyRing::parse(&text.into()).unwrap()
}

fn with(ring: &KeyRing, suite: Suite, config: &PolicyConfig) -> Pseudonymiser {
    Pseudonymiser::new(ring, suite, "mis", Policy::new(config).unwrap()).unwrap()
}

fn plain() -> Pseudonymiser {
    with(&ring(ONE_EPOCH), Suite::Hmac, &PolicyConfig::default())
}

fn today() -> NaiveDate {
    "2021-07-15".parse().unwrap()
}

fn day(text: &str) -> Field<ClinicDate> {
    Field::Value(ClinicDate::Day(text.parse().unwrap()))
}

fn id(kind: IdentifierKind, value: &str) -> Identifier {
    Identifier {
        kind,
        value: value.into(),
        country: None,
    }
}

fn of_country(value: &str, country: &str) -> Identifier {
    Identifier {
        country: Some(country.into()),
        ..id(IdentifierKind::PassportForeign, value)
    }
}

fn record(identifiers: Vec<Identifier>, fact: ClinicFact) -> ClinicRecord {
    let person = Person {
        identifiers,
        unreadable: false,
    };
    ClinicRecord {
        record_id: "visit-77".into(),
        status: RecordStatus::Final,
        unmapped_status: None,
        person,
        fact,
        stamp: None,
    }
}

fn shot() -> ClinicFact {
    ClinicFact::Vaccination {
        vaccine: vec![Coding::local("Гам-КОВИД-Вак")],
        dose_number: Field::Value(2.into()),
        series_doses: Field::Value(2.into()),
        occurred_on: day("2021-07-04"),
    }
}

fn pcr(result: &str) -> ClinicFact {
    ClinicFact::Test {
        test: vec![Coding::local("94500-6")],
        result: vec![Coding::local(result)],
        occurred_on: day("2021-07-10"),
    }
}

fn illness(began_on: Field<ClinicDate>) -> ClinicFact {
    ClinicFact::Recovery {
        diagnosis: vec![Coding::local("U07.1")],
        began_on,
        occurred_on: day("2021-06-20"),
    }
}

fn snils_shot() -> ClinicRecord {
    record(vec![id(IdentifierKind::Snils, SNILS)], shot())
}

fn draft(outcome: RecordOutcome) -> (Draft, Warnings) {
    match outcome {
        RecordOutcome::Draft(draft, warnings) => (draft, warnings),
        other => panic!("{other:?}"),
    }
}

fn ready(body: DraftBody) -> Body {
    match body {
        DraftBody::Ready(body) => body,
        DraftBody::Unevaluated { .. } => panic!("not evaluated"),
    }
}

fn subject(outcome: RecordOutcome) -> Vec<Pseudonym> {
    match ready(draft(outcome).0.body) {
        Body::Asserted { subject, .. } => subject.pseudonyms().to_vec(),
        Body::Withdrawn { .. } => panic!("withdrawn"),
    }
}

fn reason(record: ClinicRecord) -> RejectionReason {
    match plain().apply(record, today()) {
        RecordOutcome::Rejected(rejection) => rejection.reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn facts_leave_as_they_are() {
    let fact_of = |fact| match draft(plain().apply(
        record(vec![id(IdentifierKind::Snils, SNILS)], fact),
        today(),
    ))
    .0
    {
        Draft {
            body: DraftBody::Ready(Body::Asserted { fact, .. }),
            only_if_sent: false,
            class: None,
            ..
        } => fact,
        other => panic!("{other:?}"),
    };
    let date = |text: &str| text.parse().unwrap();
    assert_eq!(
        fact_of(shot()),
        Fact::Vaccination {
            vaccine: Vaccine::SputnikV,
            dose_number: Some(2),
            series_doses: Some(2),
            occurred_on: date("2021-07-04"),
        }
    );
    assert_eq!(
        fact_of(pcr("не обнаружено")),
        Fact::Test {
            test: TestCode::RnaRespiratory,
            result: TestResult::NotDetected,
            occurred_on: date("2021-07-10"),
        }
    );
    assert_eq!(
        fact_of(illness(Field::Value(ClinicDate::Month(2021, 6)))),
        Fact::Recovery {
            began_on: Some(date("2021-06")),
            occurred_on: date("2021-06-20")
        }
    );
}

#[test]
fn policy_makes_dates_less_exact() {
    let dates = DatesConfig {
        recoveries: DatePrecision::Month,
        ..DatesConfig::default()
    };
    let coarse = with(
        &ring(ONE_EPOCH),
        Suite::Hmac,
        &PolicyConfig {
            dates,
            ..PolicyConfig::default()
        },
    );
    let record = record(
        vec![id(IdentifierKind::Snils, SNILS)],
        illness(day("2021-06-01")),
    );
    let Body::Asserted {
        fact: Fact::Recovery {
            began_on,
            occurred_on,
        },
        ..
    } = ready(draft(coarse.apply(record, today())).0.body)
    else {
        panic!("not a recovery")
    };
    assert_eq!(
        (began_on.unwrap().to_string(), occurred_on.to_string()),
        ("2021-06".into(), "2021-06".into())
    );
}

#[test]
fn a_cancelled_record_is_withdrawn_however_damaged() {
    for (status, only_if_sent) in [
        (RecordStatus::Cancelled, false),
        (RecordStatus::NotAFact, true),
    ] {
        let broken = ClinicFact::Vaccination {
            vaccine: vec![],
            dose_number: Field::Invalid(FieldFault::NotANumber),
            series_doses: Field::Missing,
            occurred_on: Field::Invalid(FieldFault::NotADate),
        };
        let record = ClinicRecord {
            status,
            ..record(vec![id(IdentifierKind::Snils, "1")], broken)
        };
        let (made, warnings) = draft(plain().apply(record, today()));
        assert_eq!(
            ready(made.body),
            Body::Withdrawn {
                kind: FactKind::Vaccination
            }
        );
        assert_eq!(
            (made.only_if_sent, warnings),
            (only_if_sent, Warnings::default())
        );
    }
    let unknown = ClinicRecord {
        status: RecordStatus::Unknown,
        ..snils_shot()
    };
    assert_eq!(reason(unknown), RejectionReason::StatusUnknown);
    let unreadable = ClinicRecord {
        status: RecordStatus::Unreadable,
        ..snils_shot()
    };
    assert_eq!(reason(unreadable), RejectionReason::RecordUnreadable);
    let hidden = ClinicRecord {
        status: RecordStatus::PersonHidden,
        ..snils_shot()
    };
    assert_eq!(reason(hidden), RejectionReason::PersonHidden);
}

#[test]
fn what_is_not_covid_is_out_of_scope_whoever_it_is_about() {
    let flu = Coding {
        system: Some("http://hl7.org/fhir/sid/cvx".into()),
        code: "140".into(),
    };
    for status in [
        RecordStatus::Final,
        RecordStatus::Cancelled,
        RecordStatus::NotAFact,
    ] {
        let mut record = record(vec![id(IdentifierKind::Snils, "112-233-445 96")], shot());
        record.status = status;
        *vaccine_of(&mut record.fact) = vec![flu.clone()];
        *date_of(&mut record.fact) = Field::Missing;
        let expected = plain().digest_of(&record);
        let RecordOutcome::OutOfScope(made) = plain().apply(record, today()) else {
            panic!("in scope")
        };
        assert_eq!((made.record, made.only_if_sent), (expected, true));
        assert_eq!(
            ready(made.body),
            Body::Withdrawn {
                kind: FactKind::Vaccination
            }
        );
    }
}

#[test]
fn identifier_refusals() {
    let people: [(Vec<Identifier>, RejectionReason); 9] = [
        (vec![], RejectionReason::IdentifierMissing),
        (
            vec![id(IdentifierKind::Snils, " - ")],
            RejectionReason::IdentifierMissing,
        ),
        (
            vec![id(IdentifierKind::Snils, "112-233-445 96")],
            RejectionReason::IdentifierCheckDigit,
        ),
        (
            vec![id(IdentifierKind::Snils, "112")],
            RejectionReason::IdentifierInvalid,
        ),
        (
            vec![id(IdentifierKind::PassportForeign, "C01X00T47")],
            RejectionReason::CountryMissing,
        ),
        (
            vec![of_country("C01X00T47", "Q")],
            RejectionReason::CountryUnknown,
        ),
        // A wrong SNILS is refused even beside a good passport.
        (
            vec![
                id(IdentifierKind::PassportRu, "4509123456"),
                id(IdentifierKind::Snils, "112-233-445 96"),
            ],
            RejectionReason::IdentifierCheckDigit,
        ),
        (
            vec![
                id(IdentifierKind::Snils, SNILS),
                id(IdentifierKind::Snils, "001-001-998 00"),
            ],
            RejectionReason::IdentifierConflict,
        ),
        (
            (0..129).map(|_| id(IdentifierKind::Snils, SNILS)).collect(),
            RejectionReason::TooManyIdentifiers,
        ),
    ];
    for (identifiers, expected) in people {
        assert_eq!(reason(record(identifiers, shot())), expected);
    }
    let mut unreadable = record(vec![], shot());
    unreadable.person.unreadable = true;
    assert_eq!(reason(unreadable), RejectionReason::IdentifierUnreadable);
}

#[test]
fn the_limit_on_pseudonyms_holds_at_its_edge() {
    let two = with(
        &ring(&(ONE_EPOCH.to_owned() + SECOND_EPOCH)),
        Suite::Hmac,
        &PolicyConfig::default(),
    );
    let passports = |count: u32| {
        (1..=count)
            .map(|n| of_country(&format!("P{n:07}"), "FR"))
            .collect()
    };
    for (offered, left_out) in [(2, 0), (3, 1), (128, 126)] {
        let (made, warnings) = draft(two.apply(record(passports(offered), shot()), today()));
        let Body::Asserted { subject, .. } = ready(made.body) else {
            panic!("withdrawn")
        };
        assert_eq!(subject.pseudonyms().len(), 4, "two passports of two epochs");
        assert_eq!(warnings.identifiers_dropped, left_out);
    }
    let RecordOutcome::Rejected(rejection) = two.apply(record(passports(129), shot()), today())
    else {
        panic!("accepted")
    };
    assert_eq!(rejection.reason, RejectionReason::TooManyIdentifiers);
    let repeated = (0..16).map(|_| id(IdentifierKind::Snils, SNILS)).collect();
    assert_eq!(
        subject(two.apply(record(repeated, shot()), today())).len(),
        2,
        "the same number counts once"
    );
}

#[test]
fn one_good_identifier_is_enough_and_the_others_are_counted() {
    let people = vec![
        id(IdentifierKind::PassportRu, "45091"),
        id(IdentifierKind::Oms, "7700000000000009"),
        of_country("C01X00T47", "Q"),
        id(IdentifierKind::Snils, ""),
    ];
    let (made, warnings) = draft(plain().apply(record(people, shot()), today()));
    assert_eq!(
        warnings,
        Warnings {
            oms_check_digit: true,
            identifiers_dropped: 2,
            doses_dropped: 0,
        }
    );
    let Body::Asserted { subject, .. } = ready(made.body) else {
        panic!("withdrawn")
    };
    assert_eq!(subject.pseudonyms().len(), 1);
    let identifiers = IdentifiersConfig {
        oms_check: OmsCheck::Refuse,
        ..IdentifiersConfig::default()
    };
    let strict = with(
        &ring(ONE_EPOCH),
        Suite::Hmac,
        &PolicyConfig {
            identifiers,
            ..PolicyConfig::default()
        },
    );
    let only_oms = record(vec![id(IdentifierKind::Oms, "7700000000000009")], shot());
    let RecordOutcome::Rejected(rejection) = strict.apply(only_oms, today()) else {
        panic!("accepted")
    };
    assert_eq!(rejection.reason, RejectionReason::IdentifierCheckDigit);
}

#[test]
fn fact_refusals() {
    type Change = fn(&mut ClinicFact);
    let shots: [(Change, RejectionReason); 8] = [
        (
            |fact| vaccine_of(fact).clear(),
            RejectionReason::VaccineUnknown,
        ),
        (
            |fact| *vaccine_of(fact) = vec![Coding::local("№ 5")],
            RejectionReason::VaccineUnknown,
        ),
        (
            |fact| vaccine_of(fact).push(Coding::local("КовиВак")),
            RejectionReason::CodeConflict,
        ),
        (
            |fact| *date_of(fact) = Field::Missing,
            RejectionReason::DateMissing,
        ),
        (
            |fact| *date_of(fact) = Field::Invalid(FieldFault::NotADate),
            RejectionReason::DateInvalid,
        ),
        (
            |fact| *date_of(fact) = day("2020-05-31"),
            RejectionReason::DateImpossible,
        ),
        (
            |fact| *date_of(fact) = day("2021-07-17"),
            RejectionReason::DateFuture,
        ),
        (
            |fact| *date_of(fact) = Field::Value(ClinicDate::Month(2021, 13)),
            RejectionReason::DateInvalid,
        ),
    ];
    for (change, expected) in shots {
        let mut record = snils_shot();
        change(&mut record.fact);
        assert_eq!(reason(record), expected);
    }
    let person = || vec![id(IdentifierKind::Snils, SNILS)];
    assert_eq!(
        reason(record(person(), pcr("?"))),
        RejectionReason::ResultUnknown
    );
    let mut test = record(person(), pcr("positive"));
    if let ClinicFact::Test { test, .. } = &mut test.fact {
        test.clear();
    }
    assert_eq!(reason(test), RejectionReason::TestUnknown);
    let mut illness_of_another_kind = record(person(), illness(Field::Missing));
    if let ClinicFact::Recovery { diagnosis, .. } = &mut illness_of_another_kind.fact {
        *diagnosis = vec![Coding::local("простуда")];
    }
    assert_eq!(
        reason(illness_of_another_kind),
        RejectionReason::DiagnosisUnknown
    );
    assert_eq!(
        reason(record(person(), illness(day("2021-06-21")))),
        RejectionReason::DateImpossible
    );
    let unreadable = Field::Invalid(FieldFault::NotADate);
    assert_eq!(
        reason(record(person(), illness(unreadable))),
        RejectionReason::DateInvalid
    );
}

fn vaccine_of(fact: &mut ClinicFact) -> &mut Vec<Coding> {
    let ClinicFact::Vaccination { vaccine, .. } = fact else {
        panic!("no vaccination")
    };
    vaccine
}

fn date_of(fact: &mut ClinicFact) -> &mut Field<ClinicDate> {
    let ClinicFact::Vaccination { occurred_on, .. } = fact else {
        panic!("no vaccination")
    };
    occurred_on
}

#[test]
fn record_ids_are_bounded_and_kept_with_the_refusal() {
    let with_id = |id: String| ClinicRecord {
        record_id: id,
        ..snils_shot()
    };
    assert!(matches!(
        plain().apply(with_id("x".repeat(512)), today()),
        RecordOutcome::Draft(..)
    ));
    assert_eq!(
        reason(with_id(String::new())),
        RejectionReason::RecordIdInvalid
    );
    let RecordOutcome::Rejected(cut) = plain().apply(with_id("я".repeat(257)), today()) else {
        panic!("accepted")
    };
    assert_eq!(
        (cut.reason, cut.record_id.len()),
        (RejectionReason::RecordIdInvalid, 512)
    );
    let undated = ClinicRecord {
        status: RecordStatus::Unknown,
        ..snils_shot()
    };
    let RecordOutcome::Rejected(refused) = plain().apply(undated, today()) else {
        panic!("accepted")
    };
    assert_eq!(
        (refused.record_id.as_str(), refused.kind),
        ("visit-77", FactKind::Vaccination)
    );
    assert_eq!(
        refused.record,
        draft(plain().apply(snils_shot(), today())).0.record
    );
}

#[test]
fn source_ids_are_bounded_and_have_no_nul() {
    let new = |id: &str| {
        Pseudonymiser::new(
            &ring(ONE_EPOCH),
            Suite::Hmac,
            id,
            Policy::new(&PolicyConfig::default()).unwrap(),
        )
        .err()
    };
    for id in ["", "a\0b", &"x".repeat(65)] {
        assert_eq!(new(id), Some(NewError::SourceId));
    }
    assert_eq!(new(&"x".repeat(64)), None);
}

#[test]
fn record_digests_differ_by_source_feed_and_id() {
    let digest = |source: &str, feed: ClinicFact, id: &str| {
        let policy = Policy::new(&PolicyConfig::default()).unwrap();
        let one = Pseudonymiser::new(&ring(ONE_EPOCH), Suite::Hmac, source, policy).unwrap();
        one.digest_of(&ClinicRecord {
            record_id: id.into(),
            ..record(vec![], feed)
        })
    };
    let digests = [
        digest("mis", shot(), "1"),
        digest("mis2", shot(), "1"),
        digest("mis", pcr("?"), "1"),
        digest("mis", illness(Field::Missing), "1"),
        digest("mis", shot(), "2"),
        digest("mis", shot(), "1\0"),
    ];
    let distinct: std::collections::HashSet<_> = digests.iter().collect();
    assert_eq!(distinct.len(), digests.len());
}

#[test]
fn an_outcome_shows_no_identity_and_no_record_id() {
    let outcomes = [
        plain().apply(snils_shot(), today()),
        plain().apply(
            record(vec![id(IdentifierKind::Snils, "112-233-445 96")], shot()),
            today(),
        ),
    ];
    let shown = format!("{outcomes:?}");
    assert!(
        !shown.contains("112") && !shown.contains("visit"),
        "{shown}"
    );
}
