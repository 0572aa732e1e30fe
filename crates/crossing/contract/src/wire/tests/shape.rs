//! The wire form as others see it: snapshots, and the published schema.

use serde_json::{Value, json};

use super::samples;
use crate::wire::{encode, schema};

/// A change of the wire form is a change of the contract: review it, raise the type's version if it
/// breaks readers.
#[test]
fn the_wire_form_of_each_kind() {
    for (name, event) in samples() {
        let encoded: Value = serde_json::from_slice(&encode(&[event])).unwrap();
        insta::with_settings!({ sort_maps => true }, {
            insta::assert_json_snapshot!(name, encoded[0]);
        });
    }
}

#[test]
fn a_withdrawal_repeats_nothing() {
    let withdrawn: Vec<_> = samples()
        .into_iter()
        .filter(|(name, _)| name.starts_with("withdrawn"))
        .collect();
    assert_eq!(withdrawn.len(), 3);
    for (name, event) in withdrawn {
        let text = String::from_utf8(encode(&[event])).unwrap();
        for trace in [
            "identifier",
            "urn:clinic-gateway:pseudonym",
            "2021",
            "cvx",
            "loinc",
            "snomed",
            "U07",
        ] {
            assert!(!text.contains(trace), "{name} still holds {trace}: {text}");
        }
    }
}

#[test]
fn every_sample_follows_the_published_schema() {
    let validator = jsonschema::validator_for(&schema::batch()).unwrap();
    for (name, event) in samples() {
        let batch: Value = serde_json::from_slice(&encode(&[event])).unwrap();
        if let Err(error) = validator.validate(&batch) {
            panic!("{name}: {error}");
        }
    }
}

/// The schema would be worth nothing if it let everything through.
#[test]
fn the_schema_refuses_planted_faults() {
    let validator = jsonschema::validator_for(&schema::batch()).unwrap();
    let events: Vec<_> = samples().into_iter().map(|(_, event)| event).collect();
    let whole: Value = serde_json::from_slice(&encode(&events)).unwrap();
    let faults = [
        ("/0/data/status", json!("not-done")),
        ("/0/data/vaccineCode/coding/0/code", json!("999")),
        ("/0/data/vaccineCode/coding/1/code", json!("J07BN01")),
        ("/0/data/contained/0/identifier", json!([])),
        (
            "/0/data/contained/0/identifier/0/system",
            json!("urn:clinic-gateway:pseudonym:md5:snils:1"),
        ),
        (
            "/0/data/contained/0/identifier/0/value",
            json!("112-233-445 95"),
        ),
        ("/0/data/occurrenceDateTime", json!("2021-03-08T10:00:00Z")),
        ("/0/data/protocolApplied/0/doseNumberPositiveInt", json!(0)),
        ("/0/source", json!("urn:clinic-gateway:clinic-7")),
        ("/0/version", json!(4_294_967_297_u64)),
        ("/0/owner", json!(null)),
        ("/0/owner", json!("E1".repeat(16))),
        ("/0/content", json!(null)),
        ("/0/content", json!("C1".repeat(16))),
        ("/0/type", json!("clinic-gateway.withdrawal.v2")),
        ("/3/data/valueCodeableConcept", json!(null)),
        ("/6/data/occurrenceString", json!("2021-03-08")),
    ];
    for (pointer, fault) in faults {
        let mut batch = whole.clone();
        *batch.pointer_mut(pointer).unwrap() = fault;
        assert!(!validator.is_valid(&batch), "{pointer}");
    }
    let mut named = whole.clone();
    named[0]["data"]["contained"][0]["name"] = json!([{ "family": "Ivanov" }]);
    assert!(!validator.is_valid(&named), "an unknown field");
    for attribute in ["content", "owner"] {
        let mut older = whole.clone();
        older[0].as_object_mut().unwrap().remove(attribute).unwrap();
        assert!(!validator.is_valid(&older), "{attribute} is absent");
    }
    assert!(validator.is_valid(&whole));
}
