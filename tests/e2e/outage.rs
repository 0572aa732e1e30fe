//! Servers that are killed, away for long or full of rubbish, while both programs are under load:
//! nothing is lost.

use std::collections::BTreeMap;
use std::time::Duration;

use broker::{Publisher, QueueConfig};
use chrono::NaiveDate;
use clock::{Clock, SystemClock};
use contract::{BatchId, Body, Event, Fact, PrivateKey, SealedBatch, wire};

use crate::plant::{DEAD_LETTERS, Plant, QUEUE, Settings, add_to_registry_section, awaiting};
use crate::support::{Clinic, eventually};

const DOWN: &str = "gateway_queue_state{state=\"down\"}";
const PAUSED: &str = "gateway_pulling_paused";
const PENDING_BYTES: &str = "gateway_outbox_pending_bytes";
const SOURCE_AWAY: &str =
    "gateway_pull_runs_total{source=\"mis\",feed=\"vaccinations\",outcome=\"source-away\"}";
const RECEIPTS: &str = "gateway_receipts_total{outcome=\"settled\"}";

#[tokio::test(flavor = "multi_thread")]
async fn rabbitmq_is_killed_again_and_again_under_load() {
    // Receipts on their way are lost with the broker; they are asked for again.
    let registry = "resend_after_seconds = 2\n";
    let settings = Settings {
        outbox: "batch_events = 5\n",
        registry,
        ..Settings::default()
    };
    let mut plant = Plant::new(settings).await;
    let mut rows = 3000;
    plant.shots().insert(0..rows).await;
    let mut gateway = plant.gateway();
    let mut registry = plant.registry();
    plant.until_facts(50).await;
    plant.broker.settle().await.expect("the broker has settled");
    let mut under_load = 0;
    let mut round = 0;
    while under_load < 3 {
        round += 1;
        assert!(round <= 6, "the load is always over before the kill");
        plant.broker.kill();
        let arrived = plant.facts().await.expect("the registry's server answers");
        println!("kill {round}: {arrived} facts of {rows} rows had arrived");
        // On a busy machine everything may have arrived before the kill; then another one counts.
        under_load += u32::from(arrived < rows as usize);
        plant.until_metric(DOWN, |down| down == 1.0).await;
        plant.shots().insert(rows..rows + 750).await;
        rows += 750;
        plant
            .broker
            .restart()
            .await
            .expect("the broker starts again");
        plant.until_facts(arrived + 200).await;
    }
    plant.ends_equal().await;
    assert_eq!(plant.facts().await, Some(rows as usize));
    assert_eq!(plant.dead_letters().await, 0, "{}", plant.logs());
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_is_killed_and_restarted_at_either_side_under_load() {
    let settings = Settings {
        page_records: 20,
        outbox: "batch_events = 5\n",
        ..Settings::default()
    };
    let mut plant = Plant::new(settings).await;
    let mut rows = 3000;
    plant.shots().insert(0..rows).await;
    let mut gateway = plant.gateway();
    let mut registry = plant.registry();
    plant.until_facts(50).await;
    for kill in [true, false] {
        let away = plant.metric(SOURCE_AWAY).unwrap_or(0.0);
        if kill {
            plant.clinic_server.kill();
        } else {
            plant
                .clinic_server
                .stop()
                .await
                .expect("the clinic's server stops");
        }
        plant.until_metric(SOURCE_AWAY, |runs| runs > away).await;
        plant
            .clinic_server
            .restart()
            .await
            .expect("the clinic's server starts again");
        plant.shots().insert(rows..rows + 500).await;

        if kill {
            plant.registry_server.kill();
        } else {
            plant
                .registry_server
                .stop()
                .await
                .expect("the registry's server stops");
        }
        // Though everything before may have arrived, the registry has something to store now.
        plant.shots().insert(rows + 500..rows + 1000).await;
        rows += 1000;
        // A failure that goes on is logged once, so another line need not come where the registry
        // had not stored anything yet since the last one.
        eventually("the registry misses its store", 60, async || {
            let log = registry.log();
            (log.rfind("step-failed") > log.rfind("works-again")).then_some(())
        })
        .await;
        plant
            .registry_server
            .restart()
            .await
            .expect("the registry's server starts again");
        plant.until_facts(rows as usize - 500).await;
    }
    plant.ends_equal().await;
    assert_eq!(plant.facts().await, Some(rows as usize));
    assert_eq!(plant.dead_letters().await, 0, "{}", plant.logs());
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
}

/// Rows of the long outage: their batches of 10 are 4 KiB each, so less than half of them fills a
/// mebibyte.
const MANY: u32 = 6000;
const MEBIBYTE: f64 = 1_048_576.0;
/// Batches that wait for their confirm at once.
const WINDOW: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_down_for_long_pulling_pauses_and_then_the_oldest_leave_first() {
    let outbox = "batch_events = 10\nmax_mebibytes = 1\nshuffle = false\n";
    let plant = Plant::new(Settings {
        outbox,
        // Receipts of a broker that has just come back may find nobody yet who hears them.
        registry: "resend_after_seconds = 60\n",
        ..Settings::default()
    })
    .await;
    set_window(&plant.clinic);
    plant.shots().insert(0..100).await;
    let mut gateway = plant.gateway();
    eventually("the first batches are with the broker", 60, async || {
        // A beacon or two beside them.
        (plant.broker.queue_depth(QUEUE).await.ok()? > 10).then_some(())
    })
    .await;
    plant.broker.stop_app().await.expect("the broker stops");
    for start in (100..MANY).step_by(1000) {
        plant.shots().insert(start..MANY.min(start + 1000)).await;
    }
    plant.until_metric(PAUSED, |paused| paused == 1.0).await;
    let told = String::from_utf8(plant.clinic.program(&["status"]).stdout).expect("status is text");
    assert!(told.contains("full"), "{told}");
    // Killed and started again in the outage, it neither forgets nor goes on pulling.
    let full = waiting_bytes(&plant).await;
    gateway.kill();
    drop(gateway);
    let mut gateway = plant.gateway();
    plant.until_metric(DOWN, |down| down == 1.0).await;
    plant.until_metric(PAUSED, |paused| paused == 1.0).await;
    let still_full = waiting_bytes(&plant).await;
    plant
        .until_metric(PENDING_BYTES, |bytes| bytes >= MEBIBYTE)
        .await;
    // At most three pages more than allowed, those that were joined: 100 rows, 10 batches each; and
    // some beacons.
    for bytes in [full, still_full] {
        assert!(
            (MEBIBYTE..MEBIBYTE + 34.0 * 4200.0).contains(&bytes),
            "{bytes} bytes wait"
        );
    }

    let clock = SystemClock::default();
    plant.broker.start_app().await.expect("the broker starts");
    let back = clock.elapsed();
    eventually("everything is with the broker", 120, async || {
        plant
            .status()
            .await
            .filter(|status| status.backlog.batches == 0)
    })
    .await;
    let emptied = clock.elapsed().saturating_sub(back);

    let config = plant.clinic.load().config.queue;
    let batches = take_all(&plant, &config).await;
    let bare = publish_all(&plant, &config, &batches, &clock).await;
    let bytes: usize = batches.iter().map(|batch| batch.bytes.len()).sum();
    println!(
        "broker back → outbox empty: {:.2} s; {} batches, {bytes} bytes; a bare publisher of the \
         same bytes: {:.2} s",
        emptied.as_secs_f64(),
        batches.len(),
        bare.as_secs_f64()
    );
    // What waits for its receipt is kept, and counts; with the registry's answers pulling goes on.
    let _registry = plant.registry();
    plant.ends_equal().await;
    plant.until_metric(PAUSED, |paused| paused == 0.0).await;
    assert_eq!(plant.facts().await, Some(MANY as usize));
    assert_oldest_first(&plant, &batches);
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
}

fn set_window(clinic: &Clinic) {
    let text =
        std::fs::read_to_string(clinic.config_path()).expect("the configuration can be read");
    let narrow = text.replacen(
        "[queue.amqp]\n",
        &format!("[queue.amqp]\nwindow = {WINDOW}\n"),
        1,
    );
    std::fs::write(clinic.config_path(), narrow).expect("the configuration is written");
}

async fn waiting_bytes(plant: &Plant) -> f64 {
    let status = plant.status().await.expect("the outbox can be read");
    u32::try_from(status.backlog.bytes)
        .expect("few bytes wait")
        .into()
}

/// Everything out of the queue, in its order.
async fn take_all(plant: &Plant, config: &QueueConfig) -> Vec<SealedBatch> {
    let mut consumer = broker::consumer(config, plant.clinic.folder.path()).expect("a consumer");
    let mut batches: Vec<SealedBatch> = Vec::new();
    eventually("the queue is empty", 120, async || {
        if plant.broker.queue_depth(QUEUE).await.ok()? == 0 {
            return Some(());
        }
        // After a connection that was lost, what was not acknowledged comes again.
        let deliveries = consumer.receive(64, Duration::from_secs(2)).await.ok()?;
        let mut tokens = Vec::new();
        for delivery in deliveries {
            let id = contract::batch_id_of(&delivery.bytes)
                .expect("only sealed batches are in the queue");
            if batches.iter().all(|before| before.id != id) {
                batches.push(SealedBatch {
                    id,
                    bytes: delivery.bytes,
                });
            }
            tokens.push(delivery.token);
        }
        consumer.ack(tokens).await.ok()?;
        None
    })
    .await;
    consumer.close().await;
    batches
}

/// A batch may overtake those it was leased with, and its neighbours that were on their way when
/// the broker went.
fn assert_oldest_first(plant: &Plant, batches: &[SealedBatch]) {
    let mut first_seen = BTreeMap::new();
    for (place, batch) in batches.iter().enumerate() {
        let opened = plant
            .city
            .private
            .open(&batch.bytes)
            .expect("the batch opens");
        let events = wire::decode(&opened.encoded).expect("a batch of events");
        let asserted = |event: &&Event| matches!(event.body, Body::Asserted { .. });
        let asserted = events.iter().flatten().filter(asserted);
        // None in a beacon.
        let Some(oldest) = asserted.map(row).min() else {
            continue;
        };
        first_seen.entry(oldest).or_insert(place);
    }
    let allowed = 4 * WINDOW;
    for (rank, (row, place)) in first_seen.iter().enumerate() {
        let off = rank.abs_diff(*place);
        assert!(
            off <= allowed,
            "the batch of row {row} is {rank} by age and {place} in the queue"
        );
    }
}

/// Which row of [`crate::shots::Shots`] an event is about.
fn row(event: &Event) -> i64 {
    let Body::Asserted {
        fact:
            Fact::Vaccination {
                dose_number: Some(dose),
                occurred_on,
                ..
            },
        ..
    } = &event.body
    else {
        panic!("an event of another kind");
    };
    let day: NaiveDate = occurred_on.to_string().parse().expect("a whole date");
    let first = NaiveDate::from_ymd_opt(2020, 12, 1).expect("a date");
    4 * (day - first).num_days() + i64::from(*dose) - 1
}

/// Back into the queue, by a loop that does nothing else; how long it took.
async fn publish_all(
    plant: &Plant,
    config: &QueueConfig,
    batches: &[SealedBatch],
    clock: &dyn Clock,
) -> Duration {
    use futures_util::StreamExt;
    let publisher = broker::publisher(config, plant.clinic.folder.path()).expect("a publisher");
    // Connecting is not counted.
    is_taken(publisher.as_ref(), &batches[0]).await;
    let started = clock.elapsed();
    let publishing =
        futures_util::stream::iter(&batches[1..]).map(|batch| is_taken(publisher.as_ref(), batch));
    publishing
        .buffer_unordered(publisher.window())
        .for_each(|()| async {})
        .await;
    let took = clock.elapsed().saturating_sub(started);
    publisher.close().await;
    took
}

/// Publishes a batch; again where the broker was too slow, which does no harm.
async fn is_taken(publisher: &dyn Publisher, batch: &SealedBatch) {
    eventually("the broker takes a batch", 60, async || {
        publisher.publish(batch).await.ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_batch_holds_nobody_up() {
    // The broker refuses messages above 20 kB, and closes the channel they came on.
    let settings = Settings {
        outbox: "batch_events = 1000\n",
        broker: &["max_message_size = 20000"],
        page_records: 1000,
        ..Settings::default()
    };
    let plant = Plant::new(settings).await;
    let config = plant.clinic.load().config.queue;
    let publisher = broker::publisher(&config, plant.clinic.folder.path()).expect("a publisher");
    let (elsewhere, _) = PrivateKey::generate().public().seal(b"[]").expect("sealed");
    let (unreadable, _) = plant.city.private.public().seal(b"{]").expect("sealed");
    let rubbish = SealedBatch {
        id: BatchId::random(),
        bytes: b"no batch".to_vec(),
    };
    for poison in [elsewhere, unreadable, rubbish] {
        is_taken(publisher.as_ref(), &poison).await;
    }
    publisher.close().await;
    plant.shots().insert(0..8).await;
    let mut gateway = plant.gateway();
    let _registry = plant.registry();
    plant.until_facts(8).await;
    eventually("the registry has put the poison away", 60, async || {
        (plant.dead_letters().await == 3).then_some(())
    })
    .await;

    // A batch too large for this broker waits; what comes behind it does not wait for it.
    plant.shots().insert(8..258).await;
    // A beacon that waits counts among the events for a moment.
    let large_alone = async || {
        let status = plant.status().await?;
        let waits = (status.backlog.batches, status.backlog.events);
        (waits == (1, 250) && status.publisher.consecutive_failures > 0).then_some(())
    };
    eventually("the large batch was refused", 60, large_alone).await;
    for id in 258..264 {
        plant.shots().insert(id..id + 1).await;
        plant.until_facts(id as usize - 250 + 1).await;
    }
    let waits = async || {
        let status = plant.status().await?;
        (status.backlog.batches == 1 && status.backlog.events == 250).then_some(())
    };
    eventually("nothing but the large batch waits", 60, waits).await;
    plant
        .broker
        .ctl(&[
            "eval",
            "application:set_env(rabbit, max_message_size, 134217728).",
        ])
        .await
        .expect("the limit goes");
    // Whoever mends the queue starts the gateway anew instead of waiting for the next try.
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
    let _gateway = plant.gateway();
    plant.ends_equal().await;
    assert_eq!(
        plant.dead_letters().await,
        3,
        "{DEAD_LETTERS} holds the poison and nothing else"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_wait_for_their_receipts_and_a_lost_receipt_is_asked_for_again() {
    let plant = Plant::new(Settings {
        page_records: 1000,
        ..Settings::default()
    })
    .await;
    // The registry is away while the gateway publishes.
    plant.shots().insert(0..200).await;
    let mut gateway = plant.gateway();
    let all_wait = async |count: u64| {
        eventually("every batch waits for its receipt", 60, async || {
            plant
                .status()
                .await
                .filter(|status| status.backlog.batches == 0 && awaiting(status) == count)
        })
        .await
    };
    all_wait(10).await;
    let told = String::from_utf8(plant.clinic.program(&["status"]).stdout).expect("status is text");
    assert!(told.contains("receipt"), "{told}");
    let mut registry = plant.registry();
    plant.ends_equal().await;
    plant
        .until_metric(RECEIPTS, |settled| settled == 10.0)
        .await;
    assert_eq!(registry.terminate().await, Some(0), "{}", registry.log());
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());

    // The gateway is away when the registry answers: nobody hears the receipts.
    add_to_registry_section(&plant.clinic, "resend_after_seconds = 1\n");
    plant
        .shots()
        .sql(
            "UPDATE clinic.shot SET vaccine = 'covivac', changed_at = clock_timestamp() WHERE id \
            < 60",
        )
        .await;
    let synced = plant.clinic.program(&["sync", "--wait-receipts", "0"]);
    assert!(
        synced.status.success(),
        "{}",
        String::from_utf8_lossy(&synced.stderr)
    );
    all_wait(3).await;
    let drained = plant.registry_drains();
    // The beacons count as well.
    let applied: u32 = drained
        .split_once(" applied")
        .and_then(|(before, _)| before.split_whitespace().last()?.parse().ok())
        .expect("a count");
    assert!((61..70).contains(&applied), "{drained}");
    all_wait(3).await;
    let versions = "SELECT encode(record, 'hex'), xmin, f.* FROM fact f ORDER BY 1";
    let before = plant
        .registry_server
        .psql("city", versions)
        .await
        .expect("the registry's facts");

    let mut gateway = plant.gateway();
    eventually("the batches are sent again", 60, async || {
        (plant.broker.queue_depth(QUEUE).await.ok()? >= 3).then_some(())
    })
    .await;
    let _registry = plant.registry();
    plant.ends_equal().await;
    let after = plant
        .registry_server
        .psql("city", versions)
        .await
        .expect("the registry's facts");
    assert_eq!(before, after, "the second application changed something");
    assert_eq!(gateway.terminate().await, Some(0), "{}", gateway.log());
}
