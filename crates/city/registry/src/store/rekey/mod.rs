//! Stored names that follow a new key of the key services.
//!
//! 1. What each name is going to be is noted in `rekeyed_name`, in chunks, on all cores
//!    ([`Store::rekey`]). Nothing else changes by it, so a stop at any time loses one chunk at
//!    most, and registries go on meanwhile.
//! 2. One transaction, with the other writers kept out, renames everything (`switch.rs`). Whoever
//!    reads sees all names as they were or all as they are to be, so no person is split.
//! 3. From then on a batch that states names of the old epoch is stored as if it stated those of
//!    the new one ([`Store::apply`]): the transaction looks whether they have changed.
//!
//! Passes keep the ids that they were issued under. These follow from a name, so the counts of
//! passes go on under the name of that time, and `former_name` says what it is called now
//! (`former.rs`).

mod former;
mod rekey_statements;
mod rows;
pub(super) mod statements;
mod switch;

use std::sync::Arc;

use async_trait::async_trait;
use az::SaturatingAs;
use chrono::{DateTime, Utc};
use contract::{Epoch, Scheme};
use linking::{LinkRules, Rekeying};
use sqlx::Error;

use super::columns::undecodable;
use super::person_statements::NameValue;
use super::transaction::Abort;
use super::{Store, StoreError, in_time};
pub(super) use former::{IS_PRUNE_DUE, PASS_NAME, PRESENT_NAME, PRUNE_FORMER};
pub(super) use rekey_statements::{RekeyStatements, RekeyingRow};
pub(super) use rows::{epoch, pair_row, rekeying_row, scheme_row};
pub(super) use switch::{begin, switch};

/// Number of names that are multiplied and noted at once: about a second's work. Few under test, so
/// that it takes several chunks.
const CHUNK_NAMES: i64 = if cfg!(test) { 4 } else { 20_000 };

/// What a database does of a change of names, and about names that were changed.
#[async_trait]
pub(super) trait RekeyStore {
    /// Notes that a change is under way, where nothing is noted about its epoch yet; returns what
    /// is noted then, or `None` where another change is under way.
    async fn begin_rekeying(&self, rekeying: &Rekeying) -> Result<Option<RekeyingRow>, Abort>;

    /// Names that are to be multiplied, after a value, in the order of values, at most `limit`.
    async fn names_to_rekey(
        &self,
        from: Epoch,
        after: &[u8],
        limit: i64,
    ) -> Result<Vec<(NameValue, Scheme)>, Abort>;

    /// Notes what names are going to be.
    async fn add_rekeyed(&self, names: &[(NameValue, NameValue)]) -> Result<(), Abort>;

    /// Renames everything in one transaction, and commits it where `commits`.
    async fn switch(
        &self,
        rekeying: &Rekeying,
        rules: &LinkRules,
        commits: bool,
        now: DateTime<Utc>,
    ) -> Result<(), Abort>;

    /// Epochs whose names have changed.
    async fn rekeyed_epochs(&self) -> Result<Vec<Epoch>, Error>;

    /// Check value of the change of an epoch's names that is done; `None` where there is none.
    async fn finished_rekeying(&self, from: Epoch) -> Result<Option<[u8; 32]>, Error>;

    /// Name that passes for a name are counted under.
    async fn pass_name(&self, name: &NameValue) -> Result<Option<NameValue>, Error>;

    /// What a name is called now that passes were counted under.
    async fn present_name(&self, former: &NameValue) -> Result<Option<NameValue>, Error>;

    /// Forgets names of before a time under which no passes are counted.
    async fn prune_former_names(&self, before: DateTime<Utc>) -> Result<(), Error>;
}

/// Progress of a change of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RekeyProgress {
    /// Number of names that were multiplied so far, by this process.
    Multiplied(u64),
    /// All are multiplied; everything is being renamed.
    Renaming,
}

/// Outcome of a change of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rekeyed {
    /// Names have changed; of so many this process has worked out to what.
    Done(u64),
    /// They had changed before.
    DoneBefore,
}

