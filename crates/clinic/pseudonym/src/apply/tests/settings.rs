//! What an administrator's words make of a record: ignored codes, doses, identifiers left out.

use connector_kit::Dose;
use contract::Scheme;

use super::*;
use crate::{CodesConfig, FactRelease};

fn policy(toml_like: &str) -> PolicyConfig {
    serde_json::from_str(toml_like).expect("a policy")
}

fn by(config: &PolicyConfig) -> Pseudonymiser {
    with(&ring(ONE_EPOCH), Suite::Hmac, config)
}

fn dose(number: Field<Dose>, series: Field<Dose>) -> ClinicRecord {
    let mut record = snils_shot();
    if let ClinicFact::Vaccination {
        dose_number,
        series_doses,
        ..
    } = &mut record.fact
    {
        (*dose_number, *series_doses) = (number, series);
    }
    record
}

fn doses_of(outcome: RecordOutcome) -> (Option<u8>, Option<u8>, u8) {
    let (made, warnings) = draft(outcome);
    match ready(made.body) {
        Body::Asserted {
            fact:
                Fact::Vaccination {
                    dose_number,
                    series_doses,
                    ..
                },
            ..
        } => (dose_number, series_doses, warnings.doses_dropped),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dose_that_cannot_be_read_leaves_the_fact_and_is_counted() {
    let read = |number: u32| {
        let record = dose(Field::Value(number.into()), Field::Missing);
        doses_of(plain().apply(record, today()))
    };
    for (number, expected) in [
        (0, (None, None, 1)),
        (1, (Some(1), None, 0)),
        (9, (Some(9), None, 0)),
        (10, (None, None, 1)),
        (257, (None, None, 1)),
    ] {
        assert_eq!(read(number), expected, "{number}");
    }
    let invalid = Field::Invalid(FieldFault::BadEncoding);
    let record = dose(invalid.clone(), invalid);
    assert_eq!(doses_of(plain().apply(record, today())), (None, None, 2));
    let booster = dose(Field::Value(3.into()), Field::Value(2.into()));
    let booster = doses_of(plain().apply(booster, today()));
    assert_eq!(
        booster,
        (Some(3), Some(2), 0),
        "one counts beyond its course"
    );
}

#[test]
fn words_for_doses_are_known_and_configured() {
    let config = policy(
        r#"{"codes": {"doses": {"Бустер": 3, "вторая и последняя": "2/2", "Вводная*": "ignore"}}}"#,
    );
    let read = |word: &str| {
        let record = dose(Field::Value(Dose::Word(word.into())), Field::Missing);
        doses_of(by(&config).apply(record, today()))
    };
    for (word, expected) in [
        ("бустер", (Some(3), None, 0)),
        ("Вторая и последняя", (Some(2), Some(2), 0)),
        ("вводная доза", (None, None, 0)),
        ("2/2", (Some(2), Some(2), 0)),
        ("RV1", (None, None, 0)),
        ("полная", (None, None, 1)),
    ] {
        assert_eq!(read(word), expected, "{word}");
    }
}

#[test]
fn an_ignored_result_is_no_fact_and_an_ignored_test_none_of_our_business() {
    let config = policy(
        r#"{"codes": {"results": {"в работе": "ignore", "*брак*": "ignore"},
            "tests": {"Глюкоза": "ignore"}, "vaccines": {"Грипп*": "ignore"},
            "diagnoses": {"ОРВИ": "ignore"}}}"#,
    );
    let apply = |fact| {
        let person = vec![id(IdentifierKind::Snils, SNILS)];
        by(&config).apply(record(person, fact), today())
    };
    for result in ["В работе", "отбраковано: брак взятия"] {
        let (made, _) = draft(apply(pcr(result)));
        assert!(made.body.withdraws() && made.only_if_sent);
    }
    let unknown_test = ClinicFact::Test {
        test: vec![Coding::local("неизвестный тест")],
        result: vec![Coding::local("в работе")],
        occurred_on: Field::Missing,
    };
    assert!(draft(apply(unknown_test)).0.only_if_sent);
    let mut glucose = pcr("5,5");
    let ClinicFact::Test { test, .. } = &mut glucose else {
        panic!("no test")
    };
    *test = vec![Coding::local("глюкоза")];
    let mut flu = shot();
    *vaccine_of(&mut flu) = vec![Coding::local("Гриппол плюс")];
    let cold = ClinicFact::Recovery {
        diagnosis: vec![Coding::local("ОРВИ")],
        began_on: Field::Missing,
        occurred_on: Field::Missing,
    };
    for fact in [glucose, flu, cold] {
        assert!(matches!(apply(fact), RecordOutcome::OutOfScope(_)));
    }
}

