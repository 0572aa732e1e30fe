//! Fourth stage: makes sealed pages durable, waits for space where the outbox is full, counts the
//! records by outcome, and wakes the publisher.

use std::sync::atomic::Ordering;

use outbox::{Committed, NotCommitted, OutboxError, Prepared};
use tokio::sync::mpsc;

use super::feed_run::FeedRun;
use super::outcome::{PullError, RunEnd};
use super::seal::SealedPage;
use crate::backpressure::SpaceWait;

/// Commits every sealed page of a pull; pages that wait already share a transaction, and so a wait
/// for the disk, where the outbox lets them be joined.
pub(super) async fn commit_pages(
    run: &FeedRun<'_>,
    mut sealed: mpsc::Receiver<SealedPage>,
) -> Result<RunEnd, PullError> {
    let mut not_joined = None;
    loop {
        let next = if not_joined.is_some() {
            not_joined.take()
        } else {
            sealed.recv().await
        };
        let Some(mut page) = next else {
            return Ok(RunEnd::Complete);
        };
        while let Ok(next) = sealed.try_recv() {
            not_joined = page.join(next);
            if not_joined.is_some() {
                break;
            }
        }
        let reached = page.reached.take();
        if commit_page(run, page).await?.is_none() {
            return Ok(RunEnd::Stopped);
        }
        if let Some(reached) = reached {
            run.source.set_reached(run.feed, reached);
        }
    }
}

/// Makes a sealed page durable; `None` when the program was stopped while it waited for space.
///
/// # Errors
/// See [`outbox::Outbox::commit`]; pages behind one that failed must not be committed.
pub(crate) async fn commit_page(
    run: &FeedRun<'_>,
    mut page: SealedPage,
) -> Result<Option<Committed>, PullError> {
    let Some(prepared) = page.prepared.take() else {
        return Ok(Some(Committed::default()));
    };
    let Some(committed) = commit_with_space(run, prepared).await? else {
        return Ok(None);
    };
    note(run, &committed, &page);
    Ok(Some(committed))
}

/// Outcome of a commit that does not wait.
pub(crate) enum CommitOnce {
    /// The page is durable.
    Committed(Committed),
    /// The outbox is full; nothing was written.
    Full,
}

/// Makes a sealed page durable, unless the outbox is full.
///
/// # Errors
/// See [`outbox::Outbox::commit`].
pub(crate) async fn commit_page_once(
    run: &FeedRun<'_>,
    mut page: SealedPage,
) -> Result<CommitOnce, PullError> {
    let Some(prepared) = page.prepared.take() else {
        return Ok(CommitOnce::Committed(Committed::default()));
    };
    match run.gateway.outbox.commit(prepared).await {
        Ok(committed) => {
            note(run, &committed, &page);
            Ok(CommitOnce::Committed(committed))
        }
        Err(NotCommitted {
            error: OutboxError::Full { .. },
            ..
        }) => Ok(CommitOnce::Full),
        Err(failed) => Err(failed.error.into()),
    }
}

/// Counts what was committed, and wakes the publisher.
fn note(run: &FeedRun<'_>, committed: &Committed, page: &SealedPage) {
    count(run, committed, page);
    if committed.batches > 0 {
        run.gateway.batches_waiting.notify_one();
    }
}

async fn commit_with_space(
    run: &FeedRun<'_>,
    mut prepared: Prepared,
) -> Result<Option<Committed>, PullError> {
    loop {
        match run.gateway.outbox.commit(prepared).await {
            Ok(committed) => return Ok(Some(committed)),
            Err(NotCommitted {
                error: OutboxError::Full { .. },
                prepared: Some(page),
            }) => {
                if run.wait_for_space().await? == SpaceWait::Stopped {
                    return Ok(None);
                }
                prepared = *page;
            }
            Err(failed) => return Err(failed.error.into()),
        }
    }
}

fn count(run: &FeedRun<'_>, committed: &Committed, page: &SealedPage) {
    let counters = run.counters;
    let refused_again = committed.refused.saturating_sub(committed.refused_new);
    counters.read.fetch_add(committed.read, Ordering::Relaxed);
    run.count_read(committed.read);
    let outcomes = [
        ("new", &counters.new, committed.new),
        ("corrected", &counters.corrected, committed.corrected),
        ("withdrawn", &counters.withdrawn, committed.withdrawn),
        (
            "withdrawn-unsent",
            &counters.withdrawn_unsent,
            committed.withdrawn_unsent,
        ),
        ("resent", &counters.resent, committed.resent),
        ("unchanged", &counters.unchanged, committed.unchanged),
        ("no-fact", &counters.no_fact, committed.no_fact),
        ("refused", &counters.refused, committed.refused_new),
        ("refused-again", &counters.refused_again, refused_again),
        ("parked", &counters.parked, committed.parked),
        ("withheld", &counters.withheld, committed.withheld),
        ("out-of-scope", &counters.out_of_scope, page.out_of_scope),
        ("oms-check-digit", &counters.oms_warnings, page.oms_warnings),
        ("dose-dropped", &counters.doses_dropped, page.doses_dropped),
    ];
    for (outcome, counter, count) in outcomes {
        counter.fetch_add(count, Ordering::Relaxed);
        run.count_records(outcome, count);
    }
}
