//! The schema of the SQLite file and its migrations.

use std::borrow::Cow;

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::SqliteConnection;

use super::error::OutboxError;

/// Migration to one version of the schema: version, name, statements.
pub(crate) type SchemaStep = (i64, &'static str, &'static str);

macro_rules! step {
    ($version:literal, $name:literal, $file:literal) => {
        (
            $version,
            $name,
            include_str!(concat!("../../../../../migrations/outbox/", $file)),
        )
    };
}

/// Every migration, oldest first; only ever added to.
pub(crate) const MIGRATIONS: [SchemaStep; 16] = [
    step!(1, "outbox", "0001_outbox.sql"),
    step!(2, "receipts and sweeps", "0002_receipts_sweeps.sql"),
    step!(3, "record keys", "0003_record_keys.sql"),
    step!(4, "record blocks", "0004_record_blocks.sql"),
    step!(5, "pseudonym keys", "0005_pseudonym_keys.sql"),
    step!(6, "contract 2", "0006_contract_2.sql"),
    step!(7, "raise asked for", "0007_raise_asked.sql"),
    step!(8, "refused corrections", "0008_refused_corrections.sql"),
    step!(9, "beacon", "0009_beacon.sql"),
    step!(11, "figures", "0011_figures.sql"),
    step!(12, "beacon repeat", "0012_beacon_repeat.sql"),
    step!(13, "record names", "0013_record_names.sql"),
    step!(14, "content sweeps", "0014_content_sweeps.sql"),
    step!(15, "unknown values", "0015_unknown_values.sql"),
    step!(16, "classes", "0016_classes.sql"),
    step!(17, "service waits", "0017_service_waits.sql"),
];

/// "CGOB" in the file's header, set by the first migration.
const APPLICATION_ID: i64 = 0x4347_4f42;

/// Newest schema version this program knows.
pub(crate) fn known_version() -> i64 {
    MIGRATIONS.last().map_or(0, |(version, ..)| *version)
}

/// Applies the migrations that the file lacks.
pub(crate) async fn migrate(
    connection: &mut SqliteConnection,
    steps: &[SchemaStep],
) -> Result<(), OutboxError> {
    let migrations = steps.iter().map(|(version, name, sql)| {
        let name = Cow::Borrowed(*name);
        Migration::new(
            *version,
            name,
            MigrationType::Simple,
            sql.into_sql_str(),
            false,
        )
    });
    let migrator = Migrator::with_migrations(migrations.collect());
    migrator
        .run_direct(None, connection, false)
        .await
        .map_err(|error| match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            MigrateError::VersionMissing(found) => OutboxError::NewerSchema {
                found,
                known: known_version(),
            },
            _ => OutboxError::Damaged {
                what: "its schema is not the one this program made",
            },
        })
}

/// Reads the schema version of the file, 0 for a new one.
///
/// # Errors
/// [`OutboxError::NotAnOutbox`], [`OutboxError::Damaged`] and the disk's failures.
pub(crate) async fn version(connection: &mut SqliteConnection) -> Result<i64, OutboxError> {
    let application_id: i64 = sqlx::query_scalar("PRAGMA application_id")
        .fetch_one(&mut *connection)
        .await?;
    let (migrations, others): (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE name = '_sqlx_migrations'), \
         count(*) FILTER (WHERE name <> '_sqlx_migrations') \
         FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'",
    )
    .fetch_one(&mut *connection)
    .await?;
    // A crash in the first migration leaves at most its empty bookkeeping table.
    if application_id == 0 && others == 0 {
        return Ok(0);
    }
    if application_id != APPLICATION_ID || migrations == 0 {
        return Err(OutboxError::NotAnOutbox);
    }
    let version = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations");
    match version.fetch_one(connection).await? {
        // The id and the first version are written in one transaction.
        0 => Err(OutboxError::Damaged {
            what: "its schema's version is missing",
        }),
        version => Ok(version),
    }
}