impl Store {
    /// Brings the names of an epoch under another one; goes on where it was stopped.
    pub(crate) async fn rekey(
        &self,
        rekeying: &Arc<Rekeying>,
        now: DateTime<Utc>,
        mut progress: impl FnMut(RekeyProgress),
    ) -> Result<Rekeyed, StoreError> {
        let begun = self.alone(|| self.backend.begin_rekeying(rekeying)).await?;
        let Some(row) = begun else {
            return Err(StoreError::Misconfigured {
                what: "names of another key epoch are being changed".into(),
                help: "let `city-registry rekey` end for that epoch first",
            });
        };
        if (row.to, row.check) != (rekeying.to(), rekeying.check_value()) {
            return Err(StoreError::Misconfigured {
                what: format!(
                    "a change of the names of key epoch {} by another factor, or to another \
                     epoch, was begun or is done",
                    rekeying.from()
                ),
                help: "put the factors and epochs of that change back into [[keys.rekeyed]]",
            });
        }
        if row.is_finished {
            return Ok(Rekeyed::DoneBefore);
        }
        let mut work = self.multiply_next(rekeying, &[]).await?;
        let mut done = 0;
        while !work.names.is_empty() {
            // The next ones are multiplied while these are written.
            let written = self.alone(|| self.backend.add_rekeyed(&work.names));
            let (written, next) = tokio::join!(written, self.multiply_next(rekeying, &work.last));
            written?;
            done += work.names.len().saturating_as::<u64>();
            progress(RekeyProgress::Multiplied(done));
            work = next?;
        }
        progress(RekeyProgress::Renaming);
        self.alone(|| self.backend.switch(rekeying, &self.rules, true, now))
            .await?;
        Ok(Rekeyed::Done(done))
    }

    /// Reads the names after a value and works out what they are going to be.
    async fn multiply_next(
        &self,
        rekeying: &Arc<Rekeying>,
        after: &[u8],
    ) -> Result<Multiplied, StoreError> {
        let read = || {
            self.backend
                .names_to_rekey(rekeying.from(), after, CHUNK_NAMES)
        };
        let names = self.alone(read).await?;
        let last = names.last().map(|(value, _)| value.to_vec());
        let rekeying = Arc::clone(rekeying);
        let multiplied = tokio::task::spawn_blocking(move || multiply(&rekeying, &names)).await;
        let names = match multiplied {
            Ok(names) => names?,
            Err(stopped) => std::panic::resume_unwind(stopped.into_panic()),
        };
        Ok(Multiplied {
            names,
            last: last.unwrap_or_default(),
        })
    }

    /// Epochs whose names have changed.
    pub(crate) async fn rekeyed_epochs(&self) -> Result<Vec<Epoch>, StoreError> {
        in_time(self.backend.rekeyed_epochs()).await
    }

    /// Refuses changes other than those that this store has gone through.
    pub(crate) async fn check_rekeyings(
        &self,
        rekeyings: &[Arc<Rekeying>],
    ) -> Result<(), StoreError> {
        for rekeying in rekeyings {
            let done = in_time(self.backend.finished_rekeying(rekeying.from())).await?;
            if done.is_some_and(|check| check != rekeying.check_value()) {
                return Err(StoreError::Misconfigured {
                    what: format!(
                        "the names of key epoch {} were changed by another factor",
                        rekeying.from()
                    ),
                    help: "put the factors and epochs of that change back into [[keys.rekeyed]]",
                });
            }
        }
        Ok(())
    }
}

/// Names with what they are going to be.
struct Multiplied {
    names: Vec<(NameValue, NameValue)>,
    /// Last value; empty where there was none.
    last: Vec<u8>,
}

