//! Committing pages: what is sent, what is not, and that a page is all or nothing.

use outbox::{
    Committed, DeadLetterFilter, Outbox, OutboxError, OutboxOptions, PageCommit, Refused,
    RunOutcome,
};

use crate::support::{
    Place, asserted, asserted_body, at, digest, page, revision, revision_of, withdrawn,
};

fn refused(ids: &[&str], reason: &'static str) -> Vec<Refused> {
    let refuse = |id: &&str| {
        // Of records that no test asserts.
        let record = 1_000_000 + id.bytes().map(u32::from).sum::<u32>();
        Refused {
            value: None,
            record_id: (*id).into(),
            reason,
            record: digest(record),
            stamp: None,
        }
    };
    ids.iter().map(refuse).collect()
}

#[tokio::test]
async fn unchanged_is_not_sent_again_and_a_change_is_one_correction() {
    let place = Place::new();
    let outbox = place.open().await;
    let first = outbox
        .commit_page(page(vec![asserted(1, 10), asserted(2, 20)], "a"))
        .await
        .unwrap();
    assert_eq!(
        first,
        Committed {
            read: 2,
            sent: 2,
            new: 2,
            batches: 1,
            ..Committed::default()
        }
    );
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("a")
    );
    assert_eq!(outbox.cursor("mis", "tests").await.unwrap(), None);
    assert_eq!(place.deliver_all(&outbox, at(1)).await.len(), 2);

    let second = outbox
        .commit_page(page(vec![asserted(1, 10), asserted(2, 20)], "b"))
        .await
        .unwrap();
    assert_eq!(
        second,
        Committed {
            read: 2,
            unchanged: 2,
            ..Committed::default()
        }
    );
    assert!(place.deliver_all(&outbox, at(2)).await.is_empty());
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("b")
    );

    let third = outbox
        .commit_page(page(vec![asserted(1, 10), asserted(2, 21)], "c"))
        .await
        .unwrap();
    assert_eq!(
        third,
        Committed {
            read: 2,
            sent: 1,
            corrected: 1,
            unchanged: 1,
            batches: 1,
            ..Committed::default()
        }
    );
    let sent = place.deliver_all(&outbox, at(3)).await;
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].record, digest(2));
    assert_eq!(revision_of(&sent[0]), revision(1, 2));
    assert_eq!(sent[0].body, asserted_body(2, 21));
}

#[tokio::test]
async fn withdrawals_go_out_once_and_only_for_what_was_sent() {
    let place = Place::new();
    let outbox = place.open().await;
    let never_sent = outbox
        .commit_page(page(vec![withdrawn(1, true)], "a"))
        .await
        .unwrap();
    assert_eq!(
        (never_sent.withdrawn, never_sent.no_fact, never_sent.batches),
        (0, 1, 0)
    );

    outbox
        .commit_page(page(vec![asserted(1, 10)], "b"))
        .await
        .unwrap();
    let taken_back = outbox
        .commit_page(page(vec![withdrawn(1, true)], "c"))
        .await
        .unwrap();
    assert_eq!((taken_back.withdrawn, taken_back.batches), (1, 1));
    for again in [withdrawn(1, true), withdrawn(1, false)] {
        let again = outbox.commit_page(page(vec![again], "d")).await.unwrap();
        assert_eq!((again.withdrawn, again.unchanged, again.batches), (0, 1, 0));
    }
    let asserted_again = outbox
        .commit_page(page(vec![asserted(1, 10)], "e"))
        .await
        .unwrap();
    assert_eq!(asserted_again.corrected, 1);
    let counts: Vec<_> = place
        .deliver_all(&outbox, at(1))
        .await
        .iter()
        .map(|event| revision_of(event).count)
        .collect();
    assert_eq!(counts, [1, 2, 3]);
}

