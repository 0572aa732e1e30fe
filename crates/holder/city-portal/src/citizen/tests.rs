//! Tests of the form: what each field takes, and what is told where it cannot be used.

use chrono::NaiveDate;
use pass::holder::{BirthDate, HolderAttributes, Initial};
use pseudonym::{CitizenPseudonyms, KeyRing, Policy, PolicyConfig, Pseudonym, Suite};
use serde_json::{Value, json};

use super::*;
use crate::limits::MAX_TYPED_CHARS;
use crate::pseudonyms::{PseudonymSource, ReadIdentifiers};

fn today() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 11, 29).expect("a day")
}

fn pseudonyms(ring: &KeyRing) -> PseudonymSource {
    let policy = Policy::new(&PolicyConfig::default()).expect("the default policy");
    CitizenPseudonyms::new(&ring.shared(), Suite::Hmac, policy).into()
}

/// Pseudonyms of a good form.
fn named(form: &Value, ring: &KeyRing) -> Vec<Pseudonym> {
    let source = pseudonyms(ring);
    let checked = read(form).check(&source, today());
    match checked.map(|checked| checked.identifiers) {
        Ok(ReadIdentifiers::Named(pseudonyms)) => pseudonyms,
        _ => panic!("a good form, and shared keys"),
    }
}

fn good() -> Value {
    json!({
        "document": "snils", "number": "612-480-911 69", "given_name": "Ольга",
        "family_name": "Орлова", "birth_date": "14.07.1990",
    })
}

fn with(changes: &[(&str, &str)]) -> Value {
    let mut form = good();
    for (field, text) in changes {
        form[*field] = json!(text);
    }
    form
}

fn read(form: &Value) -> CitizenForm {
    serde_json::from_value(form.clone()).expect("a form")
}

/// Faults as pairs of field and code.
fn faults(form: &Value) -> Vec<(&'static str, &'static str)> {
    match read(form).check(&pseudonyms(&KeyRing::generate()), today()) {
        Ok(_) => Vec::new(),
        Err(faults) => faults
            .iter()
            .map(|one| (one.field.as_str(), one.fault.as_str()))
            .collect(),
    }
}

fn holder(form: &Value) -> HolderAttributes {
    let source = pseudonyms(&KeyRing::generate());
    match read(form).check(&source, today()) {
        Ok(checked) => checked.holder,
        Err(faults) => panic!("{faults:?}"),
    }
}

#[test]
fn a_good_form_gives_pseudonyms_and_few_attributes() {
    assert_eq!(faults(&good()), []);
    let shown = holder(&good());
    assert_eq!(shown.birth().day(), Some(14));
    let share = pass::holder::Share::of(shown);
    assert!(share >= pass::holder::LEAST_SHARE);
    let ring = KeyRing::generate();
    let of = |number: &str| named(&with(&[("number", number)]), &ring);
    assert!(!of("612-480-911 69").is_empty());
    assert_eq!(of("612-480-911 69"), of(" 61248091169 "));
}

#[test]
fn each_document_has_its_own_rules() {
    let zero = "612-48О-911 69";
    for (document, number, code) in [
        ("snils", "612-480-911 68", "snils-check"),
        ("snils", "612-480-911", "snils-form"),
        ("snils", "шестьсот", "snils-form"),
        ("snils", zero, "snils-form"),
        ("snils", "111-111-111 45", "placeholder"),
        ("snils", "", "number-missing"),
        ("snils", " - ", "number-missing"),
        ("oms", "77018850000000", "oms-form"),
        ("oms", "ОМС", "oms-form"),
        ("passport-ru", "45 10 12345", "passport-ru-form"),
        ("passport-ru", "45 10 12З456", "passport-ru-form"),
        ("passport-ru", "45 10 000000", "placeholder"),
    ] {
        let form = with(&[("document", document), ("number", number)]);
        assert_eq!(faults(&form), [("number", code)], "{document} {number}");
    }
    for (document, number) in [
        ("oms", "7701 8850 0000 0019"),
        ("passport-ru", "45 10 700101"),
        ("passport-ru", "4510 № 700101"),
    ] {
        let form = with(&[("document", document), ("number", number)]);
        assert_eq!(faults(&form), [], "{document} {number}");
    }
}

#[test]
fn a_foreign_passport_needs_a_country_of_the_list_and_takes_cyrillic_look_alikes() {
    let foreign = |number: &str, country: &str| {
        with(&[
            ("document", "passport-foreign"),
            ("number", number),
            ("country", country),
        ])
    };
    let mut without = foreign("12AB34567", "");
    assert_eq!(faults(&without), [("country", "country-missing")]);
    without
        .as_object_mut()
        .expect("an object")
        .remove("country");
    assert_eq!(faults(&without), [("country", "country-missing")]);
    assert_eq!(
        faults(&foreign("", "")),
        [("country", "country-missing"), ("number", "number-missing"),]
    );
    assert_eq!(
        faults(&foreign("12AB34567", "ZZ")),
        [("country", "country-unknown")]
    );
    assert_eq!(
        faults(&foreign("12", "FR")),
        [("number", "passport-foreign-form")]
    );
    assert_eq!(
        faults(&foreign("12АБ34567", "FR")),
        [("number", "passport-foreign-form")]
    );
    let ring = KeyRing::generate();
    let of = |number: &str| named(&foreign(number, "FR"), &ring);
    // The second one has Cyrillic А and В.
    assert_eq!(of("12AB34567"), of("12АВ34567"));
}

