//! Tests of a store that goes away, or refuses a batch for good: nothing is lost, nothing is
//! acknowledged early, nothing loops.

use contract::{Receipt, UnreadableReason, Vaccine};
use registry::{ConsumeError, ConsumeStep, StoreError};
use testbed::postgres::Postgres;
use testbed::rabbitmq::RabbitMq;

use crate::world::{NOW, World, asserted, dose, doses, within_patience};

#[tokio::test]
async fn a_killed_store_loses_nothing_and_nothing_is_acknowledged_early() {
    let (rabbit, postgres) = tokio::join!(RabbitMq::start(), Postgres::start());
    let rabbit = rabbit.unwrap();
    let mut postgres = postgres.unwrap();
    let mut world = World::large(&rabbit, &postgres).await;
    for batch in doses(12, 20) {
        world.send(&batch).await;
    }
    let now = NOW.parse().unwrap();
    let mut stored = 0;
    within_patience("a batch is stored", async {
        while stored == 0 {
            let step = world.registry.consume_once(now).await.unwrap();
            if let ConsumeStep::Done { batches, .. } = step {
                stored += batches;
            }
        }
    })
    .await;
    postgres.kill();
    for _ in 0..3 {
        let error = world.registry.consume_once(now).await.unwrap_err();
        assert!(
            matches!(error, ConsumeError::Store(StoreError::Unavailable { .. })),
            "{error}"
        );
    }
    // Nothing else was acknowledged early.
    rabbit
        .until_depth("clinic.facts.intake", 12 - stored as u64)
        .await
        .unwrap();
    postgres.restart().await.unwrap();
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, dead), ((12 - stored) * 20, 0));
    assert_eq!(
        world.registry.reader().stats().await.unwrap().asserted["vaccination"],
        240
    );
    rabbit.until_depth("clinic.facts.intake", 0).await.unwrap();
}

#[tokio::test]
async fn batches_pending_too_long_go_back_to_the_queue_and_come_again() {
    let mut postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    world.send(&doses(1, 3).remove(0)).await;
    postgres.kill();
    let now = NOW.parse().unwrap();
    assert!(world.registry.consume_once(now).await.is_err());
    assert_eq!(world.depth().await.waiting, 0, "pending");
    assert!(
        world
            .registry
            .consume_once(now + chrono::TimeDelta::minutes(11))
            .await
            .is_err()
    );
    assert_eq!(world.depth().await.waiting, 1, "given back");
    assert!(
        world
            .registry
            .consume_once(now + chrono::TimeDelta::minutes(12))
            .await
            .is_err()
    );
    assert_eq!(
        world.depth().await.waiting,
        1,
        "nothing is taken while the store is away"
    );
    postgres.restart().await.unwrap();
    assert_eq!(world.registry.drain().await.unwrap().0.applied, 3);
}

/// Long outage of a store that keeps answering reads; `fail` and `mend` are SQL for `database`.
async fn a_store_that_takes_no_writes_costs_one_delivery(database: &str, fail: &str, mend: &str) {
    let postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let mut directory = broker::DirectoryConfig::at("queue");
    directory.delivery_limit = 2.try_into().unwrap();
    let mut world = World::new(&store, broker::QueueConfig::Directory(directory)).await;
    world.send(&doses(1, 3).remove(0)).await;
    postgres.psql(database, fail).await.unwrap();
    let mut now: chrono::DateTime<chrono::Utc> = NOW.parse().unwrap();
    for _ in 0..10 {
        let error = world.registry.consume_once(now).await.unwrap_err();
        assert!(
            matches!(error, ConsumeError::Store(StoreError::Unavailable { .. })),
            "{error}"
        );
        now += chrono::TimeDelta::minutes(11);
    }
    let depth = world.depth().await;
    assert_eq!(
        (depth.waiting, depth.dead),
        (1, 0),
        "it waits in the queue, and nobody takes it"
    );
    postgres.psql(database, mend).await.unwrap();
    world.registry.drain().await.unwrap();
    assert_eq!(
        world.registry.reader().stats().await.unwrap().asserted["vaccination"],
        3
    );
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 0));
}

#[tokio::test]
async fn a_long_read_only_store_dead_letters_nothing() {
    let sessions =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'registry'";
    let fail =
        format!("ALTER DATABASE registry SET default_transaction_read_only = on; {sessions}");
    let mend = format!("ALTER DATABASE registry RESET default_transaction_read_only; {sessions}");
    a_store_that_takes_no_writes_costs_one_delivery("postgres", &fail, &mend).await;
}

