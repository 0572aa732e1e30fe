//! A service that issues tokens: batches under the ceiling, one token a day, and what is refused.

use std::time::Duration;

use key_service::{TokenKeyConfig, TokenUseName};
use oprf::{Token, TokenBlinding, TokenKey, TokenUse};
use secrecy::ExposeSecret as _;
use settings::SecretSource;

use crate::program::{run, take_free_port};
use crate::tls::{Identity, write_private};
use crate::world::{Served, World, request};

/// Numbers of the keys.
const BATCH: u16 = 1;
const DAY: u16 = 2;

/// World whose service issues tokens, with its keys.
struct Issuer {
    world: World,
    batch: TokenKey,
    day: TokenKey,
}

impl Issuer {
    fn new(daily_ceiling: u32) -> Self {
        let mut world = World::new(daily_ceiling);
        let keys = ["batch.key", "day.key"].map(|name| {
            let key = TokenKey::generate();
            write_private(world.folder.path(), name, key.to_text().expose_secret());
            key
        });
        let entry = |number, file: &str, token_use| TokenKeyConfig {
            number,
            key: SecretSource::File(file.into()),
            token_use,
        };
        world.config.keys.clear();
        world.config.token_keys = vec![
            entry(BATCH, "batch.key", TokenUseName::Batch),
            entry(DAY, "day.key", TokenUseName::Day),
        ];
        assert_eq!(world.config.mistake(), None);
        let [batch, day] = keys;
        Self { world, batch, day }
    }

    async fn batches(&self, served: &Served<'_>, client: &Identity) -> Vec<Token> {
        let blinding = TokenBlinding::for_batches(&self.batch.public_key(), 256).unwrap();
        let answer = served.post(client, &blinding.request(BATCH)).await;
        assert_eq!(answer.status, 200);
        blinding.finalize(&answer.body, BATCH).unwrap()
    }

    /// Asks for a token of the day; the status, and the token where there is one.
    async fn day(&self, served: &Served<'_>, client: &Identity) -> Result<Token, (u16, String)> {
        let blinding = TokenBlinding::for_day(&self.day.public_key());
        let answer = served.post(client, &blinding.request(DAY)).await;
        if answer.status != 200 {
            return Err(answer.problem());
        }
        Ok(blinding.finalize(&answer.body, DAY).unwrap().remove(0))
    }
}

#[tokio::test]
async fn tokens_of_batches_are_issued_up_to_the_ceiling() {
    let issuer = Issuer::new(272);
    let world = &issuer.world;
    let served = world.serve().await;
    let tokens = issuer.batches(&served, &world.one).await;
    assert_eq!(tokens.len(), 256);
    let genuine = |token: &Token| issuer.batch.verify(token, TokenUse::Batch);
    assert!(tokens.iter().all(genuine));
    let refused = served.post(&world.one, &request(256, BATCH)).await;
    assert_eq!(refused.problem(), (429, "ceiling-reached".to_owned()));
    assert_eq!(
        served.post(&world.one, &request(16, BATCH)).await.status,
        200
    );
    assert_eq!(issuer.batches(&served, &world.two).await.len(), 256);
}

#[tokio::test]
async fn a_client_has_one_token_a_day_whatever_happens() {
    let issuer = Issuer::new(256);
    let world = &issuer.world;
    let served = world.serve().await;
    let given_before = Err((429, "day-token-given".to_owned()));
    let token = issuer.day(&served, &world.one).await.unwrap();
    assert!(issuer.day.verify(&token, TokenUse::Day));
    assert_eq!(issuer.day(&served, &world.one).await, given_before);
    // Another client has its own, and tokens of batches are counted apart.
    issuer.day(&served, &world.two).await.unwrap();
    assert_eq!(issuer.batches(&served, &world.one).await.len(), 256);
    served.crash().await;
    let served = world.serve().await;
    assert_eq!(issuer.day(&served, &world.one).await, given_before);
    world.clock.advance(Duration::from_secs(12 * 3600));
    let next = issuer.day(&served, &world.one).await.unwrap();
    assert_ne!(next.nonce(), token.nonce());
    assert_eq!(issuer.day(&served, &world.one).await, given_before);
}

#[tokio::test]
async fn a_request_must_have_the_size_of_its_keys_use() {
    let issuer = Issuer::new(256);
    let world = &issuer.world;
    let served = world.serve().await;
    let malformed = (400, "malformed".to_owned());
    for size in [16, 256] {
        let refused = served.post(&world.one, &request(size, DAY)).await;
        assert_eq!(refused.problem(), malformed);
    }
    let one = TokenBlinding::for_day(&issuer.batch.public_key()).request(BATCH);
    let refused = served.post(&world.one, &one).await;
    assert_eq!(refused.problem(), malformed);
    let unknown = TokenBlinding::for_day(&issuer.day.public_key()).request(3);
    let refused = served.post(&world.one, &unknown).await;
    assert_eq!(refused.problem(), (404, "unknown-key".to_owned()));
    // Nothing of it was counted, and the token of the day is still there.
    let told = served.send(&world.one, "GET /v1/keys").await.json();
    assert_eq!(told["used_today"], 0);
    issuer.day(&served, &world.one).await.unwrap();
}

