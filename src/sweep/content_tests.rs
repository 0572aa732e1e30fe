//! Tests of content sweeps: what they find, how they go on, give way and keep their pace.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clock::Clock as _;
use connector_kit::Feed;
use outbox::{ChangeNotice, Request, SweepKind};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::pull::Counters;
use crate::requests::{Answer, perform};
use crate::run::SourceRun;
use crate::testing::{World, within_patience};

/// A world whose rows have no stamps, all of them pulled, and whose pages have at most ten rows.
async fn stampless(rows: u32) -> World {
    let mut world = World::new("", 0..rows).await;
    small_pages(&mut world, |_| {});
    world.rows.reads_contents.store(true, Ordering::Relaxed);
    world.rows.unstamped.store(true, Ordering::Relaxed);
    world.pull().await;
    world
}

/// Gives the world's source pages of ten rows, and other settings.
fn small_pages(world: &mut World, set: impl FnOnce(&mut crate::sources::Source)) {
    let mut source = world.source();
    source.page_records = 10;
    set(&mut source);
    world.gateway.sources = vec![Arc::new(source)];
}

async fn sweep(world: &World) -> FeedSweep {
    world.gateway.sources[0].request_sweep();
    let mut feeds = world.pull().await.sweep.expect("a sweep was asked for");
    assert_eq!(feeds.len(), 1);
    feeds.remove(0)
}

async fn events_waiting(world: &World) -> u64 {
    let backlog = world.gateway.outbox.backlog().await;
    backlog.expect("the backlog").events
}

async fn feed(world: &World) -> outbox::FeedStatus {
    let status = world.gateway.outbox.reader().status().await;
    status.expect("the state").feeds.remove(0)
}

async fn surprises(world: &World) -> Vec<String> {
    let status = world.gateway.outbox.reader().status().await;
    let surprises = status.expect("the state").surprises.into_iter();
    surprises.map(|surprise| surprise.code).collect()
}

/// A run over the world's source.
fn run<'a>(world: &'a World, stop: &'a CancellationToken, counters: &'a Counters) -> SourceRun<'a> {
    SourceRun {
        gateway: &world.gateway,
        source: &world.gateway.sources[0],
        stop,
        counters,
    }
}

#[tokio::test]
async fn whole_rows_are_read_once_what_differs_is_sent_and_what_is_gone_withdrawn() {
    let world = stampless(45).await;
    assert_eq!(events_waiting(&world).await, 45);
    let unchanged = sweep(&world).await;
    assert_eq!(
        (unchanged.keys, unchanged.looks, unchanged.missed),
        (45, 1, 0)
    );
    assert!(unchanged.contents && unchanged.finished);
    assert_eq!(world.rows.take_contents_asked(), [0, 10, 20, 30, 40]);
    assert!(world.rows.asked_ids.lock().is_empty());

    world.rows.doses.lock().extend([(3, 2), (44, 2)]);
    world.rows.lock().remove(&17);
    let swept = sweep(&world).await;
    assert_eq!(
        (swept.keys, swept.looks, swept.missed, swept.withdrawn),
        (44, 2, 2, 1)
    );
    assert_eq!(events_waiting(&world).await, 48);
    // The second look was one at ids, and the missing one was asked for.
    assert_eq!(world.rows.take_contents_asked(), [0, 10, 21, 31, 41]);
    assert_eq!(*world.rows.asked_ids.lock(), [["17"]]);
    assert!(surprises(&world).await.is_empty(), "that is what it is for");
    let feed = feed(&world).await;
    assert_eq!(feed.notices, Some(ChangeNotice::Contents));
    assert_eq!(feed.in_sync_at, Some(world.gateway.clock.now()));
    let last = feed.sweep.and_then(|sweep| sweep.last).expect("a result");
    assert_eq!((last.rows_read, last.changed, last.withdrawn), (44, 2, 1));
}

#[tokio::test]
async fn rows_that_no_page_has_are_asked_for_and_too_many_are_held() {
    let world = stampless(100).await;
    world.rows.unlisted.lock().extend([5, 6]);
    world.rows.unanswered.lock().insert(6);
    let swept = sweep(&world).await;
    assert_eq!(
        (
            swept.unlisted,
            swept.unanswered,
            swept.withdrawn,
            swept.finished
        ),
        (1, 1, 0, true)
    );
    assert_eq!(
        surprises(&world).await,
        ["keys-incomplete", "rows-unanswered"]
    );
    world.rows.lock().retain(|id, _| *id >= 50);
    let held = sweep(&world).await;
    assert_eq!(
        (held.held, held.withdrawn, held.finished),
        (Some(50), 0, true)
    );
}

