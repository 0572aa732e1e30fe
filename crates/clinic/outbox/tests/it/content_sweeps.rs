//! Content sweeps: whole rows are read where no stamp tells of a change. What differs is sent, what
//! is gone is withdrawn as by a key sweep, and what they came to is told.

use contract::{Body, Event};
use outbox::{
    ChangeNotice, DeadLetterFilter, FeedStatus, LastSweep, Outbox, OutboxError, PageCommit,
    RunOutcome, SweepEnd, SweepKind, SweepStep,
};

use crate::corrections::{WITHDRAW, noted, withdrawn_and_held};
use crate::support::{FREELY, Place, Source, at, finish, page, revision, revision_of};

/// A source without a trustworthy stamp, whose rows are in the outbox and have left.
async fn loaded(place: &Place, rows: u32) -> (Outbox, Source) {
    let outbox = place.open().await;
    let source = Source {
        contents: true,
        ..Source::of(0..rows)
    };
    source.pull(&outbox).await;
    place.deliver_all(&outbox, at(0)).await;
    (outbox, source)
}

async fn feed(outbox: &Outbox) -> FeedStatus {
    outbox.reader().status().await.unwrap().feeds.remove(0)
}

async fn last(outbox: &Outbox) -> LastSweep {
    feed(outbox).await.sweep.unwrap().last.unwrap()
}

/// Numbers of the records of events, sorted, and whether each was withdrawn.
fn told(events: &[Event]) -> Vec<(u32, bool)> {
    let told = events.iter().map(|event| {
        let number = u32::from_be_bytes(event.record.0[28..].try_into().unwrap());
        (number, matches!(event.body, Body::Withdrawn { .. }))
    });
    let mut told: Vec<_> = told.collect();
    told.sort_unstable();
    told
}

#[tokio::test]
async fn unchanged_rows_are_read_once_and_cost_no_event() {
    let place = Place::new();
    let (outbox, source) = loaded(&place, 50).await;
    assert_eq!(source.sweep_pass(&outbox).await.len(), 50);
    let done = SweepEnd::Done {
        seen: 50,
        withdrawn: 0,
        dead_letters_closed: 0,
    };
    assert_eq!(finish(&outbox, FREELY).await.unwrap(), done);
    assert_eq!(outbox.backlog().await.unwrap().batches, 0);
    let expected = LastSweep {
        contents: true,
        begun_at: Some(at(0)),
        seen: 50,
        rows_read: 50,
        changed: 0,
        withdrawn: 0,
    };
    assert_eq!(last(&outbox).await, expected);
}

#[tokio::test]
async fn changes_that_no_stamp_tells_are_sent_and_gone_rows_withdrawn_after_a_look_at_ids() {
    let place = Place::new();
    let (outbox, mut source) = loaded(&place, 50).await;
    source.rows.insert(7, (2, Some(7)));
    source.rows.insert(60, (1, None));
    source.rows.remove(&3);
    source.sweep_pass(&outbox).await;
    assert_eq!(
        finish(&outbox, FREELY).await.unwrap(),
        SweepEnd::LookAgain { missing: 1 }
    );
    let sent = place.deliver_all(&outbox, at(1)).await;
    assert_eq!(told(&sent), [(7, false), (60, false)]);
    // Changed after its page: the second look is none at contents, the next sweep finds it.
    source.rows.insert(8, (2, Some(8)));
    source.rows.insert(60, (2, None));
    source.rows.insert(61, (1, None));
    assert_eq!(source.sweep_pass(&outbox).await, [61], "unknown so far");
    let done = SweepEnd::Done {
        seen: 51,
        withdrawn: 1,
        dead_letters_closed: 0,
    };
    assert_eq!(finish(&outbox, FREELY).await.unwrap(), done);
    let sent = place.deliver_all(&outbox, at(2)).await;
    assert_eq!(told(&sent), [(3, true), (61, false)]);
    let first = last(&outbox).await;
    assert_eq!(
        (first.rows_read, first.changed, first.withdrawn),
        (51, 3, 1)
    );

    source.sweep(&outbox, FREELY).await;
    let sent = place.deliver_all(&outbox, at(3)).await;
    assert_eq!(told(&sent), [(8, false), (60, false)]);
    // A restored backup brings it back as it was.
    source.rows.insert(3, (1, Some(3)));
    source.sweep(&outbox, FREELY).await;
    let sent = place.deliver_all(&outbox, at(4)).await;
    assert_eq!(told(&sent), [(3, false)]);
    assert_eq!(revision_of(&sent[0]), revision(1, 3));
}

