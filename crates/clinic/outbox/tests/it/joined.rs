//! Pages joined into one transaction end as if each had been committed by itself.

use outbox::{NotCommitted, Outbox, OutboxError, OutboxOptions, PageCommit, Refused, SweepStep};

use crate::overlap::{letters, prepare_all, rows, sent};
use crate::support::{Place, asserted, at, digest, page, withdrawn};

/// Number of commits that gave out versions, by the stamp of the generation file.
fn commits_with_versions(place: &Place) -> u64 {
    let text = std::fs::read_to_string(place.path.with_added_extension("generation")).unwrap();
    let stamp = text
        .lines()
        .find_map(|line| line.strip_prefix("stamp "))
        .unwrap();
    stamp.parse().unwrap()
}

#[tokio::test]
async fn pages_joined_are_one_transaction_and_come_to_the_same() {
    let place = Place::new();
    let in_turn = Place::new();
    let outbox = place.open().await;
    let serial = in_turn.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "0"))
        .await
        .unwrap();
    serial
        .commit_page(page(vec![asserted(1, 1)], "0"))
        .await
        .unwrap();
    let refusal = |record: u32| Refused {
        value: None,
        record_id: record.to_string(),
        reason: "bad-snils",
        record: digest(record),
        stamp: None,
    };
    let pages = [
        PageCommit {
            refused: vec![refusal(5)],
            ..page(vec![asserted(1, 2), asserted(2, 1)], "a")
        },
        PageCommit {
            resume: None,
            refused: vec![refusal(6)],
            ..page(vec![asserted(3, 1)], "-")
        },
        PageCommit {
            now: at(7),
            ..page(vec![withdrawn(4, false), asserted(7, 1)], "c")
        },
    ];
    let before = commits_with_versions(&place);
    let mut prepared = prepare_all(&outbox, &pages).await.into_iter();
    let mut joined = prepared.next().unwrap();
    for next in prepared {
        joined.join(next).unwrap();
    }
    assert_eq!(
        commits_with_versions(&place),
        before,
        "nothing is written yet"
    );
    let done = outbox.commit(joined).await.unwrap();
    assert_eq!(commits_with_versions(&place), before + 1);
    assert_eq!(
        (
            done.new,
            done.corrected,
            done.withdrawn_unsent,
            done.refused_new
        ),
        (3, 1, 1, 2)
    );
    for page in pages {
        serial.commit_page(page).await.unwrap();
    }
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("c")
    );
    assert_eq!(letters(&outbox).await, letters(&serial).await);
    let pulled_at = outbox.reader().status().await.unwrap().feeds[0].pulled_at;
    assert_eq!(pulled_at, Some(at(7)));
    assert_eq!(sent(&place, &outbox).await, sent(&in_turn, &serial).await);
    assert_eq!(rows(&outbox, &place).await, rows(&serial, &in_turn).await);
}

#[tokio::test]
async fn joined_page_without_a_cursor_leaves_the_one_before_it() {
    let place = Place::new();
    let outbox = place.open().await;
    let pages = [
        page(vec![asserted(1, 1)], "a"),
        PageCommit {
            resume: None,
            ..page(vec![asserted(2, 1)], "-")
        },
    ];
    let mut prepared = prepare_all(&outbox, &pages).await.into_iter();
    let mut joined = prepared.next().unwrap();
    joined.join(prepared.next().unwrap()).unwrap();
    outbox.commit(joined).await.unwrap();
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("a")
    );
}

