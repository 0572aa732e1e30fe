//! Tests of the schema.

use serde_json::{Value, json};

use super::{Formats, Version, faults, version_of};

fn vaccination(version: &str) -> Value {
    json!({
        "ver": version,
        "nam": { "fn": "Ёлкина", "fnt": "ELKINA<<ANNA", "gn": "Анна" },
        "dob": "1979-04-14",
        "v": [{
            "tg": "840539006", "vp": "1119305005", "mp": "EU/1/20/1528", "ma": "ORG-100030215",
            "dn": 2, "sd": 2, "dt": "2021-04-21", "co": "NL", "is": "Ministry",
            "ci": "URN:UVCI:01:NL:PLA8UWS60Z4RZXVALL6GAZ"
        }]
    })
}

fn test(version: &str) -> Value {
    json!({
        "ver": version,
        "nam": { "fnt": "ELKINA" },
        "dob": "1979-04-14",
        "t": [{
            "tg": "840539006", "tt": "LP6464-4", "nm": "Kit", "sc": "2021-04-13T14:20:00+00:00",
            "tr": "260415000", "tc": "GGD", "co": "NL", "is": "Ministry", "ci": "URN:UVCI:01:NL:1"
        }]
    })
}

fn recovery(version: &str) -> Value {
    json!({
        "ver": version,
        "nam": { "fnt": "ELKINA" },
        "dob": "1979-04-14",
        "r": [{
            "tg": "840539006", "fr": "2021-04-21", "co": "NL", "is": "Ministry",
            "df": "2021-05-01", "du": "2021-10-21", "ci": "URN:UVCI:01:NL:2"
        }]
    })
}

fn check(certificate: &Value) -> Vec<String> {
    faults(
        certificate,
        version_of(certificate).unwrap(),
        Formats::Checked,
    )
}

/// Faults after the member at a JSON pointer was set, or taken away with `null`.
fn changed(mut certificate: Value, pointer: &str, value: Value) -> Vec<String> {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = certificate.pointer_mut(parent).unwrap();
    let members = parent.as_object_mut().unwrap();
    if value.is_null() {
        members.remove(name);
    } else {
        members.insert(name.to_owned(), value);
    }
    check(&certificate)
}

#[test]
fn each_kind_in_each_version_is_good() {
    for version in ["1.0.0", "1.0.1", "1.1.0", "1.2.1", "1.3.0", "1.3.2"] {
        for certificate in [vaccination(version), test(version), recovery(version)] {
            assert_eq!(check(&certificate), Vec::<String>::new(), "{version}");
        }
    }
}

#[test]
fn each_missing_member_is_named() {
    let pointers = |certificate: &Value, group: &str| -> Vec<String> {
        let entry = certificate[group][0].as_object().unwrap();
        let names = entry.keys().filter(|name| *name != "nm");
        names.map(|name| format!("/{group}/0/{name}")).collect()
    };
    for (certificate, group) in [
        (vaccination("1.0.0"), "v"),
        (test("1.0.0"), "t"),
        (recovery("1.0.0"), "r"),
    ] {
        for pointer in pointers(&certificate, group) {
            let found = changed(certificate.clone(), &pointer, Value::Null);
            let path = pointer.trim_start_matches('/').replace("/0/", "[0].");
            assert_eq!(found, [format!("{path}: is missing")]);
        }
        for member in ["nam", "dob"] {
            let found = changed(certificate.clone(), &format!("/{member}"), Value::Null);
            assert_eq!(found, [format!("{member}: is missing")]);
        }
    }
}

#[test]
fn a_wrong_value_is_named_by_its_member_and_not_shown() {
    let cases = [
        ("/nam/fnt", json!("elkina")),
        ("/nam/fn", json!("x".repeat(81))),
        ("/dob", json!("14.04.1979")),
        ("/dob", json!(1979)),
        ("/v/0/dn", json!("2")),
        ("/v/0/sd", json!(0)),
        ("/v/0/sd", json!(1.5)),
        ("/v/0/dt", json!("2021-02-30")),
        ("/v/0/co", json!("")),
        ("/v/0/ci", json!({ "bytes": "ff" })),
        ("/v/0/tg", json!(840_539_006)),
        ("/v", json!({})),
        ("/v", json!([])),
        ("/nam", json!([])),
    ];
    for (pointer, value) in cases {
        let found = changed(vaccination("1.3.0"), pointer, value.clone());
        assert_eq!(found.len(), 1, "{pointer} {value}: {found:?}");
        let name = pointer.rsplit('/').next().unwrap();
        assert!(found[0].contains(name), "{found:?}");
        assert!(!found[0].contains("elkina") && !found[0].contains("14.04"));
    }
}

