//! Pages and runs: bounded, repeatable, without a gap, whatever is written meanwhile.

use chrono::{DateTime, TimeDelta, Utc};

use super::client::{
    Client, Run, ensure_all, ensure_exactly, first_page, ids_of, is_unusable, row, rows,
};
use super::subject::{Subject, now};
use super::violation::{Violation, ensure};
use crate::SourceSurprise;

const MINUTE: TimeDelta = TimeDelta::minutes(1);

/// `page` returns at most `limit` records, and no more where the limit is beyond all bounds.
pub(super) async fn page_keeps_its_limit(subject: &mut dyn Subject) -> Result<(), Violation> {
    let all = rows(9, MINUTE);
    subject.put(&all).await;
    let client = Client::new(subject).await;
    for limit in [1, 2, 8, 9, 10, u32::MAX] {
        let run = client.run(None, limit).await?;
        let when = format!("limit {limit}");
        ensure_exactly(&ids_of(subject, &all), &run.ids(), &when)?;
    }
    Ok(())
}

/// The same request gives the same page.
pub(super) async fn page_is_repeatable(subject: &mut dyn Subject) -> Result<(), Violation> {
    subject.put(&rows(9, MINUTE)).await;
    let client = Client::new(subject).await;
    let mut request = first_page(4);
    loop {
        let mut once = Run::default();
        let mut again = Run::default();
        let mut following = request.clone();
        again.add(client.page(&request).await?, &mut following);
        once.add(client.page(&request).await?, &mut request);
        ensure!(
            once.ids() == again.ids() && request.after.is_some() == following.after.is_some(),
            "the same request gave {:?} and then {:?}",
            again.ids(),
            once.ids()
        );
        if request.after.is_none() {
            return Ok(());
        }
    }
}

/// A run over a source left in peace hands over every record, however the pages fall.
pub(super) async fn run_skips_nothing(subject: &mut dyn Subject) -> Result<(), Violation> {
    for count in [0, 1, 6, 7, 8, 14, 15] {
        subject.reset().await;
        let all = rows(count, TimeDelta::seconds(1));
        subject.put(&all).await;
        let run = Client::new(subject).await.run(None, 7).await?;
        let when = format!("{count} rows in pages of 7");
        ensure_exactly(&ids_of(subject, &all), &run.ids(), &when)?;
        let unusable = run.records.iter().any(is_unusable);
        ensure!(!unusable, "a good row was handed over as unusable");
    }
    Ok(())
}

/// Records of one and the same stamp all come, however many fit into a page.
pub(super) async fn run_skips_no_equal_stamps(subject: &mut dyn Subject) -> Result<(), Violation> {
    let all = rows(15, TimeDelta::zero());
    subject.put(&all).await;
    let client = Client::new(subject).await;
    for limit in [1, 4, 5, 14, 15, 16] {
        let run = client.run(None, limit).await?;
        let when = format!("15 rows of one stamp in pages of {limit}");
        ensure_exactly(&ids_of(subject, &all), &run.ids(), &when)?;
    }
    Ok(())
}

/// Whatever is changed, deleted and added between two pages: a record that is still there is in the
/// run, or at the latest in the next one.
pub(super) async fn run_skips_nothing_while_others_change(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    // Further apart than the overlap, which would hide a gap.
    let all = rows(20, TimeDelta::hours(2));
    for limit in [2, 3, 7] {
        subject.reset().await;
        subject.put(&all).await;
        let client = Client::new(subject).await;
        let mut run = Run::default();
        let mut request = first_page(limit);
        for page in 0..100_u8 {
            run.add(client.page(&request).await?, &mut request);
            if request.after.is_none() {
                break;
            }
            let later = now() - TimeDelta::days(1) + MINUTE * i32::from(page);
            if page < 5 {
                let deleted = &all[usize::from(page)];
                let changed = &all[5 + usize::from(page)];
                subject.delete(std::slice::from_ref(&deleted.name)).await;
                subject.put(&[row(&changed.name, later)]).await;
                subject.put(&[row(&format!("new-{page}"), later)]).await;
            }
        }
        ensure!(request.after.is_none(), "the run does not end");
        let mut found = run.ids();
        found.extend(client.run(run.stored, limit).await?.ids());
        let left = ids_of(subject, &all[5..]);
        ensure_all(&left, &found, &format!("pages of {limit}"))?;
    }
    Ok(())
}

/// A run ends although every row is written again as soon as it was read.
pub(super) async fn run_ends_while_the_source_is_written(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let all = rows(9, MINUTE);
    subject.put(&all).await;
    let client = Client::new(subject).await;
    let mut run = Run::default();
    let mut request = first_page(2);
    for page in 1..30 {
        run.add(client.page(&request).await?, &mut request);
        if request.after.is_none() {
            let mut found = run.ids();
            found.extend(client.run(run.stored, 100).await?.ids());
            return ensure_all(&ids_of(subject, &all), &found, "this run and the next");
        }
        let later = now() - TimeDelta::days(1) + MINUTE * page;
        let ids = run.ids();
        let read = all
            .iter()
            .filter(|row| ids.contains(&subject.record_id(&row.name)));
        let again: Vec<_> = read.map(|read| row(&read.name, later)).collect();
        subject.put(&again).await;
    }
    Err(Violation::new(
        "the run follows what is written behind it, and does not end",
    ))
}

