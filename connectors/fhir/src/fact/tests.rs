//! Tests of the mapping: every status, code, number and date of the three resources.

use chrono::NaiveDate;
use serde_json::json;

use super::*;

const ICD10: &str = "http://hl7.org/fhir/sid/icd-10";

fn mapped(feed: Feed, value: &Value) -> MappedResource {
    map(
        feed,
        &value.to_string(),
        MappingRules::plain(Tz::Europe__Moscow),
    )
}

fn day(text: &str) -> Field<ClinicDate> {
    Field::Value(ClinicDate::Day(text.parse::<NaiveDate>().unwrap()))
}

fn coded(system: &str, code: &str) -> Coding {
    Coding {
        system: Some(system.into()),
        code: code.into(),
    }
}

#[test]
fn a_dose() {
    let mapped = mapped(
        Feed::Vaccinations,
        &json!({"resourceType": "Immunization", "status": "completed", "lotNumber": "not read",
            "vaccineCode": {"text": " Спутник V ", "coding": [
                {"system": "http://hl7.org/fhir/sid/cvx", "code": "505", "display": "Sputnik V"},
                {"system": "urn:only-a-system", "display": 7},
                {"code": "GAM", "display": "Спутник V"}]},
            "patient": {"reference": "Patient/1"}, "occurrenceDateTime": "2021-06-30T22:15:00Z",
            "protocolApplied": [{"doseNumberPositiveInt": 2, "seriesDosesString": "2"},
                                {"doseNumberPositiveInt": 9}]}),
    );
    assert_eq!(mapped.status, RecordStatus::Final);
    assert_eq!(mapped.subject.reference.as_deref(), Some("Patient/1"));
    let ClinicFact::Vaccination {
        vaccine,
        dose_number,
        series_doses,
        occurred_on,
    } = mapped.fact
    else {
        panic!()
    };
    let words = ["GAM", "Спутник V", "Sputnik V"].map(Coding::local);
    let expected: Vec<_> = [coded("http://hl7.org/fhir/sid/cvx", "505")]
        .into_iter()
        .chain(words)
        .collect();
    assert_eq!(vaccine, expected);
    assert_eq!(
        (dose_number, series_doses),
        (Field::Value(2.into()), Field::Value(2.into()))
    );
    assert_eq!(occurred_on, day("2021-07-01"));
}

#[test]
fn dose_numbers_that_are_none() {
    let dose = |protocol: Value| {
        let value = json!({"status": "completed", "protocolApplied": [protocol]});
        let ClinicFact::Vaccination { dose_number, .. } = mapped(Feed::Vaccinations, &value).fact
        else {
            panic!()
        };
        dose_number
    };
    assert_eq!(dose(json!({})), Field::Missing);
    assert_eq!(dose(json!({"doseNumberString": ""})), Field::Missing);
    assert_eq!(
        dose(json!({"doseNumberString": "1"})),
        Field::Value(1.into())
    );
    assert_eq!(
        dose(json!({"doseNumberPositiveInt": 0})),
        Field::Value(0.into())
    );
    for wrong in [
        json!(-1),
        json!(1.5),
        json!(4_294_967_296_u64),
        json!(true),
        json!([1]),
    ] {
        assert_eq!(
            dose(json!({"doseNumberPositiveInt": wrong})),
            Field::Invalid(FieldFault::NotANumber)
        );
    }
    for word in ["V2", "первая", "1 of 2"] {
        assert_eq!(
            dose(json!({"doseNumberString": word})),
            Field::Value(Dose::Word(word.into())),
            "{word}"
        );
    }
    let long = "x".repeat(MAX_DOSE_CHARS + 1);
    assert_eq!(
        dose(json!({"doseNumberString": long})),
        Field::Invalid(FieldFault::NotANumber)
    );
    assert_eq!(
        dose(json!({"doseNumberString": long[1..]})),
        Field::Value(Dose::Word(long[1..].to_owned()))
    );
}

