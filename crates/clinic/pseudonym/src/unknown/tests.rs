//! Tests of the values that nobody has mapped.

use connector_kit::{
    ClinicDate, ClinicFact, ClinicRecord, Coding, Field, Identifier, IdentifierKind, Person,
    RecordStatus,
};
use contract::Suite;

use super::*;
use crate::{KeyRing, Policy, PolicyConfig, Pseudonymiser, RecordOutcome, RejectionReason};

fn pseudonymiser(policy: &PolicyConfig) -> Pseudonymiser {
    let ring = KeyRing::generate();
    let policy = Policy::new(policy).unwrap();
    Pseudonymiser::new(&ring, Suite::Hmac, "mis", policy).unwrap()
}

fn plain() -> Pseudonymiser {
    pseudonymiser(&PolicyConfig::default())
}

fn identifier(kind: IdentifierKind, value: &str) -> Identifier {
    Identifier {
        kind,
        value: value.into(),
        country: None,
    }
}

fn coded(system: &str, code: &str) -> Coding {
    Coding {
        system: Some(system.into()),
        code: code.into(),
    }
}

fn day() -> Field<ClinicDate> {
    Field::Value(ClinicDate::Day("2021-07-04".parse().unwrap()))
}

fn record(fact: ClinicFact) -> ClinicRecord {
    ClinicRecord {
        record_id: "visit-77".into(),
        status: RecordStatus::Final,
        unmapped_status: None,
        person: Person {
            identifiers: vec![identifier(IdentifierKind::Snils, "112-233-445 95")],
            unreadable: false,
        },
        fact,
        stamp: None,
    }
}

fn shot(vaccine: Vec<Coding>) -> ClinicRecord {
    record(ClinicFact::Vaccination {
        vaccine,
        dose_number: Field::Missing,
        series_doses: Field::Missing,
        occurred_on: day(),
    })
}

fn seen(pseudonymiser: &Pseudonymiser, record: ClinicRecord) -> Option<SeenValue> {
    let today = "2021-07-15".parse().unwrap();
    let beforehand = pseudonymiser.unknown_value(&record, today);
    let RecordOutcome::Rejected(rejection) = pseudonymiser.apply(record, today) else {
        panic!("the record is not refused");
    };
    assert_eq!(beforehand, rejection.value);
    rejection.value
}

fn word(pseudonymiser: &Pseudonymiser, record: ClinicRecord) -> Option<(ValueTable, String)> {
    seen(pseudonymiser, record).map(|seen| (seen.value.table, seen.value.key()))
}

fn value(word: &str) -> UnknownValue {
    UnknownValue::new(ValueTable::Tests, None, word).unwrap()
}

#[test]
fn each_field_names_the_value_that_nobody_has_mapped() {
    use ValueTable as Table;
    let plain = plain();
    let named = |record| word(&plain, record).map(|(table, word)| format!("{table:?} {word}"));
    assert_eq!(
        named(shot(vec![Coding::local(" Бактоковид-7 ")])).unwrap(),
        "Vaccines Бактоковид-7"
    );
    let test = |test: &str, result: &str| {
        record(ClinicFact::Test {
            test: vec![Coding::local(test)],
            result: vec![Coding::local(result)],
            occurred_on: day(),
        })
    };
    assert_eq!(named(test("мазок 7", "?")).unwrap(), "Tests мазок 7");
    assert_eq!(named(test("94500-6", "бледно")).unwrap(), "Results бледно");
    let illness = ClinicFact::Recovery {
        diagnosis: vec![Coding::local("U07.2")],
        began_on: Field::Missing,
        occurred_on: day(),
    };
    assert_eq!(named(record(illness)).unwrap(), "Diagnoses U07.2");
    let signed = ClinicRecord {
        status: RecordStatus::Unknown,
        unmapped_status: Some("подписан".into()),
        ..shot(vec![Coding::local("Гам-КОВИД-Вак")])
    };
    assert_eq!(named(signed).unwrap(), "Status подписан");
    let mut foreign = shot(vec![Coding::local("Гам-КОВИД-Вак")]);
    foreign.person.identifiers = vec![Identifier {
        country: Some("Атлантида".into()),
        ..identifier(IdentifierKind::PassportForeign, "YA4417001")
    }];
    let found = seen(&plain, foreign).unwrap();
    assert_eq!(found.value.table, Table::Countries);
    assert_eq!(found.value.word, "Атлантида");
    assert_eq!(found.persons.len(), 1, "the number tells persons apart");
}

