//! The outbox itself: opens the file, and delegates to the subjects.

mod renewal;
mod subjects;
mod upkeep;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use contract::{AnswerKey, BatchId, SealedBatch, Verdict};

use self::subjects::Subjects;
use crate::batches::{
    Backlog, BeaconOccasion, Leased, Settled, SettledVerdicts, Settlement, awaits_answer,
    has_unsent,
};
use crate::feeds::{ChangeNotice, RunOutcome};
use crate::file::{
    Database, OutboxError, acquire_lock, check_alone, create_private, open_writer, pin_keys,
    run_to_end,
};
use crate::operator::{OutboxReader, ServiceWait};
use crate::options::OutboxOptions;
use crate::page::{Committed, NotCommitted, PageCommit, Prepared};
use crate::records::Records;
use crate::versions::{Versions, determine_generation, read_contents_since};

/// The gateway's durable state, owned by this process. Cheap to clone: clones share one outbox.
#[derive(Debug, Clone)]
pub struct Outbox {
    subjects: Arc<Subjects>,
}

impl Outbox {
    /// Opens the outbox at `path`, making it if there is none; takes the lock, brings the schema up
    /// to date, raises the generation if the file is not the one last used here, ends the leases of
    /// a process that is gone, and renews a file from before the contract's version 2.
    ///
    /// # Errors
    /// [`OutboxError::Locked`], [`OutboxError::NewerSchema`], [`OutboxError::NotAnOutbox`],
    /// [`OutboxError::OtherRecordKey`], [`OutboxError::OtherPseudonymKey`],
    /// [`OutboxError::NoKnownPseudonymKey`], [`OutboxError::DamagedGenerationFile`],
    /// [`OutboxError::OtherGateway`], [`OutboxError::BadOption`] and the disk's failures.
    pub async fn open(
        path: &Path,
        options: OutboxOptions,
        now: DateTime<Utc>,
    ) -> Result<Self, OutboxError> {
        options.check()?;
        let lock = acquire_lock(path, options.owner, Some(now))?;
        create_private(path)?;
        let mut connection = open_writer(path).await?;
        check_alone(&mut connection).await?;
        let identity =
            determine_generation(&mut connection, path, options.min_generation, now).await?;
        if let Some(keys) = &options.keys {
            pin_keys(&mut connection, keys).await?;
        }
        let contents_since = read_contents_since(&mut connection).await?;
        // In a block of its own, so that only the subjects, whose lock goes last, hold the file
        // when one of the steps below fails.
        let subjects = {
            let database = Arc::new(Database::new(path, connection));
            let versions = Versions::open(path, &identity, contents_since, Arc::clone(&database))?;
            let versions = Arc::new(versions);
            let records = Arc::new(Records::new(Arc::clone(&database)));
            records.flush_all().await?;
            Subjects::new(&database, &versions, &records, &options, lock)
        };
        subjects.leases.release_all().await?;
        subjects.requests.release_taken().await?;
        renewal::tend(&subjects, now).await?;
        Ok(Self {
            subjects: Arc::new(subjects),
        })
    }