#[test]
fn every_status_of_the_three_resources() {
    use RecordStatus::{Cancelled, Final, NotAFact, Unknown};
    let status = |feed, word: &str| mapped(feed, &json!({"status": word})).status;
    for (word, expected) in [
        ("completed", Final),
        ("entered-in-error", Cancelled),
        ("not-done", NotAFact),
        ("given", Unknown),
        ("", Unknown),
    ] {
        assert_eq!(status(Feed::Vaccinations, word), expected, "{word}");
    }
    for (word, expected) in [
        ("final", Final),
        ("amended", Final),
        ("corrected", Final),
        ("cancelled", Cancelled),
        ("entered-in-error", Cancelled),
        ("registered", NotAFact),
        ("preliminary", NotAFact),
        ("unknown", NotAFact),
        ("done", Unknown),
    ] {
        assert_eq!(status(Feed::Tests, word), expected, "{word}");
    }
    let condition = |verification: Option<&str>, clinical: Option<&str>, end: Option<&str>| {
        let concept = |word: Option<&str>| {
            word.map(|code| json!({"coding": [{"code": code}]}))
                .unwrap_or(json!({}))
        };
        let value = json!({"verificationStatus": concept(verification),
            "clinicalStatus": concept(clinical), "abatementDateTime": end});
        mapped(Feed::Recoveries, &value).status
    };
    for (verification, clinical, end, expected) in [
        (Some("entered-in-error"), None, None, Cancelled),
        (Some("refuted"), Some("resolved"), None, NotAFact),
        (Some("provisional"), Some("resolved"), None, NotAFact),
        (
            Some("confirmed"),
            Some("active"),
            Some("2021-07-01"),
            NotAFact,
        ),
        (None, Some("recurrence"), None, NotAFact),
        (None, Some("relapse"), None, NotAFact),
        (Some("confirmed"), Some("resolved"), None, Final),
        (None, Some("remission"), None, Final),
        (None, Some("inactive"), None, Final),
        (None, None, Some("2021-07-01"), Final),
        (None, None, None, NotAFact),
        (None, Some("better"), None, Unknown),
        (Some("sure"), Some("resolved"), None, Unknown),
    ] {
        assert_eq!(
            condition(verification, clinical, end),
            expected,
            "{verification:?} {clinical:?} {end:?}"
        );
    }
}

#[test]
fn a_test_with_a_coded_and_with_a_written_result() {
    let loinc = "http://loinc.org";
    let snomed = "http://snomed.info/sct";
    let coded_result = mapped(
        Feed::Tests,
        &json!({"status": "final", "code": {"coding": [{"system": loinc, "code": "94500-6"}]},
            "subject": {"reference": "Patient/1"}, "effectiveInstant": "2021-07-01T20:59:00Z",
            "valueCodeableConcept": {"coding": [{"system": snomed, "code": "260415000"}],
                                     "text": "не обнаружено"}}),
    );
    let ClinicFact::Test {
        test,
        result,
        occurred_on,
    } = coded_result.fact
    else {
        panic!()
    };
    assert_eq!(test, [coded(loinc, "94500-6")]);
    assert_eq!(
        result,
        [coded(snomed, "260415000"), Coding::local("не обнаружено")]
    );
    assert_eq!(occurred_on, day("2021-07-01"));

    let written = json!({"status": "final", "valueString": "отрицательно",
        "effectivePeriod": {"start": "2021-07", "end": "2021-07-09"}});
    let ClinicFact::Test {
        result,
        occurred_on,
        ..
    } = mapped(Feed::Tests, &written).fact
    else {
        panic!()
    };
    assert_eq!(result, [Coding::local("отрицательно")]);
    assert_eq!(occurred_on, Field::Value(ClinicDate::Month(2021, 7)));
}

