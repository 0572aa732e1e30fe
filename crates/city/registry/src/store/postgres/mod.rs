//! PostgreSQL as the registry's database: a pool; any number of registries may write at once.

mod copy;
mod held_connections;
mod lent_connection;
mod options;
mod passes;
mod persons;
mod queries;
mod rekey;
mod tokens;
mod transaction;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use linking::{
    CityPseudonym, Decision, LinkRules, OpenBatch, SecondLayerKey, StoredRecord, StoredVersion,
    SubjectId,
};
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::{Error, Postgres, Transaction};

use super::apply::apply;
use super::asked::AskedPerson;
use super::backend::{Backend, MessageKey};
use super::batch_escrow::BatchEscrow;
use super::certificates::issue_counts;
use super::error::StoreError;
use super::expire::expiry_store;
use super::marks::Mark;
use super::migrations::{MigrationFile, migrator};
use super::passes::{PassCount, PassKey};
use super::person_statements::NameValue;
use super::persons::{Around, PersonsChanged, decide_by_operator, look_around};
use super::purge::{ListedRecord, PurgeManner, PurgedPart, permit, purge};
use super::rekey::rekey_store;
use super::rows::{
    ActionColumns, ActionRow, ContestColumns, ContestRow, FactRow, action_row, contest_row,
};
use super::sql::{CHECK_VALUE, CLAIM, COUNTS, PING, PRUNE, TOUCH, select_actions, select_contests};
use super::stats::CountRow;
use super::tokens::token_store;
use super::transaction::{Abort, Applied, Attempt, StoreTransaction};
use super::upgrade::move_facts;
use crate::config::PostgresConfig;
use held_connections::HeldConnections;
use lent_connection::LentConnection;
#[cfg(feature = "cli")]
pub(super) use options::plain_warning;

/// Number of events from which a group may be written without a look for its records.
const BLIND_EVENTS: usize = 1000;

const MIGRATIONS: [MigrationFile; 13] = [
    MigrationFile {
        name: "init",
        sql: include_str!("../../../../../../migrations/registry/postgres/0001_init.sql"),
    },
    MigrationFile {
        name: "content",
        sql: include_str!("../../../../../../migrations/registry/postgres/0002_content.sql"),
    },
    MigrationFile {
        name: "no subject check",
        sql: include_str!(
            "../../../../../../migrations/registry/postgres/0003_no_subject_check.sql"
        ),
    },
    MigrationFile {
        name: "links",
        sql: include_str!("../../../../../../migrations/registry/postgres/0004_links.sql"),
    },
    MigrationFile {
        name: "attempts",
        sql: include_str!("../../../../../../migrations/registry/postgres/0005_attempts.sql"),
    },
    MigrationFile {
        name: "passes",
        sql: include_str!("../../../../../../migrations/registry/postgres/0006_passes.sql"),
    },
    MigrationFile {
        name: "pass marks",
        sql: include_str!("../../../../../../migrations/registry/postgres/0007_pass_marks.sql"),
    },
    MigrationFile {
        name: "certificates",
        sql: include_str!("../../../../../../migrations/registry/postgres/0008_certificates.sql"),
    },
    MigrationFile {
        name: "rekeying",
        sql: include_str!("../../../../../../migrations/registry/postgres/0009_rekeying.sql"),
    },
    MigrationFile {
        name: "purge",
        sql: include_str!("../../../../../../migrations/registry/postgres/0010_purge.sql"),
    },
    MigrationFile {
        name: "expired",
        sql: include_str!("../../../../../../migrations/registry/postgres/0011_expired.sql"),
    },
    MigrationFile {
        name: "tokens",
        sql: include_str!("../../../../../../migrations/registry/postgres/0012_tokens.sql"),
    },
    MigrationFile {
        name: "deleted",
        sql: include_str!("../../../../../../migrations/registry/postgres/0013_deleted.sql"),
    },
];

/// Pool of connections to the registry's database.
#[derive(Debug, Clone)]
pub(super) struct PostgresStore {
    pool: PgPool,
    /// Connections to look persons up by.
    held: Arc<HeldConnections>,
    /// True where the last group was all new, so that the next is likely to be.
    all_new: Arc<AtomicBool>,
}

impl PostgresStore {
    /// Connects and brings the schema up to date.
    pub(super) async fn open(config: &PostgresConfig, base: &Path) -> Result<Self, StoreError> {
        let options = options::options(config, base)?;
        let held = HeldConnections::new(options.clone(), config.connections.get().into());
        let pool = PgPoolOptions::new()
            .max_connections(config.connections.get().into())
            // Without them the pool has a task that looks after idle connections; it may spin for
            // ever on a whole processor (sqlx issue 3645).
            .max_lifetime(None)
            .idle_timeout(None)
            .acquire_timeout(options::ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await?;
        migrator(&MIGRATIONS).run(&pool).await?;
        Ok(Self {
            pool,
            held: Arc::new(held),
            all_new: Arc::default(),
        })
    }

    /// Takes a connection to write by.
    pub(super) async fn lend(&self) -> Result<LentConnection, Error> {
        self.pool.acquire().await.map(LentConnection::new)
    }

    /// Begins a snapshot to read whole tables in. By their indexes, which the writers are made to
    /// use, the tables would be read page by random page.
    async fn begin_scan(&self) -> Result<Transaction<'static, Postgres>, Error> {
        let mut transaction = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        sqlx::query("SET LOCAL enable_seqscan = on")
            .execute(&mut *transaction)
            .await?;
        Ok(transaction)
    }
}

