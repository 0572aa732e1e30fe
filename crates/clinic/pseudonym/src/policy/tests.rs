//! Configuration: what is refused, and with which words.

use super::*;
use crate::DatePrecision;

fn error(json: &str) -> String {
    let config: PolicyConfig = serde_json::from_str(json).unwrap();
    Policy::new(&config).err().unwrap().to_string()
}

#[test]
fn an_unknown_name_is_answered_with_the_list_and_a_guess() {
    let text = error(r#"{"codes": {"vaccines": {"17": "sputnic-v"}}}"#);
    for part in [
        "codes.vaccines",
        "\"17\"",
        "did you mean \"sputnik-v\"?",
        "epivaccorona",
        "not-covid",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        error(r#"{"codes": {"tests": {"x": "94500-7"}}}"#).contains("did you mean \"94500-6\"?")
    );
    assert!(
        error(r#"{"codes": {"results": {"x": "Not Detected"}}}"#)
            .contains("did you mean \"not-detected\"?")
    );
    let far = error(r#"{"codes": {"diagnoses": {"x": "zzz"}}}"#);
    assert!(
        far.contains("recovery") && !far.contains("did you mean"),
        "{far}"
    );
    assert!(
        error(r#"{"codes": {"results": {"x": "not-covid"}}}"#).contains("not one of"),
        "a result is no scope"
    );
}

#[test]
fn an_empty_code_and_impossible_lengths_are_refused() {
    assert!(error(r#"{"codes": {"results": {" ": "detected"}}}"#).contains("empty code"));
    for lengths in [
        r#"{"min_length": 0}"#,
        r#"{"min_length": 21}"#,
        r#"{"max_length": 31}"#,
        r#"{"max_length": 3}"#,
    ] {
        let text = error(&format!(
            r#"{{"identifiers": {{"residence_permit": {lengths}}}}}"#
        ));
        assert!(
            text.contains("identifiers.residence_permit") && text.contains("30"),
            "{text}"
        );
    }
    let edge =
        r#"{"identifiers": {"ehic": {"min_length": 1, "max_length": 30, "digits_only": false}}}"#;
    assert!(Policy::new(&serde_json::from_str(edge).unwrap()).is_ok());
}

#[test]
fn unknown_keys_are_refused_at_every_level() {
    for json in [
        r#"{"date": {}}"#,
        r#"{"dates": {"vaccination": "day"}}"#,
        r#"{"codes": {"vaccine": {}}}"#,
        r#"{"identifiers": {"snils_check": "warn"}}"#,
        r#"{"identifiers": {"ehic": {"pattern": "x"}}}"#,
        r#"{"dates": {"tests": "week"}}"#,
    ] {
        assert!(
            serde_json::from_str::<PolicyConfig>(json).is_err(),
            "{json}"
        );
    }
}

#[test]
fn the_number_of_mappings_is_bounded() {
    let results = |count: usize| {
        (0..count)
            .map(|code| (code.to_string(), "detected".to_owned()))
            .collect()
    };
    let policy = |count| {
        let codes = CodesConfig {
            results: results(count),
            ..CodesConfig::default()
        };
        Policy::new(&PolicyConfig {
            codes,
            ..PolicyConfig::default()
        })
    };
    assert!(policy(MAX_MAPPINGS).is_ok());
    assert_eq!(
        policy(MAX_MAPPINGS + 1).err(),
        Some(PolicyError::TooManyCodes { table: "results" })
    );
}

#[test]
fn the_schema_lists_what_codes_may_be_mapped_to() {
    let schema = serde_json::to_string(&schemars::schema_for!(PolicyConfig)).unwrap();
    for word in [
        "sputnik-v",
        "94759-8",
        "inconclusive",
        "recovery",
        "not-covid",
        "oms_check",
        "month",
    ] {
        assert!(schema.contains(&format!("\"{word}\"")), "{word}");
    }
}

#[test]
fn each_kind_of_fact_has_its_precision() {
    let dates = DatesConfig {
        tests: DatePrecision::Month,
        recoveries: DatePrecision::Year,
        ..DatesConfig::default()
    };
    let policy = Policy::new(&PolicyConfig {
        dates,
        ..PolicyConfig::default()
    })
    .unwrap();
    let precisions = FactKind::ALL.map(|kind| policy.precision(kind));
    assert_eq!(
        precisions,
        [Precision::Day, Precision::Month, Precision::Year]
    );
}
