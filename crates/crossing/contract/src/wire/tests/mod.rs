//! Tests of the wire form: of what goes out, and of what is let in.

mod probe;
mod reference;
mod round_trip;
mod shape;
mod strict;

use chrono::NaiveDate;

use crate::{
    Body, ContentDigest, Event, Fact, FactKind, OwnerToken, PartialDate, Pseudonym, RecordDigest,
    Scheme, Subject, Suite, TestCode, TestResult, Vaccine, Version,
};

/// Events of every kind, small and always the same, each with a name.
pub(crate) fn samples() -> Vec<(&'static str, Event)> {
    let day = |y, m, d| PartialDate::from_day(NaiveDate::from_ymd_opt(y, m, d).unwrap()).unwrap();
    let month = |y, m| PartialDate::from_month(y, m).unwrap();
    let vaccine = Vaccine::SputnikV;
    let occurred_on = day(2021, 3, 8);
    let dose = |dose_number, series_doses| Fact::Vaccination {
        vaccine,
        dose_number,
        series_doses,
        occurred_on,
    };
    let test = Fact::Test {
        test: TestCode::RnaNasopharynx,
        result: TestResult::NotDetected,
        occurred_on,
    };
    let began_on = Some(day(2021, 5, 30));
    let facts = [
        ("vaccination", dose(Some(1), Some(2))),
        ("vaccination_of_unknown_dose", dose(None, Some(2))),
        ("vaccination_without_protocol", dose(None, None)),
        ("test", test),
        (
            "recovery",
            Fact::Recovery {
                began_on,
                occurred_on: day(2021, 6, 17),
            },
        ),
        (
            "recovery_by_month",
            Fact::Recovery {
                began_on: None,
                occurred_on: month(2021, 6),
            },
        ),
    ];
    let asserted = facts.map(|(name, fact)| {
        (
            name,
            Body::Asserted {
                subject: subject(),
                fact,
            },
        )
    });
    let withdrawn = [
        (
            "withdrawn_vaccination",
            Body::Withdrawn {
                kind: FactKind::Vaccination,
            },
        ),
        (
            "withdrawn_test",
            Body::Withdrawn {
                kind: FactKind::Test,
            },
        ),
        (
            "withdrawn_recovery",
            Body::Withdrawn {
                kind: FactKind::Recovery,
            },
        ),
    ];
    let later = [
        (
            "vaccination_without_cvx",
            Fact::Vaccination {
                vaccine: Vaccine::EpiVacCoronaN,
                dose_number: Some(2),
                series_doses: Some(2),
                occurred_on,
            },
        ),
        (
            "antigen_test",
            Fact::Test {
                test: TestCode::AntigenRapid,
                result: TestResult::Detected,
                occurred_on,
            },
        ),
    ];
    let later = later.map(|(name, fact)| {
        (
            name,
            Body::Asserted {
                subject: subject(),
                fact,
            },
        )
    });
    let bodies = asserted.into_iter().chain(withdrawn).chain(later);
    (1u8..)
        .zip(bodies)
        .map(|(number, (name, body))| {
            let version = Version::new(1 << 32 | u64::from(number)).unwrap();
            let content = ContentDigest([0xc0 | number; 16]);
            let owner = OwnerToken([0xe0 | number; 16]);
            (
                name,
                Event {
                    record: RecordDigest([number; 32]),
                    version,
                    content,
                    owner,
                    body,
                },
            )
        })
        .collect()
}

/// A person of two pseudonyms.
fn subject() -> Subject {
    let pseudonym = |scheme, suite, byte| Pseudonym {
        scheme,
        suite,
        epoch: 1,
        value: [byte; 32],
    };
    let both = vec![
        pseudonym(Scheme::Snils, Suite::Hmac, 0xa1),
        pseudonym(Scheme::PassportForeign, Suite::HmacStreebog, 0xb2),
    ];
    Subject::new(both).unwrap()
}
