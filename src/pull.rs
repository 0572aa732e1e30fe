//! Pulls one feed: fetching, pseudonymising, sealing and committing overlap through bounded
//! channels, page by page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use connector_kit::{Cursor, Feed, Page, PageRequest, SourceError, SourceSurprise};
use fault::Point;
use outbox::OutboxError;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::commit::{Committer, Sealed};
use crate::endless::{Endless, EndlessSource};
use crate::gateway::Gateway;
use crate::room::{self, Waited};
use crate::sources::Source;
use crate::transform::{Transformed, Transformer};
use crate::{cursor, surprise};

/// Pages waiting between two stages: enough to overlap, few enough that memory does not grow with
/// the source.
const PAGES_WAITING: usize = 1;

/// Sealed pages waiting to be committed: they share a transaction, and so a wait for the disk.
const SEALED_WAITING: usize = 2;

/// What a run has done so far; shared with whoever shows progress.
#[derive(Debug, Default)]
pub struct Counters {
    /// Records fetched.
    pub pulled: AtomicU64,
    /// Records sent for the first time.
    pub new: AtomicU64,
    /// Records sent again because they changed.
    pub corrected: AtomicU64,
    /// Records taken back.
    pub withdrawn: AtomicU64,
    /// Records that had been sent as they are, or need not be sent.
    pub unchanged: AtomicU64,
    /// Records newly refused; those in the dead letters already do not count again.
    pub refused: AtomicU64,
    /// Records about something else than COVID-19, counted among the unchanged as well.
    pub out_of_scope: AtomicU64,
    /// Records sent although the check digit of their OMS number is wrong.
    pub oms_warnings: AtomicU64,
}

impl Counters {
    /// Records put into batches: new, corrected or taken back.
    #[must_use]
    pub fn sent(&self) -> u64 {
        [&self.new, &self.corrected, &self.withdrawn]
            .map(|count| count.load(Ordering::Relaxed))
            .iter()
            .sum()
    }
}

/// Why a run stopped before its end. Nothing is lost: the next run starts from the stored cursor.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The clinic's system.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The gateway's own state.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The clinic's system, whose pages go round in a circle.
    #[error(transparent)]
    Endless(#[from] EndlessSource),
    /// A bug: reading, pseudonymising or sealing panicked; the page was not committed.
    #[error(
        "internal error while reading, pseudonymising or sealing a page; the page was not committed"
    )]
    Internal,
}

/// What began a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The schedule, or a person: from the stored cursor, with the whole overlap; the cursor moves.
    Schedule,
    /// The source itself: from what was read last, with the short overlap of hints. The stored
    /// cursor stays, so that the next scheduled run goes over the same rows again and finds what
    /// was committed late.
    Hint,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// The feed is exhausted for now.
    Complete,
    /// The program was asked to stop; the rest follows in the next run.
    Stopped,
}