issue_counts!(PostgresStore, pool, pool, queries::array, "= ANY($1)");

rekey_store!(postgres, PostgresStore, pool, pool);

expiry_store!(postgres, PostgresStore, pool);

token_store!(
    postgres,
    PostgresStore,
    pool,
    pool,
    queries::array,
    "= ANY($2)"
);

#[async_trait]
impl Backend for PostgresStore {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    async fn apply(
        &self,
        batches: &[&OpenBatch],
        rules: &LinkRules,
        escrow: Option<&BatchEscrow>,
        attempt: Attempt,
        now: DateTime<Utc>,
    ) -> Result<Applied, Abort> {
        let mut lent = self.lend().await?;
        let mut transaction = lent.begin().await?;
        let applied = apply(&mut transaction, batches, rules, escrow, attempt, now).await?;
        if !attempt.is_rehearsal {
            transaction.commit().await?;
        }
        Ok(applied)
    }

    async fn move_old_facts(&self, key: &SecondLayerKey) -> Result<Option<usize>, Abort> {
        let mut lent = self.lend().await?;
        let mut transaction = lent.begin().await?;
        let moved = move_facts(&mut transaction, key).await?;
        transaction.commit().await?;
        Ok(moved)
    }

    async fn decide(
        &self,
        decision: Decision,
        holds: bool,
        rules: &LinkRules,
        now: DateTime<Utc>,
    ) -> Result<Option<PersonsChanged>, Abort> {
        let mut lent = self.lend().await?;
        let mut transaction = lent.begin().await?;
        let changed = decide_by_operator(&mut transaction, decision, holds, rules, now).await?;
        transaction.commit().await?;
        Ok(changed)
    }

    async fn purge(
        &self,
        records: &[ListedRecord],
        rules: &LinkRules,
        manner: PurgeManner,
        now: DateTime<Utc>,
    ) -> Result<PurgedPart, Abort> {
        let mut lent = self.lend().await?;
        let mut transaction = lent.begin().await?;
        let purged = purge(&mut transaction, records, rules, manner, now).await?;
        if !manner.is_dry_run {
            transaction.commit().await?;
        }
        Ok(purged)
    }

    async fn permit(&self, records: &[StoredRecord]) -> Result<u64, Abort> {
        let mut lent = self.lend().await?;
        let mut transaction = lent.begin().await?;
        let permitted = permit(&mut transaction, records).await?;
        transaction.commit().await?;
        Ok(permitted)
    }

    async fn around(&self, name: &NameValue) -> Result<Option<Around>, Abort> {
        let mut lent = self.lend().await?;
        let mut transaction = lent.begin().await?;
        look_around(&mut transaction, *name).await
    }