#[tokio::test]
async fn last_draft_of_a_record_in_a_page_wins() {
    let place = Place::new();
    let outbox = place.open().await;
    let drafts = vec![
        asserted(1, 10),
        asserted(2, 5),
        asserted(1, 11),
        asserted(1, 12),
    ];
    let done = outbox.commit_page(page(drafts, "a")).await.unwrap();
    assert_eq!((done.new, done.unchanged), (2, 2));
    let sent = place.deliver_all(&outbox, at(1)).await;
    let bodies: Vec<_> = sent
        .iter()
        .filter(|event| event.record == digest(1))
        .map(|e| &e.body)
        .collect();
    assert_eq!(bodies, [&asserted_body(1, 12)]);
}

#[tokio::test]
async fn failing_commit_changes_nothing_and_the_same_page_goes_through_later() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 10)], "a"))
        .await
        .unwrap();
    let before = outbox.reader().status().await.unwrap();
    // The last table a page writes to, so that everything else has been written when it fails.
    place
        .meddle(
            "CREATE TRIGGER fault BEFORE UPDATE ON meta BEGIN SELECT RAISE(ABORT, 'injected'); END",
        )
        .await;
    let next = PageCommit {
        refused: refused(&["r-1"], "bad-snils"),
        ..page(vec![asserted(1, 11), asserted(2, 20)], "b")
    };
    let error = outbox.commit_page(next.clone()).await.unwrap_err();
    assert!(
        matches!(error, OutboxError::Database { .. }) && !error.is_retryable(),
        "{error}"
    );
    assert!(
        !error.to_string().contains("injected"),
        "no free text of the database is passed on"
    );
    assert_eq!(outbox.reader().status().await.unwrap(), before);
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("a")
    );

    place.meddle("DROP TRIGGER fault").await;
    let done = outbox.commit_page(next).await.unwrap();
    assert_eq!(
        (done.new, done.corrected, done.refused_new),
        (1, 1, 1),
        "digests had not moved either"
    );
}

#[tokio::test]
async fn dead_letters_open_once_and_close_when_the_row_is_accepted() {
    let place = Place::new();
    let outbox = place.open().await;
    let odd = "ряд \"7\"\\\n\u{1}";
    let first = PageCommit {
        refused: refused(&["r-1", odd, "r-3"], "bad-snils"),
        ..page(vec![], "a")
    };
    assert!(!outbox.has_dead_letters("mis", "recoveries").await.unwrap());
    assert_eq!(
        outbox.commit_page(first.clone()).await.unwrap().refused_new,
        3
    );
    assert!(outbox.has_dead_letters("mis", "recoveries").await.unwrap());
    assert!(!outbox.has_dead_letters("mis", "tests").await.unwrap());

    let again = PageCommit {
        now: at(60),
        refused: refused(&["r-1", odd], "future-date"),
        ..first
    };
    assert_eq!(
        outbox.commit_page(again).await.unwrap().refused_new,
        0,
        "seen already"
    );
    let accepted = PageCommit {
        accepted_record_ids: vec!["r-1".into(), odd.into(), "never-refused".into()],
        refused: refused(&["r-1"], "future-date"),
        now: at(90),
        ..page(vec![asserted(7, 1)], "c")
    };
    assert_eq!(
        outbox.commit_page(accepted).await.unwrap().cleared,
        1,
        "a row refused in the same page stays"
    );

    let letters = outbox
        .reader()
        .dead_letters(&DeadLetterFilter::default())
        .await
        .unwrap();
    let listed: Vec<_> = letters
        .iter()
        .map(|l| (l.record_id.as_deref().unwrap(), l.reason.as_str()))
        .collect();
    assert_eq!(listed, [("r-1", "future-date"), ("r-3", "bad-snils")]);
    assert_eq!(
        (letters[0].first_seen_at, letters[0].last_seen_at),
        (Some(at(0)), Some(at(90)))
    );
    let counts = outbox.reader().status().await.unwrap().dead_letters;
    assert_eq!(counts.iter().map(|count| count.count).sum::<u64>(), 2);
}

