//! Tests of a batch that others are in the way of: it is not to blame, holds up nobody, and is
//! stored when they are gone.

use chrono::{DateTime, TimeDelta, Utc};
use contract::Vaccine;
use registry::{ConsumeStep, GroupOutcome};
use testbed::postgres::Postgres;

use crate::world::{NOW, World, asserted, dose, doses};

/// Applies what can be applied in this number of steps, a minute apart. No step may fail.
async fn consume(world: &mut World, now: &mut DateTime<Utc>, steps: usize) -> GroupOutcome {
    let mut total = GroupOutcome::default();
    for _ in 0..steps {
        if let ConsumeStep::Done { outcome, dead, .. } =
            world.registry.consume_once(*now).await.unwrap()
        {
            assert_eq!(dead, 0);
            total += outcome;
        }
        *now += TimeDelta::minutes(1);
    }
    total
}

/// Case of a batch at which the store fails for as long as others are in the way, as `fail`, in a
/// trigger, says.
async fn it_is_stored_when_they_are_gone(fail: &str) {
    let postgres = Postgres::start().await.unwrap();
    let mut world = World::failing_at_qazvac(&postgres, fail).await;
    world
        .send(&[asserted(900, 1, 900, dose(Vaccine::QazVac, "2021-06-01"))])
        .await;
    for batch in doses(3, 5) {
        world.send(&batch).await;
    }
    let mut now = NOW.parse().unwrap();
    assert_eq!(consume(&mut world, &mut now, 12).await.applied, 15);
    // Handed out before, its tries are noted, and taken back.
    for _ in 0..4 {
        let other = world.registry.additional_consumer().unwrap();
        std::mem::replace(&mut world.registry, other).close().await;
        assert_eq!(consume(&mut world, &mut now, 4).await.applied, 0);
    }
    let noted = "SELECT count(*) FROM attempt";
    assert_eq!(postgres.psql("registry", noted).await.unwrap().trim(), "0");
    let gone = "DROP TRIGGER fail ON fact";
    postgres.psql("registry", gone).await.unwrap();
    assert_eq!(consume(&mut world, &mut now, 3).await.applied, 1);
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 0));
}

#[tokio::test]
async fn a_batch_that_waits_for_a_lock_in_vain_is_stored_when_it_is_free() {
    it_is_stored_when_they_are_gone("RAISE EXCEPTION USING ERRCODE = '55P03';").await;
}

#[tokio::test]
async fn a_batch_whose_sessions_an_administrator_ends_is_stored_when_he_lets_it() {
    let fail = "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW;";
    it_is_stored_when_they_are_gone(fail).await;
}

#[tokio::test]
async fn a_batch_that_a_server_has_no_memory_for_is_stored_when_it_has() {
    it_is_stored_when_they_are_gone("RAISE EXCEPTION USING ERRCODE = '53200';").await;
}