#[test]
fn an_illness_that_ended() {
    let dates = |extra: Value| {
        let mut value = json!({"code": {"coding": [{"system": ICD10, "code": "U07.1"}]}});
        value
            .as_object_mut()
            .unwrap()
            .extend(extra.as_object().unwrap().clone());
        let ClinicFact::Recovery {
            diagnosis,
            began_on,
            occurred_on,
        } = mapped(Feed::Recoveries, &value).fact
        else {
            panic!()
        };
        assert_eq!(diagnosis, [coded(ICD10, "U07.1")]);
        (began_on, occurred_on)
    };
    assert_eq!(
        dates(
            json!({"onsetDateTime": "2021-05-01", "abatementDateTime": "2021-05-20T23:00:00+03:00"})
        ),
        (day("2021-05-01"), day("2021-05-20"))
    );
    assert_eq!(
        dates(json!({"onsetPeriod": {"start": "2021-05-01"},
                   "abatementPeriod": {"start": "2021-05-18", "end": "2021-05-20"}})),
        (day("2021-05-01"), day("2021-05-20"))
    );
    assert_eq!(
        dates(json!({"onsetString": "весной", "abatementString": "в мае"})),
        (not_a_date(), not_a_date())
    );
    assert_eq!(
        dates(json!({"onsetAge": {"value": 40}})),
        (Field::Missing, Field::Missing)
    );
}

#[test]
fn free_text_in_place_of_a_date_is_no_date() {
    let when = |value: Value| {
        let ClinicFact::Vaccination { occurred_on, .. } = mapped(Feed::Vaccinations, &value).fact
        else {
            panic!()
        };
        occurred_on
    };
    assert_eq!(
        when(json!({"occurrenceString": "прошлой зимой"})),
        not_a_date()
    );
    assert_eq!(when(json!({"occurrenceString": ""})), Field::Missing);
    assert_eq!(
        when(json!({"occurrenceDateTime": "2021-02-30"})),
        not_a_date()
    );
    assert_eq!(
        when(json!({"_occurrenceDateTime": {"extension": [{"valueCode": "unknown"}]}})),
        Field::Missing
    );
}

#[test]
fn a_resource_of_the_wrong_shape_is_refused_not_lost() {
    for feed in Feed::ALL {
        for wrong in [
            json!({"status": 5, "code": "U07.1", "subject": []}),
            json!([]),
            json!({"contained": {}}),
        ] {
            let mapped = mapped(feed, &wrong);
            assert_eq!(
                (mapped.status, mapped.fact.feed()),
                (RecordStatus::Unknown, feed),
                "{wrong}"
            );
        }
    }
}

#[test]
fn the_status_word_that_is_not_understood_is_named() {
    let concept = |code: &str| json!({"coding": [{"code": code}]});
    for (feed, resource, word) in [
        (Feed::Vaccinations, json!({"status": "done"}), Some("done")),
        (Feed::Tests, json!({"status": "signed"}), Some("signed")),
        (Feed::Tests, json!({}), None),
        (Feed::Tests, json!(["signed"]), None),
        (Feed::Recoveries, json!(["signed"]), None),
        (
            Feed::Recoveries,
            json!({"clinicalStatus": concept("healed"), "verificationStatus": concept("confirmed")}),
            Some("healed"),
        ),
        (
            Feed::Recoveries,
            json!({"clinicalStatus": concept("resolved"), "verificationStatus": concept("sure")}),
            Some("sure"),
        ),
    ] {
        let named = unmapped_status(feed, &resource.to_string());
        assert_eq!(named.as_deref(), word, "{resource}");
    }
}

#[test]
fn an_interpretation_beside_a_number_is_the_result() {
    let v3 = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation";
    let result = |extra: Value| {
        let mut value = json!({"status": "final"});
        let extra = extra.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(extra);
        let bare = is_bare_number(&value.to_string());
        let ClinicFact::Test { result, .. } = mapped(Feed::Tests, &value).fact else {
            panic!()
        };
        (result, bare)
    };
    let positive = json!({"coding": [{"system": v3, "code": "POS"}]});
    let ct = json!({"value": 23.4, "unit": "Ct"});
    let told = vec![coded(v3, "POS")];
    assert_eq!(
        result(json!({"valueQuantity": ct, "interpretation": [positive]})),
        (told.clone(), false)
    );
    assert_eq!(
        result(json!({"valueQuantity": ct, "interpretation": positive})),
        (told, false),
        "one alone, as before R4"
    );
    assert_eq!(
        result(json!({"valueString": "23,4", "interpretation": [{"text": "обнаружено"}]})).0,
        [Coding::local("23,4"), Coding::local("обнаружено")]
    );
    assert_eq!(
        result(json!({"valueCodeableConcept": {"text": "neg"}, "interpretation": [positive]})).0,
        [Coding::local("neg"), coded(v3, "POS")],
        "to be refused as contradictory"
    );
    assert_eq!(result(json!({"valueQuantity": ct})), (vec![], true));
    assert_eq!(
        result(json!({"valueInteger": 0, "interpretation": 7})),
        (vec![], false)
    );
}

