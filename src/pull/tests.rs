//! Tests of a pull: pages that never end, joined pages, a full outbox, failures at a stage.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use connector_kit::{Cursor, Feed};
use contract::{Body, Fact, RecordDigest, Version};
use outbox::OutboxError;
use pseudonym::DatePrecision;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::seal::SealedPage;
use super::transform::TransformedPage;
use super::*;
use crate::publish::publish_once;
use crate::run::SourceRun;
use crate::sweep::sweep_feed;
use crate::testing::{World, within_patience};

/// An outbox that has no space for 600 batches of 4 KiB each.
const SMALL_OUTBOX: &str = "receipts = \"off\"\n[outbox]\nmax_mebibytes = 1\nbatch_events = 1\n";

/// Waits until pulling pauses. Pulls are stopped by nothing else, so that a pause that does not
/// come is a pull that hangs.
async fn wait_until_paused(world: &World) {
    let paused = async {
        while !world.gateway.backpressure.is_paused() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within_patience("the pull pauses", paused).await;
}

async fn publish_for_ever(world: &World) {
    loop {
        let published = publish_once(&world.gateway)
            .await
            .expect("the outbox works");
        assert_eq!(published.error, None, "the queue takes batches");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Versions and dates of the events that were published, by record, in the order of versions.
fn published_dates(world: &World) -> BTreeMap<RecordDigest, Vec<(Version, String)>> {
    let mut dates: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for opened in world.published() {
        for event in contract::wire::decode(&opened.encoded).expect("a batch of events") {
            let event = event.expect("an event");
            let Body::Asserted { fact, .. } = event.body else {
                panic!("nothing was withdrawn")
            };
            let Fact::Vaccination { occurred_on, .. } = fact else {
                panic!("rows are vaccinations")
            };
            let versions = dates.entry(event.record).or_default();
            versions.push((event.version, occurred_on.to_string()));
        }
    }
    dates.values_mut().for_each(|versions| versions.sort());
    dates
}

#[tokio::test]
async fn what_was_sent_under_another_release_policy_is_sent_again_as_a_higher_version() {
    let mut world = World::new("receipts = \"off\"\n", 0..6).await;
    let publish = async |world: &World| {
        world.pull().await;
        let published = publish_once(&world.gateway).await.expect("published");
        published.delivered
    };
    assert_eq!(publish(&world).await, 1);
    // The same policy in other words: nothing is read or sent again.
    world.loaded.config.release.vaccination.dates = Some(DatePrecision::Day);
    world.gateway.sources = vec![Arc::new(world.source())];
    assert!(world.stored_cursor().await.is_some());
    assert_eq!(publish(&world).await, 0);

    world.loaded.config.release.vaccination.dates = Some(DatePrecision::Month);
    world.gateway.sources = vec![Arc::new(world.source())];
    assert_eq!(
        world.stored_cursor().await,
        None,
        "it is read from its beginning"
    );
    assert_eq!(publish(&world).await, 1);
    assert_eq!(publish(&world).await, 0, "once");

    world.loaded.config.release.vaccination.dates = None;
    world.gateway.sources = vec![Arc::new(world.source())];
    assert_eq!(publish(&world).await, 1);

    let dates = published_dates(&world);
    assert_eq!(dates.len(), 6);
    for versions in dates.values() {
        let dates: Vec<&str> = versions.iter().map(|(_, date)| date.as_str()).collect();
        assert_eq!(dates, ["2021-06-10", "2021-06", "2021-06-10"]);
    }
}

#[tokio::test]
async fn pages_that_never_end_are_an_error_in_words() {
    let world = World::new("", 0..10).await;
    world.rows.endless.store(true, Ordering::Relaxed);
    let source = &world.gateway.sources[0];
    let stop = CancellationToken::new();
    let counters = Counters::default();
    let run = SourceRun {
        gateway: &world.gateway,
        source,
        stop: &stop,
        counters: &counters,
    };
    let failure = run.scheduled().await.expect_err("it never ends");
    assert_eq!(
        (failure.code(), failure.retry_after()),
        ("source-endless", None)
    );
    assert!(
        failure.error.to_string().contains("never end"),
        "{}",
        failure.error
    );
    let status = world
        .gateway
        .outbox
        .reader()
        .status()
        .await
        .expect("the state");
    assert_eq!(status.surprises[0].code, "source-endless");
    assert!(world.rows.asked.load(Ordering::Relaxed) < 20);

    // The keys of a sweep are guarded as well.
    let result = sweep_feed(
        &world.feed_run(source, &stop, &counters),
        outbox::SweepKind::Keys,
    )
    .await;
    assert_eq!(result.expect_err("it never ends").code(), "source-endless");
}

#[tokio::test]
async fn pages_that_wait_are_committed_together_but_for_those_of_the_same_record() {
    let world = World::new("receipts = \"off\"\n", 0..0).await;
    let stop = CancellationToken::new();
    let counters = Counters::default();
    let source = &world.gateway.sources[0];
    let run = world.feed_run(source, &stop, &counters);
    let generation = world.gateway.outbox.generation();
    let transformer = Transformer::new(&run).await.expect("the state");
    let (sealed_in, sealed_out) = mpsc::channel(8);
    for ids in [0..4, 4..8, 8..8, 8..10, 9..12] {
        let reached = Cursor::new(ids.end.to_string()).expect("short");
        let records = ids
            .map(|id| crate::testing::record(id, 1))
            .collect::<Vec<_>>();
        let sealed = if records.is_empty() {
            SealedPage {
                reached: Some(reached),
                ..SealedPage::default()
            }
        } else {
            let page = TransformedPage {
                resume: Some(reached),
                ..transformer.transform(records).await.expect("well-formed")
            };
            let origin = PageOrigin::Pull {
                generation,
                stores_cursor: true,
            };
            seal_page(&run, page, origin).await.expect("sealed")
        };
        sealed_in.send(sealed).await.expect("the channel has space");
    }
    drop(sealed_in);
    assert_eq!(
        commit::commit_pages(&run, sealed_out)
            .await
            .expect("nothing fails"),
        RunEnd::Complete
    );
    assert_eq!(counters.new.load(Ordering::Relaxed), 12);
    assert_eq!(
        counters.unchanged.load(Ordering::Relaxed),
        1,
        "the tenth came twice"
    );
    let reached = source.reached(Feed::Vaccinations);
    assert_eq!(reached.expect("all is read").as_str(), "12");
    assert_eq!(world.stored_cursor().await.as_deref(), Some("12"));
    let generation_file =
        std::fs::read_to_string(world.folder.path().join("state/outbox.db.generation"));
    let stamp = format!("stamp {:020}\n", 2);
    assert!(
        generation_file
            .expect("the generation file")
            .ends_with(&stamp),
        "two commits gave out versions"
    );
}

#[tokio::test]
async fn a_full_outbox_pauses_pulling_and_goes_on_by_itself() {
    let world = World::new(SMALL_OUTBOX, 0..600).await;
    let stop = CancellationToken::new();
    let counters = Counters::default();
    // Pages are small, so that some fit.
    let mut small = world.source();
    small.page_records = 100;
    let run = world.feed_run(&small, &stop, &counters);
    let publishing = async {
        wait_until_paused(&world).await;
        assert!(
            counters.new.load(Ordering::Relaxed) < 600,
            "it pauses before the end"
        );
        publish_for_ever(&world).await;
    };
    let pulling = within_patience("the pull ends", pull_feed(&run, Trigger::Schedule));
    let pulled = tokio::select! {
        pulled = pulling => pulled,
        () = publishing => unreachable!("it publishes for ever"),
    };
    assert_eq!(pulled.expect("nothing fails"), RunEnd::Complete);
    assert_eq!(counters.new.load(Ordering::Relaxed), 600);
    assert!(!world.gateway.backpressure.is_paused());
}

#[tokio::test]
async fn a_run_under_way_while_the_generation_rises_is_followed_by_one_from_the_beginning() {
    let world = World::new(SMALL_OUTBOX, 0..400).await;
    let gateway = &world.gateway;
    let stop = CancellationToken::new();
    let counters = Counters::default();
    let mut small = world.source();
    small.page_records = 100;
    let run = world.feed_run(&small, &stop, &counters);
    let raising = async {
        wait_until_paused(&world).await;
        gateway
            .outbox
            .raise_generation(2, "a test", gateway.clock.now())
            .await
            .expect("raised");
        publish_for_ever(&world).await;
    };
    let both = async {
        let first = pull_feed(&run, Trigger::Schedule).await;
        assert_eq!(first.expect("nothing fails"), RunEnd::Complete);
        assert_eq!(counters.new.load(Ordering::Relaxed), 400);
        pull_feed(&run, Trigger::Schedule).await
    };
    let again = tokio::select! {
        again = within_patience("both pulls end", both) => again,
        () = raising => unreachable!("it publishes for ever"),
    };
    assert_eq!(again.expect("nothing fails"), RunEnd::Complete);
    // The first pages had gone out in the first generation, the last one in the second.
    assert!(
        counters.new.load(Ordering::Relaxed) + counters.resent.load(Ordering::Relaxed) >= 600,
        "what was sent before is sent again"
    );
}

#[tokio::test]
async fn a_pause_ends_when_the_program_is_stopped_or_nothing_is_published_any_more() {
    let world = World::new("[outbox]\nmax_mebibytes = 1\nbatch_events = 1\n", 0..600).await;
    let backpressure = &world.gateway.backpressure;
    let stop = CancellationToken::new();
    let counters = Counters::default();
    let mut source = world.source();
    source.page_records = 300;
    let run = world.feed_run(&source, &stop, &counters);
    backpressure.set_publishing_ended(true);
    let result = pull_feed(&run, Trigger::Schedule).await;
    assert!(
        matches!(result, Err(PullError::Outbox(OutboxError::Full { .. }))),
        "{result:?}"
    );
    backpressure.set_publishing_ended(false);
    let stopping = async {
        wait_until_paused(&world).await;
        stop.cancel();
    };
    let both = async { tokio::join!(pull_feed(&run, Trigger::Schedule), stopping).0 };
    let pulled = within_patience("the pull ends", both).await;
    assert_eq!(pulled.expect("a stop is no failure"), RunEnd::Stopped);
}

#[cfg(feature = "inject")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the test below"]
async fn three_pages_with_a_failure_at_the_second() {
    fault::arm_from_environment();
    let world = World::new("receipts = \"off\"\n", 0..10).await;
    let stop = CancellationToken::new();
    let counters = Counters::default();
    let mut source = world.source();
    source.page_records = 4;
    let run = world.feed_run(&source, &stop, &counters);
    let failed = pull_feed(&run, Trigger::Schedule).await;
    assert!(failed.is_err(), "{failed:?}");
    assert_eq!(
        counters.new.load(Ordering::Relaxed),
        4,
        "the first page and no other is safe"
    );
    assert_eq!(world.stored_cursor().await.as_deref(), Some("4"));
    assert_eq!(
        pull_feed(&run, Trigger::Schedule)
            .await
            .expect("the failure has passed"),
        RunEnd::Complete
    );
    assert_eq!(counters.new.load(Ordering::Relaxed), 10);
    assert_eq!(world.stored_cursor().await.as_deref(), Some("10"));
}

#[cfg(feature = "inject")]
#[test]
fn a_page_that_cannot_be_pseudonymised_or_sealed_takes_none_before_it_along() {
    use fault::Point;

    for point in [Point::PullTransformed, Point::OutboxSealed] {
        let second = format!("{}=1*off->1*return(retry)", point.as_str());
        crate::testing::succeeds_broken(
            "pull::tests::three_pages_with_a_failure_at_the_second",
            &second,
        );
    }
}
