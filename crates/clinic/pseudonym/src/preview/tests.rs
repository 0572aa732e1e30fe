//! Previews: true to what leaves, and silent about who it is.

use chrono::NaiveDate;
use connector_kit::{Coding, FieldFault, Person, RecordStatus};
use contract::Suite;

use super::*;
use crate::{DatePrecision, DatesConfig, FactRelease, KeyRing, KindRelease, Policy, PolicyConfig};

const KEYS: &str = "pseudonym 1 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\n\
                    record ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8";

fn pseudonymiser() -> Pseudonymiser {
    let dates = DatesConfig {
        vaccinations: DatePrecision::Month,
        ..DatesConfig::default()
    };
    let policy = Policy::new(&PolicyConfig {
        dates,
        ..PolicyConfig::default()
    })
    .unwrap();
    Pseudonymiser::new(
        &KeyRing::parse(&KEYS.into()).unwrap(),
        Suite::Hmac,
        "mis",
        policy,
    )
    .unwrap()
}

fn record(status: RecordStatus) -> ClinicRecord {
    let id = |kind, value: &str| Identifier {
        kind,
        value: value.into(),
        country: Some("RU".into()),
    };
    ClinicRecord {
        record_id: "visit-77".into(),
        status,
        unmapped_status: None,
        person: Person {
            identifiers: vec![
                id(IdentifierKind::Snils, "112-233-445 95"),
                id(IdentifierKind::PassportRu, "4509 12345"),
                id(IdentifierKind::Oms, "7700000000000009"),
            ],
            unreadable: false,
        },
        fact: ClinicFact::Vaccination {
            vaccine: vec![Coding::local("Спутник V, серия 1234")],
            dose_number: Field::Value(1.into()),
            series_doses: Field::Missing,
            occurred_on: Field::Value(ClinicDate::Day("2021-07-04".parse().unwrap())),
        },
        stamp: None,
    }
}

fn today() -> NaiveDate {
    "2021-07-15".parse().unwrap()
}

fn lines(preview: &Preview) -> Vec<String> {
    let line = |field: &FieldPreview| {
        let reason = field
            .reason
            .map(|reason| format!(" [{reason}]"))
            .unwrap_or_default();
        let outgoing = field.outgoing.as_deref().unwrap_or("-");
        format!(
            "{} {} {outgoing}{reason}",
            field.field,
            field.treatment.as_str()
        )
    };
    preview.fields.iter().map(line).collect()
}

fn with_vaccine(mut record: ClinicRecord, name: &str) -> ClinicRecord {
    if let ClinicFact::Vaccination { vaccine, .. } = &mut record.fact {
        *vaccine = vec![Coding::local(name)];
    }
    record
}

#[test]
fn a_fact_is_shown_as_it_leaves() {
    let preview = pseudonymiser().preview(
        &with_vaccine(record(RecordStatus::Final), "Спутник V"),
        today(),
    );
    assert_eq!(
        (preview.kind, preview.verdict),
        ("vaccination", PreviewVerdict::Leaves)
    );
    assert_eq!(
        lines(&preview),
        [
            "record_id pseudonymised 8638af24…",
            "person_snils pseudonymised hmac/1 0d56ee46…",
            "person_passport dropped - [identifier-invalid]",
            "person_oms pseudonymised hmac/1 OMS [identifier-check-digit]"
                .replace("OMS", &oms_head())
                .as_str(),
            "vaccine_code coded sputnik-v",
            "dose_number kept 1",
            "occurred_on generalised 2021-07",
        ]
    );
}

