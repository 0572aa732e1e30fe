//! Versions given out at run time: the present generation, and the commits that give versions out.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chrono::{DateTime, Utc};
use record_secrets::MAX_GENERATION;
use tokio::task::spawn_blocking;

use super::commit_gate::CommitGate;
use super::generation::raise;
use super::generation_file::GenerationFile;
use super::identity::{Identity, RaiseReason};
use super::renewal;
use crate::file::{Database, OutboxError, WriteTransaction};

/// Generation that versions are given out in, and the gate to those that give them out.
#[derive(Debug)]
pub(crate) struct Versions {
    /// Read and raised under the gate; anybody may look.
    generation: AtomicU32,
    /// Generation since which contents can be compared; raised under the gate.
    contents_since: AtomicU32,
    /// True once another gateway was found to run on a copy of this state.
    is_stopped: AtomicBool,
    gate: CommitGate,
    file: Arc<GenerationFile>,
    database: Arc<Database>,
}

impl Versions {
    /// Versions of an outbox that was just opened; replaces its generation file.
    pub(crate) fn open(
        path: &Path,
        identity: &Identity,
        contents_since: u32,
        database: Arc<Database>,
    ) -> Result<Self, OutboxError> {
        Ok(Self {
            generation: AtomicU32::new(identity.generation),
            contents_since: AtomicU32::new(contents_since),
            is_stopped: AtomicBool::new(false),
            gate: CommitGate::new(),
            file: Arc::new(GenerationFile::replace(path, identity)?),
            database,
        })
    }

    /// Generation that versions are given out in.
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Generation since which contents can be compared: those of records last sent in earlier ones
    /// are of the contract's first version, which digested otherwise.
    pub(crate) fn contents_since(&self) -> u32 {
        self.contents_since.load(Ordering::Acquire)
    }

    /// Gate to pass before versions are given out: no two pages give out the same one.
    pub(crate) const fn gate(&self) -> &CommitGate {
        &self.gate
    }

    /// Gives out no version any more in this process: another gateway runs on a copy of this state.
    pub(crate) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
    }

    fn check_not_stopped(&self) -> Result<(), OutboxError> {
        match self.is_stopped.load(Ordering::Acquire) {
            true => Err(OutboxError::OtherGateway),
            false => Ok(()),
        }
    }

    /// Raises the generation to `at_least`; false if it was not below.
    ///
    /// # Errors
    /// [`OutboxError::Exhausted`] beyond the last generation, and the disk's failures.
    pub(crate) async fn raise_to(
        &self,
        at_least: u32,
        why: &'static str,
        now: DateTime<Utc>,
    ) -> Result<bool, OutboxError> {
        if at_least > MAX_GENERATION {
            return Err(OutboxError::Exhausted { what: "generation" });
        }
        let _guard = self.gate.lock().await;
        if at_least <= self.generation() {
            return Ok(false);
        }
        let transaction = self.database.begin().await?;
        self.commit_raised(transaction, at_least, RaiseReason::Given(why), now)
            .await?;
        Ok(true)
    }

    /// Raises the generation above the present one and `above`, and lets contents be compared since
    /// then; the file's renewal goes on with its withdrawals.
    ///
    /// # Errors
    /// [`OutboxError::Exhausted`] beyond the last generation, and the disk's failures.
    pub(crate) async fn renew(&self, above: u32, now: DateTime<Utc>) -> Result<(), OutboxError> {
        let _guard = self.gate.lock().await;
        let generation = self.generation().max(above).saturating_add(1);
        if generation > MAX_GENERATION {
            return Err(OutboxError::Exhausted { what: "generation" });
        }
        let mut transaction = self.database.begin().await?;
        renewal::begin_withdrawals(transaction.connection(), generation).await?;
        self.commit_raised(transaction, generation, RaiseReason::NewContract, now)
            .await?;
        self.contents_since.store(generation, Ordering::Release);
        Ok(())
    }

    /// Writes a higher generation and commits it with the transaction; from then on versions are
    /// given out in it. Only under the gate.
    pub(crate) async fn commit_raised(
        &self,
        mut transaction: WriteTransaction<'_>,
        generation: u32,
        reason: RaiseReason,
        now: DateTime<Utc>,
    ) -> Result<(), OutboxError> {
        self.check_not_stopped()?;
        let risen = raise(transaction.connection(), generation, reason, now).await?;
        let writer = transaction.commit_and_hold().await?;
        self.generation.store(risen.generation, Ordering::Release);
        self.overwrite_file(risen.generation, risen.stamp).await?;
        drop(writer);
        Ok(())
    }

    /// Commits the transaction. If it gives out versions, the generation file is written before
    /// anybody else may write, or lease a batch of them. Only under the gate.
    pub(crate) async fn commit(
        &self,
        mut transaction: WriteTransaction<'_>,
        gives_out: bool,
    ) -> Result<(), OutboxError> {
        let mut risen_stamp = None;
        if gives_out {
            self.check_not_stopped()?;
            let stamp: i64 =
                sqlx::query_scalar("UPDATE meta SET stamp = stamp + 1 RETURNING stamp")
                    .fetch_one(transaction.connection())
                    .await?;
            risen_stamp = Some(stamp.unsigned_abs());
        }
        fault::check::<OutboxError>(fault::Point::OutboxStored)?;
        let writer = transaction.commit_and_hold().await?;
        fault::check::<OutboxError>(fault::Point::OutboxCommitted)?;
        if let Some(stamp) = risen_stamp {
            self.overwrite_file(self.generation(), stamp).await?;
        }
        drop(writer);
        fault::check::<OutboxError>(fault::Point::OutboxGenerationStored)
    }

    async fn overwrite_file(&self, generation: u32, stamp: u64) -> Result<(), OutboxError> {
        let file = Arc::clone(&self.file);
        spawn_blocking(move || file.overwrite(generation, stamp)).await?
    }
}