#[tokio::test]
async fn full_outbox_refuses_pages_at_its_edge_and_takes_them_when_it_has_drained() {
    let place = Place::new();
    let one_batch = {
        let outbox = place.open().await;
        outbox
            .commit_page(page(vec![asserted(1, 1)], "a"))
            .await
            .unwrap();
        outbox.backlog().await.unwrap().bytes
    };
    let open = async |max_bytes| {
        let options = OutboxOptions {
            max_bytes,
            ..place.options()
        };
        Outbox::open(&place.path, options, at(0)).await.unwrap()
    };
    let outbox = open(one_batch + 1).await;
    assert!(!outbox.is_full().await.unwrap(), "one byte below the limit");
    drop(outbox);

    let outbox = open(one_batch).await;
    assert!(outbox.is_full().await.unwrap());
    let refused = outbox
        .commit_page(page(vec![asserted(2, 2)], "b"))
        .await
        .unwrap_err();
    assert!(
        matches!(refused, OutboxError::Full { pending_bytes, max_bytes }
        if pending_bytes == one_batch && max_bytes == one_batch)
    );
    assert!(refused.is_retryable());
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("a")
    );

    place.deliver_all(&outbox, at(1)).await;
    assert!(!outbox.is_full().await.unwrap());
    assert_eq!(
        outbox
            .commit_page(page(vec![asserted(2, 2)], "b"))
            .await
            .unwrap()
            .new,
        1
    );
}

#[tokio::test]
async fn large_page_is_sealed_whole() {
    let place = Place::new();
    let outbox = place.open().await;
    let drafts: Vec<_> = (0..5000).map(|record| asserted(record, 1)).collect();
    let done = outbox.commit_page(page(drafts.clone(), "a")).await.unwrap();
    assert_eq!(done.new, 5000);
    let bytes = outbox.backlog().await.unwrap().bytes;
    assert!(
        bytes < 5000 * 125,
        "padded sizes are nearly filled: {bytes} bytes in {} batches",
        done.batches
    );
    let mut sent = place.deliver_all(&outbox, at(1)).await;
    sent.sort_unstable_by_key(|event| event.record);
    sent.dedup_by_key(|event| event.record);
    assert_eq!(sent.len(), 5000);
    assert_eq!(
        outbox
            .commit_page(page(drafts, "b"))
            .await
            .unwrap()
            .unchanged,
        5000
    );
    let too_many = PageCommit {
        accepted_record_ids: vec![String::new(); outbox::MAX_PAGE_DRAFTS + 1],
        ..page(vec![], "c")
    };
    assert!(matches!(
        outbox.commit_page(too_many).await,
        Err(OutboxError::TooLarge { .. })
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_pages_never_give_out_a_version_twice() {
    let place = Place::new();
    let outbox = place.open().await;
    let commits: Vec<_> = (0..12_u16)
        .map(|content| {
            let outbox = outbox.clone();
            let page = PageCommit {
                source: format!("mis-{content}"),
                ..page(vec![asserted(1, content)], "a")
            };
            tokio::spawn(async move { outbox.commit_page(page).await.unwrap() })
        })
        .collect();
    for commit in commits {
        commit.await.unwrap();
    }
    let mut counts: Vec<_> = place
        .deliver_all(&outbox, at(1))
        .await
        .iter()
        .map(|event| revision_of(event).count)
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn commit_that_nobody_waits_for_still_ends_whole() {
    let place = Place::new();
    let outbox = place.open().await;
    let drafts = (0..500).map(|record| asserted(record, 1)).collect();
    let abandoned = tokio::time::timeout(
        std::time::Duration::ZERO,
        outbox.commit_page(page(drafts, "a")),
    );
    assert!(abandoned.await.is_err());
    // Takes its turn behind the abandoned page.
    let next = outbox
        .commit_page(page(vec![asserted(3, 1), asserted(900, 1)], "b"))
        .await
        .unwrap();
    assert_eq!((next.new, next.unchanged), (1, 1));
    assert_eq!(outbox.backlog().await.unwrap().events, 501);
}

#[tokio::test]
async fn status_shows_the_state_of_every_feed() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1), asserted(2, 2)], "a"))
        .await
        .unwrap();
    outbox
        .record_run("mis", "recoveries", RunOutcome::Ok, at(5))
        .await
        .unwrap();
    for second in [6, 7] {
        let outcome = RunOutcome::Failed {
            code: "source-away",
            why: "the table vaccinations is not there",
        };
        outbox
            .record_run("mis", "recoveries", outcome, at(second))
            .await
            .unwrap();
    }
    let free_text = RunOutcome::Failed {
        code: "password for user fsb rejected",
        why: "",
    };
    outbox
        .record_run("mis", "tests", free_text, at(8))
        .await
        .unwrap();

    let status = outbox.reader().status().await.unwrap();
    assert_eq!((status.generation, status.generation_raised_at), (1, None));
    let [recoveries, tests] = status.feeds.as_slice() else {
        panic!("two feeds: {:?}", status.feeds)
    };
    assert_eq!(
        (
            recoveries.new_total,
            recoveries.has_cursor,
            recoveries.pulled_at
        ),
        (2, true, Some(at(0)))
    );
    assert_eq!(recoveries.last_error.as_deref(), Some("source-away"));
    assert_eq!(
        (recoveries.consecutive_failures, recoveries.last_ok_at),
        (2, Some(at(5)))
    );
    assert_eq!(recoveries.last_run_at, Some(at(7)));
    assert_eq!(
        (tests.last_error.as_deref(), tests.has_cursor),
        (Some("other"), false)
    );
    assert_eq!((status.backlog.batches, status.backlog.events), (1, 2));
    assert_eq!(status.backlog.oldest_at, Some(at(0)));

    outbox
        .record_run("mis", "recoveries", RunOutcome::Ok, at(9))
        .await
        .unwrap();
    let feed = &outbox.reader().status().await.unwrap().feeds[0];
    assert_eq!(
        (feed.consecutive_failures, feed.last_error.as_deref()),
        (0, None)
    );
}

