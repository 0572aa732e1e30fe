//! Upkeep of the outbox: sweeps, dead letters, requests, reconciliation; all delegated.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use contract::{FactKind, RecordDigest};

use super::Outbox;
use crate::classes::DueRecord;
use crate::corrections::HeldCorrections;
use crate::dead_letters::DeadLetterFilter;
use crate::file::{OutboxError, run_to_end};
use crate::operator::{RepairPlan, Request, RetryPlan};
use crate::records::SourceStamp;
use crate::sweep::{
    CorrectionRule, MissingRecord, RemovedFeed, SettledCorrections, ShownMissing, Sweep, SweepEnd,
    SweepKind, SweepLimits, SweepLookUp, owes_sweep,
};

impl Outbox {
    /// Returns the feed's running sweep; begins one if there is none, or if the one that runs reads
    /// keys and contents are wanted. One that reads contents goes on where keys are wanted.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn begin_or_resume_sweep(
        &self,
        source: &str,
        feed: &str,
        kind: SweepKind,
        now: DateTime<Utc>,
    ) -> Result<Sweep, OutboxError> {
        let sweeps = &self.subjects.sweeps;
        sweeps.begin_or_resume(source, feed, kind, now).await
    }

    /// Compares a page of keys with the records, once the sweep has begun; changes nothing.
    ///
    /// # Errors
    /// [`OutboxError::TooLarge`] and the disk's failures.
    pub async fn sweep_look_up(
        &self,
        source: &str,
        feed: &str,
        keys: &[(RecordDigest, SourceStamp)],
    ) -> Result<SweepLookUp, OutboxError> {
        self.subjects.sweeps.look_up(source, feed, keys).await
    }

    /// Returns whether the feed owes a sweep: a repair or a retry has forgotten records that
    /// nothing else reads.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn owes_sweep(&self, source: &str, feed: &str) -> Result<bool, OutboxError> {
        owes_sweep(self.subjects.database.readers(), source, feed).await
    }

    /// Withheld records of the feed whose class has persons enough by now, at most so many: they are
    /// to be read again. A record that was is due no longer.
    ///
    /// # Errors
    /// [`OutboxError::Damaged`] and the disk's failures.
    pub async fn due_records(
        &self,
        source: &str,
        feed: &str,
        most: usize,
    ) -> Result<Vec<DueRecord>, OutboxError> {
        self.subjects.classes.due(source, feed, most).await
    }

    /// Makes those records of this kind of feed due, of all sources, that are withheld since `since`
    /// or longer, and whose facts say with a coarser date what those of enough persons say. Returns
    /// their number.
    ///
    /// # Errors
    /// [`OutboxError::Damaged`] and the disk's failures.
    pub async fn coarsen_withheld(
        &self,
        feed: &str,
        since: DateTime<Utc>,
    ) -> Result<u64, OutboxError> {
        self.subjects.classes.coarsen(feed, since).await
    }

    /// Finds, among the records, those that are withheld, since facts of too few persons leave alike.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn withheld_among(
        &self,
        records: &[RecordDigest],
    ) -> Result<Vec<RecordDigest>, OutboxError> {
        self.subjects.classes.withheld_among(records).await
    }

    /// Forgets records that were due, and whose rows are gone.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn forget_due_records(&self, gone: &[RecordDigest]) -> Result<(), OutboxError> {
        self.subjects.classes.forget_due(gone).await
    }

    /// Ends a pass whose keys were all read: asks for a second one, holds the withdrawals, says that
    /// records are missing, or ends the sweep where none are. Once begun it runs to its end, even if
    /// the caller stops waiting.
    ///
    /// # Errors
    /// [`OutboxError::NoSweep`] if none runs or its keys are not all read, and the disk's failures.
    pub async fn finish_sweep_pass(
        &self,
        source: &str,
        feed: &str,
        limits: SweepLimits,
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        let source = source.to_owned();
        let feed = feed.to_owned();
        run_to_end(async move {
            let sweeps = &subjects.sweeps;
            sweeps.finish_pass(&source, &feed, limits, now).await
        })
        .await
    }

    /// The next records that no key has named in either pass, behind `after`, at most so many: to be
    /// asked for by their ids.
    ///
    /// # Errors
    /// [`OutboxError::NoSweep`] if none runs or its keys are not all read, and the disk's failures.
    pub async fn missing_records(
        &self,
        source: &str,
        feed: &str,
        after: Option<&MissingRecord>,
        most: usize,
    ) -> Result<Vec<MissingRecord>, OutboxError> {
        let sweeps = &self.subjects.sweeps;
        sweeps.missing(source, feed, after, most).await
    }

    /// Rows of listed dead letters that no key has named in either pass: to be asked for by their
    /// ids, since a letter is closed with its row.
    ///
    /// # Errors
    /// [`OutboxError::NoSweep`] if none runs or its keys are not all read, and the disk's failures.
    pub async fn missing_letters(
        &self,
        source: &str,
        feed: &str,
    ) -> Result<Vec<MissingRecord>, OutboxError> {
        self.subjects.sweeps.missing_letters(source, feed).await
    }

    /// Leaves missing records that the source gives no answer for as they are, until the next sweep.
    ///
    /// # Errors
    /// [`OutboxError::NoSweep`] if none runs or its keys are not all read, and the disk's failures.
    pub async fn keep_missing(
        &self,
        source: &str,
        feed: &str,
        missing: &[MissingRecord],
    ) -> Result<(), OutboxError> {
        self.subjects.sweeps.keep(source, feed, missing).await
    }

    /// Withdraws missing records that the source does not have; passes over those that were
    /// committed meanwhile. Returns the number of records withdrawn. Once begun it runs to its end,
    /// even if the caller stops waiting.
    ///
    /// # Errors
    /// [`OutboxError::NoSweep`] if none runs or its keys are not all read, [`OutboxError::Full`]
    /// before anything is done, and the disk's failures.
    pub async fn withdraw_missing(
        &self,
        source: &str,
        feed: &str,
        kind: FactKind,
        missing: &[MissingRecord],
        now: DateTime<Utc>,
    ) -> Result<u64, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        let source = source.to_owned();
        let feed = feed.to_owned();
        let missing = missing.to_vec();
        run_to_end(async move {
            let sweeps = &subjects.sweeps;
            sweeps.withdraw(&source, &feed, kind, &missing, now).await
        })
        .await
    }

    /// Ends a sweep whose missing records were asked for and withdrawn.
    ///
    /// # Errors
    /// [`OutboxError::NoSweep`] if none runs or its keys are not all read, and the disk's failures.
    pub async fn end_sweep(
        &self,
        source: &str,
        feed: &str,
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        self.subjects.sweeps.end(source, feed, now).await
    }

    /// Permits the withdrawals that the safety catch holds at this source, of each feed at most as
    /// many as were `shown`, or without it all of them; returns the number of records the next sweep
    /// may withdraw. A feed of which more is gone than is permitted is held whole.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn confirm_withdrawals(
        &self,
        source: &str,
        shown: Option<&ShownMissing>,
    ) -> Result<u64, OutboxError> {
        let sweeps = &self.subjects.sweeps;
        sweeps.confirm_withdrawals(source, shown).await
    }

    /// Withdraws the older versions of the feed's records whose row, or whose latest event, is
    /// refused; holds them where the limits are exceeded by those that stand together with those
    /// withdrawn so within [`crate::CORRECTIONS_WINDOW_MS`]; or keeps them, as the rule says. To be
    /// called at the end of each run of the feed. In chunks, each a transaction, so that a call
    /// after a crash or after [`OutboxError::Full`] goes on where it was. Once begun it runs to its
    /// end, even if the caller stops waiting. `read_whole` is the generation before the run began,
    /// if the run has read the feed to its end: until then, rows that are refused may have been
    /// sent by a state that was lost, and are treated as if they had.
    ///
    /// # Errors
    /// [`OutboxError::Full`] and the disk's failures.
    pub async fn settle_refused_corrections(
        &self,
        source: &str,
        feed: &str,
        kind: FactKind,
        rule: CorrectionRule,
        read_whole: Option<u32>,
        now: DateTime<Utc>,
    ) -> Result<SettledCorrections, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        let source = source.to_owned();
        let feed = feed.to_owned();
        run_to_end(async move {
            let corrections = &subjects.corrections;
            let settling = corrections.settle(&source, &feed, kind, rule, read_whole, now);
            settling.await
        })
        .await
    }

    /// Permits the withdrawal of older versions that the safety catch holds at this source, of those
    /// alone that were `shown`; returns their number. The next [`Outbox::settle_refused_corrections`] of each feed makes them.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn permit_refused_corrections(
        &self,
        source: &str,
        shown: &HeldCorrections,
    ) -> Result<u64, OutboxError> {
        self.subjects.corrections.permit(source, shown).await
    }

    /// Withdraws everything that feeds of a removed source hold at the registry; only after
    /// [`Outbox::confirm_withdrawals`], until when it is [`SweepEnd::Held`]. Their cursors and dead
    /// letters are forgotten, so that a source that comes back is read from its beginning.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub async fn withdraw_removed_source(
        &self,
        source: &str,
        feeds: &[RemovedFeed],
        now: DateTime<Utc>,
    ) -> Result<SweepEnd, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        let source = source.to_owned();
        let feeds = feeds.to_vec();
        run_to_end(async move {
            let removed = &subjects.removed_sources;
            removed.withdraw(&source, &feeds, now).await
        })
        .await
    }

    /// Discards open letters; returns their number. They stay discarded while the row's stamp and
    /// the reason stay the same.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn discard_dead_letters(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<u64, OutboxError> {
        self.subjects.dead_letters.discard(filter, now).await
    }

    /// Forgets the state of the letters' records: their stamps, and of those the registry refused
    /// the content too, so that they are sent again even as they are. The letters stay until
    /// something better is known. A refused withdrawal is sent again here: no row may be left to
    /// read. A filter without ids and age means the refusals too that the list has no room for,
    /// whatever its limit: they are treated alike in parts, each a transaction.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub async fn prepare_retry(
        &self,
        filter: &DeadLetterFilter,
        now: DateTime<Utc>,
    ) -> Result<RetryPlan, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        let filter = filter.clone();
        run_to_end(async move { subjects.retries.prepare(&filter, now).await }).await
    }

    /// Takes the oldest request that waits. Without one it costs no write.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn next_request(&self) -> Result<Option<(i64, Request)>, OutboxError> {
        self.subjects.requests.take_next().await
    }

    /// Answers a request. A text beyond 64 KiB is cut.
    ///
    /// # Errors
    /// The disk's failures.
    pub async fn answer_request(
        &self,
        id: i64,
        answer: Result<String, String>,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        self.subjects.requests.answer(id, answer, now).await
    }

    /// Begins to compare one source's records, or all, with the registry's; an older unfinished one
    /// of the same source ends. Its probes are added by [`Outbox::add_probes`].
    ///
    /// # Errors
    /// [`OutboxError::ReceiptsOff`] and the disk's failures.
    pub async fn begin_reconciliation(
        &self,
        source: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<i64, OutboxError> {
        self.subjects.reconciliations.begin(source, now).await
    }

    /// Puts the next records into sealed probes; returns whether all are. Records with a dead
    /// letter of the registry are left out, as are those about to be read again. Once begun it runs
    /// to its end, even if the caller stops waiting.
    ///
    /// # Errors
    /// [`OutboxError::NoReconciliation`], [`OutboxError::Full`] and the disk's failures.
    pub async fn add_probes(&self, id: i64, now: DateTime<Utc>) -> Result<bool, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        run_to_end(async move { subjects.reconciliations.add_probes(id, now).await }).await
    }

    /// Prepares records that differ to be sent again, above whatever version the registry holds:
    /// withdrawals at once, the rest when a sweep reads it. A prepared record is forgotten as a
    /// difference, so that a second call does nothing. Older batches the registry could not read
    /// are deleted, if it was asked about every source and answered.
    ///
    /// # Errors
    /// [`OutboxError::Full`] (call again, it goes on) and the disk's failures.
    pub async fn prepare_repair(
        &self,
        id: i64,
        now: DateTime<Utc>,
    ) -> Result<RepairPlan, OutboxError> {
        let subjects = Arc::clone(&self.subjects);
        run_to_end(async move { subjects.reconciliations.prepare_repair(id, now).await }).await
    }
}
