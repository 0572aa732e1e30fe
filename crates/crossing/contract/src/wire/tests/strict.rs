//! Refusals of the decoder, with their reasons.

use serde_json::{Value, json};

use super::samples;
use crate::wire::{BatchError, MAX_ENCODED_BYTES, MAX_EVENTS, Refused, decode, encode};
use crate::{Event, RefusalReason, Subject};

fn event(name: &str) -> Event {
    samples()
        .into_iter()
        .find(|(sample, _)| *sample == name)
        .unwrap()
        .1
}

fn value(event: &Event) -> Value {
    let mut batch: Vec<Value> =
        serde_json::from_slice(&encode(std::slice::from_ref(event))).unwrap();
    batch.remove(0)
}

fn decode_one(event: &Value) -> Result<Event, Refused> {
    decode(json!([event]).to_string().as_bytes())
        .unwrap()
        .remove(0)
}

/// Decodes the sample with one value replaced, or removed by `null` in a place where FHIR knows no
/// null.
fn reason(name: &str, pointer: &str, replacement: &Value) -> RefusalReason {
    let mut changed = value(&event(name));
    *changed
        .pointer_mut(pointer)
        .unwrap_or_else(|| panic!("{name} has no {pointer}")) = replacement.clone();
    match decode_one(&changed) {
        Ok(event) => panic!("{name} {pointer} = {replacement} was let in as {event:?}"),
        Err(refused) => refused.reason,
    }
}

#[test]
fn malformed_events() {
    let cases = [
        ("vaccination", "/specversion", json!("0.3")),
        (
            "vaccination",
            "/source",
            json!("urn:clinic-gateway:somewhere"),
        ),
        ("vaccination", "/type", json!("clinic-gateway.fact.v3")),
        (
            "vaccination",
            "/type",
            json!("clinic-gateway.withdrawal.v2"),
        ),
        (
            "withdrawn_vaccination",
            "/type",
            json!("clinic-gateway.fact.v1"),
        ),
        ("vaccination", "/datacontenttype", json!("application/json")),
        ("vaccination", "/id", json!("1")),
        ("vaccination", "/record", json!("01")),
        ("vaccination", "/version", json!("4294967298")),
        ("vaccination", "/version", json!(4_294_967_297_u64)),
        ("vaccination", "/owner", json!("e1".repeat(17))),
        ("vaccination", "/owner", json!("E1".repeat(16))),
        ("vaccination", "/content", json!(null)),
        ("vaccination", "/content", json!("")),
        ("vaccination", "/content", json!("C1".repeat(16))),
        ("vaccination", "/content", json!("c1".repeat(15))),
        ("vaccination", "/content", json!("c1".repeat(17))),
        ("vaccination", "/content", json!(1)),
        ("vaccination", "/data", json!(null)),
        ("vaccination", "/data/resourceType", json!("Observation")),
        ("vaccination", "/data/resourceType", json!("Encounter")),
        ("vaccination", "/data/status", json!("not-done")),
        ("vaccination", "/data/status", json!("entered-in-error")),
        ("vaccination", "/data/contained", json!([])),
        ("vaccination", "/data/contained/0/id", json!("q")),
        (
            "vaccination",
            "/data/patient/reference",
            json!("Patient/17"),
        ),
        (
            "vaccination",
            "/data/vaccineCode/coding/0/system",
            json!("urn:local"),
        ),
        ("vaccination", "/data/protocolApplied", json!(null)),
        (
            "vaccination",
            "/data/protocolApplied/0/doseNumberPositiveInt",
            json!(0),
        ),
        (
            "vaccination",
            "/data/protocolApplied/0/doseNumberPositiveInt",
            json!(10),
        ),
        (
            "vaccination",
            "/data/protocolApplied/0/doseNumberPositiveInt",
            json!("1"),
        ),
        (
            "vaccination",
            "/data/protocolApplied/0/seriesDosesPositiveInt",
            json!(null),
        ),
        (
            "vaccination_of_unknown_dose",
            "/data/protocolApplied/0",
            json!({ "doseNumberString": "unknown" }),
        ),
        (
            "vaccination_of_unknown_dose",
            "/data/protocolApplied/0",
            json!({ "seriesDosesPositiveInt": 2 }),
        ),
        (
            "vaccination_of_unknown_dose",
            "/data/protocolApplied/0",
            json!({}),
        ),
        ("test", "/data/status", json!("preliminary")),
        (
            "recovery",
            "/data/clinicalStatus/coding/0/code",
            json!("active"),
        ),
        (
            "recovery",
            "/data/verificationStatus/coding/0/code",
            json!("provisional"),
        ),
        ("recovery", "/data/onsetDateTime", json!(null)),
        (
            "withdrawn_vaccination",
            "/data/occurrenceString",
            json!("2021-03-08"),
        ),
        (
            "withdrawn_test",
            "/data/code/coding/0/code",
            json!("94500-6"),
        ),
    ];
    for (name, pointer, replacement) in &cases {
        assert_eq!(
            reason(name, pointer, replacement),
            RefusalReason::Malformed,
            "{name} {pointer} {replacement}"
        );
    }
}

