//! Tests of what a transaction may read, of rehearsals, and of what is noted about messages.

use super::*;

/// Chain of 30 names, beginning at this number.
fn chain(first: u8) -> Vec<IncomingEvent> {
    let link = |place: u8| {
        let number = first + place;
        let names = vec![name(Scheme::Oms, number), name(Scheme::Oms, number + 1)];
        event(number, 1, Some(names))
    };
    (0..29).map(link).collect()
}

/// Event that joins the chains that begin at these numbers.
fn joining(record: u8, chains: [u8; 4]) -> IncomingEvent {
    let names = chains.map(|first| name(Scheme::Oms, first + 15));
    event(record, 1, Some(names.to_vec()))
}

async fn too_much_at_once_is_given_up_and_done_one_by_one(store: &Store) {
    let stored: Vec<IncomingEvent> = (0..8).flat_map(|place| chain(31 * place)).collect();
    apply_all(store, &stored, 30).await;
    let before = content(store).await;
    let joins = [
        joining(254, [0, 31, 62, 93]),
        joining(255, [124, 155, 186, 217]),
    ];
    let both = batch(joins.to_vec());
    let refused = store.apply(&[&both], now()).await.unwrap_err();
    assert_eq!(refused, StoreError::TooMuch);
    assert_eq!(content(store).await, before, "nothing of it is stored");
    for join in &joins {
        let one = batch(vec![join.clone()]);
        let applied = store.apply(&[&one], now()).await.unwrap();
        assert_eq!(applied.outcome.applied, 1);
    }
    let all: Vec<IncomingEvent> = stored.into_iter().chain(joins).collect();
    assert_eq!(content(store).await.1, expected_persons(&all));
}

async fn a_rehearsal_leaves_nothing(store: &Store) {
    let before = content(store).await;
    store.rehearse(now()).await.unwrap();
    store.rehearse(now()).await.unwrap();
    assert_eq!(content(store).await, before);
}

async fn failures_are_noted_until_they_are_removed_or_old(store: &Store) {
    let messages = [[1; 16], [2; 16]];
    for (message, failures) in messages.iter().zip([1, 3]) {
        assert_eq!(store.failures(message).await.unwrap(), 0);
        store.put_failures(message, 2, now()).await.unwrap();
        store.put_failures(message, failures, now()).await.unwrap();
        assert_eq!(store.failures(message).await.unwrap(), failures);
    }
    store.put_failures(&messages[0], 0, now()).await.unwrap();
    assert_eq!(store.failures(&messages[0]).await.unwrap(), 0);
    store.prune_failures(now()).await.unwrap();
    assert_eq!(store.failures(&messages[1]).await.unwrap(), 3);
    let later = now() + chrono::TimeDelta::days(31);
    store.prune_failures(later).await.unwrap();
    assert_eq!(store.failures(&messages[1]).await.unwrap(), 0);
}

#[tokio::test]
async fn bounds_on_sqlite() {
    let (_folder, store) = sqlite().await;
    too_much_at_once_is_given_up_and_done_one_by_one(&store).await;
    a_rehearsal_leaves_nothing(&store).await;
    failures_are_noted_until_they_are_removed_or_old(&store).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn bounds_on_postgres() {
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let store = on_postgres::open(&server, "bounds").await;
    too_much_at_once_is_given_up_and_done_one_by_one(&store).await;
    a_rehearsal_leaves_nothing(&store).await;
    failures_are_noted_until_they_are_removed_or_old(&store).await;
    store.close().await;
}