/// A gateway that is stopped after any page, and goes on from what it stored, has missed nothing.
pub(super) async fn resume_is_not_past_unread_records(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let all = rows(12, TimeDelta::hours(1));
    subject.put(&all).await;
    for pages in 1..=4 {
        let client = Client::new(subject).await;
        let mut run = Run::default();
        let mut request = first_page(3);
        for _ in 0..pages {
            if request.first_of_run || request.after.is_some() {
                run.add(client.page(&request).await?, &mut request);
            }
        }
        let mut found = run.ids();
        let restarted = Client::new(subject).await;
        found.extend(restarted.run(run.stored, 3).await?.ids());
        let when = format!("stopped after page {pages}");
        ensure_all(&ids_of(subject, &all), &found, &when)?;
    }
    Ok(())
}

/// A row stamped in the far future does not draw the stored cursor past what is written today.
pub(super) async fn resume_is_not_in_the_future(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let far = now() + TimeDelta::days(365 * 70);
    later_rows_are_found(subject, far).await
}

/// The present moment is that of the request: a stamp between it and the machine's clock is one of
/// the future.
pub(super) async fn time_comes_from_the_request(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let later = now() + TimeDelta::hours(3);
    later_rows_are_found(subject, later).await
}

/// Stores a cursor while there is a row from the `future`, then writes rows stamped before it.
async fn later_rows_are_found(
    subject: &mut dyn Subject,
    future: DateTime<Utc>,
) -> Result<(), Violation> {
    let today = row("today", now() - TimeDelta::hours(1));
    let tomorrow = [row("future-a", future), row("future-b", future)];
    subject.put(&[today]).await;
    subject.put(&tomorrow).await;
    let client = Client::new(subject).await;
    let first = client.run(None, 2).await?;
    ensure_all(&ids_of(subject, &tomorrow), &first.ids(), "the first run")?;
    let added = [
        row("late", now() - subject.overlap() / 2),
        row("soon", now() + MINUTE * 30),
    ];
    subject.put(&added).await;
    let an_hour_later = now() + TimeDelta::hours(1);
    let second = client.run_at(first.stored, 1, an_hour_later).await?;
    let when = "written after a row from the future was read";
    ensure_all(&ids_of(subject, &added), &second.ids(), when)
}

/// Rows that were committed late behind the stored cursor are in the next run.
pub(super) async fn run_looks_back_over_the_overlap(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    // A row is committed late if its stamp lies less than the overlap back by then.
    let last = now() - subject.overlap() / 4;
    let all = [row("old", last - TimeDelta::days(1)), row("last", last)];
    subject.put(&all).await;
    let client = Client::new(subject).await;
    let first = client.run(None, 10).await?;
    let late = row("late", last - subject.overlap() / 2);
    subject.put(std::slice::from_ref(&late)).await;
    let second = client.run(first.stored, 1).await?;
    ensure_all(&ids_of(subject, &[late]), &second.ids(), "committed late")?;
    let changed = row("old", last + TimeDelta::seconds(1));
    subject.put(std::slice::from_ref(&changed)).await;
    let third = client.run(second.stored, 1).await?;
    let when = "changed after a run";
    ensure_all(&ids_of(subject, &[changed]), &third.ids(), when)
}

/// Stamps that went back are said once, what was written since comes at once, and the cursor goes
/// back with them.
pub(super) async fn stamps_that_went_back_are_followed(
    subject: &mut dyn Subject,
) -> Result<(), Violation> {
    let old = now() - TimeDelta::days(5);
    let all = [row("old", old), row("new", now() - TimeDelta::hours(2))];
    subject.put(&all).await;
    let client = Client::new(subject).await;
    let first = client.run(None, 1).await?;
    let quiet = client.run(first.stored, 1).await?;
    ensure!(
        first.surprises.is_empty() && quiet.surprises.is_empty(),
        "a surprise where nothing went back"
    );
    // A backup was restored, and the clinic writes on at the backup's time.
    subject.delete(&["new".to_owned()]).await;
    let since = [
        row("since-a", old + MINUTE * 30),
        row("since-b", old + MINUTE * 31),
    ];
    subject.put(&since).await;
    let back = client.run(quiet.stored, 1).await?;
    ensure!(
        back.surprises == [SourceSurprise::StampsWentBack],
        "stamps went back, and the run says {:?}",
        back.surprises
    );
    ensure_all(
        &ids_of(subject, &since),
        &back.ids(),
        "written since the stamps went back",
    )?;
    let next = [row("since-c", old + MINUTE * 32)];
    subject.put(&next).await;
    let after = client.run(back.stored, 1).await?;
    ensure!(after.surprises.is_empty(), "the surprise is said again");
    ensure_all(
        &ids_of(subject, &next),
        &after.ids(),
        "written after the cursor went back",
    )
}
