//! Daily ceilings over the wire: at the edge, over restarts, over midnight.

use std::time::Duration;

use crate::world::{World, at};

#[tokio::test]
async fn a_ceiling_holds_at_its_edge_and_midnight_begins_a_day() {
    let world = World::new(272);
    let served = world.serve().await;
    assert_eq!(served.ask(&world.one, 16).await.status, 200);
    assert_eq!(served.ask(&world.one, 256).await.status, 200);
    let refused = served.ask(&world.one, 16).await;
    assert_eq!(refused.problem(), (429, "ceiling-reached".to_owned()));
    assert_eq!(refused.header("retry-after"), Some("43200"));
    assert_eq!(served.ask(&world.two, 256).await.status, 200);

    world.clock.set(at("2026-11-30T23:59:59.5Z"));
    let refused = served.ask(&world.one, 16).await;
    assert_eq!(refused.header("retry-after"), Some("1"));
    world.clock.advance(Duration::from_millis(500));
    assert_eq!(served.ask(&world.one, 256).await.status, 200);
    let refused = served.ask(&world.one, 256).await;
    assert_eq!(refused.header("retry-after"), Some("86400"));
}

#[tokio::test]
async fn a_restart_in_good_order_keeps_the_count() {
    let world = World::new(512);
    let served = world.serve().await;
    assert_eq!(served.ask(&world.one, 256).await.status, 200);
    served.stop().await;
    let served = world.serve().await;
    assert_eq!(served.ask(&world.one, 16).await.status, 200);
    assert_eq!(served.ask(&world.one, 256).await.status, 429);
    let told = served.send(&world.one, "GET /v1/keys").await.json();
    assert_eq!(told["used_today"], 272);
    let taken_over = world.audited("count-taken-over");
    assert_eq!(taken_over.len(), 1);
    assert_eq!(taken_over[0]["elements_counted_today"], 256);
}

#[tokio::test]
async fn a_crash_gives_nothing_twice() {
    let world = World::new(2048);
    let served = world.serve().await;
    assert_eq!(served.ask(&world.one, 256).await.status, 200);
    served.crash().await;
    let served = world.serve().await;
    let told = served.send(&world.one, "GET /v1/keys").await.json();
    assert_eq!(told["used_today"], key_service::BLOCK);
    for _ in 0..4 {
        assert_eq!(served.ask(&world.one, 256).await.status, 200);
    }
    assert_eq!(served.ask(&world.one, 16).await.status, 429);
}

#[tokio::test]
async fn a_clock_that_is_set_back_gives_no_day_twice() {
    let world = World::new(256);
    let served = world.serve().await;
    world.clock.set(at("2026-12-01T00:00:00Z"));
    assert_eq!(served.ask(&world.one, 256).await.status, 200);
    world.clock.set(at("2026-11-30T12:00:00Z"));
    assert_eq!(served.ask(&world.one, 16).await.status, 429);
    served.crash().await;
    let served = world.serve().await;
    assert_eq!(served.ask(&world.one, 16).await.status, 429);
}
