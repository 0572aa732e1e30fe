//! Third stage: decides what of a page is new to the registry, and seals it. Nothing is written.

use connector_kit::Cursor;
use outbox::{PageCommit, Prepared, SweepStep};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::feed_run::FeedRun;
use super::outcome::PullError;
use super::transform::TransformedPage;
use crate::cursor;

/// Origin of a page's records, which decides what else is committed with them.
pub(crate) enum PageOrigin {
    /// Records of a pull.
    Pull {
        /// The generation before the stored cursor was looked up.
        generation: u32,
        /// True if the stored cursor moves behind the page.
        stores_cursor: bool,
    },
    /// Rows that a sweep has read again, with the keys it has seen.
    Sweep(SweepStep),
    /// Rows read again by their ids: of dead letters, and those that a sweep missed.
    ById,
}

/// A page whose batches are sealed, but not yet durable.
#[derive(Default)]
pub(crate) struct SealedPage {
    /// The outbox's part; `None` where the page has nothing to commit.
    pub(super) prepared: Option<Prepared>,
    pub(super) out_of_scope: u64,
    pub(super) oms_warnings: u64,
    pub(super) doses_dropped: u64,
    /// Position in the feed behind the page.
    pub(super) reached: Option<Cursor>,
}

impl SealedPage {
    /// Takes in the page that follows, to be committed in the same transaction. Returns the page if
    /// it has to be committed after this one.
    pub(super) fn join(&mut self, mut next: Self) -> Option<Self> {
        match (self.prepared.as_mut(), next.prepared.take()) {
            (Some(prepared), Some(following)) => {
                if let Err(following) = prepared.join(following) {
                    next.prepared = Some(*following);
                    return Some(next);
                }
            }
            (None, following) => self.prepared = following,
            (Some(_), None) => {}
        }
        self.out_of_scope += next.out_of_scope;
        self.oms_warnings += next.oms_warnings;
        self.doses_dropped += next.doses_dropped;
        self.reached = next.reached.or(self.reached.take());
        None
    }
}

/// Seals one page.
///
/// # Errors
/// See [`outbox::Outbox::prepare`].
pub(crate) async fn seal_page(
    run: &FeedRun<'_>,
    page: TransformedPage,
    origin: PageOrigin,
) -> Result<SealedPage, PullError> {
    let mut resume = None;
    let mut generation_at_read = None;
    let mut sweep = None;
    match origin {
        PageOrigin::Pull {
            generation,
            stores_cursor,
        } => {
            generation_at_read = Some(generation);
            let stored = page.resume.as_ref().filter(|_| stores_cursor);
            resume = stored.map(|stored| cursor::write(&run.source.settings(run.feed), stored));
            if page.is_empty() && resume.is_none() {
                return Ok(SealedPage {
                    reached: page.resume,
                    ..SealedPage::default()
                });
            }
        }
        PageOrigin::Sweep(step) => sweep = Some(step),
        PageOrigin::ById => {}
    }
    let commit = PageCommit {
        source: run.source.name.clone(),
        feed: run.feed.as_str().to_owned(),
        drafts: page.drafts,
        refused: page.refused,
        accepted_record_ids: page.accepted,
        names: page.names,
        resume,
        generation_at_read,
        sweep,
        evaluator: run
            .gateway
            .evaluation
            .as_ref()
            .map(|evaluation| evaluation.of_page(page.held, &run.source.name, run.feed)),
        now: run.gateway.clock.now(),
    };
    Ok(SealedPage {
        prepared: Some(prepare(run, commit).await?),
        out_of_scope: page.out_of_scope,
        oms_warnings: page.oms_warnings,
        doses_dropped: page.doses_dropped,
        reached: page.resume,
    })
}

/// Prepares a page in a task of its own: sorting and planning a page takes longer than any step of
/// another page's commit, which would stand still meanwhile.
async fn prepare(run: &FeedRun<'_>, page: PageCommit) -> Result<Prepared, PullError> {
    let outbox = run.gateway.outbox.clone();
    let preparing = async move { outbox.prepare(page).await };
    let preparing = tokio::spawn(preparing.in_current_span());
    Ok(AbortOnDropHandle::new(preparing)
        .await
        .map_err(|_| PullError::Internal)??)
}

/// Seals every transformed page of a pull.
pub(super) async fn seal_pages(
    run: &FeedRun<'_>,
    generation: u32,
    stores_cursor: bool,
    mut transformed: mpsc::Receiver<TransformedPage>,
    sealed: mpsc::Sender<SealedPage>,
) -> Result<(), PullError> {
    while let Some(page) = transformed.recv().await {
        let origin = PageOrigin::Pull {
            generation,
            stores_cursor,
        };
        if sealed
            .send(seal_page(run, page, origin).await?)
            .await
            .is_err()
        {
            // The stage behind has failed; its own error is the one to report.
            return Ok(());
        }
    }
    Ok(())
}
