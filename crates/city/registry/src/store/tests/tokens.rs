//! Tests of spent tokens on both stores.

use contract::RefusalReason;
use linking::{BatchTokens, TokenName};

use super::*;

fn token(number: u8) -> TokenName {
    TokenName {
        key: [number / 100; 32],
        nonce: [number; 32],
    }
}

/// Batch with these sealed bytes' digest, of one record of its own, that spends a token.
fn spending(sealed: u8, record: u8, token_number: u8) -> OpenBatch {
    let mut batch = batch(vec![event(
        record,
        1,
        Some(vec![name(Scheme::Snils, record)]),
    )]);
    batch.tokens = Some(BatchTokens {
        sealed: [sealed; 32],
        batch: token(token_number),
        day: Some(token(200 + sealed % 50)),
    });
    batch
}

async fn tokens_are_spent_once(store: &Store) {
    let group = [spending(1, 1, 1), spending(2, 2, 1), spending(3, 3, 2)];
    let first = apply(store, &group, now()).await.unwrap();
    assert_eq!((first.outcome.applied, first.replayed), (2, 1));
    assert_eq!(first.answers[1].refused[0].reason, RefusalReason::Token);
    let (facts, _) = content(store).await;
    assert_eq!(
        facts.len(),
        2,
        "the second batch of a token changes nothing"
    );

    let again = apply(store, &group, now()).await.unwrap();
    assert_eq!((again.outcome.unchanged, again.replayed), (2, 1));

    // Another batch under the same id, whose sender has only that one token.
    let mut other = spending(4, 4, 1);
    other.id = group[0].id;
    let refused = apply(store, &[other], now()).await.unwrap();
    assert_eq!((refused.outcome.applied, refused.replayed), (0, 1));

    let alive = store.alive_clinics(now()).await.unwrap();
    assert_eq!(
        (alive.today, alive.yesterday),
        (2, 0),
        "none of refused batches"
    );
    let tomorrow = now() + chrono::TimeDelta::days(1);
    apply(store, &group, tomorrow).await.unwrap();
    let alive = store.alive_clinics(tomorrow).await.unwrap();
    assert_eq!(
        (alive.today, alive.yesterday),
        (0, 2),
        "the day it came first"
    );
}

async fn a_probe_spends_its_token(store: &Store) {
    let tokens = |sealed| spending(sealed, 1, 50).tokens.unwrap();
    assert_eq!(store.spend(&tokens(1), now()).await, Ok(true));
    assert_eq!(
        store.spend(&tokens(1), now()).await,
        Ok(true),
        "the same again"
    );
    assert_eq!(store.spend(&tokens(2), now()).await, Ok(false));
    let refused = apply(store, &[spending(3, 9, 50)], now()).await.unwrap();
    assert_eq!(refused.replayed, 1);
}

async fn tokens_of_old_keys_are_forgotten(store: &Store) {
    let group = [spending(1, 1, 1), spending(2, 2, 101)];
    apply(store, &group, now()).await.unwrap();
    let known = [token(1).key, token(200).key];
    let after = |days| now() + chrono::TimeDelta::days(days);
    assert_eq!(store.prune_tokens(&known, after(7)).await, Ok(0));
    assert_eq!(store.prune_tokens(&known, after(8)).await, Ok(1));
    assert_eq!(store.prune_tokens(&known, after(8)).await, Ok(0));
    let replayed = apply(store, &[spending(3, 3, 1)], now()).await.unwrap();
    assert_eq!(replayed.replayed, 1, "those of a known key stay");
}

#[tokio::test]
async fn sqlite_has_a_token_spent_once() {
    let (_folder, store) = sqlite().await;
    tokens_are_spent_once(&store).await;
    a_probe_spends_its_token(&store).await;
    let (_other, store) = sqlite().await;
    tokens_of_old_keys_are_forgotten(&store).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgresql_has_a_token_spent_once() {
    use super::on_postgres::open;
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let store = open(&server, "spent").await;
    tokens_are_spent_once(&store).await;
    a_probe_spends_its_token(&store).await;
    store.close().await;
    let store = open(&server, "forgotten").await;
    tokens_of_old_keys_are_forgotten(&store).await;
    store.close().await;
}

/// Two registries at once get two batches of one token: one of them is refused.
#[cfg(feature = "postgres")]
#[tokio::test]
async fn two_writers_at_once_spend_a_token_once() {
    use super::on_postgres::open;
    let server = testbed::postgres::Postgres::start().await.unwrap();
    let store = open(&server, "r").await;
    for round in 0..8 {
        let one = [spending(round * 2, round * 2, round)];
        let other = [spending(round * 2 + 1, round * 2 + 1, round)];
        let (one, other) = tokio::join!(apply(&store, &one, now()), apply(&store, &other, now()));
        let replayed = one.unwrap().replayed + other.unwrap().replayed;
        assert_eq!(replayed, 1, "{round}");
    }
    store.close().await;
}