    /// Generation that versions are given out in, from 1.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.subjects.versions.generation()
    }

    /// Raises the generation to `at_least`, if it is below, and forgets every cursor: all that the
    /// sources hold is read and sent again, and all withdrawals are, above everything sent before.
    /// `why` is shown by `status`. Returns false if it was not below.
    ///
    /// # Errors
    /// [`OutboxError::Exhausted`] beyond the last generation, and the disk's failures.
    pub async fn raise_generation(
        &self,
        at_least: u32,
        why: &'static str,
        now: DateTime<Utc>,
    ) -> Result<bool, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        run_to_end(async move {
            let raised = subjects.versions.raise_to(at_least, why, now).await?;
            renewal::tend(&subjects, now).await?;
            Ok(raised)
        })
        .await
    }

    /// Does what is left to do for the generation: a raise that receipts ask for and that had to
    /// wait, and the withdrawals that follow every raise. Returns whether it rose: the sources are
    /// to be read. To be called now and then; costs next to nothing usually.
    ///
    /// # Errors
    /// The disk's failures; the next call goes on.
    pub async fn tend_generation(&self, now: DateTime<Utc>) -> Result<bool, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        run_to_end(async move { renewal::tend(&subjects, now).await }).await
    }

    /// Reader for `status`; also usable while pages are committed.
    #[must_use]
    pub fn reader(&self) -> &OutboxReader {
        &self.subjects.reader
    }

    /// Cursor at which reading of a feed goes on; `None` is the very beginning.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn cursor(&self, source: &str, feed: &str) -> Result<Option<String>, OutboxError> {
        self.subjects.reader.cursor(source, feed).await
    }

    /// Returns whether the clinic's rows of the feed have dead letters, discarded ones included, so
    /// that [`PageCommit::accepted_record_ids`] is worth filling.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn has_dead_letters(&self, source: &str, feed: &str) -> Result<bool, OutboxError> {
        self.subjects.dead_letters.any_of_clinic(source, feed).await
    }

    /// Counts the batches that wait for the broker.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn backlog(&self) -> Result<Backlog, OutboxError> {
        self.subjects.reader.backlog().await
    }

    /// Returns whether any batch waits for the broker; takes no longer the more there are.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn has_unsent(&self) -> Result<bool, OutboxError> {
        has_unsent(self.subjects.database.readers()).await
    }

    /// Returns whether any batch, a beacon included, waits for the registry's answer.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn awaits_answer(&self) -> Result<bool, OutboxError> {
        awaits_answer(self.subjects.database.readers()).await
    }

    /// Puts the beacon among the batches that have to leave, if the occasion asks for it and the
    /// registry sends receipts; returns whether it did. It shows the registry how far this state
    /// has come; the receipt, given to [`Outbox::settle_verdicts`], shows whether another state of
    /// this gateway is ahead. Once begun it runs to its end, even if the caller stops waiting.
    ///
    /// # Errors
    /// [`OutboxError::OtherGateway`] and the disk's failures.
    pub async fn give_out_beacon(
        &self,
        occasion: BeaconOccasion,
        now: DateTime<Utc>,
    ) -> Result<bool, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        run_to_end(async move { subjects.beacons.give_out(occasion, now).await }).await
    }

    /// Returns whether pages would be refused with [`OutboxError::Full`]: read nothing until
    /// batches have left.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn is_full(&self) -> Result<bool, OutboxError> {
        self.subjects.capacity.is_full().await
    }

    /// Looks a page's records up, plans its events, and seals them, while other pages are being
    /// committed: nothing is written, and nothing can leave before [`Outbox::commit`]. Giving up
    /// half way, or dropping the result, does no harm.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`], [`OutboxError::Seal`] and the disk's failures.
    pub async fn prepare(&self, page: PageCommit) -> Result<Prepared, OutboxError> {
        self.subjects.pages.prepare(page).await
    }

    /// Makes a prepared page durable: its batches, committed in one transaction with the digests,
    /// the dead letters, the counts and the cursor. If anything it was prepared on has changed
    /// since, it is prepared anew first. Commits pass one gate; a caller that waits for each has
    /// its pages committed in order, and must give up those that follow a page that was not
    /// committed: its cursor lies behind them. Once begun it runs to its end, even if the caller
    /// stops waiting.
    ///
    /// # Errors
    /// [`OutboxError::Full`] before anything is done; any other error leaves the page uncommitted,
    /// with one exception: if the generation file cannot be written the page is committed and there
    /// is an error all the same. Committing the page that is given back is right in every case.
    pub async fn commit(&self, prepared: Prepared) -> Result<Committed, NotCommitted> {
        let subjects = Arc::clone(&self.subjects);
        run_to_end(async move { subjects.pages.commit(prepared).await }).await
    }

    /// [`Outbox::prepare`] and [`Outbox::commit`] under one guard of the gate. Pages of different
    /// feeds may be committed at the same time; they wait for each other. Once begun it runs to its
    /// end, even if the caller stops waiting.
    ///
    /// # Errors
    /// Errors of both. Committing the same page again is right in every case.
    pub async fn commit_page(&self, page: PageCommit) -> Result<Committed, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        run_to_end(async move { subjects.pages.commit_page(page).await }).await
    }

    /// Notes the end of a feed's run.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn record_run(
        &self,
        source: &str,
        feed: &str,
        outcome: RunOutcome<'_>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let feeds = &self.subjects.feeds;
        feeds.record_run(source, feed, outcome, now).await
    }

    /// Notes what shows the gateway that a row of the feed has changed, for `status`; passes
    /// over a feed that has had no run.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn note_notices(
        &self,
        source: &str,
        feed: &str,
        notices: ChangeNotice,
    ) -> Result<(), OutboxError> {
        let feeds = &self.subjects.feeds;
        feeds.note_notices(source, feed, notices).await
    }

    /// Notes that a feed is read from its beginning: until the next [`RunOutcome::Ok`], the rows
    /// of its pulls are counted as an unfinished load.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn begin_load(
        &self,
        source: &str,
        feed: &str,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        self.subjects.feeds.begin_load(source, feed, now).await
    }

    /// Notes a change of a way to the queue (`queue` or `receipts`), for `status`. `why` is a
    /// cause in the program's own words, cut at 500 characters.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn note_link(
        &self,
        name: &str,
        state: &str,
        why: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        self.subjects.links.note(name, state, why, now).await
    }

    /// Notes which pages wait for a key service or the token issuer, for `status`; in place of those
    /// noted before.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn note_waits(&self, waits: &[ServiceWait]) -> Result<(), OutboxError> {
        self.subjects.links.note_waits(waits).await
    }

    /// Adds receipts that were ignored for this reason, for `status`.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn note_rejected_receipts(
        &self,
        reason: &str,
        count: u64,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let links = &self.subjects.links;
        links.note_rejected(reason, count, now).await
    }

    /// Forgets the cursors of the source's feeds, so that the next run reads all of it
    /// (`sync --full`); records that have not changed are not sent again. Dead letters stay until
    /// their rows were read again, or a sweep finds them gone.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn forget_cursors(&self, source: &str) -> Result<(), OutboxError> {
        self.subjects.feeds.forget_cursors(source).await
    }

    /// Notes that a source did something it should not, `count` times.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn note_surprise(
        &self,
        source: &str,
        feed: &str,
        code: &str,
        count: u64,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let feeds = &self.subjects.feeds;
        feeds.note_surprise(source, feed, code, count, now).await
    }

    /// Notes that a surprise of a feed is over.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn end_surprise(
        &self,
        source: &str,
        feed: &str,
        code: &str,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        let feeds = &self.subjects.feeds;
        feeds.end_surprise(source, feed, code, now).await
    }

    /// Leases up to `max` batches that are due, oldest first, for `lease_for` (at most
    /// [`crate::MAX_WAIT_MS`]); after that an unsettled batch is due again. A delivered batch whose
    /// receipt has not come in time is due as well, the very same bytes. Empty when nothing is due.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn lease(
        &self,
        max: usize,
        now: DateTime<Utc>,
        lease_for: Duration,
    ) -> Result<Vec<Leased>, OutboxError> {
        self.subjects.leases.lease(max, now, lease_for).await
    }

    /// Seals up to `most` dummies: batches without an event, of the smallest padded size, by which
    /// a slot with facts looks like one without. There are fewer where batches carry tokens and
    /// facts may need those that are left. Nothing is written down of them: whoever sends them
    /// sends each once, and its receipt is unknown here as another gateway's is.
    ///
    /// # Errors
    /// [`OutboxError::Seal`].
    pub async fn seal_dummies(&self, most: usize) -> Result<Vec<SealedBatch>, OutboxError> {
        self.subjects.sealing.seal_dummies(most).await
    }

    /// Makes every batch due that the broker has and whose receipt has not come, and returns their
    /// number: for an operator who has mended what kept receipts away. Each was to wait for
    /// [`crate::OutboxOptions::resend_after`], and twice as long after each delivery.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn resend(&self) -> Result<u64, OutboxError> {
        self.subjects.leases.resend().await
    }

    /// Writes down the outcomes of leased batches, all in one transaction. A settlement whose lease
    /// has passed to another is ignored: the batch is then published once more, which the registry
    /// takes as one.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn settle(
        &self,
        settlements: &[Settlement],
        now: DateTime<Utc>,
    ) -> Result<Settled, OutboxError> {
        self.subjects.leases.settle(settlements, now).await
    }

    /// Keys to the registry's answers, of those batches that are this outbox's own and still wait.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn answer_keys(
        &self,
        ids: &[BatchId],
    ) -> Result<HashMap<BatchId, AnswerKey>, OutboxError> {
        self.subjects.receipts.answer_keys(ids).await
    }

    /// Writes down the registry's verdicts on batches of this outbox, all in one transaction;
    /// verdicts on unknown batches, and a second one on the same batch, change nothing. An answered
    /// batch is deleted and its refused events become dead letters; so do those that were dropped
    /// for versions this outbox never gave out, and the generation rises by one for them, at most
    /// once a day. Once begun it runs to its end,
    /// even if the caller stops waiting.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn settle_verdicts(
        &self,
        verdicts: &[(BatchId, Verdict)],
        now: DateTime<Utc>,
    ) -> Result<SettledVerdicts, OutboxError> {
        if verdicts.is_empty() {
            return Ok(SettledVerdicts::default());
        }
        let subjects = Arc::clone(&self.subjects);
        let verdicts = verdicts.to_vec();
        run_to_end(async move {
            let settled = subjects.receipts.settle(verdicts, now).await?;
            if settled.raised
                && let Err(error) = renewal::tend(&subjects, now).await
            {
                // The verdicts are settled all the same.
                tracing::warn!(code = error.code(), "withdrawals are sent again later");
            }
            Ok(settled)
        })
        .await
    }

    /// Closes the file tidily, for all clones: the WAL is folded in. An outbox that is dropped, or
    /// whose process is killed, loses nothing either.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn close(self) -> Result<(), OutboxError> {
        let _no_commit_under_way = self.subjects.versions.gate().lock().await;
        self.subjects.database.close().await
    }
}

#[cfg(test)]
impl Outbox {
    pub(crate) fn database(&self) -> &Database {
        &self.subjects.database
    }

    pub(crate) fn records(&self) -> &Records {
        &self.subjects.records
    }

    pub(crate) fn versions(&self) -> &Versions {
        &self.subjects.versions
    }

    pub(crate) fn pages(&self) -> &crate::page::Pages {
        &self.subjects.pages
    }
}
