//! Tests of a worker: what is asked after failures, and what is left alone.

use clock::ManualClock;
use connector_kit::SourceError;

use super::*;
use crate::testing::{Rows, World};

/// The worker of a gateway's only source.
fn worker_of(gateway: Gateway) -> SourceWorker {
    let source = Arc::clone(&gateway.sources[0]);
    SourceWorker::new(Arc::new(gateway), source, CancellationToken::new())
}

#[tokio::test]
async fn a_source_that_fails_is_left_alone_then_probed_then_read() {
    let world = World::new("", 0..50).await;
    let World {
        gateway,
        rows,
        clock,
        ..
    } = world;
    let mut worker = worker_of(gateway);
    let asked = || rows.asked.load(Ordering::Relaxed);

    rows.away.store(true, Ordering::Relaxed);
    let pause = worker
        .run(Some(Trigger::Schedule))
        .await
        .expect("it failed");
    assert_eq!(asked(), 1);
    assert!(
        worker
            .run(Some(Trigger::Schedule))
            .await
            .is_some_and(|wait| wait <= pause),
        "left alone"
    );
    assert_eq!(asked(), 1);
    clock.advance(pause);
    let longer = worker
        .run(Some(Trigger::Schedule))
        .await
        .expect("the probe failed as well");
    assert_eq!(
        (asked(), rows.limit.load(Ordering::Relaxed)),
        (2, PROBE_RECORDS)
    );
    assert!(longer > pause / 2, "{longer:?} after {pause:?}");

    rows.away.store(false, Ordering::Relaxed);
    clock.advance(longer);
    assert_eq!(
        worker.run(Some(Trigger::Schedule)).await,
        None,
        "probed, then read to its end"
    );
    assert_eq!(asked(), 4);
    assert_eq!(worker.run(Some(Trigger::Schedule)).await, None);
    assert_eq!(asked(), 5, "in order again: no probe");
}

#[tokio::test]
async fn a_feed_whose_rows_need_a_larger_page_than_a_probe_is_read_again_after_a_failure() {
    let world = World::new("", 0..50).await;
    let World {
        gateway,
        rows,
        clock,
        ..
    } = world;
    let mut worker = worker_of(gateway);
    rows.least_limit.store(PROBE_RECORDS + 1, Ordering::Relaxed);
    assert_eq!(worker.run(Some(Trigger::Schedule)).await, None);
    rows.away.store(true, Ordering::Relaxed);
    let pause = worker.run(Some(Trigger::Schedule)).await;
    rows.away.store(false, Ordering::Relaxed);
    clock.advance(pause.expect("it failed"));
    assert_eq!(worker.run(Some(Trigger::Schedule)).await, None);
}

const ALL: [Feed; 3] = [Feed::Vaccinations, Feed::Tests, Feed::Recoveries];

/// A worker of a source with three feeds.
struct Three {
    rows: Arc<Rows>,
    clock: Arc<ManualClock>,
    worker: SourceWorker,
    _folder: tempfile::TempDir,
}

impl Three {
    async fn new() -> Self {
        let world = World::new("", 0..50).await;
        let World {
            gateway,
            rows,
            clock,
            folder,
            ..
        } = world;
        rows.other_feeds
            .lock()
            .extend([Feed::Tests, Feed::Recoveries]);
        let worker = worker_of(gateway);
        Self {
            rows,
            clock,
            worker,
            _folder: folder,
        }
    }
}

async fn failures(gateway: &Gateway) -> Vec<u32> {
    let status = gateway.outbox.reader().status().await.expect("the state");
    ALL.iter()
        .filter_map(|feed| {
            let mut feeds = status.feeds.iter();
            feeds.find(|status| status.feed == feed.as_str())
        })
        .map(|feed| feed.consecutive_failures)
        .collect()
}

