//! Attacks on one-use tokens: a compromised clinic gets no more batches applied than it has tokens,
//! and replays, forged, foreign and revoked ones change nothing.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::{DateTime, Utc};
use contract::wire::{self, Probed, encode_probe};
use contract::{
    Answer, AnswerKey, Event, Receipt, RefusalReason, SealedBatch, SealedTokens, TOKEN_BYTES,
    Vaccine, Verdict,
};
use oprf::{Request, TokenBlinding, TokenKey, TokenUse};
use registry::{TokenKeyConfig, TokenKeyUse, TokenKeys, TokensConfig};
use secrecy::ExposeSecret;
use settings::SecretSource;

use crate::world::{NOW, World, asserted, content, dose, record, version};

fn now() -> DateTime<Utc> {
    NOW.parse().unwrap()
}

/// Genuine tokens of a key.
fn issue(key: &TokenKey, token_use: TokenUse) -> Vec<[u8; TOKEN_BYTES]> {
    let public = key.public_key();
    let blinding = match token_use {
        TokenUse::Batch => TokenBlinding::for_batches(&public, 16).unwrap(),
        TokenUse::Day => TokenBlinding::for_day(&public),
    };
    let request = Request::parse(&blinding.request(1)).unwrap();
    let tokens = blinding.finalize(&key.evaluate(&request), 1).unwrap();
    tokens.iter().map(oprf::Token::to_bytes).collect()
}

fn token_keys(batch: &TokenKey, day: &TokenKey, required: bool) -> TokenKeys {
    let folder = tempfile::tempdir().unwrap();
    let entry = |file: &str, key: &TokenKey, token_use: TokenKeyUse| TokenKeyConfig {
        number: if token_use == TokenKeyUse::Day { 2 } else { 1 },
        key: written(&folder.path().join(file), key),
        token_use,
    };
    let config = TokensConfig {
        required,
        keys: vec![
            entry("batch.key", batch, TokenKeyUse::Batch),
            entry("day.key", day, TokenKeyUse::Day),
        ],
    };
    TokenKeys::read(&config, folder.path()).unwrap()
}

fn written(path: &Path, key: &TokenKey) -> SecretSource {
    std::fs::write(path, key.to_text().expose_secret()).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
    SecretSource::File(path.to_owned())
}

/// Registry that takes no batch without a token of these keys.
async fn world_that_requires(issuer: &TokenKey, days: &TokenKey) -> World {
    let keys = token_keys(issuer, days, true);
    let mut world = World::set_up(|reader| reader.verify_by(keys)).await;
    world.answers().await;
    world
}

fn with(batch: [u8; TOKEN_BYTES]) -> SealedTokens {
    SealedTokens { batch, day: None }
}

/// Encoded batch of one record, of a person of its own.
fn stating(number: u16) -> Vec<u8> {
    wire::encode(&[stated(number)])
}

fn stated(number: u16) -> Event {
    asserted(number, 1, number, dose(Vaccine::SputnikV, "2021-06-01"))
}

/// Answer that a sender was told; `None` where there was none.
fn answer(told: &[Receipt], sent: &(SealedBatch, AnswerKey)) -> Option<Answer> {
    let receipt = told.iter().find(|receipt| receipt.batch() == sent.0.id)?;
    match receipt.read(&sent.1).unwrap() {
        Verdict::Answered(answer) => Some(answer),
        Verdict::Unreadable(reason) => panic!("unreadable: {}", reason.as_str()),
    }
}

/// Returns whether every event of the batch was refused for its token.
fn is_refused(told: &[Receipt], sent: &(SealedBatch, AnswerKey)) -> bool {
    let Some(Answer::Stored(answer)) = answer(told, sent) else {
        return false;
    };
    let mut refused = answer.refused.iter();
    answer.accepted == 0
        && answer.refused.len() == 1
        && refused.all(|event| event.reason == RefusalReason::Token && event.record.is_some())
}