    async fn contests(&self, limit: i64) -> Result<Vec<ContestRow>, Error> {
        let query = sqlx::query_as(select_contests!(
            "to_char(c.first_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        ));
        let rows: Vec<ContestColumns> = query.bind(limit).fetch_all(&self.pool).await?;
        rows.into_iter().map(contest_row).collect()
    }

    async fn actions(&self, limit: i64) -> Result<Vec<ActionRow>, Error> {
        let query = sqlx::query_as(select_actions!(
            "to_char(done_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"
        ));
        let rows: Vec<ActionColumns> = query.bind(limit).fetch_all(&self.pool).await?;
        rows.into_iter().map(action_row).collect()
    }

    /// In an initial load, a look for the records first would cost a quarter of the server's work.
    fn expects_new(&self, events: usize) -> bool {
        events >= BLIND_EVENTS && self.all_new.load(Ordering::Relaxed)
    }

    fn note_all_new(&self, all_new: bool) {
        self.all_new.store(all_new, Ordering::Relaxed);
    }

    async fn claim(&self, check: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let claim = sqlx::query(CLAIM).bind(&check[..]);
        claim.execute(&self.pool).await?;
        sqlx::query_scalar(CHECK_VALUE).fetch_one(&self.pool).await
    }

    async fn ping(&self) -> Result<(), Error> {
        sqlx::query(PING).execute(&self.pool).await.map(drop)
    }

    async fn ping_writing(&self) -> Result<(), Error> {
        sqlx::query(TOUCH).execute(&self.pool).await.map(drop)
    }

    async fn failures(&self, message: &MessageKey) -> Result<u32, Error> {
        queries::failures(&self.pool, message).await
    }

    async fn put_failures(
        &self,
        message: &MessageKey,
        failures: u32,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        queries::put_failures(&self.pool, message, failures, now).await
    }

    async fn prune_failures(&self, before: DateTime<Utc>) -> Result<(), Error> {
        queries::prune_failures(&self.pool, before).await
    }

    async fn count_passes(
        &self,
        keys: &[PassKey],
        more: u32,
        now: DateTime<Utc>,
    ) -> Result<Vec<u32>, Error> {
        passes::count_passes(&self.pool, keys, more, now).await
    }

    async fn is_watched(&self) -> Result<bool, Error> {
        passes::is_watched(&self.pool).await
    }

    async fn watch(&self) -> Result<(), Abort> {
        let mut lent = self.lend().await?;
        let mut transaction = lent.begin().await?;
        transaction.lock_writers(true).await?;
        transaction.watch().await?;
        Ok(transaction.commit().await?)
    }

    async fn marks(&self, limit: i64) -> Result<Vec<Mark>, Error> {
        passes::marks(&self.pool, limit).await
    }

    async fn remove_marks(&self, ids: &[i64]) -> Result<(), Error> {
        passes::remove_marks(&self.pool, ids).await
    }

    async fn prune_marks(&self, before: DateTime<Utc>) -> Result<(), Error> {
        passes::prune_marks(&self.pool, before).await
    }

    async fn marked_names(
        &self,
        names: &[NameValue],
        subjects: &[SubjectId],
        now: DateTime<Utc>,
    ) -> Result<Vec<NameValue>, Error> {
        passes::marked_names(&self.pool, names, subjects, now).await
    }

    async fn open_names(
        &self,
        after: Option<NameValue>,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<NameValue>, Error> {
        passes::open_names(&self.pool, after, limit, now).await
    }

    async fn open_passes(
        &self,
        names: &[NameValue],
        now: DateTime<Utc>,
    ) -> Result<Vec<PassCount>, Error> {
        passes::open_passes(&self.pool, names, now).await
    }

    async fn ended_passes(
        &self,
        after: &PassKey,
        limit: i64,
        now: DateTime<Utc>,
    ) -> Result<Vec<PassCount>, Error> {
        passes::ended_passes(&self.pool, after, limit, now).await
    }

    async fn end_passes(&self, ended: &[PassCount]) -> Result<(), Error> {
        passes::end_passes(&self.pool, ended).await
    }

    async fn prune_passes(&self, before: DateTime<Utc>) -> Result<(), Error> {
        passes::prune_passes(&self.pool, before).await
    }

    async fn next_publication(&self, least: i64) -> Result<i64, Error> {
        passes::next_publication(&self.pool, least).await
    }

    async fn asked_person(
        &self,
        names: &[NameValue],
        most_facts: i64,
    ) -> Result<AskedPerson, Error> {
        self.held.asked_person(names, most_facts).await
    }

    async fn facts(&self, subjects: Option<&[SubjectId]>) -> Result<Vec<FactRow>, Error> {
        match subjects {
            None => queries::facts(&mut *self.begin_scan().await?, None).await,
            Some(_) => queries::facts(&self.pool, subjects).await,
        }
    }

    async fn pseudonyms(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
        match subjects {
            None => queries::pseudonyms(&mut *self.begin_scan().await?, None).await,
            Some(_) => queries::pseudonyms(&self.pool, subjects).await,
        }
    }

    async fn subjects_of(
        &self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
        queries::subjects_of(&self.pool, values).await
    }

    async fn stored(
        &self,
        records: &[StoredRecord],
    ) -> Result<HashMap<StoredRecord, StoredVersion>, Error> {
        queries::stored(&self.pool, records).await
    }

    async fn counts(&self) -> Result<Vec<CountRow>, Error> {
        let mut scan = self.begin_scan().await?;
        sqlx::query_as(COUNTS).fetch_all(&mut *scan).await
    }

    async fn prune(&self, keep: i64) -> Result<u64, Error> {
        let pruned = sqlx::query(PRUNE).bind(keep).execute(&self.pool).await?;
        Ok(pruned.rows_affected())
    }

    async fn close(&self) {
        self.held.close().await;
        self.pool.close().await;
    }
}

#[cfg(test)]
impl PostgresStore {
    /// Makes a database as the program of before links left it.
    pub(super) async fn make_before_links(url: &str) -> PgPool {
        let pool = PgPool::connect(url).await.unwrap();
        migrator(&MIGRATIONS[..3]).run(&pool).await.unwrap();
        pool
    }

    /// Has a connection's share in the server's statistics reported before the next statement.
    pub(super) async fn report_scans(&self) -> Result<(), Error> {
        sqlx::query("SELECT pg_stat_force_next_flush()")
            .execute(&self.pool)
            .await
            .map(drop)
    }
}
