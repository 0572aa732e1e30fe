//! Access to the source, which only reads, and what `check` says about it.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::client::{Client, ids_of, rows};
use super::subject::{Hostility, Subject};
use super::violation::{Violation, ensure};
use crate::{CheckReport, Level};

/// Runs, sweeps, fetches and checks leave the source as it was.
pub(super) async fn reads_only(subject: &mut dyn Subject) -> Result<(), Violation> {
    let all = rows(9, TimeDelta::minutes(1));
    subject.put(&all).await;
    let before = subject.contents().await;
    let client = Client::new(subject).await;
    let run = client.run(None, 2).await?;
    client.run(run.stored, 2).await?;
    client.sweep(2).await?;
    let ids: Vec<_> = ids_of(subject, &all).into_iter().collect();
    client.fetch(&ids).await?;
    client.check().await?;
    ensure!(
        subject.contents().await == before,
        "the connector wrote to the source"
    );
    Ok(())
}

/// `check` warns of an account that could write, and of no other.
pub(super) async fn write_access_is_reported(subject: &mut dyn Subject) -> Result<(), Violation> {
    subject.put(&rows(3, TimeDelta::minutes(1))).await;
    let usual = complaints(&Client::new(subject).await.check().await?);
    subject.begin(Hostility::WriteAccess).await;
    let writable = complaints(&Client::new(subject).await.check().await?);
    ensure!(
        writable
            .iter()
            .any(|(what, _)| !usual.iter().any(|(known, _)| known == what)),
        "`check` does not say that the account may write"
    );
    Ok(())
}

/// `check` finds no error in a good source, and every fault of a bad one in one go, each by the
/// name that the administrator wrote and with what to write instead.
pub(super) async fn check_names_every_fault(subject: &mut dyn Subject) -> Result<(), Violation> {
    subject.put(&rows(3, TimeDelta::minutes(1))).await;
    let good = Client::new(subject).await.check().await?;
    ensure!(
        good.worst() < Level::Error,
        "an error in a good source: {good:?}"
    );
    for name in subject.misconfigure().await {
        let report = Client::new(subject).await.check().await?;
        let complaints = complaints(&report);
        let about = complaints.iter().find(|(what, _)| what.contains(&name));
        let Some((_, help)) = about else {
            return Err(Violation::new(format!(
                "`check` does not name {name}: {report:?}"
            )));
        };
        ensure!(
            !help.is_empty(),
            "`check` does not say what to write instead of {name}"
        );
    }
    Ok(())
}

/// Findings that are not good: what was found, and what to write instead.
fn complaints(report: &CheckReport) -> BTreeSet<(String, String)> {
    let bad = report.findings.iter().filter(|one| one.level > Level::Good);
    bad.map(|one| (one.what.clone(), one.help.clone().unwrap_or_default()))
        .collect()
}
