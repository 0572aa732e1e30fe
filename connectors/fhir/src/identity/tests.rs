//! Tests of the numberings that identifiers belong to.

use serde_json::{Value, json};

use super::*;

const SNILS: &str = "https://fhir.ru/ig/core/systems/snils";

fn rules(extra: &Value) -> IdentifierSystems {
    let mut config = json!({"base_url": "https://x/"});
    config
        .as_object_mut()
        .unwrap()
        .extend(extra.as_object().unwrap().clone());
    IdentifierSystems::new(&serde_json::from_value(config).unwrap())
}

fn read(extra: &Value, identifiers: &Value) -> Vec<(IdentifierKind, String, Option<String>)> {
    let now = "2021-07-01T22:00:00Z".parse().unwrap();
    let patient = json!({"resourceType": "Patient", "identifier": identifiers}).to_string();
    let person = rules(extra)
        .patient(&patient, now)
        .identifiers
        .into_person();
    assert!(!person.unreadable);
    person
        .identifiers
        .into_iter()
        .map(|i| (i.kind, i.value.expose_secret().to_owned(), i.country))
        .collect()
}

fn country(identifier: &Value) -> Option<Option<String>> {
    read(&json!({}), &json!([identifier]))
        .pop()
        .map(|(kind, _, country)| {
            assert_eq!(kind, IdentifierKind::PassportForeign);
            country
        })
}

#[test]
fn built_in_and_configured_systems() {
    let found = read(
        &json!({"identifier_systems":
            {"urn:rf:passport": "passport-ru", "urn:oid:1.2.643.100.3": "ignored"}}),
        &json!([{"system": SNILS, "value": "112-233-445 95"},
               {"system": "https://fhir.ru/ig/core/systems/oms", "value": "1"},
               {"system": "urn:oid:1.2.643.100.3", "value": "not read"},
               {"system": "urn:rf:passport", "value": "4509 123456"},
               {"system": "urn:mrn", "value": "77"},
               {"value": "no system"},
               {"system": SNILS, "value": " "}]),
    );
    let kinds: Vec<_> = found
        .iter()
        .map(|(kind, value, _)| (*kind, value.as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            (IdentifierKind::Snils, "112-233-445 95"),
            (IdentifierKind::Oms, "1"),
            (IdentifierKind::PassportRu, "4509 123456")
        ]
    );
}

#[test]
fn identifiers_no_longer_in_use_are_left_out() {
    let with = |extra: Value| {
        let mut identifier = json!({"system": SNILS, "value": "1"});
        identifier
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        read(&json!({}), &json!([identifier])).len()
    };
    assert_eq!(with(json!({"use": "old"})), 0);
    assert_eq!(
        with(json!({"period": {"end": "2021-07-01"}})),
        0,
        "it is already 2 July in Moscow"
    );
    assert_eq!(with(json!({"period": {"end": "2021-07-02"}})), 1);
    assert_eq!(with(json!({"period": {"end": "2020"}})), 0);
    assert_eq!(with(json!({"period": {"end": "2021"}})), 1);
    assert_eq!(with(json!({"period": {"end": "later"}})), 1);
    assert_eq!(
        with(json!({"use": "official", "period": {"start": "2000"}})),
        1
    );
}

#[test]
fn a_passport_needs_its_country() {
    let typed = json!({"coding": [{"system": TYPE_SYSTEMS[0], "code": "PPN"}]});
    assert_eq!(
        country(&json!({"system": "http://hl7.org/fhir/sid/passport-DEU", "value": "C01"})),
        Some(Some("DEU".into()))
    );
    assert_eq!(
        country(&json!({"system": "http://hl7.org/fhir/sid/passport-RUS", "value": "C01"})),
        None
    );
    assert_eq!(
        country(&json!({"system": "http://hl7.org/fhir/sid/passport-123", "value": "C01"})),
        None
    );
    assert_eq!(
        country(&json!({"type": typed, "value": "C01"})),
        Some(None),
        "kept, to be refused visibly"
    );
    let assigner = json!({"identifier": {"system": COUNTRY_SYSTEM, "value": "FR"}});
    assert_eq!(
        country(&json!({"type": typed, "value": "C01", "assigner": assigner})),
        Some(Some("FR".into()))
    );
    let coding = json!({"system": "urn:iso:std:iso:3166:-1", "code": "IND"});
    let extension = json!({"url": "urn:x", "valueCodeableConcept": {"coding": [coding]}});
    assert_eq!(
        country(&json!({"type": typed, "value": "C01", "extension": [extension]})),
        Some(Some("IND".into()))
    );
    let by_setting = read(
        &json!({
            "identifier_countries": {"urn:p": "USA"},
            "identifier_systems": {"urn:p": "passport-foreign"},
        }),
        &json!([{"system": "urn:p", "value": "X1"}]),
    );
    assert_eq!(
        by_setting,
        [(
            IdentifierKind::PassportForeign,
            "X1".into(),
            Some("USA".into())
        )]
    );
}

#[test]
fn a_patient_of_the_wrong_shape_is_unreadable_not_absent() {
    let json = r#"{"identifier": [{"value": 11223344595}]}"#;
    let person = rules(&json!({}))
        .patient(json, DateTime::UNIX_EPOCH)
        .identifiers
        .into_person();
    assert!(person.unreadable && person.identifiers.is_empty());
}

#[test]
fn systems_that_lack_something_are_told_once_and_without_values() {
    let patient = json!({"identifier": [
        {"system": "urn:mrn", "value": "secret"}, {"system": "urn:mrn", "value": "x"},
        {"system": "urn:id", "value": "z"}, {"system": SNILS, "value": "1"},
        {"value": "y"}]});
    let rules = rules(&json!({"identifier_systems": {"urn:id": "national-id"}}));
    let lacking = rules.lacking(&patient.to_string()).into_iter();
    assert_eq!(
        lacking.collect::<Vec<_>>(),
        [
            (Lack::Meaning, "urn:mrn".to_owned()),
            (Lack::Country, "urn:id".to_owned())
        ]
    );
    assert!(rules.is_known("urn:id") && rules.is_known(SNILS) && !rules.is_known("urn:mrn"));
}

#[test]
fn a_national_number_has_the_country_that_configuration_names() {
    let numbers = json!([{"system": "urn:pesel", "value": "44051401359"}]);
    let systems = json!({"urn:pesel": "national-id"});
    let with = |countries: Value| {
        let extra = json!({"identifier_systems": systems, "identifier_countries": countries});
        read(&extra, &numbers).remove(0)
    };
    let number = |country: Option<&str>| {
        let country = country.map(str::to_owned);
        (
            IdentifierKind::NationalId,
            "44051401359".to_owned(),
            country,
        )
    };
    assert_eq!(with(json!({"urn:pesel": "POL"})), number(Some("POL")));
    assert_eq!(with(json!({})), number(None), "kept, to be refused visibly");
}