#[test]
fn refusals_for_other_reasons_name_none() {
    let plain = plain();
    for vaccine in [vec![], vec![Coding::local(" ")]] {
        assert_eq!(word(&plain, shot(vaccine)), None, "nothing is written");
    }
    let unknown = ClinicRecord {
        status: RecordStatus::Unknown,
        ..shot(vec![])
    };
    assert_eq!(word(&plain, unknown), None);
    let mut nobody = shot(vec![Coding::local("Гам-КОВИД-Вак")]);
    nobody.person.identifiers.clear();
    assert_eq!(word(&plain, nobody), None);
}

#[test]
fn of_several_codes_the_one_is_named_that_decides() {
    let plain = plain();
    let named = |vaccine| word(&plain, shot(vaccine)).map(|(_, key)| key);
    let cvx = "http://hl7.org/fhir/sid/cvx";
    let about = vec![Coding::local("Штука"), coded(cvx, "213")];
    assert_eq!(named(about).unwrap(), format!("{cvx}|213"));
    let spoken = vec![coded(cvx, "140"), Coding::local("вакцина от COVID-19")];
    assert_eq!(named(spoken).unwrap(), "вакцина от COVID-19");
    let other_system = vec![coded("our list", "17")];
    assert_eq!(
        named(other_system).unwrap(),
        "17",
        "a system that is no URI is none"
    );
    let conflict = vec![Coding::local("Спутник V"), Coding::local("Comirnaty")];
    assert_eq!(
        word(&plain, shot(conflict)).unwrap(),
        (
            ValueTable::Conflicts,
            "Спутник V beside Comirnaty".to_owned()
        )
    );
}

#[test]
fn spellings_are_one_value_and_signs_make_two() {
    let plain = plain();
    let digest = |word: &str| {
        seen(&plain, shot(vec![Coding::local(word)]))
            .unwrap()
            .digest
    };
    let same = ["Щука  зелёная", "щука зеленая", "ЩУКА ЗЕЛЕНАЯ "].map(digest);
    assert!(same.iter().all(|other| *other == same[0]));
    assert_ne!(digest("Щука+"), digest("Щука-"));
    let other = pseudonymiser(&PolicyConfig::default());
    let elsewhere = seen(&other, shot(vec![Coding::local("Щука  зелёная")]));
    assert_ne!(
        elsewhere.unwrap().digest,
        same[0],
        "another clinic's key, another digest"
    );
}

#[test]
fn a_person_is_told_by_each_usable_identifier() {
    let plain = plain();
    let persons = |identifiers: Vec<Identifier>| {
        let mut record = shot(vec![Coding::local("Щука")]);
        record.person.identifiers = identifiers;
        seen(&plain, record).unwrap().persons
    };
    let snils = |value: &str| identifier(IdentifierKind::Snils, value);
    let one = persons(vec![
        snils("112-233-445 95"),
        identifier(IdentifierKind::PassportRu, "4509 123456"),
    ]);
    assert_eq!(one.len(), 2);
    assert_eq!(persons(vec![snils("11223344595")]), one[..1]);
    assert_ne!(persons(vec![snils("087-654-303 00")]), one[..1]);
    let unusable = [
        snils("112-233-445 96"),
        identifier(IdentifierKind::Oms, "0000000000000000"),
    ];
    assert!(persons(Vec::from(unusable)).is_empty());
}

