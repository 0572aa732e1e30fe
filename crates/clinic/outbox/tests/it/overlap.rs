//! Pages prepared ahead of the commits before them end as if each had been prepared just before its
//! own commit.

use std::collections::VecDeque;

use outbox::{
    Committed, DeadLetterFilter, NotCommitted, Outbox, OutboxError, OutboxOptions, PageCommit,
    Prepared, Refused,
};
use proptest::prelude::*;
use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::receipts::{refused, settle};
use crate::support::{Place, Source, asserted, at, digest, page, revision, revision_of, withdrawn};

/// Events that were sent in the end, sorted by record and version.
pub(crate) async fn sent(place: &Place, outbox: &Outbox) -> Vec<String> {
    let mut sent = place.deliver_all(outbox, at(1)).await;
    sent.sort_unstable_by_key(|event| (event.record, event.version));
    let records = sent
        .iter()
        .map(|event| (event.record, event.version))
        .collect::<Vec<_>>();
    assert!(
        records.windows(2).all(|two| two[0] != two[1]),
        "no version is given out twice"
    );
    sent.iter().map(|event| format!("{event:?}")).collect()
}

pub(crate) async fn rows(outbox: &Outbox, place: &Place) -> i64 {
    outbox.clone().close().await.unwrap();
    let options = SqliteConnectOptions::new().filename(&place.path);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    let (all, distinct): (i64, i64) = sqlx::query_as(
        "WITH RECURSIVE slot (at) AS (SELECT 1 UNION ALL SELECT at + 69 FROM slot WHERE at < 57 * \
         69) \
         SELECT count(*), count(DISTINCT substr(slots, at, 32)) FROM record_block JOIN slot ON at \
         < length(slots) \
         WHERE substr(slots, at + 68, 1) <> x'00'",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(all, distinct, "no record has two slots");
    all
}

pub(crate) async fn prepare_all(outbox: &Outbox, pages: &[PageCommit]) -> Vec<Prepared> {
    let mut prepared = Vec::new();
    for page in pages {
        prepared.push(outbox.prepare(page.clone()).await.unwrap());
    }
    prepared
}

/// Commits the pages after all were prepared, and in another outbox one by one; both come to the
/// same.
async fn same_as_one_by_one(pages: &[PageCommit]) -> Vec<Committed> {
    let ahead = Place::new();
    let in_turn = Place::new();
    let outbox = ahead.open().await;
    let serial = in_turn.open().await;
    let mut done = Vec::new();
    for (prepared, page) in prepare_all(&outbox, pages).await.into_iter().zip(pages) {
        let committed = outbox.commit(prepared).await.unwrap();
        assert_eq!(committed, serial.commit_page(page.clone()).await.unwrap());
        done.push(committed);
    }
    assert_eq!(sent(&ahead, &outbox).await, sent(&in_turn, &serial).await);
    assert_eq!(rows(&outbox, &ahead).await, rows(&serial, &in_turn).await);
    done
}

#[tokio::test]
async fn record_of_consecutive_pages_counts_its_versions_up() {
    let done = same_as_one_by_one(&[
        page(vec![asserted(1, 1), asserted(2, 1)], "a"),
        page(vec![asserted(1, 2), asserted(3, 1)], "b"),
        page(vec![asserted(1, 2), asserted(2, 2)], "c"),
        page(vec![withdrawn(1, true)], "d"),
        page(vec![asserted(4, 1)], "e"),
    ])
    .await;
    assert_eq!((done[1].new, done[1].corrected), (1, 1));
    assert_eq!((done[2].corrected, done[2].unchanged), (1, 1));
    assert_eq!((done[3].withdrawn, done[4].new), (1, 1));
}

#[tokio::test]
async fn pages_of_other_feeds_and_refused_rows_are_seen_as_well() {
    let rejected = |record: u32, stamp| Refused {
        value: None,
        record_id: record.to_string(),
        reason: "bad-snils",
        record: digest(record),
        stamp: Some(stamp),
    };
    let elsewhere = |drafts| PageCommit {
        feed: "other".into(),
        ..page(drafts, "x")
    };
    let done = same_as_one_by_one(&[
        PageCommit {
            refused: vec![rejected(1, 5)],
            ..page(vec![], "a")
        },
        page(vec![asserted(1, 1)], "b"),
        elsewhere(vec![asserted(1, 1)]),
        PageCommit {
            refused: vec![rejected(1, 6)],
            ..elsewhere(vec![])
        },
        page(vec![asserted(1, 1)], "c"),
    ])
    .await;
    assert_eq!(
        (done[1].new, done[2].unchanged, done[4].unchanged),
        (1, 1, 1)
    );
}

#[tokio::test]
async fn page_drafted_before_its_refusal_was_committed_makes_no_second_row() {
    let refusal = Refused {
        value: None,
        record_id: "1".into(),
        reason: "bad-snils",
        record: digest(1),
        stamp: None,
    };
    let refused = PageCommit {
        refused: vec![refusal],
        ..page(vec![], "b")
    };
    same_as_one_by_one(&[page(vec![asserted(1, 1)], "a"), refused]).await;
}

#[tokio::test]
async fn generation_raised_meanwhile_counts_for_what_was_prepared_before() {
    let place = Place::new();
    let outbox = place.open().await;
    outbox
        .commit_page(page(vec![asserted(1, 1)], "a"))
        .await
        .unwrap();
    let generation_at_read = Some(outbox.generation());
    let unchanged = PageCommit {
        generation_at_read,
        ..page(vec![asserted(1, 1), asserted(2, 1)], "b")
    };
    let prepared = outbox.prepare(unchanged).await.unwrap();
    assert!(outbox.raise_generation(4, "a test", at(0)).await.unwrap());
    let done = outbox.commit(prepared).await.unwrap();
    assert_eq!(
        (done.resent, done.new),
        (1, 1),
        "prepared as unchanged, sent again all the same"
    );
    assert_eq!(
        outbox.cursor("mis", "recoveries").await.unwrap(),
        None,
        "all before it is still to be read"
    );
    let versions: Vec<_> = place
        .deliver_all(&outbox, at(1))
        .await
        .iter()
        .map(revision_of)
        .collect();
    let of = |generation| revision(generation, 1);
    assert_eq!(
        versions.iter().filter(|version| **version == of(4)).count(),
        2
    );
    assert_eq!(
        versions.iter().filter(|version| **version == of(1)).count(),
        1
    );
}

#[tokio::test]
async fn records_that_a_retry_forgot_meanwhile_are_sent_again() {
    let place = Place::new();
    let outbox = place.open_with_receipts().await;
    let source = Source::of(1..=2);
    source.pull(&outbox).await;
    let refuse = |event: &contract::Event| (event.record == digest(1)).then(|| refused("bad-date"));
    settle(&place, &outbox, at(1), refuse).await;
    let prepared = outbox.prepare(source.page(1..=2)).await.unwrap();
    outbox
        .prepare_retry(&DeadLetterFilter::default(), at(2))
        .await
        .unwrap();
    let done = outbox.commit(prepared).await.unwrap();
    assert_eq!(
        (done.resent, done.corrected, done.unchanged),
        (1, 0, 1),
        "prepared as unchanged, then forgotten"
    );
}

#[tokio::test]
async fn swept_away_meanwhile_is_asserted_again() {
    let place = Place::new();
    let outbox = place.open().await;
    let whole = Source::of(1..=3);
    let part = Source::of(1..=2);
    whole.pull(&outbox).await;
    let prepared = outbox.prepare(whole.page(1..=3)).await.unwrap();
    part.sweep(&outbox, crate::support::FREELY).await;
    let done = outbox.commit(prepared).await.unwrap();
    assert_eq!(
        (done.corrected, done.unchanged),
        (1, 2),
        "the row is there again"
    );
    let sent = place.deliver_all(&outbox, at(1)).await;
    let counts = sent
        .iter()
        .filter(|event| event.record == digest(3))
        .map(|event| revision_of(event).count);
    assert_eq!(counts.collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test]
async fn full_outbox_gives_the_page_back_and_takes_it_later() {
    let place = Place::new();
    let options = OutboxOptions {
        max_bytes: 1,
        ..place.options()
    };
    let outbox = Outbox::open(&place.path, options, at(0)).await.unwrap();
    let pages = [
        page(vec![asserted(1, 1)], "a"),
        page(vec![asserted(1, 2), asserted(2, 1)], "b"),
    ];
    let mut prepared = prepare_all(&outbox, &pages).await.into_iter();
    outbox.commit(prepared.next().unwrap()).await.unwrap();
    let mut given_back = prepared.next().unwrap();
    for _ in 0..2 {
        let NotCommitted { error, prepared } = outbox.commit(given_back).await.unwrap_err();
        assert!(matches!(error, OutboxError::Full { .. }), "{error}");
        given_back = *prepared.unwrap();
    }
    assert!(outbox.is_full().await.unwrap());
    assert_eq!(sent(&place, &outbox).await.len(), 1);
    assert!(!outbox.is_full().await.unwrap());
    let done = outbox.commit(given_back).await.unwrap();
    assert_eq!((done.corrected, done.new), (1, 1));
    assert_eq!(sent(&place, &outbox).await.len(), 2);
}

#[tokio::test]
async fn page_prepared_before_the_outbox_was_opened_anew_is_prepared_again() {
    let place = Place::new();
    let outbox = place.open().await;
    let both = page(vec![asserted(1, 1), asserted(2, 1)], "a");
    let prepared = outbox.prepare(both.clone()).await.unwrap();
    outbox.commit_page(both).await.unwrap();
    outbox.close().await.unwrap();
    let outbox = place.open().await;
    assert_eq!(outbox.commit(prepared).await.unwrap().unchanged, 2);
    assert_eq!(sent(&place, &outbox).await.len(), 2);
}

#[tokio::test]
async fn page_never_committed_leaves_nothing_behind() {
    let place = Place::new();
    let outbox = place.open().await;
    drop(
        outbox
            .prepare(page(vec![asserted(1, 1)], "a"))
            .await
            .unwrap(),
    );
    assert_eq!(outbox.cursor("mis", "recoveries").await.unwrap(), None);
    assert!(sent(&place, &outbox).await.is_empty());
    assert_eq!(rows(&outbox, &place).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_prepared_and_committed_at_once_never_give_out_a_version_twice() {
    let place = Place::new();
    let outbox = place.open().await;
    let commits: Vec<_> = (0..12_u16)
        .map(|content| {
            let outbox = outbox.clone();
            let page = PageCommit {
                source: format!("mis-{content}"),
                ..page(vec![asserted(1, content)], "a")
            };
            tokio::spawn(async move {
                let prepared = outbox.prepare(page).await.unwrap();
                outbox.commit(prepared).await.unwrap()
            })
        })
        .collect();
    for commit in commits {
        commit.await.unwrap();
    }
    let events = place.deliver_all(&outbox, at(1)).await;
    let mut counts: Vec<_> = events
        .iter()
        .map(|event| revision_of(event).count)
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=12).collect::<Vec<_>>());
}

/// The dead letters in words, without what is an outbox's own.
pub(crate) async fn letters(outbox: &Outbox) -> Vec<String> {
    let letters = outbox
        .reader()
        .dead_letters(&DeadLetterFilter::default())
        .await
        .unwrap();
    let mut letters: Vec<_> = letters
        .into_iter()
        .map(|one| format!("{} {:?} {}", one.feed, one.record_id, one.reason))
        .collect();
    letters.sort_unstable();
    letters
}

/// Step of a life in which pages are prepared ahead.
#[derive(Debug, Clone)]
enum Step {
    /// Prepares a page: records, their contents (withdrawn where there is none), which feed, which
    /// of them are refused.
    Prepare {
        said: Vec<(u32, Option<u16>)>,
        other_feed: bool,
        refused: Vec<u32>,
    },
    /// Commits the page that was prepared first, joined by so many that follow, where they can be.
    Commit(usize),
    Raise,
    ForgetCursors,
}

fn step() -> impl Strategy<Value = Step> {
    let said = prop::collection::vec((0_u32..10, prop::option::weighted(0.8, 0_u16..3)), 0..12);
    let refused = prop::collection::vec(0_u32..10, 0..3);
    // Pages of the upper records have nothing to do with those of the lower ones.
    let prepare =
        |((mut said, mut refused), upper, other_feed): ((Vec<(u32, _)>, Vec<u32>), bool, _)| {
            let records = said
                .iter_mut()
                .map(|(record, _)| record)
                .chain(&mut refused);
            records.for_each(|record| *record += if upper { 10 } else { 0 });
            Step::Prepare {
                said,
                other_feed,
                refused,
            }
        };
    prop_oneof![
        6 => ((said, refused), any::<bool>(), prop::bool::weighted(0.2)).prop_map(prepare),
        5 => (0_usize..3).prop_map(Step::Commit),
        1 => Just(Step::Raise),
        1 => Just(Step::ForgetCursors),
    ]
}

/// The page in words of both outboxes, whose generations are the same.
fn page_of(
    said: &[(u32, Option<u16>)],
    other_feed: bool,
    refused: &[u32],
    number: usize,
) -> PageCommit {
    let draft = |(record, content): &(u32, Option<u16>)| match content {
        Some(content) => asserted(*record, *content),
        None => withdrawn(*record, record.is_multiple_of(2)),
    };
    let refuse = |record: &u32| Refused {
        value: None,
        record_id: record.to_string(),
        reason: "bad-snils",
        record: digest(*record),
        stamp: Some(i64::from(*record)),
    };
    let feed = if other_feed { "other" } else { "recoveries" };
    PageCommit {
        feed: feed.into(),
        refused: refused.iter().map(refuse).collect(),
        accepted_record_ids: said.iter().map(|(record, _)| record.to_string()).collect(),
        ..page(said.iter().map(draft).collect(), &number.to_string())
    }
}

async fn live(steps: Vec<Step>) {
    let ahead = Place::new();
    let in_turn = Place::new();
    let outbox = ahead.open().await;
    let serial = in_turn.open().await;
    let mut waiting: VecDeque<(Prepared, PageCommit)> = VecDeque::new();
    let all = steps.len();
    for (number, step) in steps
        .into_iter()
        .chain(std::iter::repeat_n(Step::Commit(0), all))
        .enumerate()
    {
        match step {
            Step::Prepare {
                said,
                other_feed,
                refused,
            } => {
                let generation_at_read = Some(outbox.generation());
                let page = PageCommit {
                    generation_at_read,
                    ..page_of(&said, other_feed, &refused, number)
                };
                waiting.push_back((outbox.prepare(page.clone()).await.unwrap(), page));
            }
            Step::Commit(more) => {
                let Some((mut prepared, page)) = waiting.pop_front() else {
                    continue;
                };
                let mut in_turn = serial.commit_page(page).await.unwrap();
                for _ in 0..more {
                    let Some((next, page)) = waiting.pop_front() else {
                        break;
                    };
                    if let Err(next) = prepared.join(next) {
                        waiting.push_front((*next, page));
                        break;
                    }
                    in_turn = sum(in_turn, serial.commit_page(page).await.unwrap());
                }
                // Pages prepared anew together need fewer batches.
                let committed = outbox.commit(prepared).await.unwrap();
                assert_eq!(
                    Committed {
                        batches: 0,
                        ..committed
                    },
                    Committed {
                        batches: 0,
                        ..in_turn
                    }
                );
                assert!(committed.batches <= in_turn.batches);
            }
            Step::Raise => {
                let next = outbox.generation() + 1;
                assert!(
                    outbox
                        .raise_generation(next, "a test", at(0))
                        .await
                        .unwrap()
                );
                assert!(
                    serial
                        .raise_generation(next, "a test", at(0))
                        .await
                        .unwrap()
                );
            }
            Step::ForgetCursors => {
                outbox.forget_cursors("mis").await.unwrap();
                serial.forget_cursors("mis").await.unwrap();
            }
        }
        for feed in ["recoveries", "other"] {
            let cursor = outbox.cursor("mis", feed).await.unwrap();
            assert_eq!(cursor, serial.cursor("mis", feed).await.unwrap());
        }
    }
    assert_eq!(letters(&outbox).await, letters(&serial).await);
    assert_eq!(sent(&ahead, &outbox).await, sent(&in_turn, &serial).await);
    assert_eq!(rows(&outbox, &ahead).await, rows(&serial, &in_turn).await);
}

fn sum(one: Committed, other: Committed) -> Committed {
    Committed {
        read: one.read + other.read,
        sent: one.sent + other.sent,
        new: one.new + other.new,
        corrected: one.corrected + other.corrected,
        withdrawn: one.withdrawn + other.withdrawn,
        withdrawn_unsent: one.withdrawn_unsent + other.withdrawn_unsent,
        resent: one.resent + other.resent,
        unchanged: one.unchanged + other.unchanged,
        no_fact: one.no_fact + other.no_fact,
        parked: one.parked + other.parked,
        withheld: one.withheld + other.withheld,
        refused: one.refused + other.refused,
        refused_new: one.refused_new + other.refused_new,
        cleared: one.cleared + other.cleared,
        missed: one.missed + other.missed,
        went_back: one.went_back + other.went_back,
        batches: one.batches + other.batches,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn prepared_ahead_is_the_same_as_one_by_one(steps in prop::collection::vec(step(), 1..25)) {
        tokio::runtime::Runtime::new().unwrap().block_on(live(steps));
    }
}