#[test]
fn a_national_number_needs_its_country() {
    let national = |number: &str, country: &str| {
        with(&[
            ("document", "national-id"),
            ("number", number),
            ("country", country),
        ])
    };
    assert_eq!(
        faults(&national("740104/0020", "")),
        [("country", "country-missing")]
    );
    assert_eq!(
        faults(&national("740", "CZ")),
        [("number", "national-id-form")]
    );
    assert_eq!(faults(&national("740104/0020", "CZ")), []);
}

#[test]
fn every_country_of_the_page_is_taken() {
    let page = include_str!("../../page/countries.js");
    let quoted: String = page
        .split('"')
        .skip(1)
        .step_by(2)
        .collect::<Vec<_>>()
        .join(" ");
    let codes: Vec<&str> = quoted
        .split(' ')
        .filter(|code| matches!(code.len(), 2 | 3))
        .filter(|code| code.bytes().all(|byte| byte.is_ascii_uppercase()))
        .collect();
    assert_eq!(codes.len(), 249 + 7);
    for code in codes {
        let form = with(&[
            ("document", "passport-foreign"),
            ("number", "12AB34567"),
            ("country", code),
        ]);
        assert_eq!(faults(&form), [], "{code}");
    }
}

#[test]
fn an_empty_form_is_answered_field_by_field() {
    let form = with(&[
        ("number", ""),
        ("given_name", ""),
        ("family_name", " "),
        ("birth_date", ""),
    ]);
    let expected = [
        ("number", "number-missing"),
        ("family_name", "name-missing"),
        ("birth_date", "birth-missing"),
    ];
    assert_eq!(faults(&form), expected);
}

#[test]
fn ten_kilobytes_in_every_field_are_too_long_for_each() {
    let long = "я".repeat(10_000);
    let fields = ["number", "given_name", "family_name", "birth_date"];
    let form = with(&fields.map(|field| (field, long.as_str())));
    let expected = fields.map(|field| (field, "too-long"));
    assert_eq!(faults(&form), expected);
    let most = "я".repeat(MAX_TYPED_CHARS);
    assert_eq!(faults(&with(&[("family_name", &most)])), []);
    let more = "я".repeat(MAX_TYPED_CHARS + 1);
    let over = faults(&with(&[("family_name", &more)]));
    assert_eq!(over, [("family_name", "too-long")]);
}

#[test]
fn a_certificate_names_initials_where_a_strip_names_a_date_of_birth() {
    let source = pseudonyms(&KeyRing::generate());
    let checked = read(&good()).check(&source, today()).ok();
    let citizen = checked.expect("a good form");
    assert_eq!(citizen.holder.given_initial(), None);
    let shown = citizen.certificate_holder;
    assert_eq!(shown.birth(), BirthDate::default());
    assert!(shown.given_initial().is_some() || shown.family_initial().is_some());
    assert!(pass::holder::Share::of(shown) >= pass::holder::LEAST_SHARE);
}

#[test]
fn names_of_one_word_and_of_scripts_without_a_rule_are_taken() {
    let one = with(&[("given_name", "")]);
    assert_eq!(faults(&one), []);
    let han = with(&[("given_name", "小明"), ("family_name", "王")]);
    assert_eq!(faults(&han), []);
    assert_eq!(holder(&han).given_initial(), None);
    let digits = with(&[("given_name", "12345")]);
    assert_eq!(faults(&digits), [("given_name", "name-without-letter")]);
    let markup = with(&[("given_name", "<script>alert(1)</script>")]);
    assert_eq!(faults(&markup), []);
    let known = holder(&markup).given_initial().map(Initial::as_str);
    assert!(known.is_none_or(|letter| letter == "S"));
}

#[test]
fn dates_of_birth_are_read_as_people_write_them() {
    let of = |text: &str| faults(&with(&[("birth_date", text)]));
    for good in [
        "14.07.1990",
        "14/7/1990",
        "1990-07-14",
        " 14.07.1990 ",
        "29.02.2000",
        "00.00.1960",
        "00.07.1960",
        "29.11.2026",
        "01.01.1896",
    ] {
        assert_eq!(of(good), [], "{good}");
    }
    for (bad, code) in [
        ("31.02.1990", "birth-no-such-day"),
        ("29.02.2001", "birth-no-such-day"),
        ("14.13.1990", "birth-no-such-day"),
        ("30.11.2026", "birth-future"),
        ("00.00.2027", "birth-future"),
        ("31.12.1895", "birth-long-ago"),
        ("14.07.90", "birth-form"),
        ("14.07", "birth-form"),
        ("14.07.1990.1", "birth-form"),
        ("14 июля 1990", "birth-form"),
        ("1О.О7.1990", "birth-form"),
        ("-1.07.1990", "birth-form"),
        ("+1.07.1990", "birth-form"),
    ] {
        assert_eq!(of(bad), [("birth_date", code)], "{bad}");
    }
}

#[test]
fn what_the_document_does_not_state_is_not_disclosed() {
    let unknown = holder(&with(&[("birth_date", "00.00.1960")]));
    assert_eq!(unknown.birth().day(), None);
    assert_eq!(unknown.birth().month(), None);
}

#[test]
fn a_form_with_other_fields_is_none() {
    for change in [
        json!({ "document": "passport" }),
        json!({ "number": 5 }),
        json!({ "name": "x" }),
        json!({ "birth_date": null }),
    ] {
        let mut form = good();
        let changes = change.as_object().expect("an object");
        form.as_object_mut()
            .expect("an object")
            .extend(changes.clone());
        assert!(
            serde_json::from_value::<CitizenForm>(form).is_err(),
            "{change}"
        );
    }
}