#[test]
fn fields_the_contract_does_not_know() {
    for (name, pointer) in [
        ("vaccination", ""),
        ("vaccination", "/data"),
        ("vaccination", "/data/contained/0"),
        ("vaccination", "/data/contained/0/identifier/0"),
        ("vaccination", "/data/vaccineCode"),
        ("vaccination", "/data/vaccineCode/coding/0"),
        ("vaccination", "/data/patient"),
        ("vaccination", "/data/protocolApplied/0"),
        ("test", "/data"),
        ("recovery", "/data"),
        ("withdrawn_vaccination", "/data"),
        ("withdrawn_test", "/data/contained/0"),
        ("withdrawn_recovery", "/data"),
    ] {
        let mut changed = value(&event(name));
        changed.pointer_mut(pointer).unwrap()["lotNumber"] = json!("A1");
        assert_eq!(
            decode_one(&changed).unwrap_err().reason,
            RefusalReason::Malformed,
            "{name} {pointer}"
        );
    }
}

#[test]
fn a_field_given_twice_is_malformed() {
    let text = String::from_utf8(encode(&[event("vaccination")])).unwrap();
    let twice = text.replace(
        r#""status":"completed""#,
        r#""status":"completed","status":"completed""#,
    );
    assert_ne!(twice, text);
    assert_eq!(
        decode(twice.as_bytes())
            .unwrap()
            .remove(0)
            .unwrap_err()
            .reason,
        RefusalReason::Malformed
    );
}

#[test]
fn an_event_of_the_contracts_first_version_is_malformed() {
    let sample = value(&event("vaccination"));
    for attribute in ["content", "owner"] {
        let mut older = sample.clone();
        older.as_object_mut().unwrap().remove(attribute).unwrap();
        assert_eq!(
            decode_one(&older).unwrap_err().reason,
            RefusalReason::Malformed
        );
    }
    let mut older = sample;
    older["type"] = json!("clinic-gateway.fact.v1");
    assert_eq!(
        decode_one(&older).unwrap_err().reason,
        RefusalReason::Malformed
    );
}

#[test]
fn codes_off_the_lists() {
    for (name, pointer, code) in [
        ("vaccination", "/data/vaccineCode/coding/0/code", "999"),
        ("vaccination", "/data/vaccineCode/coding/1/code", "J07BN01"),
        ("test", "/data/code/coding/0/code", "94507-1"),
        (
            "test",
            "/data/valueCodeableConcept/coding/0/code",
            "10828004",
        ),
        ("recovery", "/data/code/coding/0/code", "U07.2"),
    ] {
        assert_eq!(
            reason(name, pointer, &json!(code)),
            RefusalReason::UnknownCode,
            "{name} {pointer}"
        );
    }
}

#[test]
fn subjects_that_are_none() {
    let system = "/data/contained/0/identifier/0/system";
    for bad in [
        "https://fhir.ru/ig/core/systems/snils",
        "urn:clinic-gateway:pseudonym:hmac:snils",
        "urn:clinic-gateway:pseudonym:hmac:snils:0",
        "urn:clinic-gateway:pseudonym:hmac:snils:01",
        "urn:clinic-gateway:pseudonym:hmac:snils:+1",
        "urn:clinic-gateway:pseudonym:hmac:snils:65536",
        "urn:clinic-gateway:pseudonym:hmac:snils:1:more",
        "urn:clinic-gateway:pseudonym:hmac:staff-card:1",
        "urn:clinic-gateway:pseudonym:md5:snils:1",
    ] {
        assert_eq!(
            reason("test", system, &json!(bad)),
            RefusalReason::BadSubject,
            "{bad}"
        );
    }
    for bad in [
        "",
        "a1",
        &"A1".repeat(32),
        &"a1".repeat(33),
        &"g1".repeat(32),
    ] {
        let pointer = "/data/contained/0/identifier/0/value";
        assert_eq!(
            reason("test", pointer, &json!(bad)),
            RefusalReason::BadSubject,
            "{bad}"
        );
    }
    let system = "urn:clinic-gateway:pseudonym:hmac:snils:1";
    let identifier = |index: usize| json!({ "system": system, "value": format!("{index:064x}") });
    for count in [0, Subject::MAX + 1] {
        let identifiers: Vec<_> = (0..count).map(identifier).collect();
        let pointer = "/data/contained/0/identifier";
        assert_eq!(
            reason("test", pointer, &json!(identifiers)),
            RefusalReason::BadSubject,
            "{count}"
        );
    }
}

