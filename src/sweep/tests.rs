//! Tests of a sweep: withdrawals, rows read again, the safety catch, failures.

use connector_kit::Feed;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::pull::Counters;
use crate::run::SourceRun;
use crate::testing::World;

async fn sweep(world: &World) -> FeedSweep {
    world.gateway.sources[0].request_sweep();
    let summary = world.pull().await;
    let mut feeds = summary.sweep.expect("a sweep was asked for");
    assert_eq!(feeds.len(), 1);
    feeds.remove(0)
}

#[tokio::test]
async fn a_sweep_withdraws_what_is_gone_and_reads_what_pulls_cannot_see() {
    let world = World::new("", 0..4500).await;
    let first = sweep(&world).await;
    assert_eq!(
        (first.keys, first.reread, first.missed, first.withdrawn),
        (4500, 0, 0, 0)
    );
    world.rows.lock().remove(&17);
    world.rows.lock().insert(18, 1);
    let second = sweep(&world).await;
    // Two passes of 4499 keys: something was missing, so all are looked at twice.
    assert_eq!((second.keys, second.reread, second.withdrawn), (8998, 1, 1));
    assert_eq!((second.held, second.finished), (None, true));
    let third = sweep(&world).await;
    assert_eq!((third.keys, third.reread, third.withdrawn), (4499, 0, 0));
    let status = world
        .gateway
        .outbox
        .reader()
        .status()
        .await
        .expect("the state");
    let codes: Vec<&str> = status
        .surprises
        .iter()
        .map(|surprise| surprise.code.as_str())
        .collect();
    assert_eq!(codes, ["stamps-went-back"]);
}

#[tokio::test]
async fn too_many_withdrawals_are_held_and_a_failed_sweep_stays_due() {
    let world = World::new("", 0..100).await;
    sweep(&world).await;
    world.rows.lock().retain(|id, _| *id >= 50);
    let held = sweep(&world).await;
    assert_eq!(
        (held.held, held.withdrawn, held.finished),
        (Some(50), 0, true)
    );
    let source = &world.gateway.sources[0];
    assert!(
        !source.take_sweep_request(Feed::Vaccinations),
        "held is an end"
    );

    source.request_sweep();
    world.rows.away.store(true, Ordering::Relaxed);
    let run = SourceRun {
        gateway: &world.gateway,
        source,
        stop: &CancellationToken::new(),
        counters: &Counters::default(),
    };
    let failure = run.scheduled().await.expect_err("the source is away");
    assert_eq!(failure.code(), "source-away");
    assert!(
        source.take_sweep_request(Feed::Vaccinations),
        "no sweep after a failed pull, but after the next good one"
    );
}
