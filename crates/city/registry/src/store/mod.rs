//! The registry's store: SQLite or PostgreSQL behind one enum.

mod code;
#[cfg(feature = "postgres")]
mod copy;
mod error;
#[cfg(feature = "postgres")]
mod lease;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_rows;
mod read;
mod sqlite;
mod sqlite_rows;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::path::Path;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use chrono::{DateTime, Utc};

use crate::apply::{Abort, Applied, Try, apply};
use crate::config::StoreConfig;
use crate::incoming::OpenBatch;
pub(crate) use code::{fact as fact_of, kind as kind_of};
pub use error::StoreError;
use error::{fault, is_race};
pub(crate) use read::{RawFact, RawStats};

/// How often a transaction that lost a race is run again. From the third on it runs alone and
/// cannot lose.
const ATTEMPTS: usize = 8;
/// After so many lost races the others are kept out.
const SHARED_ATTEMPTS: usize = 2;
/// A smaller group looks for its records before it writes them.
#[cfg(feature = "postgres")]
const BLIND_EVENTS: usize = 1000;
/// Longest a transaction may take, in seconds: a stalled server answers nothing, not even an error.
const APPLY_TIMEOUT_SECONDS: u64 = 120;
/// Refusals kept; older ones are removed.
pub(crate) const REFUSALS_KEPT: i64 = 100_000;

/// What a group of batches came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Events that changed a record.
    pub applied: usize,
    /// Events whose very version was there before.
    pub unchanged: usize,
    /// Events older than the version that is held.
    pub superseded: usize,
    /// Events that were refused, with a reason each.
    pub refused: usize,
    /// Those of them whose version had said something else before.
    pub version_reused: usize,
    /// Contradictions met: persons kept apart.
    pub conflicts: usize,
    /// Subjects that ended in another.
    pub merged: usize,
}

impl std::ops::AddAssign for Outcome {
    fn add_assign(&mut self, other: Self) {
        self.applied += other.applied;
        self.unchanged += other.unchanged;
        self.superseded += other.superseded;
        self.refused += other.refused;
        self.version_reused += other.version_reused;
        self.conflicts += other.conflicts;
        self.merged += other.merged;
    }
}

/// An open store.
#[derive(Debug, Clone)]
pub(crate) enum Store {
    /// One file, one writer.
    Sqlite(sqlite::SqliteStore),
    /// A server, any number of writers.
    #[cfg(feature = "postgres")]
    Postgres(postgres::PostgresStore),
}

impl Store {
    /// Connects and brings the schema up to date. Relative paths start from `base`.
    pub(crate) async fn open(config: &StoreConfig, base: &Path) -> Result<Self, StoreError> {
        match config {
            StoreConfig::Sqlite(config) => {
                Ok(Self::Sqlite(sqlite::SqliteStore::open(config, base).await?))
            }
            #[cfg(feature = "postgres")]
            StoreConfig::Postgres(config) => Ok(Self::Postgres(
                postgres::PostgresStore::open(config, base).await?,
            )),
            #[cfg(not(feature = "postgres"))]
            StoreConfig::Postgres(_) => Err(StoreError::Misconfigured {
                what: "this program was built without PostgreSQL".into(),
                help: "build it with the feature `postgres`, or use [store.sqlite]",
            }),
        }
    }

    /// Applies batches in one transaction; a lost race runs again, everything else is the caller's
    /// to judge.
    pub(crate) async fn apply<B: Borrow<OpenBatch> + Sync>(
        &self,
        batches: &[B],
        now: DateTime<Utc>,
    ) -> Result<Applied, StoreError> {
        let mut pauses = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(5))
            .with_max_delay(Duration::from_millis(500))
            .with_jitter()
            .with_max_times(ATTEMPTS)
            .build();
        let events: usize = batches
            .iter()
            .map(|batch| batch.borrow().events.len())
            .sum();
        let mut attempt = Try {
            exclusive: false,
            blind: self.expects_new(events),
        };
        let mut lost = 0;
        loop {
            match self.apply_in_time(batches, attempt, now).await {
                Ok(applied) => {
                    self.expect_new(applied.0.applied == events);
                    return Ok(applied);
                }
                Err(Abort::Raced) => {}
                Err(Abort::Sql(error)) if is_race(&error) => {}
                Err(Abort::Sql(error)) => return Err(fault(&error)),
                Err(Abort::TooSlow) => {
                    return Err(StoreError::TooSlow {
                        code: format!("{APPLY_TIMEOUT_SECONDS} s"),
                    });
                }
                Err(Abort::Injected(error)) => return Err(error),
            }
            if std::mem::take(&mut attempt.blind) {
                continue;
            }
            lost += 1;
            attempt.exclusive |= lost >= SHARED_ATTEMPTS;
            metrics::counter!("registry_store_races_total").increment(1);
            let Some(pause) = pauses.next() else {
                return Err(StoreError::Unavailable {
                    code: "too many lost races".into(),
                });
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn apply_in_time<B: Borrow<OpenBatch> + Sync>(
        &self,
        batches: &[B],
        attempt: Try,
        now: DateTime<Utc>,
    ) -> Result<Applied, Abort> {
        let limit = Duration::from_secs(APPLY_TIMEOUT_SECONDS);
        let applied = tokio::time::timeout(limit, async {
            match self {
                Self::Sqlite(store) => {
                    let mut rows = store.begin().await?;
                    let applied = apply(&mut rows, batches, attempt, now).await?;
                    rows.commit().await?;
                    Ok(applied)
                }
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => {
                    let mut lease = store.lease().await?;
                    let mut rows = lease.begin().await?;
                    let applied = apply(&mut rows, batches, attempt, now).await?;
                    rows.commit().await?;
                    Ok(applied)
                }
            }
        });
        applied.await.unwrap_or(Err(Abort::TooSlow))
    }

    /// Whether so many events are likely all new: an initial load, where looking for the records
    /// first would cost a quarter of the server's work. SQLite's writer looks at little cost.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "only PostgreSQL expects anything")
    )]
    fn expects_new(&self, events: usize) -> bool {
        match self {
            Self::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => events >= BLIND_EVENTS && store.all_new(),
        }
    }

    /// Notes whether a group was all new.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(unused_variables, reason = "only PostgreSQL expects anything")
    )]
    fn expect_new(&self, all_new: bool) {
        match self {
            Self::Sqlite(_) => {}
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.set_all_new(all_new),
        }
    }

    /// Whether the store answers.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.ping().await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.ping().await,
            }
        })
        .await
    }

    /// Whether the store takes writes: one that answers may have a full disk, or be a read-only
    /// standby.
    pub(crate) async fn ping_writing(&self) -> Result<(), StoreError> {
        self.with_limit(async {
            match self {
                Self::Sqlite(store) => store.ping_writing().await,
                #[cfg(feature = "postgres")]
                Self::Postgres(store) => store.ping_writing().await,
            }
        })
        .await
    }

    /// What kind of store it is, for the operator.
    pub(crate) fn describe(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "SQLite",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "PostgreSQL",
        }
    }

    /// Closes every connection.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.close().await,
        }
    }

    async fn with_limit<T>(
        &self,
        work: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let limit = Duration::from_secs(APPLY_TIMEOUT_SECONDS);
        let done = tokio::time::timeout(limit, work).await;
        done.unwrap_or(Err(sqlx::Error::PoolTimedOut))
            .map_err(|error| fault(&error))
    }
}
