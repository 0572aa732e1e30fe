//! Tests of what verifiers fetch: the trust bundle, the whole list, and differences.

use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::FactKind;
use pass::holder::HolderAttributes;
use pass::revocation::{RevocationList, RevocationPayload};
use pass::trust::{TrustBundle, take_revocations};
use pass::verify::{Held, Reason, Verdict, verify};
use registry::portal::PortalConfig;

use super::http::Served;
use super::{order, strips};
use crate::passes::{ISSUER, passes, store, worlds};
use crate::world::{NOW, World, asserted, negative, recovery, withdrawn};

/// Verifier that has fetched from a portal.
pub(super) struct Verifier {
    trust: TrustBundle,
    list: RevocationList,
    now: DateTime<Utc>,
}

impl Verifier {
    /// Fetches everything.
    pub(super) async fn fetch(served: &Served, world: &World) -> Self {
        let trust = served.get("/v1/trust").await;
        assert_eq!(trust.header("content-type"), Some("application/cose"));
        let trust = TrustBundle::open(&trust.body, served.portal.root(), ISSUER).unwrap();
        let whole = trust.open_revocations(&served.get("/v1/revocations/0").await.body);
        let list = take_revocations(None, whole.unwrap(), &trust).unwrap();
        let now = clock::Clock::now(world.clock.as_ref());
        Self { trust, list, now }
    }

    /// Fetches the trust bundle and the difference to the list that is held.
    pub(super) async fn refresh(&mut self, served: &Served, world: &World) {
        let trust = served.get("/v1/trust").await.body;
        self.trust = TrustBundle::open(&trust, served.portal.root(), ISSUER).unwrap();
        let held = self.list.edition().sequence();
        let delta = served.get(&format!("/v1/revocations/{held}")).await;
        assert_eq!(delta.status, 200);
        let payload = self.trust.open_revocations(&delta.body).unwrap();
        assert!(matches!(payload, RevocationPayload::Delta(_)));
        self.list = take_revocations(Some(&self.list), payload, &self.trust).unwrap();
        self.now = clock::Clock::now(world.clock.as_ref());
    }

    pub(super) fn verdict(&self, text: &str) -> Verdict {
        let held = Held {
            trust: &self.trust,
            revocations: &self.list,
        };
        verify(text, Some(held), self.now)
    }

    /// What a pass shows that is valid.
    pub(super) fn holder(&self, text: &str) -> HolderAttributes {
        match self.verdict(text) {
            Verdict::Valid(shown) => shown,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_correction_ends_passes_in_the_whole_list_and_in_a_difference() {
    let (_postgres, worlds) = worlds().await;
    for mut world in worlds {
        let tested = asserted(1, 1, 1, negative("2021-06-30"));
        let recovered = asserted(2, 1, 2, recovery(None, "2021-06-01"));
        store(&mut world, &[tested, recovered]).await;
        let served = Served::over(&world, PortalConfig::default()).await;
        let early = served.get("/v1/trust").await;
        assert_eq!(
            (early.status, early.code().as_str()),
            (503, "not-published")
        );
        let ends = served.ask("a", &order(1, "days")).await.json();
        let stays = served.ask("b", &order(2, "days")).await.json();
        let ends = strips(&ends)[0]["text"].as_str().unwrap();
        let stays = strips(&stays)[0]["text"].as_str().unwrap();
        assert!(served.portal.publish_step().await.unwrap());
        let mut verifier = Verifier::fetch(&served, &world).await;
        verifier.holder(ends);

        store(&mut world, &[withdrawn(1, 2, FactKind::Test)]).await;
        world.clock.advance(Duration::from_secs(60));
        assert!(served.portal.publish_step().await.unwrap());
        let anew = Verifier::fetch(&served, &world).await;
        verifier.refresh(&served, &world).await;
        for verifier in [&verifier, &anew] {
            assert_eq!(verifier.verdict(ends), Verdict::Invalid(Reason::Revoked));
            verifier.holder(stays);
            assert_eq!(verifier.list.tags().len(), 4);
        }
        let newest = anew.list.edition().sequence();
        let current = served.get(&format!("/v1/revocations/{newest}")).await;
        assert_eq!((current.status, current.body.len()), (204, 0));
        // A sequence that nobody was given, such as one from before a start, gets the whole list.
        let unknown = served.get(&format!("/v1/revocations/{}", newest + 1)).await;
        let payload = anew.trust.open_revocations(&unknown.body).unwrap();
        assert_eq!(payload, RevocationPayload::Whole(anew.list));
    }
}

#[tokio::test]
async fn it_is_published_again_when_a_pass_has_ended_or_an_hour_is_over() {
    let mut world = World::small().await;
    store(&mut world, &[asserted(1, 1, 1, negative("2021-06-30"))]).await;
    let served = Served::over(&world, PortalConfig::default()).await;
    assert!(served.portal.publish_step().await.unwrap());
    served.ask("a", &order(1, "days")).await;
    world.clock.advance(Duration::from_secs(3599));
    assert!(!served.portal.publish_step().await.unwrap());
    world.clock.advance(Duration::from_secs(1));
    assert!(served.portal.publish_step().await.unwrap());
    store(&mut world, &[withdrawn(1, 2, FactKind::Test)]).await;
    world.clock.advance(Duration::from_secs(60));
    assert!(served.portal.publish_step().await.unwrap());
    world.clock.advance(Duration::from_secs(60));
    assert!(!served.portal.publish_step().await.unwrap());
    // A clock that is set back does not keep what was published in the future.
    world.clock.set(NOW.parse().unwrap());
    assert!(served.portal.publish_step().await.unwrap());
}

#[tokio::test]
async fn differences_are_made_from_the_last_24_lists() {
    let world = World::small().await;
    let served = Served::over(&world, PortalConfig::default()).await;
    let mut sequences = Vec::new();
    for _ in 0..26 {
        assert!(served.portal.publish_step().await.unwrap());
        sequences.push(
            Verifier::fetch(&served, &world)
                .await
                .list
                .edition()
                .sequence(),
        );
        world.clock.advance(Duration::from_secs(3600));
    }
    let trust = served.get("/v1/trust").await.body;
    let trust = TrustBundle::open(&trust, served.portal.root(), ISSUER).unwrap();
    let mut is_delta = Vec::new();
    for sequence in &sequences[..3] {
        let fetched = served.get(&format!("/v1/revocations/{sequence}")).await;
        let payload = trust.open_revocations(&fetched.body).unwrap();
        is_delta.push(matches!(payload, RevocationPayload::Delta(_)));
    }
    assert_eq!(is_delta, [false, true, true]);
}

#[tokio::test]
async fn what_was_published_stays_while_nothing_can_be_signed() {
    let world = World::small().await;
    let ends = NOW.parse::<DateTime<Utc>>().unwrap() + chrono::TimeDelta::minutes(30);
    let served = Served::of(&world, passes(&world, ends), PortalConfig::default()).await;
    assert!(served.portal.publish_step().await.unwrap());
    let before = served.get("/v1/trust").await;
    world.clock.advance(Duration::from_secs(3600));
    assert!(served.portal.publish_step().await.is_err());
    assert_eq!(served.get("/v1/trust").await.body, before.body);
}
