//! Sources that fail: reported as retry or misconfigured, in the connector's own words, and in
//! time.

use chrono::TimeDelta;

use super::client::{
    Client, Run, ensure_exactly, first_keys, first_page, ids_of, is_unusable, rows,
};
use super::records::conceals;
use super::subject::{Hostility, QUOTED_WORD, Subject, now};
use super::violation::{Violation, ensure};
use crate::{Level, SourceError};

/// A source that is away is worth another try, and never an empty page; once it is back, the run
/// goes on from the same cursor.
pub(super) async fn source_away_is_retry(subject: &mut dyn Subject) -> Result<(), Violation> {
    passes_by_itself(subject, Hostility::Away).await
}

/// A source that never answers is given up within the configured time, and tried again later.
pub(super) async fn silent_source_is_given_up(subject: &mut dyn Subject) -> Result<(), Violation> {
    passes_by_itself(subject, Hostility::Silent).await
}

/// A source that answers too slowly to come to an end is given up within the configured time.
pub(super) async fn dripping_source_is_given_up(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    passes_by_itself(subject, Hostility::Dripping).await
}

async fn passes_by_itself(
    subject: &mut dyn Subject,
    hostility: Hostility,
) -> Result<(), Violation> {
    let all = rows(5, TimeDelta::minutes(1));
    subject.put(&all).await;
    subject.shorten_timeouts().await;
    let client = Client::new(subject).await;
    let mut run = Run::default();
    let mut request = first_page(2);
    run.add(client.page_in_the_end(&request).await?, &mut request);
    subject.begin(hostility).await;
    for (what, failure) in failures(subject, &client).await? {
        ensure!(
            matches!(failure, SourceError::Retry { .. }),
            "`{what}` says that somebody must change something: {failure}"
        );
    }
    let failure = client.try_page(&request).await?.err();
    ensure!(
        matches!(failure, Some(SourceError::Retry { .. })),
        "the second page of a run: {failure:?} instead of retry"
    );
    let report = client.check().await?;
    ensure!(
        report.worst() == Level::Error,
        "`check` sees nothing wrong: {report:?}"
    );
    subject.end().await;
    while request.after.is_some() {
        run.add(client.page_in_the_end(&request).await?, &mut request);
    }
    ensure_exactly(
        &ids_of(subject, &all),
        &run.ids(),
        "a run that was interrupted",
    )
}

/// A source that refuses access needs a person, who is told what to change.
pub(super) async fn access_refused_is_misconfigured(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    subject.put(&rows(5, TimeDelta::minutes(1))).await;
    subject.begin(Hostility::Refused).await;
    let client = Client::new(subject).await;
    for (what, failure) in failures(subject, &client).await? {
        let is_helpful =
            matches!(&failure, SourceError::Misconfigured { help, .. } if !help.is_empty());
        ensure!(
            is_helpful,
            "`{what}` does not say what a person has to change: {failure}"
        );
    }
    let report = client.check().await?;
    ensure!(
        report.worst() == Level::Error,
        "`check` sees nothing wrong: {report:?}"
    );
    Ok(())
}

/// The failures of a first page, of keys and of a row by its id.
async fn failures(
    subject: &dyn Subject,
    client: &Client,
) -> Result<Vec<(&'static str, SourceError)>, Violation> {
    let page = client.try_page(&first_page(2)).await?.err();
    let keys = client.try_keys(&first_keys(2)).await?.err();
    let ids = [subject.record_id("r-000")];
    let fetch = client.try_fetch(&ids).await?.err();
    let mut failures = Vec::new();
    for (what, failure) in [("page", page), ("keys", keys), ("fetch", fetch)] {
        match failure {
            Some(failure) => failures.push((what, failure)),
            None => {
                return Err(Violation::new(format!(
                    "`{what}` answers as if all were well"
                )));
            }
        }
    }
    Ok(failures)
}

/// Errors and findings say nothing in the source's own words, which may quote a value.
pub(super) async fn errors_quote_no_value(subject: &mut dyn Subject) -> Result<(), Violation> {
    let all = rows(3, TimeDelta::minutes(1));
    subject.put(&all).await;
    subject.begin(Hostility::QuotesValues).await;
    let client = Client::new(subject).await;
    let ids: Vec<_> = ids_of(subject, &all).into_iter().collect();
    let run = client.try_run(None, 2, now()).await?;
    let keys = client.try_sweep(2).await?.failure;
    let fetched = client.try_fetch(&ids).await?;
    let report = client.check().await?;
    let mut noticed = report.worst() > Level::Good || run.records.iter().any(is_unusable);
    let mut texts = vec![format!("{report:?}")];
    for failure in [run.failure, keys, fetched.err()].into_iter().flatten() {
        noticed = true;
        texts.push(format!("{failure} {failure:?}"));
    }
    ensure!(noticed, "the source fails, and nobody notices");
    for text in texts {
        conceals(&text, "an error")?;
        ensure!(
            !text.contains(QUOTED_WORD),
            "an error quotes the source: {text}"
        );
    }
    Ok(())
}
