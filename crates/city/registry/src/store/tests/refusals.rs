//! Tests of the refusals that are written down: they stay bounded, whatever comes.

use super::*;
use crate::store::refusals::{REFUSALS_BETWEEN, REFUSALS_KEPT};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool};

/// Number of refused events in a batch.
const REFUSED: usize = 5;

fn kept() -> u64 {
    REFUSALS_KEPT.try_into().unwrap()
}

fn refused_batch() -> OpenBatch {
    let id = BatchId::random();
    let refusal = |index| EventRefusal {
        batch: id,
        index,
        record: None,
        version: None,
        reason: contract::RefusalReason::BadDate,
    };
    OpenBatch {
        id,
        name: None,
        tokens: None,
        events: Vec::new(),
        refusals: (0..REFUSED).map(refusal).collect(),
    }
}

async fn count(store: &Store) -> u64 {
    let refusals = store.stats().await.unwrap().refusals;
    refusals.get("bad-date").copied().unwrap_or(0)
}

/// Applies so many batches, each at a time of its own, and returns how many refusals there were
/// after each.
async fn add(store: &Store, batches: i64, from: i64) -> Vec<u64> {
    let mut counts = Vec::new();
    for second in from..from + batches {
        let at = now() + chrono::TimeDelta::seconds(second);
        let applied = apply(store, &[refused_batch()], at).await.unwrap();
        assert_eq!(applied.outcome.refused, REFUSED, "answered in any case");
        counts.push(count(store).await);
    }
    counts
}

async fn refusals_stay_bounded_without_the_hourly_removal(store: &Store) {
    let most = kept() + REFUSALS_BETWEEN as u64;
    let counts = add(store, 40, 0).await;
    assert_eq!(counts[..11], [5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55]);
    assert_eq!(counts[11], kept(), "the oldest are removed");
    assert!(counts.iter().all(|count| *count < most), "{counts:?}");
    assert!(counts[12..].iter().all(|count| *count >= kept()));
}

#[tokio::test]
async fn refusals_stay_bounded_without_the_hourly_removal_on_sqlite() {
    let (_folder, store) = sqlite().await;
    refusals_stay_bounded_without_the_hourly_removal(&store).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn refusals_stay_bounded_without_the_hourly_removal_on_postgres() {
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let store = on_postgres::open(&server, "r").await;
    refusals_stay_bounded_without_the_hourly_removal(&store).await;
}

#[tokio::test]
async fn a_refusal_that_comes_again_is_written_down_once() {
    let (_folder, store) = sqlite().await;
    let group = refused_batch();
    for _ in 0..3 {
        apply(&store, std::slice::from_ref(&group), now())
            .await
            .unwrap();
    }
    assert_eq!(count(&store).await, REFUSED as u64);
}

#[tokio::test]
async fn where_none_can_be_removed_none_are_added() {
    let (folder, store) = sqlite().await;
    let options = SqliteConnectOptions::new().filename(folder.path().join("r.sqlite"));
    let other = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query(
        "CREATE TRIGGER fail BEFORE DELETE ON refusal BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .execute(&other)
    .await
    .unwrap();
    // Nothing is old enough to be removed for the first ones.
    let most = kept() + REFUSALS_BETWEEN as u64;
    let counts = add(&store, 30, 0).await;
    assert!(counts.iter().all(|count| *count <= most), "{counts:?}");
    assert_eq!(counts[29], most);
    sqlx::query("DROP TRIGGER fail")
        .execute(&other)
        .await
        .unwrap();
    other.close().await;
    let counts = add(&store, 2, 30).await;
    assert_eq!(
        counts,
        [kept(), kept() + REFUSED as u64],
        "the first removes, and the second is written down again"
    );
}