#[tokio::test]
async fn a_stop_at_any_page_leaves_the_rest_to_the_next_start() {
    let world = stampless(45).await;
    world.rows.doses.lock().extend([(3, 2), (44, 2)]);
    let source = &world.gateway.sources[0];
    let counters = Counters::default();
    let mut turns = 0;
    loop {
        let stop = CancellationToken::new();
        let token = stop.clone();
        world.rows.at_contents.set(move |_| token.cancel());
        source.request_sweep();
        let summary = run(&world, &stop, &counters).scheduled().await;
        turns += 1;
        let swept = summary
            .expect("a good run")
            .sweep
            .expect("a turn")
            .remove(0);
        if swept.finished {
            assert_eq!((swept.keys, swept.missed), (45, 2));
            break;
        }
        assert!(turns < 9, "it goes on");
        // The next start knows nothing but the state.
        world.gateway.sources[0].sweeps.forget();
    }
    assert_eq!(world.rows.take_contents_asked(), [0, 10, 20, 30, 40]);
    assert_eq!(events_waiting(&world).await, 47);
}

#[tokio::test]
async fn a_long_sweep_gives_way_to_pulls_that_are_due_and_adds_its_turns_up() {
    let world = stampless(45).await;
    world.rows.doses.lock().extend([(3, 2), (44, 2)]);
    let source = Arc::clone(&world.gateway.sources[0]);
    let clock = Arc::clone(&world.clock);
    let wanted = Arc::clone(&source);
    world.rows.at_contents.set(move |page| {
        clock.advance(Duration::from_secs(3));
        if page < 5 {
            wanted.wake.notify_one();
        }
    });
    world.rows.take_asked();
    source.request_sweep();
    let stop = CancellationToken::new();
    let counters = Counters::default();
    let mut summary = run(&world, &stop, &counters).scheduled().await;
    let mut pages = Vec::new();
    loop {
        let whole = summary.expect("a good run");
        pages.push(world.rows.contents_asked.lock().len());
        let swept = whole.sweep.expect("a turn").remove(0);
        assert_eq!(swept.gave_way, whole.gave_way);
        if swept.finished {
            assert_eq!((swept.keys, swept.missed), (45, 2));
            break;
        }
        assert!(whole.gave_way && source.sweeps.is_asked(Feed::Vaccinations));
        summary = run(&world, &stop, &counters).scheduled().await;
    }
    // Two pages of three seconds are the shortest turn, and a pull comes before each turn.
    assert_eq!(pages, [2, 4, 5]);
    assert_eq!(world.rows.take_asked().len(), 3);
}

#[tokio::test]
async fn a_pace_leaves_the_server_alone_between_pages() {
    let mut world = stampless(45).await;
    small_pages(&mut world, |source| {
        source.pace = Pace::new(&crate::config::SweepConfig {
            rows_per_second: 5,
            pause_ms: 700,
            ..crate::config::SweepConfig::default()
        });
    });
    let times = Arc::new(Mutex::new(Vec::new()));
    let clock = Arc::clone(&world.clock);
    let noted = Arc::clone(&times);
    world
        .rows
        .at_contents
        .set(move |_| noted.lock().push(clock.elapsed()));
    let time_passes = async {
        loop {
            world.clock.advance(Duration::from_millis(100));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let swept = within_patience("the sweep ends", async {
        tokio::select! {
            swept = sweep(&world) => swept,
            () = time_passes => unreachable!("it passes for ever"),
        }
    });
    assert!(swept.await.finished);
    let times = times.lock();
    assert_eq!(times.len(), 5);
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= Duration::from_secs(2), "{times:?}");
    }
}

#[tokio::test]
async fn a_stop_ends_the_pause_of_a_slow_sweep_at_once() {
    let mut world = stampless(45).await;
    small_pages(&mut world, |source| {
        source.pace = Pace::new(&crate::config::SweepConfig {
            pause_ms: 60_000,
            ..crate::config::SweepConfig::default()
        });
    });
    let stop = CancellationToken::new();
    let token = stop.clone();
    world.rows.at_contents.set(move |_| token.cancel());
    world.gateway.sources[0].request_sweep();
    let counters = Counters::default();
    let running = run(&world, &stop, &counters);
    let swept = within_patience("the sweep stops", running.scheduled()).await;
    let swept = swept.expect("a good run").sweep.expect("a turn");
    assert!(!swept[0].finished);
    assert_eq!(world.rows.contents_asked.lock().len(), 1);
}

#[tokio::test]
async fn a_command_reads_the_contents_of_a_feed_whose_stamps_are_trusted() {
    let mut world = World::new("", 0..45).await;
    small_pages(&mut world, |_| {});
    world.pull().await;
    world.rows.doses.lock().insert(3, 2);
    let stop = CancellationToken::new();
    let patience = Duration::from_secs(1);
    let ask = async |contents| {
        let source = "mis".to_owned();
        let request = Request::Sweep { source, contents };
        let answer = perform(&world.gateway, request, patience, &stop).await;
        let Ok(Answer::Swept { mut feeds, .. }) = answer else {
            panic!("{answer:?}")
        };
        feeds.remove(0)
    };
    let keys = ask(false).await;
    assert_eq!((keys.contents, keys.keys, keys.missed), (false, 45, 0));
    let contents = ask(true).await;
    assert_eq!(
        (contents.contents, contents.keys, contents.missed),
        (true, 45, 1)
    );
    assert_eq!(events_waiting(&world).await, 46);
    assert_eq!(surprises(&world).await, ["changed-unnoticed"]);
    let again = ask(true).await;
    assert_eq!(again.missed, 0);
    assert!(!ask(false).await.contents, "nothing of it stays");
    assert_eq!(feed(&world).await.notices, Some(ChangeNotice::Stamp));
}