/// Case of a table that cannot grow, and still takes an update in place: only the batch that failed
/// shows whether it would work now.
#[tokio::test]
async fn a_long_full_disk_dead_letters_nothing() {
    let fail = "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53100'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON fact FOR EACH ROW EXECUTE FUNCTION full_disk()";
    a_store_that_takes_no_writes_costs_one_delivery(
        "registry",
        fail,
        "DROP TRIGGER full_disk ON fact",
    )
    .await;
}

#[tokio::test]
async fn batches_too_slow_together_are_stored_one_by_one() {
    let postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    // As statement_timeout does, without the wait.
    let slow = "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN IF (SELECT count(*) FROM written) > 5 THEN RAISE EXCEPTION USING ERRCODE = \
            '57014'; END IF;
            RETURN NULL; END $$;
        CREATE TRIGGER slow AFTER INSERT ON fact REFERENCING NEW TABLE AS written
            FOR EACH STATEMENT EXECUTE FUNCTION slow()";
    postgres.psql("registry", slow).await.unwrap();
    for batch in doses(3, 5) {
        world.send(&batch).await;
    }
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, dead), (15, 0));
    // Alone it goes in parts, and at last event by event.
    world.send(&doses(1, 25).remove(0)).await; // 15 of them known already
    let mut now: chrono::DateTime<chrono::Utc> = NOW.parse().unwrap();
    let mut applied = 0;
    for _ in 0..5 {
        if let ConsumeStep::Done { outcome, dead, .. } =
            world.registry.consume_once(now).await.unwrap()
        {
            assert_eq!(dead, 0);
            applied += outcome.applied;
        }
        now += chrono::TimeDelta::seconds(30);
    }
    assert_eq!(applied, 10);
    assert_eq!(
        (world.depth().await.waiting, world.depth().await.dead),
        (0, 0)
    );
}

/// Case of a batch at which the store fails each time, as `fail`, in a trigger, says. The others
/// are stored all the same, also those that come later, and this one is given up.
async fn only_the_batch_that_fails_is_given_up(fail: &str) {
    let postgres = Postgres::start().await.unwrap();
    let mut world = World::failing_at_qazvac(&postgres, fail).await;
    let poison = [asserted(900, 1, 900, dose(Vaccine::QazVac, "2021-06-01"))];
    let (poison, _) = world.send(&poison).await;
    let mut now: chrono::DateTime<chrono::Utc> = NOW.parse().unwrap();
    let mut stored = 0;
    for round in 0..3 {
        for batch in doses(4, 5).split_off(round) {
            world.send(&batch).await;
        }
        let mut batches = 0;
        while batches < 4 - round {
            if let Ok(ConsumeStep::Done { batches: more, .. }) =
                world.registry.consume_once(now).await
            {
                batches += more;
            }
            now += chrono::TimeDelta::seconds(1);
        }
        stored += batches;
    }
    assert_eq!(stored, 9);
    let mut steps = 0;
    within_patience("it is given up", async {
        while world.depth().await.dead == 0 {
            // A step that fails does not count: a server that was killed starts anew as long.
            if world.registry.consume_once(now).await.is_ok() {
                now += chrono::TimeDelta::seconds(30);
                steps += 1;
            }
            assert!(steps < 10, "it is never given up");
        }
    })
    .await;
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 1));
    // A store that was away at that moment forgets it in a step once it is back.
    within_patience("its tries are forgotten", async {
        let noted = "SELECT count(*) FROM attempt";
        loop {
            drop(world.registry.consume_once(now).await);
            let count = postgres.psql("registry", noted).await;
            if count.is_ok_and(|count| count.trim() == "0") {
                break;
            }
        }
    })
    .await;
    let stats = world.registry.reader().stats().await.unwrap();
    assert_eq!(stats.asserted["vaccination"], 20);
    let given_up = Receipt::unreadable(poison.id, UnreadableReason::GivenUp);
    assert!(world.answers().await.contains(&given_up));
}

#[tokio::test]
async fn a_batch_that_is_always_too_slow_is_given_up() {
    only_the_batch_that_fails_is_given_up("RAISE EXCEPTION USING ERRCODE = '57014';").await;
}

/// Case of a server that dies over a batch, as by a mistake of its own: the backend is killed, and
/// the server starts anew.
#[tokio::test]
async fn a_batch_that_kills_the_server_is_given_up() {
    let fail = "COPY (SELECT 1) TO PROGRAM 'kill -9 $PPID'; RETURN NEW;";
    only_the_batch_that_fails_is_given_up(fail).await;
}

