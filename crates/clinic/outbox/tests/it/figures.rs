//! Figures that operators are told: they add up, they are complete, and what was mended leaves
//! them.

use outbox::{
    DeadLetterFilter, FeedStatus, MAX_DEAD_LETTERS_PER_FEED, Outbox, PageCommit, Refused,
    RowCounts, RunOutcome, SOURCE_ENDLESS, Status, SweepEnd, SweepLimits,
};

use crate::support::{FREELY, Place, Source, asserted, at, digest, finish, page, withdrawn};

async fn status(outbox: &Outbox) -> Status {
    outbox.reader().status().await.unwrap()
}

async fn only_feed(outbox: &Outbox) -> FeedStatus {
    let [feed] = <[FeedStatus; 1]>::try_from(status(outbox).await.feeds).unwrap();
    feed
}

fn refused_row(record: u32, reason: &'static str) -> Refused {
    Refused {
        value: None,
        record_id: record.to_string(),
        reason,
        record: digest(record),
        stamp: Some(i64::from(record)),
    }
}

/// Page of a pull that refuses these rows.
fn refusing(records: impl IntoIterator<Item = u32>) -> PageCommit {
    let rows = records.into_iter();
    PageCommit {
        refused: rows
            .map(|row| refused_row(row, "vaccine-unknown"))
            .collect(),
        generation_at_read: Some(1),
        ..page(Vec::new(), "refused")
    }
}

fn sum(rows: RowCounts) -> u64 {
    rows.sent + rows.unchanged + rows.no_fact + rows.refused + rows.parked + rows.withheld
}

#[tokio::test]
async fn every_row_that_was_read_is_in_one_counter() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut first = page(
        vec![
            asserted(1, 1),
            asserted(2, 1),
            asserted(2, 2),
            asserted(3, 1),
            withdrawn(4, true),
        ],
        "a",
    );
    first.refused = vec![refused_row(5, "bad-snils"), refused_row(6, "bad-snils")];
    let done = outbox.commit_page(first.clone()).await.unwrap();
    let counts = (done.read, done.sent, done.unchanged, done.no_fact);
    assert_eq!(counts, (7, 3, 1, 1), "one row came twice, one is no fact");
    assert_eq!((done.refused, done.refused_new), (2, 2));
    let again = outbox.commit_page(first).await.unwrap();
    assert_eq!((again.refused, again.refused_new), (2, 0), "refused before");
    let mended = page(
        vec![asserted(3, 9), withdrawn(1, true), asserted(5, 1)],
        "c",
    );
    let third = outbox.commit_page(mended).await.unwrap();
    assert_eq!((third.read, third.sent), (3, 3));

    let feed = only_feed(&outbox).await;
    let rows = RowCounts {
        read: 17,
        sent: 6,
        unchanged: 5,
        no_fact: 2,
        refused: 4,
        parked: 0,
        withheld: 0,
    };
    assert_eq!(feed.rows, rows);
    assert_eq!(sum(feed.rows), feed.rows.read);
    assert_eq!((feed.unchanged_total, feed.refused_total), (5, 2));
}