#[test]
fn lengths_and_doses_are_limited_as_their_version_says() {
    let name = |version: &str, length: usize| {
        changed(vaccination(version), "/nam/fn", json!("Ё".repeat(length))).len()
    };
    assert_eq!([name("1.0.0", 50), name("1.0.0", 51)], [0, 1]);
    assert_eq!([name("1.3.0", 80), name("1.3.0", 81)], [0, 1]);
    let doses =
        |version: &str, number: u64| changed(vaccination(version), "/v/0/dn", json!(number)).len();
    assert_eq!([doses("1.0.0", 9), doses("1.0.0", 10)], [0, 1]);
    assert_eq!([doses("1.3.0", 10), doses("1.3.0", 0)], [0, 1]);
}

#[test]
fn a_date_of_birth_may_be_partial_or_empty_where_its_version_says_so() {
    let birth =
        |version: &str, text: &str| changed(vaccination(version), "/dob", json!(text)).is_empty();
    assert!(!birth("1.0.0", "1979-04") && birth("1.1.0", "1979-04") && birth("1.3.0", "1979"));
    assert!(!birth("1.1.0", "") && birth("1.3.0", ""));
    assert!(!birth("1.3.0", "1879") && !birth("1.3.0", "1979-4") && !birth("1.3.0", "1979-"));
}

#[test]
fn one_name_is_enough_from_1_3_2_on() {
    let forename_only =
        |version: &str| changed(vaccination(version), "/nam", json!({ "gnt": "ANNA" })).is_empty();
    assert!(!forename_only("1.0.0") && !forename_only("1.3.0") && !forename_only("1.3.1"));
    assert!(forename_only("1.3.2"));
}

#[test]
fn unchecked_formats_leave_dates_to_the_patterns() {
    let unchecked = |version: &str, pointer: &str, text: &str| {
        let mut certificate = vaccination(version);
        *certificate.pointer_mut(pointer).unwrap() = json!(text);
        let version = version_of(&certificate).unwrap();
        let checked = faults(&certificate, version, Formats::Checked).is_empty();
        (
            checked,
            faults(&certificate, version, Formats::Unchecked).is_empty(),
        )
    };
    assert_eq!(unchecked("1.3.0", "/v/0/dt", "21.04.2021"), (false, true));
    assert_eq!(unchecked("1.0.0", "/dob", "born 1979-04-14"), (false, true));
    assert_eq!(unchecked("1.0.0", "/dob", "1979-04"), (false, false));
    assert_eq!(unchecked("1.3.0", "/dob", "14.04.1979"), (false, false));
}

#[test]
fn from_version_1_2_on_there_is_one_entry_of_one_kind() {
    let entry = test("1.0.0")["t"].clone();
    assert!(changed(vaccination("1.0.0"), "/t", entry.clone()).is_empty());
    assert_eq!(changed(vaccination("1.3.0"), "/t", entry).len(), 1);
    let twice = vaccination("1.0.0")["v"][0].clone();
    let twice = json!([twice, twice]);
    assert!(changed(vaccination("1.0.0"), "/v", twice.clone()).is_empty());
    assert_eq!(changed(vaccination("1.3.0"), "/v", twice).len(), 1);
    assert_eq!(changed(vaccination("1.3.0"), "/v", Value::Null).len(), 1);
}

#[test]
fn further_members_and_unknown_kinds_are_left_alone() {
    assert!(changed(vaccination("1.0.0"), "/x", json!([{ "y": 1 }])).is_empty());
    assert!(changed(vaccination("1.3.0"), "/v/0/x", json!(true)).is_empty());
    assert!(version_of(&json!([])).is_err());
    assert_eq!(
        faults(&json!([]), Version::NEWEST, Formats::Checked).len(),
        1
    );
}

#[test]
fn versions_are_read_strictly() {
    for (text, version) in [
        ("1.0.0", Some(Version::First)),
        ("1.2.1", Some(Version::OneEntry)),
        ("1.3.1", Some(Version::EmptyBirth)),
        ("1.3.7", Some(Version::OneName)),
        ("1.4.0", None),
        ("1.10.0", None),
        ("01.3.0", None),
        ("2.0.0", None),
        ("1.0", None),
        ("1.0.0.0", None),
        ("+1.0.0", None),
        ("1.0.x", None),
        ("", None),
    ] {
        assert_eq!(Version::named(text), version, "{text}");
    }
}