#[tokio::test]
async fn a_service_of_pseudonyms_takes_no_request_for_a_day() {
    let world = World::new(256);
    let served = world.serve().await;
    let day = TokenBlinding::for_day(&TokenKey::generate().public_key());
    let refused = served.post(&world.one, &day.request(1)).await;
    assert_eq!(refused.problem(), (400, "malformed".to_owned()));
}

#[tokio::test]
async fn the_uses_of_keys_and_the_clients_day_are_told_and_recorded_without_content() {
    let issuer = Issuer::new(512);
    let world = &issuer.world;
    let served = world.serve().await;
    issuer.batches(&served, &world.one).await;
    let day = issuer.day(&served, &world.one).await.unwrap();
    for (client, used, given) in [(&world.one, 256, true), (&world.two, 0, false)] {
        let told = served.send(client, "GET /v1/keys").await.json();
        let public = |key: &TokenKey| key.public_key().to_string();
        let expected = serde_json::json!({
            "keys": [
                { "number": BATCH, "use": "batch", "public_key": public(&issuer.batch) },
                { "number": DAY, "use": "day", "public_key": public(&issuer.day) },
            ],
            "daily_ceiling": 512,
            "used_today": used,
            "day_token_given": given,
        });
        assert_eq!(told, expected);
    }
    served.stop().await;
    let start = &world.audited("start")[0];
    assert_eq!(start["keys"][1]["use"], "day");
    let hour = world.audited("hour");
    assert_eq!(hour[0]["elements"], 257);
    let text = world.audit_text();
    assert!(!text.contains(&hex::encode(&day.to_bytes()[2..34])));
}

#[test]
fn init_makes_an_issuer_that_can_be_checked_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let (code, printed, err) = run(folder.path(), &["init", "--tokens", "new"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(!printed.contains("cgtk1:"), "{printed}");
    let new = folder.path().join("new");
    take_free_port(&new, "token-issuer.toml");
    let (code, report, err) = run(&new, &["--config", "token-issuer.toml", "check"]);
    assert_eq!(code, Some(0), "{report}{err}");
    assert!(
        report.contains("1 (batch)") && report.contains("2 (day)"),
        "{report}"
    );
    assert!(
        report.contains("gateway-1: 4096 tokens of batches a day"),
        "{report}"
    );
    let (code, shown, _) = run(&new, &["--config", "token-issuer.toml", "keys", "show"]);
    assert_eq!(code, Some(0));
    let pinned = printed.lines().filter_map(|line| line.split(": ").nth(1));
    let pinned: Vec<&str> = pinned.filter(|key| key.starts_with("cgtv1:")).collect();
    assert_eq!(pinned.len(), 2, "{printed}");
    assert!(pinned.iter().all(|key| shown.contains(key)), "{shown}");
    let (code, ..) = run(folder.path(), &["init", "--tokens", "new"]);
    assert_eq!(code, Some(78), "nothing is written over");
}

#[test]
fn keys_of_the_two_kinds_do_not_mix() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["init", "--tokens", "."]);
    take_free_port(folder.path(), "token-issuer.toml");
    let new = ["keys", "new", "--number", "3", "--out", "x.key"];
    let (_, entry, _) = run(folder.path(), &[&new[..], &["--tokens", "batch"]].concat());
    assert!(
        entry.contains("[[token_keys]]") && entry.contains("use = \"batch\""),
        "{entry}"
    );
    let path = folder.path().join("token-issuer.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let check = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let (code, out, err) = run(folder.path(), &["--config", "token-issuer.toml", "check"]);
        (code, format!("{out}{err}"))
    };
    let (_, pasted) = entry.split_once('\n').unwrap();
    let (code, report) = check(&format!("{text}\n{pasted}"));
    assert_eq!(code, Some(0), "{report}");
    // A key of pseudonyms where one of tokens stands, and a file of both kinds.
    let new = ["keys", "new", "--number", "4", "--out", "p.key"];
    let (_, entry, _) = run(folder.path(), &new);
    let (code, report) = check(&text.replace("batch-1.key", "p.key"));
    assert_eq!(code, Some(78), "{report}");
    assert!(
        report.contains("key 1 of [[token_keys]]")
            && report.contains("private key of a key service"),
        "{report}"
    );
    let (_, pasted) = entry.split_once('\n').unwrap();
    let (code, report) = check(&format!("{text}\n{pasted}"));
    assert_eq!(code, Some(78), "{report}");
    assert!(report.contains("keys of one kind"), "{report}");
    let (code, report) = check(&text.replace("[[token_keys]]", "[[keys]]"));
    assert_eq!(code, Some(78), "{report}");
    assert!(
        report.contains("key 1 of [[keys]] has the setting use")
            && report.contains("stands in [[token_keys]]"),
        "{report}"
    );
}
