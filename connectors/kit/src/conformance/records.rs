//! Records: a bad one stands alone, and identity is nowhere but in secret types.

use chrono::TimeDelta;
use secrecy::ExposeSecret;

use super::client::{Client, ensure_exactly, ids_of, is_unusable, rows};
use super::subject::{BIRTH_DATE, FAMILY_NAME, SNILS, Subject};
use super::violation::{Violation, ensure};
use crate::{ClinicDate, ClinicFact, ClinicRecord, Coding, Field};

/// A row that cannot be read is handed over as unusable; those before and after it are good.
pub(super) async fn bad_record_holds_up_no_other(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    for bad in [0, 4, 8] {
        subject.reset().await;
        let mut all = rows(9, TimeDelta::minutes(1));
        all[bad].unreadable = true;
        subject.put(&all).await;
        let bad = subject.record_id(&all[bad].name);
        let client = Client::new(subject).await;
        for limit in [1, 3, 9] {
            let run = client.run(None, limit).await?;
            let when = format!("pages of {limit} with one bad row");
            ensure_exactly(&ids_of(subject, &all), &run.ids(), &when)?;
            for record in &run.records {
                ensure!(
                    is_unusable(record) == (record.record_id == bad),
                    "{} was handed over as the other kind",
                    record.record_id
                );
            }
        }
    }
    Ok(())
}

/// The person's number is read into a secret type; it stands in nothing that can be logged or
/// stored, and name and birth date are not read at all.
pub(super) async fn identity_is_secret(subject: &mut dyn Subject) -> Result<(), Violation> {
    let all = rows(5, TimeDelta::minutes(1));
    subject.put(&all).await;
    let client = Client::new(subject).await;
    let run = client.run(None, 2).await?;
    let sweep = client.sweep(2).await?;
    let ids: Vec<_> = ids_of(subject, &all).into_iter().collect();
    let fetched = client.fetch(&ids).await?;
    for record in run.records.iter().chain(&fetched) {
        person_is_whole(record)?;
        conceals(&readable(record), "a record's readable part")?;
    }
    for cursor in run.cursors.iter().chain(&sweep.cursors) {
        conceals(cursor.as_str(), "a cursor")?;
    }
    for key in &sweep.keys {
        conceals(&key.record_id, "a key")?;
    }
    conceals(
        &format!("{:?}", client.check().await?),
        "the report of check",
    )
}

/// Fails unless the record's person has the planted number, and nothing of name and birth date.
fn person_is_whole(record: &ClinicRecord) -> Result<(), Violation> {
    let values: Vec<_> = record.person.identifiers.iter().collect();
    let digits = |text: &str| {
        text.chars()
            .filter(char::is_ascii_digit)
            .collect::<String>()
    };
    let is_snils = |value: &str| digits(value) == digits(SNILS);
    ensure!(
        values.iter().any(|one| is_snils(one.value.expose_secret())),
        "the person's SNILS was not read"
    );
    for one in values {
        let value = one.value.expose_secret();
        ensure!(
            !value.contains(FAMILY_NAME) && !value.contains(BIRTH_DATE),
            "a name or a birth date was read as an identifier"
        );
    }
    Ok(())
}

/// Fails when a text holds anything of the person.
pub(super) fn conceals(text: &str, what: &str) -> Result<(), Violation> {
    let digits: String = SNILS.chars().filter(char::is_ascii_digit).collect();
    for secret in [SNILS, &digits, FAMILY_NAME, BIRTH_DATE] {
        ensure!(!text.contains(secret), "{what} shows a person's {secret:?}");
    }
    Ok(())
}

/// Everything of a record that is no secret type.
pub(super) fn readable(record: &ClinicRecord) -> String {
    let mut text = format!("{} {:?}", record.record_id, record.stamp);
    for identifier in &record.person.identifiers {
        text.push_str(identifier.country.as_deref().unwrap_or_default());
    }
    let (codings, dates) = match &record.fact {
        ClinicFact::Vaccination {
            vaccine,
            occurred_on,
            ..
        } => (vec![vaccine], vec![occurred_on]),
        ClinicFact::Test {
            test,
            result,
            occurred_on,
        } => (vec![test, result], vec![occurred_on]),
        ClinicFact::Recovery {
            diagnosis,
            began_on,
            occurred_on,
        } => (vec![diagnosis], vec![began_on, occurred_on]),
    };
    for Coding { system, code } in codings.into_iter().flatten() {
        text.push_str(&format!(
            " {code} {}",
            system.as_deref().unwrap_or_default()
        ));
    }
    for date in dates {
        if let Field::Value(ClinicDate::Day(day)) = date {
            text.push_str(&format!(" {day}"));
        }
    }
    text
}
