//! Sources that lie: too much, too little, or without an end. Nothing is lost, and nothing grows
//! without a bound.

use chrono::TimeDelta;

use super::client::{Client, ensure_all, ensure_exactly, ids_of, rows};
use super::records::readable;
use super::subject::{Hostility, Row, Subject, now};
use super::violation::{Violation, ensure};

/// Most bytes of a record that are kept in readable form.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// A page keeps its limit although the source gives more than was asked for, and loses nothing of
/// it.
pub(super) async fn page_keeps_its_limit_where_the_source_does_not(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let all = rows(9, TimeDelta::minutes(1));
    subject.put(&all).await;
    subject.begin(Hostility::IgnoresPageSize).await;
    let expected = ids_of(subject, &all);
    let client = Client::new(subject).await;
    let run = client.run(None, 2).await?;
    ensure_exactly(
        &expected,
        &run.ids(),
        "pages of a source that ignores their size",
    )?;
    let sweep = client.sweep(2).await?;
    ensure_exactly(
        &expected,
        &sweep.ids(),
        "keys of a source that ignores their number",
    )
}

/// A value beyond all bounds is cut, refused or an error, in time; the other rows come, at the
/// latest when it is gone.
pub(super) async fn huge_value_is_bounded(subject: &mut dyn Subject) -> Result<(), Violation> {
    let all = rows(5, TimeDelta::minutes(1));
    subject.put(&all).await;
    subject.begin(Hostility::Huge).await;
    let client = Client::new(subject).await;
    let run = client.try_run(None, 2, now()).await?;
    for record in &run.records {
        let bytes = readable(record).len();
        ensure!(bytes <= MAX_RECORD_BYTES, "a record of {bytes} bytes");
    }
    let sweep = client.try_sweep(2).await?;
    if sweep.failure.is_none() {
        ensure_all(
            &ids_of(subject, &all),
            &sweep.ids(),
            "keys beside a huge value",
        )?;
    }
    subject.end().await;
    let mut found = run.ids();
    found.extend(client.run(run.stored, 2).await?.ids());
    ensure_all(&ids_of(subject, &all), &found, "pages beside a huge value")
}

/// An answer that breaks off is an error, never a short last page.
pub(super) async fn truncated_answer_is_no_page(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let all = rows(9, TimeDelta::minutes(1));
    subject.put(&all).await;
    subject.begin(Hostility::Truncated).await;
    let failed = ends_without_loss(subject, &all).await?;
    ensure!(
        failed,
        "answers break off, and neither a run nor a sweep fails"
    );
    subject.begin(Hostility::Truncated).await;
    let client = Client::new(subject).await;
    let ids: Vec<_> = ids_of(subject, &all).into_iter().collect();
    if let Ok(found) = client.try_fetch(&ids).await? {
        let found = found.into_iter().map(|record| record.record_id).collect();
        ensure_all(
            &ids_of(subject, &all),
            &found,
            "fetched from a truncated answer",
        )?;
    }
    Ok(())
}

/// A source that gives the same page again and again is found out.
pub(super) async fn same_page_again_ends(subject: &mut dyn Subject) -> Result<(), Violation> {
    endless(subject, Hostility::SamePageAgain).await
}

/// A source whose pages lead in a cycle is found out.
pub(super) async fn pages_in_a_cycle_end(subject: &mut dyn Subject) -> Result<(), Violation> {
    endless(subject, Hostility::PagesInCycle).await
}

/// A source whose pages never end is given up after a bounded number of them.
pub(super) async fn pages_without_end_end(subject: &mut dyn Subject) -> Result<(), Violation> {
    endless(subject, Hostility::PagesWithoutEnd).await
}

async fn endless(subject: &mut dyn Subject, hostility: Hostility) -> Result<(), Violation> {
    let all = rows(10, TimeDelta::minutes(1));
    subject.put(&all).await;
    subject.begin(hostility).await;
    ends_without_loss(subject, &all).await?;
    Ok(())
}

/// A run and a sweep end. One that ends well has named everything; after one that failed, the next
/// run, on the source as it should be, begins with what is missing. Returns whether one failed.
async fn ends_without_loss(subject: &mut dyn Subject, all: &[Row]) -> Result<bool, Violation> {
    let expected = &ids_of(subject, all);
    let client = Client::new(subject).await;
    let run = client.try_run(None, 3, now()).await?;
    let mut found = run.ids();
    let sweep = client.try_sweep(3).await?;
    if run.failure.is_none() {
        ensure_all(expected, &found, "a run that ended as if all were well")?;
    }
    if sweep.failure.is_none() {
        ensure_all(
            expected,
            &sweep.ids(),
            "a sweep that ended as if all were well",
        )?;
    }
    subject.end().await;
    found.extend(client.run(run.stored, 3).await?.ids());
    ensure_all(expected, &found, "this run, and the next one")?;
    Ok(run.failure.is_some() || sweep.failure.is_some())
}
