//! Pulls one feed: fetching, pseudonymising, sealing and committing overlap through bounded
//! channels, page by page.
//!
//! The names of a page on its way: `Page` (fetched), `TransformedPage`, `SealedPage`, `Committed`.

mod commit;
mod counters;
mod feed_run;
mod fetch;
mod outcome;
mod seal;
#[cfg(test)]
mod tests;
mod transform;

use connector_kit::PageRequest;
use tokio::sync::mpsc;

pub use counters::Counters;
pub use feed_run::FeedRun;
pub use outcome::{FeedFailure, PullError, RunEnd};

pub(crate) use commit::{CommitOnce, commit_page, commit_page_once};
pub(crate) use fetch::fetch_by_id;
pub(crate) use seal::{PageOrigin, seal_page};
pub(crate) use transform::Transformer;

use crate::backpressure::SpaceWait;

/// Pages waiting between two stages: enough to overlap, few enough that memory does not grow with
/// the source.
const PAGES_WAITING: usize = 1;

/// Sealed pages waiting to be committed: they share a transaction, and so a wait for the disk.
const SEALED_WAITING: usize = 2;

/// Cause of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// The schedule, or a person: from the stored cursor, with the whole overlap; the cursor moves.
    Schedule,
    /// The source itself: from what was read last, with the short overlap of hints. The stored
    /// cursor stays, so that the next scheduled run goes over the same rows again and finds what
    /// was committed late.
    Hint,
}

/// Pulls a feed from its stored cursor, or after a hint from what was read last, to its present
/// end. The caller holds the source's run lock.
///
/// # Errors
/// See [`PullError`].
pub async fn pull_feed(run: &FeedRun<'_>, trigger: Trigger) -> Result<RunEnd, PullError> {
    // Nothing is read that could not be kept.
    if run.wait_for_space().await? == SpaceWait::Stopped {
        return Ok(RunEnd::Stopped);
    }
    let now = run.gateway.clock.now();
    // Looked up before the cursor: a generation that rises later forgets the cursor.
    let generation = run.gateway.outbox.generation();
    let stored = run.gateway.stored_cursor(run.source, run.feed).await?;
    if stored.is_none() {
        run.begin_load().await?;
    }
    // A feed that is to be read from its beginning moves its cursor, whatever began the run.
    let hinted = trigger == Trigger::Hint && stored.is_some();
    let after = if hinted {
        run.source.reached(run.feed).or(stored)
    } else {
        stored
    };
    let first = PageRequest {
        feed: run.feed,
        after,
        first_of_run: true,
        hinted,
        limit: run.source.page_records,
        now,
    };
    let transformer = Transformer::new(run).await?;
    let (fetched_in, fetched_out) = mpsc::channel(PAGES_WAITING);
    let (transformed_in, transformed_out) = mpsc::channel(PAGES_WAITING);
    let (sealed_in, sealed_out) = mpsc::channel(SEALED_WAITING);
    // A failure of the first three stages must not cut off the pages before it: those are committed
    // first. Only a failure of the last stage ends the others at once.
    let fetching = async { Ok(fetch::fetch_pages(run, first, fetched_in).await) };
    let transforming =
        async { Ok(transform::transform_pages(&transformer, fetched_out, transformed_in).await) };
    let sealing =
        async { Ok(seal::seal_pages(run, generation, !hinted, transformed_out, sealed_in).await) };
    let committing = commit::commit_pages(run, sealed_out);
    let (fetched, transformed, sealed, committed) =
        futures_util::try_join!(fetching, transforming, sealing, committing)?;
    transformed.and(sealed)?;
    // A stop while the last pages waited for space is no complete run.
    if committed == RunEnd::Stopped {
        Ok(RunEnd::Stopped)
    } else {
        fetched
    }
}