#[test]
fn only_short_printable_lines_without_long_numbers_may_be_shown() {
    for shown in [
        "Бетувакс-КоВ-2",
        "Pfizer-BioNTech COVID-19 Vaccine, 30 mcg/0.3 mL",
        "12345678",
        "840539006",
        "882784691000119100",
        "серия 1234-5678",
        &"я".repeat(MAX_VALUE_CHARS),
    ] {
        assert!(value(shown).may_be_shown(), "{shown}");
    }
    for hidden in [
        &"я".repeat(MAX_VALUE_CHARS + 1),
        "a\nb",
        "a\tb",
        "a\u{202e}b",
        "a\u{2028}b",
        "a\u{fffd}b",
        "112-233-445 95",
        "СНИЛС 11223344595",
        "4509 123456 Иванова",
        "8827846910001191001",
    ] {
        assert!(!value(hidden).may_be_shown(), "{hidden}");
    }
    let system = UnknownValue::of_coding(
        ValueTable::Vaccines,
        &coded("urn:oid:1.2.643", "1234567890123"),
    );
    assert!(
        system.unwrap().may_be_shown(),
        "codes of a system are nobody's"
    );
    let text = UnknownValue::of_coding(
        ValueTable::Vaccines,
        &coded("urn:oid:1.2.643", "СНИЛС 112-233-445 95"),
    );
    assert!(!text.unwrap().may_be_shown(), "a text beside a system");
}

#[test]
fn values_are_read_as_they_were_written_and_debug_shows_none() {
    let value = UnknownValue::of_coding(
        ValueTable::Tests,
        &coded("http://loinc.org", "Иванова 94500-6"),
    )
    .unwrap();
    assert_eq!(value.key(), "http://loinc.org|Иванова 94500-6");
    let read = UnknownValue::from_text(ValueTable::Tests, &value.to_text());
    assert_eq!(read.as_ref(), Some(&value));
    assert_eq!(UnknownValue::from_text(ValueTable::Tests, "word"), None);
    assert!(value.can_be_key() && !self::value("a|b").can_be_key());
    let shown = format!("{value:?}");
    assert!(
        !shown.contains("Иванова") && shown.contains("tests"),
        "{shown}"
    );
    for table in ValueTable::ALL {
        assert_eq!(ValueTable::of(table.as_str()), Some(table));
    }
    assert_eq!(ValueTable::of("doses"), None);
}

#[test]
fn a_value_is_known_once_the_configuration_maps_it() {
    let plain = plain();
    let found = seen(&plain, shot(vec![Coding::local("Щука")])).unwrap();
    assert!(!plain.is_known(&found.value));
    for target in ["sputnik-v", "not-covid"] {
        let mut config = PolicyConfig::default();
        config.codes.vaccines.insert("щука".into(), target.into());
        assert!(pseudonymiser(&config).is_known(&found.value), "{target}");
    }
}

#[test]
fn a_rejection_keeps_its_reason_beside_the_value() {
    let RecordOutcome::Rejected(rejection) = plain().apply(
        shot(vec![Coding::local("Щука")]),
        "2021-07-15".parse().unwrap(),
    ) else {
        panic!("accepted");
    };
    assert_eq!(rejection.reason, RejectionReason::VaccineUnknown);
    assert!(!format!("{rejection:?}").contains("Щука"));
}

#[test]
fn the_nearest_listed_name_is_a_hint() {
    let plain = plain();
    let nearest =
        |table, word: &str| plain.nearest_target(&UnknownValue::new(table, None, word).unwrap());
    use ValueTable as Table;
    let long = "Вакцина «Гам-КОВИД-Вак» комбинированная векторная, раствор";
    assert_eq!(nearest(Table::Vaccines, long), Some("sputnik-v"));
    assert_eq!(nearest(Table::Vaccines, "Комирнатти"), Some("comirnaty"));
    assert_eq!(nearest(Table::Vaccines, "Грипполь ++"), None);
    assert_eq!(nearest(Table::Vaccines, "20877"), None);
    assert_eq!(
        nearest(Table::Vaccines, "Спутник"),
        None,
        "as near to Спутник V as to Спутник М"
    );
    assert_eq!(
        nearest(Table::Vaccines, "Спутник Лайтт"),
        Some("sputnik-light")
    );
    assert_eq!(
        nearest(Table::Results, "не обнаружены!"),
        Some("not-detected")
    );
    assert_eq!(nearest(Table::Status, "finall"), None);
    for table in Table::ALL {
        let targets = table.targets();
        assert!(targets.iter().all(|target| !target.is_empty()), "{table:?}");
    }
}
