//! Tokens from an issuer of this process: in every batch, none where it is away or at its ceiling,
//! and one a day for the sign of life.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clock::{Clock, ManualClock};
use contract::Opened;
use key_service::{Config, KeyService, open_door, serve};
use oprf::{Token, TokenKey, TokenUse};
use outbox::{BatchTokens as _, NoToken};
use secrecy::ExposeSecret as _;
use testbed::proxy::TcpProxy;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{AHEAD, DayStep, Tokens, token_step};
use crate::publish::publish_once;
use crate::pull::Counters;
use crate::run::SourceRun;
use crate::testing::World;

/// Issuer of tokens behind a proxy that a test cuts.
struct Issuer {
    batch: TokenKey,
    day: TokenKey,
    clock: Arc<ManualClock>,
    proxy: TcpProxy,
    _folder: tempfile::TempDir,
    _stop: DropGuard,
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("a moment")
}

fn write_key(folder: &Path, name: &str) -> TokenKey {
    let key = TokenKey::generate();
    let path = folder.join(name);
    fs::write(&path, key.to_text().expose_secret()).expect("the key is written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode is set");
    key
}

impl Issuer {
    async fn start(daily_ceiling: u32) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let batch = write_key(folder.path(), "batch.key");
        let day = write_key(folder.path(), "day.key");
        let text = format!(
            "[service]\nlisten = \"127.0.0.1:0\"\n\
             [[token_keys]]\nnumber = 1\nkey = {{ file = \"batch.key\" }}\nuse = \"batch\"\n\
             [[token_keys]]\nnumber = 2\nkey = {{ file = \"day.key\" }}\nuse = \"day\"\n\
             [[clients]]\nname = \"clinic\"\ndaily_ceiling = {daily_ceiling}\n"
        );
        let config: Config = toml::from_str(&text).expect("a configuration");
        assert_eq!(config.mistake(), None);
        let clock = Arc::new(ManualClock::at(at("2021-06-30T12:00:00Z")));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let service = KeyService::open(&config, folder.path(), shared)
            .unwrap_or_else(|error| panic!("{error}"));
        let door = open_door(&config.service, folder.path()).await;
        let door = door.unwrap_or_else(|error| panic!("{error}"));
        let port = door.address().port();
        let stop = CancellationToken::new();
        tokio::spawn(serve(door, service, stop.clone()));
        Self {
            batch,
            day,
            clock,
            proxy: TcpProxy::start(port).await.expect("a proxy"),
            _folder: folder,
            _stop: stop.drop_guard(),
        }
    }

    /// Section of the gateway's configuration.
    fn section(&self) -> String {
        format!(
            "[tokens]\nurl = \"http://127.0.0.1:{}\"\ntimeout_seconds = 60\n\
             batch = {{ key = 1, public_key = \"{}\" }}\nday = {{ key = 2, public_key = \"{}\" }}\n",
            self.proxy.port(),
            self.batch.public_key(),
            self.day.public_key()
        )
    }

    /// The nonces of the tokens that these batches carry for themselves; every one is genuine.
    fn nonces(&self, batches: &[Opened]) -> BTreeSet<[u8; 32]> {
        let token = |opened: &Opened| {
            let tokens = opened.tokens.as_ref().expect("a batch carries tokens");
            let token = Token::from_bytes(&tokens.batch).expect("a token");
            assert!(self.batch.verify(&token, TokenUse::Batch));
            token.nonce()
        };
        batches.iter().map(token).collect()
    }

    /// The tokens of days among these batches; every one is genuine.
    fn days(&self, batches: &[Opened]) -> Vec<Token> {
        let tokens = batches.iter().filter_map(|opened| opened.tokens.as_ref());
        let days = tokens.filter_map(|tokens| tokens.day.as_ref());
        days.map(|day| {
            let token = Token::from_bytes(day).expect("a token");
            assert!(self.day.verify(&token, TokenUse::Day));
            token
        })
        .collect()
    }
}

fn tokens(world: &World) -> &Tokens {
    let tokens = world.gateway.tokens.as_ref();
    tokens.expect("the configuration has an issuer")
}