#[tokio::test]
async fn joined_pages_count_as_both() {
    let place = Place::new();
    let outbox = place.open().await;
    let mut second = page(vec![asserted(2, 1), withdrawn(3, true)], "b");
    second.refused = vec![refused_row(4, "bad-snils")];
    let mut joined = outbox
        .prepare(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    joined.join(outbox.prepare(second).await.unwrap()).unwrap();
    let done = outbox.commit(joined).await.unwrap();
    let counts = (done.read, done.sent, done.no_fact, done.refused);
    assert_eq!(counts, (4, 2, 1, 1));
}

#[tokio::test]
async fn an_unfinished_load_is_told_until_a_run_reaches_the_end() {
    let place = Place::new();
    let outbox = place.open().await;
    let pulled = |records: std::ops::Range<u32>, resume: &str| PageCommit {
        generation_at_read: Some(1),
        ..page(records.map(|record| asserted(record, 1)).collect(), resume)
    };
    let load = async || {
        let load = only_feed(&outbox).await.load;
        load.map(|load| (load.first, load.rows))
    };
    let end = async |outcome, second| {
        let noted = outbox.record_run("mis", "recoveries", outcome, at(second));
        noted.await.unwrap();
    };
    outbox.begin_load("mis", "recoveries", at(0)).await.unwrap();
    assert_eq!(load().await, Some((true, 0)));
    outbox.commit_page(pulled(0..3, "3")).await.unwrap();
    end(RunOutcome::Stopped, 5).await;
    let feed = only_feed(&outbox).await;
    assert_eq!((feed.last_ok_at, feed.last_run_at), (None, Some(at(5))));
    assert_eq!(load().await, Some((true, 3)), "it was stopped");
    outbox.commit_page(pulled(3..5, "5")).await.unwrap();
    assert_eq!(load().await, Some((true, 5)), "it goes on");
    end(RunOutcome::Ok, 6).await;
    assert_eq!(load().await, None);
    outbox.commit_page(pulled(5..6, "6")).await.unwrap();
    assert_eq!(load().await, None, "a usual run is no load");

    outbox.forget_cursors("mis").await.unwrap();
    assert_eq!(load().await, Some((false, 0)), "all is read again");
    outbox.commit_page(pulled(0..4, "4")).await.unwrap();
    end(RunOutcome::Stopped, 7).await;
    assert_eq!(only_feed(&outbox).await.last_ok_at, Some(at(6)));
    assert_eq!(load().await, Some((false, 4)));
    end(RunOutcome::Ok, 8).await;
    let raised = outbox.raise_generation(2, "a test", at(9)).await;
    assert!(raised.unwrap());
    assert_eq!(load().await, Some((false, 0)), "a raise reads all again");
}

#[tokio::test]
async fn refusals_beyond_the_list_are_counted_until_they_are_mended_or_gone() {
    let place = Place::new();
    let outbox = place.open().await;
    let most = MAX_DEAD_LETTERS_PER_FEED;
    let listed = async || {
        let filter = DeadLetterFilter {
            limit: u32::MAX,
            ..DeadLetterFilter::default()
        };
        outbox.reader().dead_letters(&filter).await.unwrap().len() as u64
    };
    let counted = async || -> Vec<(u64, u64)> {
        let counts = status(&outbox).await.dead_letters;
        counts
            .iter()
            .map(|count| (count.count, count.unlisted))
            .collect()
    };
    let mut opened = 0;
    for first in (0..most).step_by(50_000) {
        let page = refusing(first..first + 50_000);
        opened += outbox.commit_page(page).await.unwrap().refused_new;
    }
    assert_eq!((opened, listed().await), (u64::from(most), u64::from(most)));
    assert_eq!(counted().await, [(u64::from(most), 0)], "the list is full");

    let over = outbox.commit_page(refusing(most..most + 7)).await.unwrap();
    assert_eq!(
        (over.refused, over.refused_new),
        (7, 7),
        "and still all count"
    );
    let again = outbox
        .commit_page(refusing(most - 1..most + 7))
        .await
        .unwrap();
    assert_eq!((again.refused, again.refused_new), (8, 0));
    assert_eq!(listed().await, u64::from(most));
    assert_eq!(counted().await, [(u64::from(most) + 7, 7)]);
    assert_eq!(only_feed(&outbox).await.refused_total, u64::from(most) + 7);

    // Another reason is no further refusal; a mended row leaves; room in the list is used.
    let mut other = refusing([]);
    other.refused = vec![refused_row(most, "bad-snils")];
    assert_eq!(outbox.commit_page(other).await.unwrap().refused_new, 0);
    assert_eq!(counted().await, [(1, 1), (u64::from(most) + 6, 6)]);
    let mut mended = page(vec![asserted(most, 1), asserted(0, 1)], "m");
    mended.accepted_record_ids = vec![most.to_string(), "0".into()];
    assert_eq!(outbox.commit_page(mended).await.unwrap().cleared, 2);
    assert_eq!(counted().await, [(u64::from(most) + 5, 6)]);
    let moved = outbox.commit_page(refusing([most + 1])).await.unwrap();
    assert_eq!(moved.refused_new, 0, "it was only listed now");
    assert_eq!(counted().await, [(u64::from(most) + 5, 5)]);

    // A sweep sees the listed rows, and one of the five others.
    let mut source = Source::of((0..most + 2).chain([most + 6]));
    source
        .bad
        .extend((1..most + 7).filter(|record| *record != most));
    sweep_with_large_pages(&outbox, &source).await;
    assert_eq!(counted().await, [(u64::from(most) + 1, 1)]);
    outbox.forget_cursors("mis").await.unwrap();
    assert_eq!(counted().await, [(u64::from(most) + 1, 1)]);
}

/// Sweeps both passes, in pages that suit a hundred thousand keys.
async fn sweep_with_large_pages(outbox: &Outbox, source: &Source) {
    loop {
        while !source.sweep_page(outbox, 60_000).await.0 {}
        match finish(outbox, FREELY).await.unwrap() {
            SweepEnd::LookAgain { .. } => {}
            SweepEnd::Done { .. } => return,
            unexpected => panic!("{unexpected:?}"),
        }
    }
}

#[tokio::test]
async fn surprises_are_over_after_a_sweep_that_began_later_and_ended_well() {
    let place = Place::new();
    let outbox = place.open().await;
    let source = Source::of(0..20);
    source.pull(&outbox).await;
    let open = async || -> Vec<String> {
        let surprises = status(&outbox).await.surprises.into_iter();
        let open = surprises.filter(|surprise| surprise.mended_at.is_none());
        open.map(|surprise| surprise.code).collect()
    };
    let note = async |code, second| {
        let noted = outbox.note_surprise("mis", "recoveries", code, 1, at(second));
        noted.await.unwrap();
    };
    // Sweeps of the tests begin at the second 0.
    note("stamps-went-back", 0).await;
    note("changed-unnoticed", 1).await;
    note(SOURCE_ENDLESS, 0).await;
    source.sweep(&outbox, FREELY).await;
    assert_eq!(
        open().await,
        ["changed-unnoticed", SOURCE_ENDLESS],
        "one came later"
    );
    outbox
        .record_run("mis", "recoveries", RunOutcome::Ok, at(2))
        .await
        .unwrap();
    assert_eq!(open().await, ["changed-unnoticed"]);
    note("stamps-went-back", 0).await;
    assert_eq!(
        open().await,
        ["changed-unnoticed", "stamps-went-back"],
        "again"
    );

    let none = SweepLimits {
        percent: 0,
        always: 0,
    };
    let held = Source::of(0..10).sweep(&outbox, none).await;
    assert!(matches!(held, SweepEnd::Held { .. }), "{held:?}");
    assert_eq!(open().await.len(), 2, "a sweep that is held mends nothing");
    source.sweep(&outbox, none).await;
    assert_eq!(open().await, ["changed-unnoticed"]);
    assert_eq!(only_feed(&outbox).await.sweep.unwrap().held, None);
}

#[tokio::test]
async fn the_queue_and_ignored_receipts_are_told_with_their_times() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .note_link("queue", "connected", None, at(1))
        .await
        .unwrap();
    let why = "the broker refuses\nthe account";
    outbox
        .note_link("queue", "down", Some(why), at(2))
        .await
        .unwrap();
    outbox
        .note_link("receipts", "down", None, at(3))
        .await
        .unwrap();
    for second in [4, 5] {
        let noted = outbox.note_rejected_receipts("other-key", 2, at(second));
        noted.await.unwrap();
    }
    let status = status(&outbox).await;
    let links: Vec<_> = status
        .links
        .iter()
        .map(|link| (link.name.as_str(), link.state.as_str(), link.since))
        .collect();
    assert_eq!(
        links,
        [
            ("queue", "down", Some(at(2))),
            ("receipts", "down", Some(at(3)))
        ]
    );
    assert_eq!(
        status.links[0].why.as_deref(),
        Some("the broker refuses the account")
    );
    let [rejected] = status.rejected_receipts.as_slice() else {
        panic!("{status:?}")
    };
    assert_eq!((rejected.reason.as_str(), rejected.count), ("other-key", 4));
    assert_eq!(
        (rejected.first_seen_at, rejected.last_seen_at),
        (Some(at(4)), Some(at(5)))
    );
}

#[tokio::test]
async fn the_cause_of_a_failure_is_told_until_a_good_run() {
    let place = Place::new();
    let outbox = place.open().await;
    let failed = RunOutcome::Failed {
        code: "source-misconfigured",
        why: "the column dose is missing",
    };
    for outcome in [failed, RunOutcome::Stopped] {
        outbox
            .record_run("mis", "tests", outcome, at(1))
            .await
            .unwrap();
        let feed = only_feed(&outbox).await;
        assert_eq!(
            feed.last_error_why.as_deref(),
            Some("the column dose is missing")
        );
        assert_eq!(feed.consecutive_failures, 1, "a stop is no failure");
    }
    outbox
        .record_run("mis", "tests", RunOutcome::Ok, at(2))
        .await
        .unwrap();
    assert_eq!(only_feed(&outbox).await.last_error_why, None);
}