#[tokio::test]
async fn a_compromised_clinic_gets_no_more_batches_applied_than_it_has_tokens() {
    let issuer = TokenKey::generate();
    let days = TokenKey::generate();
    let mut world = world_that_requires(&issuer, &days).await;
    let stolen = &issue(&issuer, TokenUse::Batch)[..3];
    let honest = issue(&issuer, TokenUse::Batch);
    let day = issue(&days, TokenUse::Day)[0];

    let mut forged = Vec::new();
    let mut number = 1000;
    let mut next = || {
        number += 1;
        stating(number)
    };
    // Each of its tokens in three batches, and one of those again as it is.
    for token in stolen {
        for _ in 0..3 {
            forged.push(world.send_with_tokens(&next(), &with(*token)).await);
        }
    }
    let again = forged[0].0.clone();
    // Without a token; with a bent one; of a key of its own; with a day's token in its place.
    forged.push(world.send_encoded(&next()).await);
    let mut bent = stolen[0];
    bent[TOKEN_BYTES - 1] ^= 1;
    let own = issue(&TokenKey::generate(), TokenUse::Batch)[0];
    let under_day_key = issue(&days, TokenUse::Batch)[0];
    for token in [bent, own, day, under_day_key, [0; TOKEN_BYTES]] {
        forged.push(world.send_with_tokens(&next(), &with(token)).await);
    }
    let mut sent = Vec::new();
    for (number, token) in (1..).zip(&honest[..5]) {
        let tokens = SealedTokens {
            batch: *token,
            day: (number == 1).then_some(day),
        };
        sent.push(world.send_with_tokens(&stating(number), &tokens).await);
    }
    world.send_again(&again).await;
    world.registry.drain().await.unwrap();

    let stats = world.registry.reader().stats().await.unwrap();
    assert_eq!(stats.asserted["vaccination"], 5 + 3);
    assert_eq!(stats.subjects, 5 + 3);
    let told = world.answers().await;
    for batch in &sent {
        let Some(Answer::Stored(answer)) = answer(&told, batch) else {
            panic!("an honest batch has an answer");
        };
        assert_eq!((answer.accepted, answer.refused.len()), (1, 0));
    }
    let refused = forged.iter().filter(|batch| is_refused(&told, batch));
    assert_eq!(refused.count(), forged.len() - 3);
    assert_eq!(world.depth().await.waiting, 0);
    let alive = world.registry.reader().alive_clinics(now()).await.unwrap();
    assert_eq!((alive.today, alive.yesterday), (1, 0));
    world.registry.close().await;
}

#[tokio::test]
async fn a_batch_without_an_event_spends_its_token_too() {
    let issuer = TokenKey::generate();
    let days = TokenKey::generate();
    let mut world = world_that_requires(&issuer, &days).await;
    let tokens = issue(&issuer, TokenUse::Batch);
    let empty = wire::encode(&[]);
    let dummy = world.send_with_tokens(&empty, &with(tokens[0])).await;
    let without = world.send_encoded(&empty).await;
    world.registry.drain().await.unwrap();
    let copied = world.send_with_tokens(&stating(1), &with(tokens[0])).await;
    let honest = world.send_with_tokens(&stating(2), &with(tokens[1])).await;
    world.registry.drain().await.unwrap();
    let told = world.answers().await;
    for sent in [&dummy, &without] {
        let Some(Answer::Stored(answer)) = answer(&told, sent) else {
            panic!("it is answered like any other");
        };
        assert_eq!((answer.accepted, answer.refused.len()), (0, 0));
    }
    assert!(is_refused(&told, &copied) && !is_refused(&told, &honest));
    let stats = world.registry.reader().stats().await.unwrap();
    assert_eq!((stats.subjects, stats.asserted["vaccination"]), (1, 1));
    world.registry.close().await;
}

#[tokio::test]
async fn tokens_of_a_key_that_was_taken_away_change_nothing() {
    let issuer = TokenKey::generate();
    let days = TokenKey::generate();
    let present = TokenKey::generate();
    let mut world =
        World::set_up(|reader| reader.verify_by(token_keys(&present, &days, false))).await;
    world.answers().await;
    let revoked = issue(&issuer, TokenUse::Batch)[0];
    let revoked = world.send_with_tokens(&stating(1), &with(revoked)).await;
    // A token is not required here: a batch may have none, but not a bad one.
    let without = world.send_encoded(&stating(2)).await;
    world.registry.drain().await.unwrap();
    let told = world.answers().await;
    assert!(is_refused(&told, &revoked));
    assert!(matches!(
        answer(&told, &without),
        Some(Answer::Stored(answer)) if answer.accepted == 1
    ));
    let stats = world.registry.reader().stats().await.unwrap();
    assert_eq!(stats.asserted["vaccination"], 1);
    assert_eq!(stats.refusals["token"], 1);
    world.registry.close().await;
}

#[tokio::test]
async fn a_probe_is_answered_for_a_token_of_its_own_only() {
    let issuer = TokenKey::generate();
    let days = TokenKey::generate();
    let mut world = world_that_requires(&issuer, &days).await;
    let tokens = issue(&issuer, TokenUse::Batch);
    let probe = encode_probe(&[Probed {
        record: record(1),
        version: version(1),
        content: content(1, 1),
        withdrawn: false,
    }]);
    let own = world.send_with_tokens(&probe, &with(tokens[0])).await;
    world.registry.drain().await.unwrap();
    let replayed = world.send_with_tokens(&probe, &with(tokens[0])).await;
    let without = world.send_encoded(&probe).await;
    let spent = world.send_with_tokens(&stating(1), &with(tokens[0])).await;
    world.send_again(&own.0).await;
    world.registry.drain().await.unwrap();
    let told = world.answers().await;
    assert!(matches!(answer(&told, &own), Some(Answer::Probed(_))));
    assert_eq!(answer(&told, &replayed), None);
    assert_eq!(answer(&told, &without), None);
    assert!(is_refused(&told, &spent));
    assert_eq!(
        world.depth().await.waiting,
        0,
        "nothing is left to come again"
    );
    world.registry.close().await;
}