/// Publishes all that waits.
async fn publish(world: &World) {
    while publish_once(&world.gateway)
        .await
        .expect("it is written")
        .took_any()
    {}
}

/// Runs the source; the code of a failure.
async fn pull(world: &World) -> Result<(), &'static str> {
    let run = SourceRun {
        gateway: &world.gateway,
        source: &world.gateway.sources[0],
        stop: &CancellationToken::new(),
        counters: &Counters::default(),
    };
    match run.scheduled().await {
        Ok(_) => Ok(()),
        Err(failure) => {
            assert!(failure.retry_after().is_some(), "it goes on by itself");
            Err(failure.code())
        }
    }
}

/// Whether a file below the folder holds these bytes.
fn holds(folder: &Path, bytes: &[u8]) -> bool {
    let entries = fs::read_dir(folder).expect("a folder");
    entries.flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        let content = fs::read(&path).unwrap_or_default();
        content.windows(bytes.len()).any(|window| window == bytes)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn every_batch_carries_a_genuine_token_of_its_own_and_no_disk_one() {
    let issuer = Issuer::start(4096).await;
    let world = World::new(&issuer.section(), 0..30).await;
    tokens(&world).fill_ahead().await.expect("tokens");
    assert_eq!(tokens(&world).left(), AHEAD);
    pull(&world).await.expect("a good run");
    world
        .rows
        .lock()
        .extend((30..60).map(|id| (id, i64::from(id))));
    pull(&world).await.expect("a good run");
    publish(&world).await;
    let published = world.published();
    // Facts twice, and the beacon.
    assert!(published.len() >= 3, "{}", published.len());
    let nonces = issuer.nonces(&published);
    assert_eq!(nonces.len(), published.len());
    assert_eq!(tokens(&world).left(), AHEAD - published.len());
    assert!(
        nonces
            .iter()
            .all(|nonce| !holds(world.folder.path(), nonce))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_wait_while_the_issuer_is_away_and_go_on_by_themselves() {
    let issuer = Issuer::start(4096).await;
    let world = World::new(&issuer.section(), 0..30).await;
    issuer.proxy.cut();
    assert_eq!(pull(&world).await, Err("token-issuer-away"));
    assert_eq!(world.stored_cursor().await, None);
    issuer.proxy.restore();
    pull(&world).await.expect("a good run");
    publish(&world).await;
    assert!(!issuer.nonces(&world.published()).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn facts_wait_at_the_ceiling_until_the_issuers_next_day() {
    let issuer = Issuer::start(256).await;
    let world = World::new(&issuer.section(), 0..30).await;
    let tokens = tokens(&world);
    tokens.ready(256, None).await.expect("the whole ceiling");
    let refused = tokens.ready(257, None).await;
    assert!(
        matches!(refused, Err(NoToken::Ceiling { .. })),
        "{refused:?}"
    );
    let taken: Vec<_> = (0..256).map_while(|_| tokens.take().ok()).collect();
    assert_eq!(taken.len(), 256);
    assert_eq!(pull(&world).await, Err("token-ceiling"));
    assert_eq!(world.stored_cursor().await, None);
    // What comes back is as good as new.
    taken
        .into_iter()
        .take(8)
        .for_each(|one| tokens.give_back(one));
    pull(&world).await.expect("a good run");
    while tokens.take().is_ok() {}
    world
        .rows
        .lock()
        .extend((30..60).map(|id| (id, i64::from(id))));
    assert_eq!(pull(&world).await, Err("token-ceiling"));
    issuer.clock.set(at("2021-07-01T00:00:00Z"));
    pull(&world).await.expect("a good run");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_day_leaves_once_with_facts_or_with_the_beacon() {
    let issuer = Issuer::start(4096).await;
    let world = World::new(&issuer.section(), 0..30).await;
    let tokens = tokens(&world);
    // From 22:00 on every plan that was begun in the morning has asked.
    world.clock.set(at("2021-06-30T06:00:00Z"));
    assert_eq!(tokens.step_day().await, DayStep::Nothing);
    world.clock.set(at("2021-06-30T22:00:00Z"));
    tokens.step_day().await;
    pull(&world).await.expect("a good run");
    publish(&world).await;
    let first = issuer.days(&world.published());
    assert_eq!(first.len(), 1);
    world.clock.set(at("2021-06-30T23:59:00Z"));
    assert_eq!(tokens.step_day().await, DayStep::Nothing, "it has left");

    // The next day has no facts: the beacon goes out for its sake.
    issuer.clock.set(at("2021-07-01T12:00:00Z"));
    world.clock.set(at("2021-07-01T00:00:00Z"));
    tokens.step_day().await;
    world.clock.set(at("2021-07-01T23:00:00Z"));
    assert!(token_step(&world.gateway).await, "the beacon has to leave");
    publish(&world).await;
    let both = issuer.days(&world.published());
    assert_eq!(both.len(), 2);
    assert_ne!(both[0].nonce(), both[1].nonce());
    assert_eq!(tokens.step_day().await, DayStep::Nothing);
}

/// Gateway with dummies: slots of ten minutes, each of so many batches.
async fn world_with_dummies(issuer: &Issuer, batches: u32) -> World {
    let release = format!(
        "[release]\nslot_seconds = {}\nbatches_per_slot = {batches}\ndummies = true\n",
        SLOT.as_secs()
    );
    World::new(&format!("{}{release}", issuer.section()), 0..0).await
}

const SLOT: Duration = Duration::from_mins(10);

/// Publishes in the next slot; number of dummies that left.
async fn next_dummies(world: &World) -> usize {
    world.clock.advance(SLOT);
    let published = publish_once(&world.gateway).await;
    published.expect("published").dummies
}

#[tokio::test(flavor = "multi_thread")]
async fn dummies_carry_tokens_of_their_own_and_leave_that_of_the_day_to_facts() {
    let issuer = Issuer::start(4096).await;
    let world = world_with_dummies(&issuer, 8).await;
    let tokens = tokens(&world);
    tokens.fill_ahead().await.expect("tokens");
    assert_eq!(tokens.left(), AHEAD, "the ceiling is not known yet");
    assert_eq!(next_dummies(&world).await, 0, "these are for facts");
    tokens.look().await;
    tokens.fill_ahead().await.expect("tokens");
    assert_eq!(tokens.left(), AHEAD + 2 * 8);
    world.clock.set(at("2021-06-30T06:00:00Z"));
    tokens.step_day().await;
    world.clock.set(at("2021-06-30T22:00:00Z"));
    tokens.step_day().await;
    assert_eq!(next_dummies(&world).await, 8);
    assert_eq!(next_dummies(&world).await, 8);
    assert_eq!(next_dummies(&world).await, 0, "the rest is for facts");
    assert_eq!(tokens.left(), AHEAD);
    let published = world.published();
    assert_eq!(issuer.nonces(&published).len(), 16);
    assert!(issuer.days(&published).is_empty());
    world.clock.set(at("2021-06-30T23:59:00Z"));
    assert_eq!(tokens.step_day().await, DayStep::SendBatch, "it is in hand");
}

#[tokio::test(flavor = "multi_thread")]
async fn dummies_leave_the_last_quarter_of_a_small_ceiling_to_facts() {
    let issuer = Issuer::start(256).await;
    let world = world_with_dummies(&issuer, 32).await;
    let tokens = tokens(&world);
    let mut dummies = 0;
    for _ in 0..12 {
        tokens.look().await;
        let filled = tokens.fill_ahead().await;
        filled.expect("the ceiling is not reached");
        dummies += next_dummies(&world).await;
    }
    assert_eq!(tokens.left() + dummies, 256 - 64);
    assert!(tokens.left() >= AHEAD && dummies >= 64, "{dummies}");
    let rest = tokens.left() + 64;
    tokens.ready(rest, None).await.expect("facts have the rest");
    // A new day has a new ceiling.
    issuer.clock.set(at("2021-07-01T00:00:00Z"));
    tokens.look().await;
    tokens.fill_ahead().await.expect("tokens");
    assert_eq!(next_dummies(&world).await, 32);
}