/// Pulls a feed from its stored cursor, or after a hint from what was read last, to its present
/// end. Overlapping runs of one source are the caller's to prevent.
///
/// # Errors
/// See [`PullError`].
pub async fn pull_feed(
    gateway: &Gateway,
    source: &Source,
    feed: Feed,
    trigger: Trigger,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<RunEnd, PullError> {
    // Nothing is read that could not be kept.
    if room::wait(gateway, stop).await? == Waited::Stopped {
        return Ok(RunEnd::Stopped);
    }
    let now = gateway.clock.now();
    let read_in = Some(gateway.outbox.generation());
    let stored = gateway.outbox.cursor(&source.name, feed.as_str()).await?;
    let stored = cursor::read(&source.settings, stored.as_deref());
    // A feed that is to be read from its beginning moves its cursor, whatever began the run.
    let hinted = trigger == Trigger::Hint && stored.is_some();
    let after = if hinted {
        source.reached(feed).or(stored)
    } else {
        stored
    };
    let first = PageRequest {
        feed,
        after,
        first_of_run: true,
        hinted,
        limit: source.page_records,
        now,
    };
    let transformer = transformer(gateway, source, feed, now).await?;
    let (fetched_in, fetched_out) = mpsc::channel(PAGES_WAITING);
    let (ready_in, ready_out) = mpsc::channel(PAGES_WAITING);
    let (sealed_in, sealed_out) = mpsc::channel(SEALED_WAITING);
    let committer = Committer {
        gateway,
        source,
        feed,
        stop,
        counters,
        read_in,
    };
    // A page that cannot be had, pseudonymised or sealed must not take those before it along: they
    // are committed first.
    let fetching = async { Ok(fetch(&committer, first, fetched_in).await) };
    let transforming = async { Ok(transform(&transformer, fetched_out, ready_in).await) };
    let sealing = async { Ok(seal(&committer, hinted, ready_out, sealed_in).await) };
    let committing = commit(&committer, sealed_out);
    let (fetched, transformed, sealed, committed) =
        futures_util::try_join!(fetching, transforming, sealing, committing)?;
    transformed.and(sealed)?;
    // A stop while the last pages waited for room is no complete run.
    if committed == RunEnd::Stopped {
        Ok(RunEnd::Stopped)
    } else {
        fetched
    }
}

pub(crate) async fn transformer(
    gateway: &Gateway,
    source: &Source,
    feed: Feed,
    now: DateTime<Utc>,
) -> Result<Transformer, OutboxError> {
    let keep_ids = gateway
        .outbox
        .has_dead_letters(&source.name, feed.as_str())
        .await?;
    Ok(Transformer {
        pseudonymiser: Arc::clone(&source.pseudonymiser),
        today: now.with_timezone(&gateway.time_zone).date_naive(),
        keep_ids: Arc::new(AtomicBool::new(keep_ids)),
    })
}

async fn fetch(
    at: &Committer<'_>,
    mut request: PageRequest,
    pages: mpsc::Sender<Page>,
) -> Result<RunEnd, PullError> {
    let mut endless = Endless::default();
    loop {
        let page = tokio::select! {
            biased;
            () = at.stop.cancelled() => return Ok(RunEnd::Stopped),
            page = fetch_page(at.source, request.clone()) => page?,
        };
        fault::check::<SourceError>(Point::PullFetched)?;
        at.counters
            .pulled
            .fetch_add(page.records.len() as u64, Ordering::Relaxed);
        if let Some(what) = page.surprise {
            surprised(at, what).await;
        }
        let next = page.next.clone();
        if pages.send(page).await.is_err() {
            // The stage behind has failed; its own error is the one to report.
            return Ok(RunEnd::Stopped);
        }
        let Some(next) = next else {
            return Ok(RunEnd::Complete);
        };
        endless.advance(&next)?;
        request.after = Some(next);
        request.first_of_run = false;
    }
}

/// As a task of its own: decoding a page takes long, and the commit of another, many short steps
/// that each have to be answered, would stand still meanwhile. Dropped, it ends the task.
async fn fetch_page(source: &Source, request: PageRequest) -> Result<Page, PullError> {
    let connector = Arc::clone(&source.connector);
    let fetching = tokio::spawn(async move { connector.page(request).await });
    Ok(AbortOnDropHandle::new(fetching)
        .await
        .map_err(|_| PullError::Internal)??)
}

async fn surprised(at: &Committer<'_>, what: SourceSurprise) {
    surprise::note(at.gateway, at.source, at.feed, what.as_str(), 1).await;
    match what {
        SourceSurprise::StampsWentBack => at.source.request_sweep(),
    }
}

/// A page's records transformed, and where the next run begins once they are safe.
type Ready = (Transformed, Option<Cursor>);

async fn transform(
    transformer: &Transformer,
    mut pages: mpsc::Receiver<Page>,
    ready: mpsc::Sender<Ready>,
) -> Result<(), PullError> {
    while let Some(page) = pages.recv().await {
        let transformed = transformer.transform(page.records).await?;
        if ready.send((transformed, page.resume)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A sealed page, none where there is nothing to commit, and how far the feed was read.
type Finished = (Option<Sealed>, Option<Cursor>);

async fn seal(
    at: &Committer<'_>,
    hinted: bool,
    mut ready: mpsc::Receiver<Ready>,
    finished: mpsc::Sender<Finished>,
) -> Result<(), PullError> {
    while let Some((page, resume)) = ready.recv().await {
        let stored = resume.as_ref().filter(|_| !hinted);
        let stored = stored.map(|resume| cursor::write(&at.source.settings, resume));
        let nothing = page.is_empty() && stored.is_none();
        let sealed = if nothing {
            None
        } else {
            Some(at.prepare(page, stored, None).await?)
        };
        if finished.send((sealed, resume)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn commit(
    at: &Committer<'_>,
    mut finished: mpsc::Receiver<Finished>,
) -> Result<RunEnd, PullError> {
    let mut left = None;
    loop {
        let next = if left.is_some() {
            left.take()
        } else {
            finished.recv().await
        };
        let Some(mut pages) = next else {
            return Ok(RunEnd::Complete);
        };
        while let Ok(next) = finished.try_recv() {
            left = join(&mut pages, next);
            if left.is_some() {
                break;
            }
        }
        let (sealed, reached) = pages;
        if let Some(sealed) = sealed
            && at.commit_sealed(sealed).await?.is_none()
        {
            return Ok(RunEnd::Stopped);
        }
        if let Some(reached) = reached {
            at.source.reach(at.feed, reached);
        }
    }
}

/// Joins the page that follows to those before; what cannot be joined is left for later.
fn join((sealed, reached): &mut Finished, (next, further): Finished) -> Option<Finished> {
    match (sealed.as_mut(), next) {
        (Some(sealed), Some(next)) => {
            if let Err(next) = sealed.join(next) {
                return Some((Some(*next), further));
            }
        }
        (None, next) => *sealed = next,
        (Some(_), None) => {}
    }
    *reached = further.or(reached.take());
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::publish::publish_once;
    use crate::run::run_in_turn;
    use crate::testing::World;

    #[tokio::test]
    async fn pages_that_never_end_are_an_error_in_words() {
        let world = World::new("", 0..10).await;
        world.rows.endless.store(true, Ordering::Relaxed);
        let source = &world.gateway.sources[0];
        let stop = CancellationToken::new();
        let counters = Counters::default();
        let failure = run_in_turn(&world.gateway, source, &stop, &counters)
            .await
            .expect_err("it never ends");
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
        let result = crate::sweep::sweep_source(&world.gateway, source, &stop, &counters).await;
        assert_eq!(result.expect_err("it never ends").code(), "source-endless");
    }

    #[tokio::test]
    async fn pages_that_wait_are_committed_together_but_for_those_of_the_same_record() {
        let world = World::new("receipts = \"off\"\n", 0..0).await;
        let gateway = &world.gateway;
        let source = world.source();
        let feed = Feed::Vaccinations;
        let stop = CancellationToken::new();
        let counters = Counters::default();
        let source = &source;
        let read_in = None;
        let at = Committer {
            gateway,
            source,
            feed,
            stop: &stop,
            counters: &counters,
            read_in,
        };
        let transformer = transformer(gateway, source, feed, gateway.clock.now())
            .await
            .expect("the state");
        let (sealed_in, sealed_out) = mpsc::channel(8);
        for ids in [0..4, 4..8, 8..8, 8..10, 9..12] {
            let reached = Cursor::new(ids.end.to_string()).expect("short");
            let records = ids
                .map(|id| crate::testing::record(id, 1))
                .collect::<Vec<_>>();
            let sealed = if records.is_empty() {
                None
            } else {
                let page = transformer.transform(records).await.expect("well-formed");
                let stored = cursor::write(&source.settings, &reached);
                Some(
                    at.prepare(page, Some(stored), None)
                        .await
                        .expect("prepared"),
                )
            };
            sealed_in.send((sealed, Some(reached))).await.expect("room");
        }
        drop(sealed_in);
        assert_eq!(
            commit(&at, sealed_out).await.expect("nothing fails"),
            RunEnd::Complete
        );
        assert_eq!(counters.new.load(Ordering::Relaxed), 12);
        assert_eq!(
            counters.unchanged.load(Ordering::Relaxed),
            1,
            "the tenth came twice"
        );
        assert_eq!(source.reached(feed).expect("all is read").as_str(), "12");
        let stored = gateway
            .outbox
            .cursor("mis", feed.as_str())
            .await
            .expect("the state");
        assert_eq!(
            cursor::read(&source.settings, stored.as_deref())
                .expect("kept")
                .as_str(),
            "12"
        );
        let mark = std::fs::read_to_string(world.folder.path().join("state/outbox.db.generation"));
        let stamp = format!("stamp {:020}\n", 2);
        assert!(
            mark.expect("the mark").ends_with(&stamp),
            "two commits gave out versions"
        );
    }

    #[tokio::test]
    async fn a_full_outbox_pauses_pulling_and_goes_on_by_itself() {
        let extra = "receipts = \"off\"\n[outbox]\nmax_mebibytes = 1\nbatch_events = 1\n";
        let world = World::new(extra, 0..600).await;
        let stop = CancellationToken::new();
        let counters = Counters::default();
        // 600 batches of 4 KiB each do not fit at once; pages are small, so that some do.
        let gateway = &world.gateway;
        let mut small = world.source();
        small.page_records = 100;
        let pulling = pull_feed(
            gateway,
            &small,
            Feed::Vaccinations,
            Trigger::Schedule,
            &stop,
            &counters,
        );
        let publishing = async {
            while !gateway.room.is_paused() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(
                counters.new.load(Ordering::Relaxed) < 600,
                "it pauses before the end"
            );
            loop {
                let published = publish_once(gateway).await.expect("the outbox works");
                assert_eq!(published.error, None, "the queue takes batches");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let pulled = tokio::select! {
            pulled = pulling => pulled,
            () = publishing => unreachable!("it publishes for ever"),
        };
        assert_eq!(pulled.expect("nothing fails"), RunEnd::Complete);
        assert_eq!(counters.new.load(Ordering::Relaxed), 600);
        assert!(!gateway.room.is_paused());
    }

    #[tokio::test]
    async fn a_run_under_way_while_the_generation_rises_is_followed_by_one_from_the_beginning() {
        let extra = "receipts = \"off\"\n[outbox]\nmax_mebibytes = 1\nbatch_events = 1\n";
        let world = World::new(extra, 0..400).await;
        let gateway = &world.gateway;
        let stop = CancellationToken::new();
        let counters = Counters::default();
        let mut small = world.source();
        small.page_records = 100;
        let raising = async {
            while !gateway.room.is_paused() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            gateway
                .outbox
                .raise_generation(2, "a test", gateway.clock.now())
                .await
                .expect("raised");
            loop {
                publish_once(gateway).await.expect("the outbox works");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let both = async {
            let first = pull_feed(
                gateway,
                &small,
                Feed::Vaccinations,
                Trigger::Schedule,
                &stop,
                &counters,
            )
            .await;
            assert_eq!(first.expect("nothing fails"), RunEnd::Complete);
            assert_eq!(counters.new.load(Ordering::Relaxed), 400);
            pull_feed(
                gateway,
                &small,
                Feed::Vaccinations,
                Trigger::Schedule,
                &stop,
                &counters,
            )
            .await
        };
        let again = tokio::select! {
            again = both => again,
            () = raising => unreachable!("it publishes for ever"),
        };
        assert_eq!(again.expect("nothing fails"), RunEnd::Complete);
        // The first pages had gone out in the first generation, the last one in the second.
        assert!(
            counters.new.load(Ordering::Relaxed) >= 600,
            "what was sent before is sent again"
        );
    }

    #[tokio::test]
    async fn a_pause_ends_when_the_program_is_stopped_or_nothing_is_published_any_more() {
        let world = World::new("[outbox]\nmax_mebibytes = 1\nbatch_events = 1\n", 0..600).await;
        let gateway = &world.gateway;
        let stop = CancellationToken::new();
        let counters = Counters::default();
        let mut source = world.source();
        source.page_records = 300;
        gateway.room.set_in_vain(true);
        let result = pull_feed(
            gateway,
            &source,
            Feed::Vaccinations,
            Trigger::Schedule,
            &stop,
            &counters,
        )
        .await;
        assert!(
            matches!(result, Err(PullError::Outbox(OutboxError::Full { .. }))),
            "{result:?}"
        );
        gateway.room.set_in_vain(false);
        let stopping = async {
            while !gateway.room.is_paused() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            stop.cancel();
        };
        let (pulled, ()) = tokio::join!(
            pull_feed(
                gateway,
                &source,
                Feed::Vaccinations,
                Trigger::Schedule,
                &stop,
                &counters
            ),
            stopping
        );
        assert_eq!(pulled.expect("a stop is no failure"), RunEnd::Stopped);
    }

    #[cfg(feature = "inject")]
    #[tokio::test(flavor = "multi_thread")]
    #[ignore = "started by the test below"]
    async fn three_pages_with_a_failure_at_the_second() {
        fault::arm_from_environment();
        let world = World::new("receipts = \"off\"\n", 0..10).await;
        let gateway = &world.gateway;
        let stop = CancellationToken::new();
        let counters = Counters::default();
        let mut source = world.source();
        source.page_records = 4;
        let pull = || {
            pull_feed(
                gateway,
                &source,
                Feed::Vaccinations,
                Trigger::Schedule,
                &stop,
                &counters,
            )
        };
        let reached = || async {
            let stored = gateway
                .outbox
                .cursor("mis", Feed::Vaccinations.as_str())
                .await
                .expect("the state");
            cursor::read(&source.settings, stored.as_deref())
                .map(|cursor| cursor.as_str().to_owned())
        };
        let failed = pull().await;
        assert!(failed.is_err(), "{failed:?}");
        assert_eq!(
            counters.new.load(Ordering::Relaxed),
            4,
            "the first page and no other is safe"
        );
        assert_eq!(reached().await.as_deref(), Some("4"));
        assert_eq!(
            pull().await.expect("the failure has passed"),
            RunEnd::Complete
        );
        assert_eq!(counters.new.load(Ordering::Relaxed), 10);
        assert_eq!(reached().await.as_deref(), Some("10"));
    }

    #[cfg(feature = "inject")]
    #[test]
    fn a_page_that_cannot_be_pseudonymised_or_sealed_takes_none_before_it_along() {
        for point in [Point::PullTransformed, Point::OutboxSealed] {
            let second = format!("{}=1*off->1*return(retry)", point.as_str());
            crate::testing::succeeds_broken(
                "pull::tests::three_pages_with_a_failure_at_the_second",
                &second,
            );
        }
    }
}