#[test]
fn a_resolved_condition_without_an_end_has_the_day_that_configuration_says() {
    let recovered = |recovered_on, extra: Value| {
        let mut value = json!({"clinicalStatus": {"coding": [{"code": "resolved"}]},
            "onsetDateTime": "2021-05-01", "meta": {"lastUpdated": "2021-05-20T22:00:00Z"}});
        let extra = extra.as_object().unwrap().clone();
        value.as_object_mut().unwrap().extend(extra);
        let rules = MappingRules {
            zone: Tz::Europe__Moscow,
            recovered_on,
        };
        let mapped = map(Feed::Recoveries, &value.to_string(), rules);
        let ClinicFact::Recovery { occurred_on, .. } = mapped.fact else {
            panic!()
        };
        (mapped.status, occurred_on)
    };
    let of = |recovered_on, extra| recovered(recovered_on, extra).1;
    let onset = RecoveredOn::OnsetPlusDays;
    assert_eq!(of(RecoveredOn::Abatement, json!({})), Field::Missing);
    assert_eq!(of(RecoveredOn::LastUpdated, json!({})), day("2021-05-21"));
    assert_eq!(of(onset(14), json!({})), day("2021-05-15"));
    assert_eq!(
        of(onset(90), json!({})),
        day("2021-05-21"),
        "never later than it was told"
    );
    for extra in [
        json!({"abatementString": "в мае"}),
        json!({"abatementAge": {"value": 40}}),
        json!({"abatementRange": {"low": {"value": 40}}}),
        json!({"abatementPeriod": {"start": "2021-05-02"}}),
    ] {
        assert_eq!(of(onset(14), extra.clone()), day("2021-05-15"), "{extra}");
    }
    assert_eq!(
        of(RecoveredOn::Abatement, json!({"abatementString": "в мае"})),
        not_a_date()
    );
    let told = json!({"abatementDateTime": "2021-05-10"});
    assert_eq!(of(RecoveredOn::LastUpdated, told), day("2021-05-10"));
    let wrong = json!({"abatementDateTime": "2021-02-30"});
    assert_eq!(of(onset(14), wrong), not_a_date());
    for onset_told in [json!("2021-05"), Value::Null] {
        let extra = json!({"onsetDateTime": onset_told});
        assert_eq!(of(onset(14), extra), Field::Missing);
    }
    let active = json!({"clinicalStatus": {"coding": [{"code": "active"}]}});
    assert_eq!(
        recovered(RecoveredOn::LastUpdated, active),
        (RecordStatus::NotAFact, Field::Missing)
    );
    let silent = json!({"clinicalStatus": {}});
    assert_eq!(
        recovered(RecoveredOn::LastUpdated, silent),
        (RecordStatus::NotAFact, Field::Missing),
        "the day is not taken for the word"
    );
}

#[test]
fn codes_are_found_whatever_the_rest_of_a_resource_is_like() {
    let codes = |feed, json: &str| {
        let codings = codings_of(feed, json)?;
        let text = |coding: Coding| format!("{:?}|{}", coding.system, coding.code);
        Some(codings.into_iter().map(text).collect::<Vec<_>>())
    };
    let broken = r#"{"status": 7, "effectivePeriod": "x", "code": {"text": "t",
        "coding": [{"system": "s", "code": "a"}, {"code": "b"}, {"display": "c"}, 5]}}"#;
    let found = vec!["Some(\"s\")|a".to_owned(), "None|b".to_owned()];
    assert_eq!(codes(Feed::Tests, broken), Some(found.clone()));
    assert_eq!(codes(Feed::Recoveries, broken), Some(found));
    assert_eq!(codes(Feed::Vaccinations, broken), Some(Vec::new()));
    assert_eq!(codes(Feed::Tests, "null"), None);
    assert_eq!(codes(Feed::Tests, "[1, 2]"), None);
}