#[tokio::test]
async fn full_sync_reads_all_again_and_sends_nothing_twice() {
    let place = Place::new();
    let outbox = place.open().await;
    let first = PageCommit {
        refused: refused(&["r-1"], "bad-snils"),
        ..page(vec![asserted(1, 1)], "a")
    };
    outbox.commit_page(first.clone()).await.unwrap();
    outbox
        .commit_page(PageCommit {
            source: "other".into(),
            ..first.clone()
        })
        .await
        .unwrap();
    outbox.forget_cursors("mis").await.unwrap();
    assert_eq!(outbox.cursor("mis", "recoveries").await.unwrap(), None);
    assert!(
        outbox.has_dead_letters("mis", "recoveries").await.unwrap(),
        "a letter stays until its row was read again"
    );
    assert_eq!(
        outbox
            .cursor("other", "recoveries")
            .await
            .unwrap()
            .as_deref(),
        Some("a")
    );
    assert!(
        outbox
            .has_dead_letters("other", "recoveries")
            .await
            .unwrap()
    );
    let again = outbox.commit_page(first).await.unwrap();
    assert_eq!(
        (again.unchanged, again.refused_new, again.batches),
        (1, 0, 0)
    );
}

#[tokio::test]
async fn batches_beyond_one_statement_are_kept_whole_and_in_their_order() {
    let place = Place::new();
    let options = OutboxOptions {
        batch_events: 1,
        shuffle: false,
        ..place.options()
    };
    let outbox = Outbox::open(&place.path, options, at(0)).await.unwrap();
    // Eight to a statement: none left over, one left over.
    for (cursor, records) in [("a", 0..16_u32), ("b", 16..33)] {
        let drafts = records.clone().map(|record| asserted(record, 1)).collect();
        let done = outbox.commit_page(page(drafts, cursor)).await.unwrap();
        assert_eq!(done.batches, records.len() as u64);
        let events = place.deliver_all(&outbox, at(1)).await;
        let mut expected: Vec<_> = records.map(digest).collect();
        expected.sort_unstable();
        let leased: Vec<_> = events.iter().map(|event| event.record).collect();
        assert_eq!(
            leased, expected,
            "events go by their records, and so do their batches"
        );
    }
}