#[tokio::test]
async fn it_goes_on_after_a_kill_between_any_two_pages() {
    let place = Place::new();
    let (mut outbox, mut source) = loaded(&place, 30).await;
    source.rows.remove(&1);
    source.rows.insert(29, (2, Some(29)));
    for pass in 1..=2 {
        loop {
            drop(outbox);
            outbox = place.open().await;
            let (all_read, _) = source.sweep_page(&outbox, 4).await;
            if all_read {
                break;
            }
        }
        drop(outbox);
        outbox = place.open().await;
        let end = finish(&outbox, FREELY).await.unwrap();
        let is_done = matches!(end, SweepEnd::Done { withdrawn: 1, .. });
        assert_eq!(is_done, pass == 2, "{end:?}");
    }
    let sent = place.deliver_all(&outbox, at(1)).await;
    assert_eq!(told(&sent), [(1, true), (29, false)]);
    assert_eq!(last(&outbox).await.rows_read, 29, "each row once");
}

#[tokio::test]
async fn a_sweep_of_keys_begins_anew_where_contents_are_wanted_and_not_the_other_way_round() {
    let place = Place::new();
    let (outbox, mut source) = loaded(&place, 30).await;
    source.contents = false;
    source.sweep_page(&outbox, 10).await;
    let begin = async |kind, second| {
        let begun = outbox.begin_or_resume_sweep("mis", "recoveries", kind, at(second));
        begun.await.unwrap()
    };
    let contents = begin(SweepKind::Contents, 5).await;
    assert!(contents.is_new && contents.reads_contents());
    assert_eq!((contents.seen, contents.cursor), (0, None));
    source.contents = true;
    source.sweep_page(&outbox, 10).await;
    let resumed = begin(SweepKind::Keys, 6).await;
    assert!(!resumed.is_new && resumed.reads_contents());
    assert_eq!((resumed.seen, resumed.begun_at), (10, Some(at(5))));
}

#[tokio::test]
async fn a_page_that_was_read_before_the_sweep_began_is_refused_whole() {
    let place = Place::new();
    let (outbox, source) = loaded(&place, 3).await;
    let step = SweepStep::of_contents(5, None);
    let of_contents = PageCommit {
        resume: None,
        sweep: Some(step),
        ..source.page(0..5)
    };
    let early = outbox.prepare(of_contents.clone()).await.unwrap();
    Source::of(3..5).pull(&outbox).await;
    let kind = SweepKind::Contents;
    let begun = outbox.begin_or_resume_sweep("mis", "recoveries", kind, at(0));
    begun.await.unwrap();
    assert!(matches!(
        outbox.commit(early).await.map_err(OutboxError::from),
        Err(OutboxError::NoSweep)
    ));
    outbox.commit_page(of_contents).await.unwrap();
}

#[tokio::test]
async fn rows_that_cannot_be_sent_are_letters_and_their_older_versions_withdrawn() {
    let place = Place::new();
    let (outbox, mut source) = loaded(&place, 10).await;
    source.bad.insert(4);
    source.sweep(&outbox, FREELY).await;
    assert_eq!(noted(&outbox).await.waiting, 1);
    assert_eq!(withdrawn_and_held(&outbox, WITHDRAW).await, (1, 0));
    assert_eq!(told(&place.deliver_all(&outbox, at(1)).await), [(4, true)]);
    let letters = async || {
        let reader = outbox.reader();
        let letters = reader.dead_letters(&DeadLetterFilter::default()).await;
        letters.unwrap().len()
    };
    assert_eq!(letters().await, 1);
    source.bad.clear();
    source.sweep(&outbox, FREELY).await;
    assert_eq!(told(&place.deliver_all(&outbox, at(2)).await), [(4, false)]);
    assert_eq!(letters().await, 0);
    // A row that never was well, and goes: its letter goes with it.
    source.rows.insert(20, (1, None));
    source.bad.insert(20);
    source.sweep(&outbox, FREELY).await;
    assert_eq!(letters().await, 1);
    source.rows.remove(&20);
    source.sweep(&outbox, FREELY).await;
    assert_eq!(letters().await, 0);
}