#[tokio::test]
async fn a_broken_feed_is_probed_alone_and_the_others_keep_their_schedule() {
    // A refusal may be of a probe's small page alone: it is asked once more, with a whole one.
    for (failure, asked_by_probe) in [
        (
            SourceError::misconfigured("the table is gone", "name another"),
            [Feed::Vaccinations; 2].as_slice(),
        ),
        (
            SourceError::retry("this table is locked"),
            [Feed::Vaccinations].as_slice(),
        ),
    ] {
        let three = Three::new().await;
        let Three {
            rows,
            clock,
            mut worker,
            ..
        } = three;
        rows.broken.lock().push((Feed::Vaccinations, failure));
        let mut wait = worker.run(Some(Trigger::Schedule)).await.expect("a retry");
        assert_eq!(rows.take_asked(), ALL);
        assert!(worker.run(Some(Trigger::Hint)).await.is_some());
        assert_eq!(rows.take_asked(), ALL[1..], "the broken one is left alone");
        for probes in 1..=10 {
            clock.advance(wait);
            wait = worker.run(None).await.expect("the probe failed");
            assert_eq!(rows.take_asked(), asked_by_probe, "the others are not due");
            assert!(worker.run(Some(Trigger::Schedule)).await.is_some());
            assert_eq!(rows.take_asked(), ALL[1..], "they keep their schedule");
            let counted = failures(&worker.gateway).await;
            assert_eq!(counted, [1 + probes, 0, 0], "every probe counts");
        }
        rows.broken.lock().clear();
        clock.advance(wait);
        assert_eq!(worker.run(None).await, None);
        let probed_and_read = [Feed::Vaccinations, Feed::Vaccinations];
        assert_eq!(rows.take_asked(), probed_and_read);
        assert_eq!(failures(&worker.gateway).await, [0, 0, 0]);
    }
}

#[tokio::test]
async fn a_source_that_is_away_is_asked_by_one_probe_for_all_its_feeds() {
    let three = Three::new().await;
    let Three {
        rows,
        clock,
        mut worker,
        ..
    } = three;
    rows.away.store(true, Ordering::Relaxed);
    let mut wait = worker.run(Some(Trigger::Schedule)).await.expect("a retry");
    assert_eq!(rows.take_asked(), ALL);
    for probes in 1..=4 {
        assert!(worker.run(Some(Trigger::Schedule)).await.is_some());
        assert_eq!(rows.take_asked(), [], "the source is left alone");
        clock.advance(wait);
        wait = worker.run(None).await.expect("it is away");
        let asked = rows.take_asked();
        assert_eq!(asked.len(), 1, "one probe, each time of another feed");
        assert_eq!(asked[0], ALL[(probes - 1) % 3]);
        let counted = u32::try_from(1 + probes).expect("small");
        assert_eq!(failures(&worker.gateway).await, [counted; 3]);
    }
    // What is told of a feed does not pass for its own where another one was asked.
    let status = worker.gateway.outbox.reader().status().await;
    for feed in status.expect("the state").feeds {
        let why = feed.last_error_why.expect("a cause");
        let asked = format!("{} was asked for all feeds of the source: ", ALL[0]);
        let is_asked = feed.feed == ALL[0].as_str();
        assert_eq!(why.starts_with(&asked), !is_asked, "{}: {why}", feed.feed);
    }
    // It answers again, but one feed of it does not.
    rows.away.store(false, Ordering::Relaxed);
    let locked = SourceError::retry("this table is locked");
    rows.broken.lock().push((Feed::Vaccinations, locked));
    clock.advance(wait);
    wait = worker.run(None).await.expect("one feed is broken");
    assert_eq!(rows.take_asked()[1..], ALL);
    assert_eq!(failures(&worker.gateway).await, [6, 0, 0]);
    clock.advance(wait);
    assert!(worker.run(None).await.is_some());
    assert_eq!(rows.take_asked(), ALL[..1]);
}

#[tokio::test]
async fn a_broken_feed_keeps_no_other_from_its_sweep_and_its_own_stays_due() {
    let three = Three::new().await;
    let Three {
        rows, mut worker, ..
    } = three;
    let broken = SourceError::misconfigured("the table is gone", "name another");
    rows.broken.lock().push((Feed::Vaccinations, broken));
    worker.run(Some(Trigger::Schedule)).await;
    worker.source.request_sweep();
    worker.run(Some(Trigger::Schedule)).await;
    let reader = worker.gateway.outbox.reader();
    let status = reader.status().await.expect("the state");
    let swept: Vec<&str> = status
        .feeds
        .iter()
        .filter(|feed| {
            feed.sweep
                .as_ref()
                .is_some_and(|sweep| sweep.finished_at.is_some())
        })
        .map(|feed| feed.feed.as_str())
        .collect();
    assert_eq!(swept, ["recoveries", "tests"]);
    assert!(worker.source.sweeps.is_asked(Feed::Vaccinations));
    assert!(!worker.source.sweeps.is_asked(Feed::Tests));
}