#[tokio::test]
async fn pages_that_have_anything_to_do_with_each_other_are_not_joined() {
    let place = Place::new();
    let outbox = place.open().await;
    let refusal = Refused {
        value: None,
        record_id: "1".into(),
        reason: "bad-snils",
        record: digest(1),
        stamp: None,
    };
    let first = page(vec![asserted(1, 1), asserted(2, 1)], "a");
    let other = || page(vec![asserted(3, 1)], "b");
    let apart = [
        page(vec![asserted(2, 2)], "b"),
        PageCommit {
            refused: vec![refusal],
            ..other()
        },
        PageCommit {
            feed: "other".into(),
            ..other()
        },
        PageCommit {
            source: "other".into(),
            ..other()
        },
        PageCommit {
            generation_at_read: Some(1),
            ..other()
        },
        PageCommit {
            sweep: Some(SweepStep::default()),
            ..other()
        },
    ];
    for (number, next) in apart.into_iter().enumerate() {
        let mut prepared = outbox.prepare(first.clone()).await.unwrap();
        let given = outbox.prepare(next).await.unwrap();
        let said = format!("{given:?}");
        let given_back = prepared.join(given).unwrap_err();
        assert_eq!(format!("{given_back:?}"), said, "{number}");
        assert!(
            format!("{prepared:?}").contains(" 2 events"),
            "{number}: {prepared:?}"
        );
        // Nor the other way round.
        assert!(
            outbox
                .prepare(first.clone())
                .await
                .unwrap()
                .join(*given_back)
                .is_err(),
            "{number}"
        );
    }
    // A feed that has come into being meanwhile, a generation that has risen.
    let before = outbox.prepare(first.clone()).await.unwrap();
    outbox
        .commit_page(page(vec![asserted(9, 1)], "0"))
        .await
        .unwrap();
    let mut between = outbox.prepare(other()).await.unwrap();
    assert!(between.join(before).is_err());
    outbox.raise_generation(2, "a test", at(0)).await.unwrap();
    assert!(between.join(outbox.prepare(first).await.unwrap()).is_err());
}

#[tokio::test]
async fn pages_prepared_in_another_order_are_not_joined() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "0"))
        .await
        .unwrap();
    let earlier = outbox
        .prepare(page(vec![asserted(1, 3)], "c"))
        .await
        .unwrap();
    outbox
        .commit_page(page(vec![asserted(1, 2)], "a"))
        .await
        .unwrap();
    let mut later = outbox
        .prepare(page(vec![asserted(2, 1)], "b"))
        .await
        .unwrap();
    // Together they would rest on the later look, which has not seen that the other is overtaken.
    let earlier = later.join(earlier).unwrap_err();
    assert_eq!(outbox.commit(later).await.unwrap().new, 1);
    assert_eq!(outbox.commit(*earlier).await.unwrap().corrected, 1);
    assert_eq!(sent(&place, &outbox).await.len(), 4);
    // Nor is a page that was prepared before the outbox was opened anew.
    let before = outbox
        .prepare(page(vec![asserted(5, 1)], "d"))
        .await
        .unwrap();
    outbox.close().await.unwrap();
    let outbox = place.open().await;
    assert!(
        outbox
            .prepare(page(vec![asserted(6, 1)], "e"))
            .await
            .unwrap()
            .join(before)
            .is_err()
    );
}

#[tokio::test]
async fn joined_pages_that_were_overtaken_are_prepared_anew_together() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(9, 1)], "0"))
        .await
        .unwrap();
    let pages = [
        page(vec![asserted(2, 1), asserted(1, 1)], "a"),
        page(vec![asserted(4, 1), asserted(3, 1)], "b"),
    ];
    let mut prepared = prepare_all(&outbox, &pages).await.into_iter();
    let mut joined = prepared.next().unwrap();
    outbox
        .commit_page(page(vec![asserted(3, 5), asserted(1, 1)], "x"))
        .await
        .unwrap();
    joined.join(prepared.next().unwrap()).unwrap();
    let done = outbox.commit(joined).await.unwrap();
    assert_eq!((done.new, done.corrected, done.unchanged), (2, 1, 1));
    assert_eq!(sent(&place, &outbox).await.len(), 6);
}

#[tokio::test]
async fn full_outbox_gives_joined_pages_back_together() {
    let place = Place::new();
    let options = OutboxOptions {
        max_bytes: 1,
        ..place.options()
    };
    let outbox = Outbox::open(&place.path, options, at(0)).await.unwrap();
    outbox
        .commit_page(page(vec![asserted(9, 1)], "0"))
        .await
        .unwrap();
    let pages = [
        page(vec![asserted(1, 1)], "a"),
        page(vec![asserted(2, 1)], "b"),
    ];
    let mut prepared = prepare_all(&outbox, &pages).await.into_iter();
    let mut joined = prepared.next().unwrap();
    joined.join(prepared.next().unwrap()).unwrap();
    let NotCommitted { error, prepared } = outbox.commit(joined).await.unwrap_err();
    assert!(matches!(error, OutboxError::Full { .. }), "{error}");
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap().as_deref(),
        Some("0")
    );
    assert_eq!(sent(&place, &outbox).await.len(), 1);
    assert_eq!(outbox.commit(*prepared.unwrap()).await.unwrap().new, 2);
    assert_eq!(sent(&place, &outbox).await.len(), 2);
}