#[tokio::test]
async fn a_page_is_not_kept_while_the_outbox_is_full_but_read_again() {
    // A batch of one event has 4 KiB.
    let small = "receipts = \"off\"\n[outbox]\nmax_mebibytes = 1\nbatch_events = 1\n";
    let mut world = World::new(small, 0..100).await;
    small_pages(&mut world, |source| source.page_records = 100);
    world.rows.reads_contents.store(true, Ordering::Relaxed);
    world.pull().await;
    world.rows.doses.lock().extend((0..100).map(|id| (id, 2)));
    world.rows.lock().extend((1000..1100).map(|id| (id, 1)));
    let stop = CancellationToken::new();
    let counters = Counters::default();
    let source = &world.gateway.sources[0];
    source.sweeps.ask(Feed::Vaccinations, SweepKind::Contents);
    let sweeping = async {
        let run = world.feed_run(source, &stop, &counters);
        sweep_feed(&run, SweepKind::Contents)
            .await
            .expect("a good sweep")
    };
    let gate = world.rows.contents_gate.write().await;
    // Another feed fills the outbox while the page is on its way.
    let filling = async {
        while world.rows.contents_asked.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let run = FeedRun {
            feed: Feed::Tests,
            ..world.feed_run(source, &stop, &counters)
        };
        let pulled = crate::pull::pull_feed(&run, crate::pull::Trigger::Schedule).await;
        pulled.expect("a good run");
        assert!(world.gateway.outbox.is_full().await.expect("the state"));
        drop(gate);
        while !world.gateway.backpressure.is_paused() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        loop {
            let published = crate::publish::publish_once(&world.gateway).await;
            published.expect("the outbox works");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let swept = within_patience("the sweep ends", async {
        tokio::select! {
            swept = sweeping => swept,
            () = filling => unreachable!("it publishes for ever"),
        }
    });
    assert_eq!(swept.await.missed, 200);
    let asked = world.rows.take_contents_asked();
    assert_eq!(asked, [0, 0, 100, 1100], "the first page came twice");
}

#[cfg(feature = "inject")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by the test below"]
async fn five_pages_with_a_failure_at_the_third() {
    let world = stampless(45).await;
    world.rows.doses.lock().extend([(3, 2), (25, 2), (44, 2)]);
    world.rows.lock().remove(&17);
    fault::arm_from_environment();
    world.gateway.sources[0].request_sweep();
    let stop = CancellationToken::new();
    let counters = Counters::default();
    let failed = run(&world, &stop, &counters).scheduled().await;
    assert!(failed.is_err(), "{failed:?}");
    let swept = world.pull().await.sweep.expect("it stayed due").remove(0);
    assert_eq!((swept.keys, swept.missed, swept.withdrawn), (44, 3, 1));
    assert_eq!(events_waiting(&world).await, 45 + 3 + 1);
    let again = sweep(&world).await;
    assert_eq!((again.missed, again.withdrawn, again.looks), (0, 0, 1));
}

#[cfg(feature = "inject")]
#[test]
fn a_sweep_that_fails_at_any_step_goes_on_from_there() {
    use fault::Point;

    for point in [
        Point::SweepContentsFetched,
        Point::PullTransformed,
        Point::OutboxSealed,
        Point::OutboxSweepNoted,
        Point::OutboxStored,
    ] {
        let third = format!("{}=2*off->1*return(retry)", point.as_str());
        crate::testing::succeeds_broken(
            "sweep::content_tests::five_pages_with_a_failure_at_the_third",
            &third,
        );
    }
}

/// Processor time of this process so far, in hundredths of a second.
#[cfg(target_os = "linux")]
fn processor_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux tells");
    let (_, after_name) = stat.rsplit_once(')').expect("a name in brackets");
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields
        .map(|ticks| ticks.parse::<u64>().expect("ticks"))
        .sum()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: run it with --release --nocapture"]
async fn processor_time_of_unchanged_rows() {
    const ROWS: u32 = 20_000;
    let mut world = World::new("receipts = \"off\"\n", 0..ROWS).await;
    world.pull().await;
    let micros = |before: u64| (processor_time() - before) * 10_000 / u64::from(ROWS);
    for contents in [false, true, false, true] {
        let mut source = world.source();
        source.page_records = 3000;
        world.gateway.sources = vec![Arc::new(source)];
        world.rows.reads_contents.store(contents, Ordering::Relaxed);
        let before = processor_time();
        let swept = sweep(&world).await;
        assert_eq!((swept.keys, swept.missed), (ROWS.into(), 0));
        let read = if contents { "whole rows" } else { "keys" };
        println!("a sweep of {read}: {} µs a row", micros(before));
    }
    let outbox = &world.gateway.outbox;
    outbox.forget_cursors("mis").await.expect("the state");
    let before = processor_time();
    world.pull().await;
    println!("a pull of everything: {} µs a row", micros(before));
}