#[tokio::test]
async fn names_that_an_older_program_did_not_store_are_stored() {
    let place = Place::new();
    let (outbox, mut source) = loaded(&place, 10).await;
    outbox.close().await.unwrap();
    place.meddle("DELETE FROM record_name").await;
    let outbox = place.open().await;
    source.sweep(&outbox, FREELY).await;
    source.rows.remove(&6);
    for _ in 0..2 {
        source.sweep_pass(&outbox).await;
        let end = outbox.finish_sweep_pass("mis", "recoveries", FREELY, at(0));
        end.await.unwrap();
    }
    let missing = outbox.missing_records("mis", "recoveries", None, 9);
    let missing = missing.await.unwrap();
    let ids: Vec<_> = missing.iter().map(|one| one.record_id.as_deref()).collect();
    assert_eq!(ids, [Some("6")]);
}

#[tokio::test]
async fn stamps_that_went_back_are_counted_in_sweeps_only() {
    let place = Place::new();
    let (outbox, mut source) = loaded(&place, 5).await;
    source.rows.insert(3, (1, Some(-3)));
    let of_contents = PageCommit {
        resume: None,
        sweep: Some(SweepStep::of_contents(5, None)),
        ..source.page(0..5)
    };
    let kind = SweepKind::Contents;
    let begun = outbox.begin_or_resume_sweep("mis", "recoveries", kind, at(0));
    begun.await.unwrap();
    let committed = outbox.commit_page(of_contents).await.unwrap();
    assert_eq!((committed.went_back, committed.unchanged), (1, 5));
    source.rows.insert(3, (1, Some(-4)));
    assert_eq!(source.pull(&outbox).await.went_back, 0);
}

#[tokio::test]
async fn a_feed_without_a_stamp_is_in_sync_as_of_the_begin_of_its_last_whole_read() {
    let place = Place::new();
    let outbox = place.open().await;
    let source = Source {
        contents: true,
        ..Source::of(0..5)
    };
    let run = async |second| {
        let noted = outbox.record_run("mis", "recoveries", RunOutcome::Ok, at(second));
        noted.await.unwrap();
        let noted = outbox.note_notices("mis", "recoveries", ChangeNotice::Contents);
        noted.await.unwrap();
    };
    let noted = outbox.note_notices("mis", "recoveries", ChangeNotice::Contents);
    noted.await.unwrap();
    assert!(outbox.reader().status().await.unwrap().feeds.is_empty());
    outbox
        .begin_load("mis", "recoveries", at(10))
        .await
        .unwrap();
    outbox.commit_page(page(Vec::new(), "a")).await.unwrap();
    assert_eq!(feed(&outbox).await.in_sync_at, None, "not read to its end");
    run(20).await;
    let loaded = feed(&outbox).await;
    assert_eq!(loaded.notices, Some(ChangeNotice::Contents));
    assert_eq!(loaded.in_sync_at, Some(at(10)));
    run(30).await;
    assert_eq!(
        feed(&outbox).await.in_sync_at,
        Some(at(10)),
        "a pull sees no change"
    );

    let kind = SweepKind::Contents;
    let begun = outbox.begin_or_resume_sweep("mis", "recoveries", kind, at(40));
    begun.await.unwrap();
    source.sweep_page(&outbox, 3).await;
    assert_eq!(feed(&outbox).await.in_sync_at, Some(at(10)), "half of it");
    source.sweep_pass(&outbox).await;
    let end = outbox.finish_sweep_pass("mis", "recoveries", FREELY, at(50));
    end.await.unwrap();
    let swept = feed(&outbox).await;
    assert_eq!(swept.in_sync_at, Some(at(40)));
    assert_eq!(swept.sweep.unwrap().finished_at, Some(at(50)));
    // A sweep of keys reads no contents.
    let source = Source::of(0..5);
    source.sweep(&outbox, FREELY).await;
    assert_eq!(feed(&outbox).await.in_sync_at, Some(at(40)));
    assert!(!last(&outbox).await.contents);
}
