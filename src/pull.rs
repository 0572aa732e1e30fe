//! Pulls one feed: fetching, pseudonymising and committing overlap through bounded channels, page by page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use chrono::{DateTime, NaiveDate, Utc};
use connector_kit::{Cursor, Feed, Page, PageRequest, SourceError};
use contract::Draft;
use outbox::{OutboxError, PageCommit, Refused};
use pseudonym::{Outcome, Pseudonymiser};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::cursor;
use crate::gateway::Gateway;
use crate::sources::Source;

/// Pages in flight between two stages: enough to overlap, few enough that memory does not grow with the source.
const PAGES_IN_FLIGHT: usize = 2;

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

/// Why a run stopped before its end. Nothing is lost: the next run starts from the stored cursor.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The clinic's system.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The gateway's own state.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// A bug: the pseudonymising step panicked; the page was not committed.
    #[error("internal error while pseudonymising a page; the page was not committed")]
    Internal,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEnd {
    /// The feed is exhausted for now.
    Complete,
    /// The program was asked to stop; the rest follows in the next run.
    Stopped,
}

struct Transformed {
    drafts: Vec<Draft>,
    refused: Vec<Refused>,
    accepted: Vec<String>,
    resume: Option<Cursor>,
    out_of_scope: u64,
    oms_warnings: u64,
}

/// Pulls a feed from its stored cursor to its present end. Overlapping runs of one source are the caller's to prevent.
///
/// # Errors
/// See [`PullError`].
pub async fn pull_feed(
    gateway: &Gateway,
    source: &Source,
    feed: Feed,
    stop: &CancellationToken,
    counters: &Counters,
) -> Result<RunEnd, PullError> {
    let now = gateway.clock.now();
    let stored = gateway.outbox.cursor(&source.name, feed.as_str()).await?;
    let stored = cursor::read(&source.settings, stored.as_deref());
    let keep_ids =
        Arc::new(AtomicBool::new(gateway.outbox.has_dead_letters(&source.name, feed.as_str()).await?));
    let (fetched_in, fetched_out) = mpsc::channel(PAGES_IN_FLIGHT);
    let (ready_in, ready_out) = mpsc::channel(PAGES_IN_FLIGHT);
    let today = now.with_timezone(&gateway.time_zone).date_naive();
    // A page that cannot be had must not take those before it along: what was fetched is committed first.
    let fetching = async { Ok(fetch(source, feed, stored, now, stop, fetched_in, counters).await) };
    let (fetched, (), ()) = futures_util::try_join!(
        fetching,
        transform(&source.pseudonymiser, today, &keep_ids, fetched_out, ready_in),
        commit(gateway, source, feed, ready_out, counters),
    )?;
    fetched
}

async fn fetch(
    source: &Source,
    feed: Feed,
    stored: Option<Cursor>,
    now: DateTime<Utc>,
    stop: &CancellationToken,
    pages: mpsc::Sender<Page>,
    counters: &Counters,
) -> Result<RunEnd, PullError> {
    let mut request =
        PageRequest { feed, after: stored, first_of_run: true, limit: source.page_records, now };
    loop {
        let page = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(RunEnd::Stopped),
            page = source.connector.page(request.clone()) => page?,
        };
        counters.pulled.fetch_add(page.records.len() as u64, Ordering::Relaxed);
        let next = page.next.clone();
        if pages.send(page).await.is_err() {
            // The stage behind has failed; its own error is the one to report.
            return Ok(RunEnd::Stopped);
        }
        let Some(next) = next else { return Ok(RunEnd::Complete) };
        request.after = Some(next);
        request.first_of_run = false;
    }
}

async fn transform(
    pseudonymiser: &Arc<Pseudonymiser>,
    today: NaiveDate,
    keep_ids: &Arc<AtomicBool>,
    mut pages: mpsc::Receiver<Page>,
    ready: mpsc::Sender<Transformed>,
) -> Result<(), PullError> {
    while let Some(page) = pages.recv().await {
        let (pseudonymiser, keep_ids) = (Arc::clone(pseudonymiser), Arc::clone(keep_ids));
        let transformed =
            tokio::task::spawn_blocking(move || transform_page(&pseudonymiser, today, &keep_ids, page))
                .await
                .map_err(|_| PullError::Internal)?;
        if ready.send(transformed).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// The pure step: a page of people in, drafts and refusals out.
fn transform_page(
    pseudonymiser: &Pseudonymiser,
    today: NaiveDate,
    keep_ids: &AtomicBool,
    page: Page,
) -> Transformed {
    let mut transformed = Transformed {
        drafts: Vec::with_capacity(page.records.len()),
        refused: Vec::new(),
        accepted: Vec::new(),
        resume: page.resume,
        out_of_scope: 0,
        oms_warnings: 0,
    };
    for record in page.records {
        // Only a feed that has dead letters needs the ids of the records that are well.
        let id = keep_ids.load(Ordering::Relaxed).then(|| record.record_id.clone());
        match pseudonymiser.apply(record, today) {
            Outcome::Draft(draft, warnings) => {
                transformed.oms_warnings += u64::from(warnings.oms_check_digit);
                transformed.drafts.push(draft);
                transformed.accepted.extend(id);
            }
            Outcome::OutOfScope(draft) => {
                transformed.out_of_scope += 1;
                transformed.drafts.push(draft);
                transformed.accepted.extend(id);
            }
            Outcome::Rejected(rejection) => {
                keep_ids.store(true, Ordering::Relaxed);
                let reason = rejection.reason.as_str();
                transformed.refused.push(Refused { record_id: rejection.record_id, reason });
            }
        }
    }
    transformed
}

async fn commit(
    gateway: &Gateway,
    source: &Source,
    feed: Feed,
    mut ready: mpsc::Receiver<Transformed>,
    counters: &Counters,
) -> Result<(), PullError> {
    while let Some(page) = ready.recv().await {
        let (out_of_scope, oms_warnings) = (page.out_of_scope, page.oms_warnings);
        let committed = gateway
            .outbox
            .commit_page(PageCommit {
                source: source.name.clone(),
                feed: feed.as_str().to_owned(),
                drafts: page.drafts,
                refused: page.refused,
                accepted_record_ids: page.accepted,
                resume: page.resume.map(|resume| cursor::write(&source.settings, &resume)),
                now: gateway.clock.now(),
            })
            .await?;
        let outcomes = [
            ("new", &counters.new, committed.new + committed.resent),
            ("corrected", &counters.corrected, committed.corrected),
            ("withdrawn", &counters.withdrawn, committed.withdrawn),
            ("unchanged", &counters.unchanged, committed.unchanged),
            ("refused", &counters.refused, committed.refused_new),
            ("out-of-scope", &counters.out_of_scope, out_of_scope),
            ("oms-check-digit", &counters.oms_warnings, oms_warnings),
        ];
        for (outcome, counter, count) in outcomes {
            counter.fetch_add(count, Ordering::Relaxed);
            metrics::counter!("gateway_records_total", "source" => source.name.clone(), "feed" => feed.as_str(), "outcome" => outcome)
                .increment(count);
        }
        if committed.batches > 0 {
            gateway.batches_waiting.notify_one();
        }
    }
    Ok(())
}
