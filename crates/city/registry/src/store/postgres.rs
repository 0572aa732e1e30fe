//! The PostgreSQL store: a pool; any number of registries may write at once.

use std::collections::HashMap;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use secrecy::ExposeSecret;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{Error, Postgres, SqlSafeStr, Transaction};

use super::error::{StoreError, fault, migration_fault};
use super::lease::Lease;
use super::read::{
    CLAIM, FactTuple, PseudonymTuple, RawFact, RawStats, StoredTuple, TOUCH, raw_fact,
    raw_pseudonym, raw_stored, stats_sql, value_of,
};
use crate::choose::Stored;
use crate::config::{PostgresConfig, TlsMode};
use crate::link::SubjectId;
use crate::second_layer::CityPseudonym;

/// How long to wait for a connection, in seconds.
const ACQUIRE_TIMEOUT_SECONDS: u64 = 5;

/// A pool to the registry's database.
#[derive(Debug, Clone)]
pub(crate) struct PostgresStore {
    pool: PgPool,
    /// Whether the last group was all new, so that the next is likely to be.
    all_new: Arc<AtomicBool>,
}

impl PostgresStore {
    /// Connects and brings the schema up to date.
    pub(crate) async fn open(config: &PostgresConfig, base: &Path) -> Result<Self, StoreError> {
        let options = options(config, base)?;
        let pool = PgPoolOptions::new()
            .max_connections(config.connections.get().into())
            .acquire_timeout(Duration::from_secs(ACQUIRE_TIMEOUT_SECONDS))
            .connect_with(options)
            .await
            .map_err(|error| fault(&error))?;
        migrator()
            .run(&pool)
            .await
            .map_err(|error| migration_fault(&error))?;
        Ok(Self {
            pool,
            all_new: Arc::default(),
        })
    }

    pub(crate) fn all_new(&self) -> bool {
        self.all_new.load(Ordering::Relaxed)
    }

    pub(crate) fn set_all_new(&self, all_new: bool) {
        self.all_new.store(all_new, Ordering::Relaxed);
    }

    /// A connection to write by.
    pub(crate) async fn lease(&self) -> Result<Lease, Error> {
        self.pool.acquire().await.map(Lease::new)
    }

    /// Puts the key's check value down where there is none yet; the one that stands.
    pub(crate) async fn claim(&self, check: &[u8; 32]) -> Result<Vec<u8>, Error> {
        sqlx::query(CLAIM)
            .bind(&check[..])
            .execute(&self.pool)
            .await?;
        sqlx::query_scalar("SELECT check_value FROM second_layer")
            .fetch_one(&self.pool)
            .await
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        sqlx::query("SELECT 1 FROM subject LIMIT 1")
            .execute(&self.pool)
            .await
            .map(drop)
    }

    /// Writes the one row that is always there back as it is, and commits.
    pub(crate) async fn ping_writing(&self) -> Result<(), Error> {
        sqlx::query(TOUCH).execute(&self.pool).await.map(drop)
    }

    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    pub(crate) async fn facts(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<RawFact>, Error> {
        let rows: Vec<FactTuple> = match subjects {
            None => {
                sqlx::query_as(ALL_FACTS)
                    .fetch_all(&mut *self.whole().await?)
                    .await?
            }
            Some(ids) => {
                sqlx::query_as(SUBJECT_FACTS)
                    .bind(ids)
                    .fetch_all(&self.pool)
                    .await?
            }
        };
        rows.into_iter().map(raw_fact).collect()
    }

    pub(crate) async fn pseudonyms(
        &self,
        subjects: Option<&[SubjectId]>,
    ) -> Result<Vec<(SubjectId, CityPseudonym)>, Error> {
        let rows: Vec<PseudonymTuple> = match subjects {
            None => {
                sqlx::query_as(ALL_PSEUDONYMS)
                    .fetch_all(&mut *self.whole().await?)
                    .await?
            }
            Some(ids) => {
                sqlx::query_as(SUBJECT_PSEUDONYMS)
                    .bind(ids)
                    .fetch_all(&self.pool)
                    .await?
            }
        };
        rows.into_iter().map(raw_pseudonym).collect()
    }

    pub(crate) async fn subjects_of(
        &self,
        values: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], SubjectId>, Error> {
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(SUBJECTS_OF)
            .bind(values)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter()
            .map(|(value, id)| Ok((value_of(&value)?, id)))
            .collect()
    }

    pub(crate) async fn stored(
        &self,
        records: &[[u8; 32]],
    ) -> Result<HashMap<[u8; 32], Stored>, Error> {
        let rows: Vec<StoredTuple> = sqlx::query_as(STORED)
            .bind(records)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(raw_stored).collect()
    }

    pub(crate) async fn stats(&self) -> Result<RawStats, Error> {
        let mut tx = self.whole().await?;
        Ok(RawStats {
            subjects: sqlx::query_scalar(stats_sql::SUBJECTS)
                .fetch_one(&mut *tx)
                .await?,
            pseudonyms: sqlx::query_as(stats_sql::PSEUDONYMS)
                .fetch_all(&mut *tx)
                .await?,
            facts: sqlx::query_as(stats_sql::FACTS).fetch_all(&mut *tx).await?,
            conflicts: sqlx::query_scalar(stats_sql::CONFLICTS)
                .fetch_one(&mut *tx)
                .await?,
            refusals: sqlx::query_as(stats_sql::REFUSALS)
                .fetch_all(&mut *tx)
                .await?,
        })
    }

    /// A snapshot to read whole tables in: by their indexes, as the writers are made to, they come
    /// page by random page.
    async fn whole(&self) -> Result<Transaction<'static, Postgres>, Error> {
        let mut tx = self
            .pool
            .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            .await?;
        sqlx::query("SET LOCAL enable_seqscan = on")
            .execute(&mut *tx)
            .await?;
        Ok(tx)
    }