#[test]
fn dates_that_are_none() {
    for bad in [
        "",
        "21",
        "1899",
        "2021-13",
        "2021-02-29",
        "2021-3-8",
        "2021-03-08T09:00:00+03:00",
        "withdrawn",
    ] {
        for (name, field) in [
            ("vaccination", "/data/occurrenceDateTime"),
            ("test", "/data/effectiveDateTime"),
            ("recovery", "/data/onsetDateTime"),
            ("recovery", "/data/abatementDateTime"),
        ] {
            assert_eq!(
                reason(name, field, &json!(bad)),
                RefusalReason::BadDate,
                "{name} {bad}"
            );
        }
    }
}

#[test]
fn versions_count_from_one_and_fit_a_bigint() {
    let record = "01".repeat(32);
    let with_version = |version: &str| {
        let mut changed = value(&event("vaccination"));
        changed["version"] = json!(version);
        changed["id"] = json!(format!("{record}/{version}"));
        decode_one(&changed).map_err(|refused| refused.reason)
    };
    for good in ["1", "4294967296", "9223372036854775807"] {
        assert_eq!(
            with_version(good).map(|event| event.version.to_u64().to_string()),
            Ok(good.to_owned())
        );
    }
    for bad in [
        "",
        "0",
        "04294967297",
        "+4294967297",
        "-1",
        "9223372036854775808",
        "1e10",
    ] {
        assert_eq!(with_version(bad), Err(RefusalReason::Malformed), "{bad}");
    }
}

#[test]
fn one_bad_event_spares_the_others_and_is_named() {
    let good = event("test");
    let bad = event("recovery");
    let mut changed = value(&bad);
    changed["data"]["note"] = json!("text");
    let decoded = decode(
        json!([value(&good), changed, value(&good)])
            .to_string()
            .as_bytes(),
    )
    .unwrap();
    let refused = Refused {
        index: 1,
        record: Some(bad.record),
        version: Some(bad.version),
        reason: RefusalReason::Malformed,
    };
    assert_eq!(decoded, [Ok(good.clone()), Err(refused), Ok(good)]);

    let mut nameless = value(&bad);
    nameless["record"] = json!({ "hex": "01" });
    let refused = decode_one(&nameless).unwrap_err();
    assert_eq!((refused.record, refused.version), (None, Some(bad.version)));
}

#[test]
fn other_spellings_of_the_same_json_are_welcome() {
    let sample = event("test");
    let pretty = serde_json::to_string_pretty(&json!([value(&sample)])).unwrap();
    // Some writers escape the slash.
    for text in [&pretty, &pretty.replace('/', "\\/")] {
        assert_eq!(decode(text.as_bytes()).unwrap(), [Ok(sample.clone())]);
    }
}

#[test]
fn what_is_no_batch_is_refused_whole() {
    let cut = &encode(&[event("test")])[..100].to_vec();
    for bad in [
        &b""[..],
        b"{}",
        b"null",
        b"[1]",
        b"[[]]",
        b"[{}",
        b"[{}] []",
        b"\xff\xfe",
        cut,
    ] {
        assert_eq!(
            decode(bad),
            Err(BatchError::NotABatch),
            "{}",
            String::from_utf8_lossy(bad)
        );
    }
    let many = |count| format!("[{}]", vec!["{}"; count].join(","));
    assert_eq!(
        decode(many(MAX_EVENTS).as_bytes()).map(|events| events.len()),
        Ok(MAX_EVENTS)
    );
    assert_eq!(
        decode(many(MAX_EVENTS + 1).as_bytes()),
        Err(BatchError::TooLarge)
    );
    assert_eq!(
        decode(&vec![b' '; MAX_ENCODED_BYTES + 1]),
        Err(BatchError::TooLarge)
    );
    let deep = "[".repeat(100_000);
    assert_eq!(decode(deep.as_bytes()), Err(BatchError::NotABatch));
}
