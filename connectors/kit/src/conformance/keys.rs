//! Sweeps and single rows: what `keys` does not name is withdrawn, and what `fetch` leaves out is
//! gone.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::client::{
    Client, Sweep, ensure_all, ensure_exactly, first_keys, ids_of, is_unusable, row, rows,
};
use super::subject::{Row, Subject, now};
use super::violation::{Violation, ensure};
use crate::ClinicRecord;

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// A sweep over a source left in peace lists every row, also when each page is asked of a new
/// connector.
pub(super) async fn keys_list_every_row(subject: &mut dyn Subject) -> Result<(), Violation> {
    for apart in [MINUTE, TimeDelta::zero()] {
        for count in [0, 1, 6, 7, 8, 14, 15] {
            subject.reset().await;
            let all = rows(count, apart);
            subject.put(&all).await;
            let sweep = Client::new(subject).await.sweep(7).await?;
            let when = format!("{count} keys in pages of 7");
            ensure_exactly(&ids_of(subject, &all), &sweep.ids(), &when)?;
        }
    }
    let all = rows(9, MINUTE);
    subject.reset().await;
    subject.put(&all).await;
    let mut sweep = Sweep::default();
    let mut request = first_keys(2);
    for _ in 0..100 {
        let restarted = Client::new(subject).await;
        sweep.add(restarted.try_keys(&request).await??, &mut request);
        if request.after.is_none() {
            let when = "a connector started anew for every page";
            return ensure_exactly(&ids_of(subject, &all), &sweep.ids(), when);
        }
    }
    Err(Violation::new(
        "a sweep continued by new connectors does not end",
    ))
}

/// A row that is there from the first page to the last is listed, whatever becomes of the others.
pub(super) async fn keys_list_every_row_while_others_change(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let all = rows(20, MINUTE);
    for limit in [2, 3, 7] {
        subject.reset().await;
        subject.put(&all).await;
        let client = Client::new(subject).await;
        let mut sweep = Sweep::default();
        let mut request = first_keys(limit);
        let mut deleted = BTreeSet::new();
        for page in 0..100_u8 {
            sweep.add(client.try_keys(&request).await??, &mut request);
            if request.after.is_none() {
                break;
            }
            if page < 8 {
                deleted.extend(disturb(subject, &all, &sweep.ids(), page).await);
            }
        }
        ensure!(request.after.is_none(), "the sweep does not end");
        let mut spared = ids_of(subject, &all);
        spared.retain(|id| !deleted.contains(id));
        ensure_all(&spared, &sweep.ids(), &format!("keys in pages of {limit}"))?;
    }
    Ok(())
}

/// Deletes a row that was listed, writes one that was not, and adds one. Returns the deleted id.
async fn disturb(
    subject: &mut dyn Subject,
    all: &[Row],
    listed: &BTreeSet<String>,
    page: u8,
) -> Option<String> {
    let later = now() - TimeDelta::days(1) + MINUTE * i32::from(page);
    let was_listed = |row: &&Row| listed.contains(&subject.record_id(&row.name));
    let listed_row = all.iter().filter(was_listed).nth(page.into()).cloned();
    let other_row = all.iter().rev().find(|row| !was_listed(row)).cloned();
    if let Some(listed_row) = &listed_row {
        subject.delete(std::slice::from_ref(&listed_row.name)).await;
    }
    if let Some(other_row) = other_row {
        subject.put(&[row(&other_row.name, later)]).await;
    }
    // Before all others and behind all others: one of them alone would make up for the deletion.
    let side = if page.is_multiple_of(2) { "z" } else { "a" };
    subject.put(&[row(&format!("{side}-{page}"), later)]).await;
    listed_row.map(|row| subject.record_id(&row.name))
}

/// `page`, `keys` and `fetch` give one row the same id and the same stamp, readable or not.
pub(super) async fn row_has_one_id_and_one_stamp(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let mut all = rows(9, TimeDelta::seconds(1));
    all[4].unreadable = true;
    subject.put(&all).await;
    let client = Client::new(subject).await;
    let pulled = pairs(&client.run(None, 4).await?.records);
    let sweep = client.sweep(4).await?;
    let listed = sweep
        .keys
        .iter()
        .map(|key| (key.record_id.clone(), key.stamp));
    let listed: BTreeSet<_> = listed.collect();
    let ids: Vec<_> = ids_of(subject, &all).into_iter().collect();
    let fetched = pairs(&client.fetch(&ids).await?);
    ensure!(
        pulled.len() == all.len(),
        "{} of {} rows",
        pulled.len(),
        all.len()
    );
    ensure!(
        pulled == listed,
        "pages give {pulled:?}, keys give {listed:?}"
    );
    ensure!(
        pulled == fetched,
        "pages give {pulled:?}, fetch gives {fetched:?}"
    );
    Ok(())
}

fn pairs(records: &[ClinicRecord]) -> BTreeSet<(String, Option<i64>)> {
    let pairs = records
        .iter()
        .map(|record| (record.record_id.clone(), record.stamp));
    pairs.collect()
}

/// `fetch` hands over a row that cannot be read as unusable.
pub(super) async fn fetch_gives_unreadable_rows(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let mut all = rows(3, MINUTE);
    all[1].unreadable = true;
    subject.put(&all).await;
    let bad = subject.record_id(&all[1].name);
    let client = Client::new(subject).await;
    let ids: Vec<_> = ids_of(subject, &all).into_iter().collect();
    for asked in [ids.clone(), vec![bad.clone()]] {
        let found = client.fetch(&asked).await?;
        let found_ids = found.iter().map(|record| record.record_id.clone());
        let expected: BTreeSet<_> = asked.into_iter().collect();
        ensure_exactly(&expected, &found_ids.collect(), "fetched")?;
        for record in &found {
            ensure!(
                is_unusable(record) == (record.record_id == bad),
                "{} was handed over as the other kind",
                record.record_id
            );
        }
    }
    Ok(())
}

/// `fetch` leaves out what is gone or never was, gives everything else as it is now, and nothing
/// that was not asked for.
pub(super) async fn fetch_leaves_out_only_what_is_gone(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let all = rows(6, MINUTE);
    subject.put(&all).await;
    let client = Client::new(subject).await;
    let before = pairs(&client.fetch(&[subject.record_id(&all[1].name)]).await?);
    subject.delete(std::slice::from_ref(&all[0].name)).await;
    subject.put(&[row(&all[1].name, now() - MINUTE)]).await;
    let mut asked: Vec<_> = ids_of(subject, &all[..4]).into_iter().collect();
    asked.push(subject.record_id("never-was"));
    let found = pairs(&client.fetch(&asked).await?);
    let found_ids = found.iter().map(|(id, _)| id.clone()).collect();
    ensure_exactly(&ids_of(subject, &all[1..4]), &found_ids, "fetched")?;
    let has_stamps = before.iter().all(|(_, stamp)| stamp.is_some());
    ensure!(
        !has_stamps || before.is_disjoint(&found),
        "a changed row was fetched as it was before"
    );
    ensure!(
        client.fetch(&[]).await?.is_empty(),
        "no id was asked for, and a row came"
    );
    Ok(())
}