    pub(crate) async fn prune(&self, keep: i64) -> Result<u64, Error> {
        let done = sqlx::query(
            "DELETE FROM refusal WHERE seen_at <= (SELECT seen_at FROM refusal ORDER BY seen_at \
             DESC LIMIT 1 OFFSET $1)",
        );
        Ok(done.bind(keep).execute(&self.pool).await?.rows_affected())
    }
}

#[cfg(test)]
impl PostgresStore {
    /// Has a connection's share in the server's statistics told before the next statement.
    pub(crate) async fn report_scans(&self) -> Result<(), Error> {
        sqlx::query("SELECT pg_stat_force_next_flush()")
            .execute(&self.pool)
            .await
            .map(drop)
    }
}

/// What holds of records.
pub(super) const STORED: &str =
    "SELECT record, version, kind, status, content FROM fact WHERE record = ANY($1)";
/// Looks pseudonyms up.
pub(super) const SUBJECTS_OF: &str =
    "SELECT value, subject_id FROM pseudonym WHERE value = ANY($1)";
const ALL_FACTS: &str =
    "SELECT f.record, f.version, f.kind, f.vaccine, f.dose_number, f.series_doses, f.test,
        f.result, f.began_on, f.occurred_on, p.subject_id
    FROM fact AS f LEFT JOIN pseudonym AS p ON p.value = f.pseudonym ORDER BY f.record";
const SUBJECT_FACTS: &str = "SELECT f.record, f.version, f.kind, f.vaccine, f.dose_number, \
    f.series_doses, f.test,
        f.result, f.began_on, f.occurred_on, p.subject_id
    FROM fact AS f JOIN pseudonym AS p ON p.value = f.pseudonym WHERE p.subject_id = ANY($1) \
    ORDER BY f.record";
const ALL_PSEUDONYMS: &str = "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym";
const SUBJECT_PSEUDONYMS: &str =
    "SELECT value, scheme, suite, epoch, subject_id FROM pseudonym WHERE subject_id = ANY($1)";

fn migrator() -> Migrator {
    let files = [
        (
            "init",
            include_str!("../../../../../migrations/registry/postgres/0001_init.sql"),
        ),
        (
            "content",
            include_str!("../../../../../migrations/registry/postgres/0002_content.sql"),
        ),
        (
            "no subject check",
            include_str!("../../../../../migrations/registry/postgres/0003_no_subject_check.sql"),
        ),
    ];
    let migration = |(version, (name, sql)): (i64, (&'static str, &'static str))| {
        Migration::new(
            version,
            name.into(),
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    };
    Migrator::with_migrations((1..).zip(files).map(migration).collect())
}

fn options(config: &PostgresConfig, base: &Path) -> Result<PgConnectOptions, StoreError> {
    let misconfigured = |what: String, help| StoreError::Misconfigured { what, help };
    let mut options = match &config.url {
        Some(url) => PgConnectOptions::from_str(url).map_err(|_| {
            misconfigured(
                "store.postgres.url cannot be read".into(),
                "write postgres://USER@HOST:PORT/DATABASE",
            )
        })?,
        None => PgConnectOptions::new_without_pgpass()
            .host(&config.host)
            .port(config.port)
            .database(&config.database)
            .username(&config.user),
    };
    if let Some(source) = &config.password {
        let password = source.read(base).map_err(|error| {
            misconfigured(
                format!("store.postgres.password: {error}"),
                "correct that setting",
            )
        })?;
        options = options.password(password.expose_secret());
    }
    options = options.ssl_mode(match config.tls {
        TlsMode::Off => PgSslMode::Disable,
        TlsMode::VerifyCa => PgSslMode::VerifyCa,
        TlsMode::VerifyFull => PgSslMode::VerifyFull,
    });
    if let Some(file) = &config.ca_file {
        options = options.ssl_root_cert(base.join(file));
    }
    if let (Some(cert), Some(key)) = (&config.cert_file, &config.key_file) {
        options = options
            .ssl_client_cert(base.join(cert))
            .ssl_client_key(base.join(key));
    }
    Ok(options.application_name("city-registry").options([
        ("statement_timeout", "60s"),
        ("lock_timeout", "30s"),
        ("idle_in_transaction_session_timeout", "120s"),
        // The statements are short and their plans known: compiling them costs more than it saves.
        ("jit", "off"),
        // A plan made for one set of thousands costs as much as the look itself, and may go over
        // the whole table.
        ("plan_cache_mode", "force_generic_plan"),
        // Such a plan may have been made while a table was empty, and would go over all of it for
        // the rest of the day.
        ("enable_seqscan", "off"),
    ]))
}