#[test]
fn what_the_release_policy_withholds_stays_and_its_dates_are_coarser_than_the_sources() {
    let release = FactRelease {
        vaccination: KindRelease {
            dates: DatePrecision::Year,
            fields: [VaccinationField::SeriesDoses].into(),
        },
        ..FactRelease::default()
    };
    let by_release = pseudonymiser().with_release(release);
    let record = with_vaccine(record(RecordStatus::Final), "Спутник V");
    let shown = lines(&by_release.preview(&record, today()));
    assert!(
        shown.contains(&"dose_number dropped -".to_owned()),
        "{shown:?}"
    );
    assert!(
        shown.contains(&"occurred_on generalised 2021".to_owned()),
        "{shown:?}"
    );
    let leaving = by_release.leaving(&record, today());
    let leaving = leaving.map(|leaving| leaving.fact);
    let expected = contract::Fact::Vaccination {
        vaccine: Vaccine::SputnikV,
        dose_number: None,
        series_doses: None,
        occurred_on: "2021".parse().unwrap(),
    };
    assert_eq!(leaving, Some(expected));
    // Finer than the source's own policy it does not get.
    let by_day = pseudonymiser().with_release(FactRelease::default());
    let shown = lines(&by_day.preview(&record, today()));
    assert!(
        shown.contains(&"occurred_on generalised 2021-07".to_owned()),
        "{shown:?}"
    );
}

/// The pseudonym that really leaves for the doubtful policy.
fn oms_head() -> String {
    let record = with_vaccine(record(RecordStatus::Final), "Спутник V");
    let crate::RecordOutcome::Draft(draft, _) = pseudonymiser().apply(record, today()) else {
        panic!("not a draft")
    };
    let draft::DraftBody::Ready(contract::Body::Asserted { subject, .. }) = draft.body else {
        panic!("withdrawn")
    };
    let oms = subject
        .pseudonyms()
        .iter()
        .find(|made| made.scheme == contract::Scheme::Oms)
        .unwrap();
    hex::encode(&oms.value[..4]) + "…"
}

#[test]
fn a_refused_record_says_where_it_fails() {
    let preview = pseudonymiser().preview(&record(RecordStatus::Final), today());
    assert_eq!(
        preview.verdict,
        PreviewVerdict::Refused(RejectionReason::VaccineUnknown)
    );
    assert!(lines(&preview).contains(&"vaccine_code dropped - [vaccine-unknown]".to_owned()));
    let mut undated = with_vaccine(record(RecordStatus::Final), "КовиВак");
    if let ClinicFact::Vaccination { occurred_on, .. } = &mut undated.fact {
        *occurred_on = Field::Invalid(FieldFault::NotADate);
    }
    let preview = pseudonymiser().preview(&undated, today());
    assert_eq!(
        preview.verdict,
        PreviewVerdict::Refused(RejectionReason::DateInvalid)
    );
    assert!(lines(&preview).contains(&"occurred_on dropped - [date-invalid]".to_owned()));
}

#[test]
fn of_a_withdrawn_record_only_the_digest_leaves() {
    let preview = pseudonymiser().preview(&record(RecordStatus::Cancelled), today());
    assert_eq!(
        preview.verdict,
        PreviewVerdict::Withdraws {
            only_if_sent: false
        }
    );
    assert_eq!(lines(&preview)[0], "record_id pseudonymised 8638af24…");
    assert!(
        preview.fields[1..]
            .iter()
            .all(|field| field.outgoing.is_none())
    );
}

#[test]
fn a_preview_shows_no_identity_and_no_source_word() {
    for record in [
        record(RecordStatus::Final),
        with_vaccine(record(RecordStatus::Final), "Спутник V"),
    ] {
        let preview = pseudonymiser().preview(&record, today());
        let shown = format!("{preview:?} {}", serde_json::to_string(&preview).unwrap());
        for secret in [
            "112-233",
            "11223344595",
            "4509",
            "7700000000000009",
            "visit-77",
            "серия 1234",
        ] {
            assert!(!shown.contains(secret), "{secret}: {shown}");
        }
    }
}

#[test]
fn the_json_form_is_in_words() {
    let preview = pseudonymiser().preview(&record(RecordStatus::Final), today());
    let json = serde_json::to_value(&preview).unwrap();
    assert_eq!(json["verdict"]["refused"], "vaccine-unknown");
    assert_eq!(json["fields"][0]["treatment"], "pseudonymised");
}