/// Works out on all cores what names are going to be.
pub(super) fn multiply(
    rekeying: &Rekeying,
    names: &[(NameValue, Scheme)],
) -> Result<Vec<(NameValue, NameValue)>, Error> {
    let work = &|part: &[(NameValue, Scheme)]| {
        let rekeyed = rekeying.values(part);
        let rekeyed = rekeyed.ok_or_else(|| undecodable("element"))?;
        let values = part.iter().map(|(value, _)| *value);
        Ok::<_, Error>(values.zip(rekeyed).collect::<Vec<_>>())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let share = names.len().div_ceil(cores).max(1);
    std::thread::scope(|scope| {
        let running: Vec<_> = names
            .chunks(share)
            .map(|part| scope.spawn(move || work(part)))
            .collect();
        let mut all = Vec::with_capacity(names.len());
        for part in running {
            match part.join() {
                Ok(part) => all.extend(part?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(all)
    })
}

/// Begins a writing transaction of a store; dropped before its commit, it is rolled back.
macro_rules! begin_transaction {
    (sqlite, $store:expr, $transaction:ident) => {
        let begun = $store.writer.begin_with("BEGIN IMMEDIATE").await?;
        let mut $transaction = SqliteTransaction::new(begun);
    };
    (postgres, $store:expr, $transaction:ident) => {
        let mut lent = $store.lend().await?;
        let mut $transaction = lent.begin().await?;
    };
}
pub(super) use begin_transaction;

/// Implements [`RekeyStore`] for a store of this kind of database with these pools.
macro_rules! rekey_store {
    ($kind:tt, $store:ty, $writer:ident, $reader:ident) => {
        #[async_trait]
        impl $crate::store::rekey::RekeyStore for $store {
            async fn begin_rekeying(
                &self,
                rekeying: &linking::Rekeying,
            ) -> Result<Option<$crate::store::rekey::RekeyingRow>, Abort> {
                $crate::store::rekey::begin_transaction!($kind, self, transaction);
                let row = $crate::store::rekey::begin(&mut transaction, rekeying).await?;
                transaction.commit().await?;
                Ok(row)
            }

            async fn names_to_rekey(
                &self,
                from: contract::Epoch,
                after: &[u8],
                limit: i64,
            ) -> Result<Vec<(NameValue, contract::Scheme)>, Abort> {
                let query = sqlx::query_as($crate::store::rekey::statements::NAMES_TO_REKEY);
                let rows: Vec<(Vec<u8>, String)> = query
                    .bind(i32::from(from))
                    .bind(after)
                    .bind(limit)
                    .fetch_all(&self.$reader)
                    .await?;
                let rows = rows.into_iter().map($crate::store::rekey::scheme_row);
                Ok(rows.collect::<Result<_, _>>()?)
            }

            async fn add_rekeyed(&self, names: &[(NameValue, NameValue)]) -> Result<(), Abort> {
                use $crate::store::rekey::RekeyStatements as _;
                $crate::store::rekey::begin_transaction!($kind, self, transaction);
                transaction.add_rekeyed(names).await?;
                Ok(transaction.commit().await?)
            }

            async fn switch(
                &self,
                rekeying: &linking::Rekeying,
                rules: &LinkRules,
                commits: bool,
                now: DateTime<Utc>,
            ) -> Result<(), Abort> {
                $crate::store::rekey::begin_transaction!($kind, self, transaction);
                $crate::store::rekey::switch(&mut transaction, rekeying, rules, now).await?;
                if commits {
                    transaction.commit().await?;
                }
                Ok(())
            }

            async fn rekeyed_epochs(&self) -> Result<Vec<contract::Epoch>, Error> {
                let query = sqlx::query_scalar($crate::store::rekey::statements::FINISHED);
                let epochs: Vec<i32> = query.fetch_all(&self.$reader).await?;
                epochs
                    .into_iter()
                    .map($crate::store::rekey::epoch)
                    .collect()
            }

            async fn finished_rekeying(
                &self,
                from: contract::Epoch,
            ) -> Result<Option<[u8; 32]>, Error> {
                let query = sqlx::query_as($crate::store::rekey::statements::REKEYING);
                let row: Option<(i32, Vec<u8>, bool)> = query
                    .bind(i32::from(from))
                    .fetch_optional(&self.$reader)
                    .await?;
                let row = row.map($crate::store::rekey::rekeying_row).transpose()?;
                Ok(row.filter(|row| row.is_finished).map(|row| row.check))
            }

            async fn pass_name(&self, name: &NameValue) -> Result<Option<NameValue>, Error> {
                let query = sqlx::query_scalar($crate::store::rekey::PASS_NAME);
                let found: Option<Vec<u8>> =
                    query.bind(&name[..]).fetch_optional(&self.$reader).await?;
                found
                    .map(|name| $crate::store::rows::digest(&name))
                    .transpose()
            }

            async fn present_name(&self, former: &NameValue) -> Result<Option<NameValue>, Error> {
                let query = sqlx::query_scalar($crate::store::rekey::PRESENT_NAME);
                let found: Option<Vec<u8>> = query
                    .bind(&former[..])
                    .fetch_optional(&self.$reader)
                    .await?;
                found
                    .map(|name| $crate::store::rows::digest(&name))
                    .transpose()
            }

            async fn prune_former_names(&self, before: DateTime<Utc>) -> Result<(), Error> {
                let is_due = sqlx::query_scalar($crate::store::rekey::IS_PRUNE_DUE);
                let is_due: bool = is_due
                    .bind(before.timestamp())
                    .fetch_one(&self.$reader)
                    .await?;
                if !is_due {
                    return Ok(());
                }
                let prune =
                    sqlx::query($crate::store::rekey::PRUNE_FORMER).bind(before.timestamp());
                prune.execute(&self.$writer).await.map(drop)
            }
        }
    };
}
pub(super) use rekey_store;