/// A source whose sweeps read whole rows, ten a page.
async fn world_of_small_pages(rows: std::ops::Range<u32>) -> World {
    let mut world = World::new("", rows).await;
    let source = world.gateway.sources.remove(0);
    let mut source = Arc::into_inner(source).expect("nobody else has it");
    source.page_records = 10;
    world.gateway.sources.push(Arc::new(source));
    world.rows.reads_contents.store(true, Ordering::Relaxed);
    world
}

#[tokio::test]
async fn a_sweep_that_gives_way_goes_on_behind_the_pull_without_a_schedule() {
    let world = world_of_small_pages(0..30).await;
    let World {
        gateway,
        rows,
        clock,
        ..
    } = world;
    let source = Arc::clone(&gateway.sources[0]);
    let mut worker = SourceWorker::new(
        Arc::new(gateway),
        Arc::clone(&source),
        CancellationToken::new(),
    );
    assert_eq!(worker.run(Some(Trigger::Schedule)).await, None);
    let wanted = Arc::clone(&source);
    rows.at_contents.set(move |page| {
        clock.advance(Duration::from_secs(6));
        if page == 1 {
            wanted.hint.notify_one();
        }
    });
    source.request_sweep();
    let wait = worker.run(Some(Trigger::Schedule)).await;
    assert_eq!(wait, Some(Duration::ZERO), "it goes on at once");
    assert_eq!(*rows.contents_asked.lock(), [0]);
    source.hint.notified().await;
    assert_eq!(worker.run(Some(Trigger::Hint)).await, None);
    assert_eq!(*rows.contents_asked.lock(), [0, 10, 20, 30]);
    assert_eq!(
        rows.asked.load(Ordering::Relaxed),
        4 + 1 + 1,
        "a pull each turn"
    );
}

#[tokio::test]
async fn a_sweep_that_an_operator_waits_for_gives_way_to_what_is_due_and_to_nothing_else() {
    for is_under_way in [false, true] {
        let world = world_of_small_pages(0..200).await;
        let World {
            gateway,
            rows,
            clock,
            ..
        } = world;
        let source = Arc::clone(&gateway.sources[0]);
        let gateway = Arc::new(gateway);
        let stop = CancellationToken::new();
        let run = SourceRun {
            gateway: &gateway,
            source: &source,
            stop: &stop,
            counters: &Counters::default(),
        };
        run.scheduled().await.expect("a first load");
        let before = rows.asked.load(Ordering::Relaxed);
        let due = Arc::clone(&source);
        rows.at_contents.set(move |page| {
            clock.advance(Duration::from_secs(6));
            if page == 1 {
                due.wake.notify_one();
            }
        });
        if is_under_way {
            source.request_sweep();
            source.wake.notify_one();
        }
        let request = outbox::Request::Sweep {
            source: source.name.clone(),
            contents: true,
        };
        let asked = async {
            if is_under_way {
                while rows.contents_asked.lock().is_empty() {
                    tokio::task::yield_now().await;
                }
            }
            let patience = Duration::ZERO;
            let answer = crate::requests::perform(&gateway, request, patience, &stop).await;
            stop.cancel();
            answer
        };
        let working = work(Arc::clone(&gateway), Arc::clone(&source), stop.clone());
        let (answer, ()) = tokio::join!(asked, working);
        let Ok(crate::requests::Answer::Swept { feeds, .. }) = answer else {
            panic!("{answer:?}")
        };
        assert_eq!((feeds[0].keys, feeds[0].finished), (200, true));
        // What was under way before is read to its end first.
        let passes = if is_under_way { 2 } else { 1 };
        assert_eq!(rows.contents_asked.lock().len(), passes * 21);
        let pulls = rows.asked.load(Ordering::Relaxed) - before;
        assert!(pulls <= 6, "{pulls} pulls for two that were due");
    }
}