#[test]
fn patterns_that_disagree_are_a_conflict_of_codes() {
    let config =
        policy(r#"{"codes": {"results": {"*обнар*": "detected", "*сомни*": "inconclusive"}}}"#);
    let person = || vec![id(IdentifierKind::Snils, SNILS)];
    let outcome = by(&config).apply(record(person(), pcr("обнар. сомнит.")), today());
    assert!(matches!(
        outcome,
        RecordOutcome::Rejected(rejection) if rejection.reason == RejectionReason::CodeConflict
    ));
}

#[test]
fn a_placeholder_beside_a_number_is_no_fault_and_alone_is_nothing() {
    let people = vec![
        id(IdentifierKind::Snils, "000-000-000 00"),
        id(IdentifierKind::Oms, "нет"),
        id(IdentifierKind::PassportRu, "4509 123456"),
        of_country("б/н", ""),
    ];
    let (_, warnings) = draft(plain().apply(record(people, shot()), today()));
    assert_eq!(warnings, Warnings::default());
    let alone = record(vec![id(IdentifierKind::Snils, "нет")], shot());
    assert_eq!(reason(alone), RejectionReason::IdentifierMissing);
}

#[test]
fn an_ignored_country_leaves_its_identifier_out() {
    let config = policy(r#"{"codes": {"countries": {"дипломат": "ignore"}}}"#);
    let apply = |people| by(&config).apply(record(people, shot()), today());
    let ignored = || of_country("C01X00T47", "Дипломат");
    let (_, warnings) = draft(apply(vec![ignored(), id(IdentifierKind::Snils, SNILS)]));
    assert_eq!(warnings.identifiers_dropped, 0);
    assert!(matches!(
        apply(vec![ignored()]),
        RecordOutcome::Rejected(rejection)
            if rejection.reason == RejectionReason::IdentifierMissing
    ));
}

#[test]
fn a_wrong_snils_is_left_out_only_beside_a_strong_identifier() {
    let drop = policy(r#"{"identifiers": {"on_invalid_identifier": "drop"}}"#);
    let wrong = || id(IdentifierKind::Snils, "112-233-445 96");
    let national = Identifier {
        country: Some("CZ".into()),
        ..id(IdentifierKind::NationalId, "740104/0020")
    };
    for (other, strong) in [
        (id(IdentifierKind::PassportRu, "4509 123456"), true),
        (of_country("C01X00T47", "DE"), false),
        (national, false),
        (id(IdentifierKind::Snils, "112-233-445 95"), false),
        (id(IdentifierKind::Oms, "7700000000000008"), true),
        (id(IdentifierKind::Oms, "7700000000000009"), false),
        (id(IdentifierKind::Ehic, "80276000000000000017"), false),
        (id(IdentifierKind::BirthCertificate, "II-МЮ 123456"), false),
        (id(IdentifierKind::PassportRu, "4509"), false),
    ] {
        let kind = other.kind;
        let outcome = by(&drop).apply(record(vec![wrong(), other], shot()), today());
        match outcome {
            RecordOutcome::Draft(_, warnings) => {
                assert!(strong, "{kind:?}");
                assert_eq!(warnings.identifiers_dropped, 1);
            }
            RecordOutcome::Rejected(rejection) => {
                assert!(!strong, "{kind:?}");
                assert_eq!(rejection.reason, RejectionReason::IdentifierCheckDigit);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn of_too_many_identifiers_the_strongest_leave() {
    let two = with(
        &ring(&(ONE_EPOCH.to_owned() + SECOND_EPOCH)),
        Suite::Hmac,
        &PolicyConfig::default(),
    );
    let mut people = Vec::new();
    for number in 1..=3_u32 {
        let text = |prefix: &str| format!("{prefix}{:07}", 4_417_100 + number);
        people.push(id(IdentifierKind::BirthCertificate, &text("II")));
        people.push(id(IdentifierKind::ResidencePermit, &text("82")));
        people.push(of_country(&text("P"), "FR"));
        people.push(id(
            IdentifierKind::PassportRu,
            &format!("4509{}", 441_710 + number),
        ));
    }
    people.push(id(IdentifierKind::Oms, "7700000000000008"));
    people.push(id(IdentifierKind::Snils, SNILS));
    let (made, warnings) = draft(two.apply(record(people, shot()), today()));
    let Body::Asserted { subject, .. } = ready(made.body) else {
        panic!("withdrawn")
    };
    let of = |scheme| {
        let names = subject.pseudonyms().iter();
        names.filter(|name| name.scheme == scheme).count()
    };
    let counts = Scheme::ALL.map(of);
    assert_eq!(counts, [2, 2, 4, 0, 4, 0, 4, 0]);
    assert_eq!(warnings.identifiers_dropped, 1 + 1 + 1 + 3);
}

#[test]
fn keys_and_values_that_cannot_be_meant_are_errors() {
    let error = |codes: &str| {
        let config = policy(&format!(r#"{{"codes": {codes}}}"#));
        Policy::new(&config).err().map(|error| error.to_string())
    };
    for (codes, words) in [
        (
            r#"{"vaccines": {"*": "ignore"}}"#,
            "codes.vaccines: the key \"*\" can have no effect",
        ),
        (
            r#"{"tests": {"a*b": "ignore"}}"#,
            "write \\* for the character",
        ),
        (
            r#"{"results": {"http://loinc.org|": "ignore"}}"#,
            "no code stands after its |",
        ),
        (
            r#"{"diagnoses": {"ковид*": "recovery", "*КОВИД*": "ignore"}}"#,
            "another key matches the same words",
        ),
        (
            r#"{"doses": {"x": 10}}"#,
            "codes.doses: \"x\" is mapped to \"10\"",
        ),
        (r#"{"doses": {"x": "2/"}}"#, "1 to 9"),
        (
            r#"{"countries": {"x": "Германия"}}"#,
            "codes of ISO 3166-1 such as DE",
        ),
        (
            r#"{"countries": {" ": "DE"}}"#,
            "codes.countries: an empty code",
        ),
    ] {
        let said = error(codes).expect(codes);
        assert!(said.contains(words), "{said}");
    }
    for codes in [
        r#"{"vaccines": {"urn:list|*": "ignore", "urn:list|7": "sputnik-v"}}"#,
        r#"{"results": {"+": "detected", "A+": "detected", "A-": "not-detected"}}"#,
        r#"{"doses": {"x": 1, "y": "1", "z": "1/2"}}"#,
        r#"{"countries": {"x": "xxa", "y": "D", "z": "RKS"}}"#,
    ] {
        assert_eq!(error(codes), None, "{codes}");
    }
}

#[test]
fn a_policy_without_new_settings_is_written_as_before() {
    let written = serde_json::to_string(&PolicyConfig::default()).expect("a policy");
    for word in ["doses", "countries", "national_id", "on_invalid_identifier"] {
        assert!(!written.contains(word), "{written}");
    }
    let config = PolicyConfig {
        codes: CodesConfig {
            doses: [("x".to_owned(), "ignore".to_owned())].into(),
            ..CodesConfig::default()
        },
        ..PolicyConfig::default()
    };
    let written = serde_json::to_string(&config).expect("a policy");
    assert_eq!(policy(&written), config);
}

#[test]
fn a_release_policy_changes_the_content_of_what_it_coarsens_and_of_nothing_else() {
    let by_default = plain().apply(snils_shot(), today());
    let everything = plain().with_release(FactRelease::default());
    assert_eq!(everything.apply(snils_shot(), today()), by_default);

    let mut release = FactRelease::default();
    release.recovery.fields.clear();
    let of_recoveries = plain().with_release(release.clone());
    assert_eq!(of_recoveries.apply(snils_shot(), today()), by_default);

    release.vaccination.dates = DatePrecision::Month;
    let (exact, _) = draft(by_default);
    let (coarse, _) = draft(plain().with_release(release).apply(snils_shot(), today()));
    assert_eq!(
        coarse.record, exact.record,
        "it is a version of the same record"
    );
    assert_ne!(coarse.content, exact.content, "and so it is sent again");
}