#[tokio::test]
async fn a_batch_that_meets_an_internal_error_is_given_up() {
    only_the_batch_that_fails_is_given_up("RAISE EXCEPTION USING ERRCODE = 'XX000';").await;
}

/// Outage in which the store answers and takes updates, and every new fact breaks the connection.
#[tokio::test]
async fn an_outage_that_breaks_every_connection_condemns_nobody() {
    let fail = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END $$;
        CREATE TRIGGER fail BEFORE INSERT ON fact FOR EACH ROW EXECUTE FUNCTION fail()";
    let mend = "DROP TRIGGER fail ON fact";
    a_store_that_takes_no_writes_costs_one_delivery("registry", fail, mend).await;
}

#[tokio::test]
async fn the_stores_circuit_opens_at_a_failure_and_closes_at_a_write() {
    let mut postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    let mut other = world.registry.additional_consumer().unwrap();
    let now = NOW.parse().unwrap();
    assert_eq!(world.registry.store_pause(now).await, None);
    world.send(&doses(1, 3).remove(0)).await;
    postgres.kill();
    assert!(world.registry.consume_once(now).await.is_err());
    let pause = world.registry.store_pause(now).await.expect("it is open");
    assert!(other.store_pause(now).await.is_some(), "for every consumer");
    world.clock.advance(pause);
    assert_eq!(world.registry.store_pause(now).await, None, "one may try");
    assert!(
        other.store_pause(now).await.is_some(),
        "the others wait for what it finds"
    );
    assert!(world.registry.consume_once(now).await.is_err());
    let longer = world.registry.store_pause(now).await.expect("open again");
    postgres.restart().await.unwrap();
    world.clock.advance(longer);
    // The other one tries: it has nothing pending, so it asks the store whether it takes a write.
    assert_eq!(other.store_pause(now).await, None);
    assert_eq!(other.consume_once(now).await.unwrap(), ConsumeStep::Idle);
    assert_eq!(world.registry.store_pause(now).await, None);
    assert_eq!(world.registry.drain().await.unwrap().0.applied, 3);
}

#[tokio::test]
async fn what_cannot_be_dead_lettered_goes_back_and_the_rest_goes_on() {
    let mut world = World::small().await;
    let now = NOW.parse().unwrap();
    world.registry.consume_once(now).await.unwrap();
    for _ in 0..3 {
        world.send_bytes(b"what is this".to_vec()).await;
    }
    world.send(&doses(1, 3).remove(0)).await;
    // A file where the dead letters' folder was.
    let dead = world.base().join("queue/dead");
    let aside = world.base().join("aside");
    std::fs::rename(&dead, &aside).unwrap();
    std::fs::write(&dead, "").unwrap();
    let error = world.registry.consume_once(now).await.unwrap_err();
    assert!(matches!(error, ConsumeError::Queue(_)), "{error}");
    std::fs::remove_file(&dead).unwrap();
    std::fs::rename(&aside, &dead).unwrap();
    let mut outcome = registry::GroupOutcome::default();
    let mut dead_letters = 0;
    while let ConsumeStep::Done {
        outcome: more,
        dead,
        ..
    } = world.registry.consume_once(now).await.unwrap()
    {
        outcome += more;
        dead_letters += dead;
    }
    assert_eq!((outcome.applied, dead_letters), (3, 3));
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 3));
}

#[tokio::test]
async fn a_batch_the_store_refuses_for_good_is_the_only_dead_letter() {
    let postgres = Postgres::start().await.unwrap();
    let store = crate::world::postgres_store(&postgres, "registry").await;
    let queue = broker::QueueConfig::Directory(broker::DirectoryConfig::at("queue"));
    let mut world = World::new(&store, queue).await;
    postgres
        .psql(
            "registry",
            "ALTER TABLE fact ADD CHECK (vaccine <> 'qazvac')",
        )
        .await
        .unwrap();
    for batch in doses(3, 5) {
        world.send(&batch).await;
    }
    world
        .send(&[asserted(900, 1, 900, dose(Vaccine::QazVac, "2021-06-01"))])
        .await;
    let (outcome, dead) = world.registry.drain().await.unwrap();
    assert_eq!((outcome.applied, dead), (15, 1));
    let depth = world.depth().await;
    assert_eq!((depth.waiting, depth.dead), (0, 1));
    assert_eq!(world.registry.reader().stats().await.unwrap().subjects, 15);
}
